package course

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// FindTest returns the one test that a person means: name is the test's whole name or the beginning of it, with or without
// "Test", or a part that has one test only. lab is anything that [Course.Select] takes, a part included.
func (c *Course) FindTest(lab, name string) (Selected, error) {
	selected, err := c.Select(lab)
	if err != nil {
		return Selected{}, err
	}
	var found []Selected
	for _, s := range selected {
		for _, p := range s.Parts {
			for _, t := range p.Tests {
				one := Selected{Lab: s.Lab, Parts: []Part{p}}
				one.Parts[0].Tests = []Test{t}
				if t.Name == name || t.Name == "Test"+name {
					return one, nil
				}
				bare := strings.TrimPrefix(t.Name, "Test")
				if hasPrefixFold(t.Name, name) || hasPrefixFold(bare, name) || strings.EqualFold(p.ID, name) {
					found = append(found, one)
				}
			}
		}
	}
	if len(found) == 1 {
		return found[0], nil
	}
	var names []string
	which := "is the beginning of several tests"
	for _, s := range found {
		names = append(names, s.Tests()[0].Name)
	}
	if len(found) == 0 {
		which = "is no test of " + lab
		for _, s := range selected {
			for _, t := range s.Tests() {
				names = append(names, t.Name)
			}
		}
	}
	return Selected{}, fmt.Errorf("course: %q %s: choose one of %s", name, which, strings.Join(names, ", "))
}

func hasPrefixFold(s, prefix string) bool {
	return prefix != "" && len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// HasSolutions reports whether the course at root has the reference solutions: a handout has none.
func HasSolutions(root string) bool {
	_, err := os.Stat(filepath.Join(root, "solutions"))
	return !errors.Is(err, fs.ErrNotExist)
}
