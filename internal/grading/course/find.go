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
	if len(found) == 0 {
		return Selected{}, noTest(name, lab, " "+lab, selected)
	}
	var names []string
	for _, s := range found {
		names = append(names, s.Tests()[0].Name)
	}
	return Selected{}, fmt.Errorf("course: %q is the beginning of several tests: %s", name, choose(names, " "+lab))
}

// TestNamed returns the lab and the part of a test, which is all that it selects. The error is one line that says which test may have been meant.
func (c *Course) TestNamed(name string) (Selected, error) {
	all, err := c.Select()
	if err != nil {
		return Selected{}, err
	}
	for _, s := range all {
		for _, p := range s.Parts {
			for _, t := range p.Tests {
				if t.Name == name {
					p.Tests = []Test{t}
					return Selected{Lab: s.Lab, Parts: []Part{p}}, nil
				}
			}
		}
	}
	return Selected{}, noTest(name, "this course", "", all)
}

// noTest says that a lab, or all of them, have no test of a name, and which one may have been meant, or where the names are. lab is what grade list needs.
func noTest(name, where, lab string, selected []Selected) error {
	var names, known []string
	for _, s := range selected {
		for _, t := range s.Tests() {
			names = append(names, t.Name)
			known = append(known, t.Name, strings.TrimPrefix(t.Name, "Test"))
		}
	}
	if near := nearest(name, known); near != "" {
		return fmt.Errorf("course: %q is no test of %s; did you mean %s?", name, where, near)
	}
	return fmt.Errorf("course: %q is no test of %s: %s", name, where, choose(names, lab))
}

// choose names tests, or says where their names are if they are many: lab is what grade list needs.
func choose(names []string, lab string) string {
	const few = 8
	if len(names) > few {
		return "grade list" + lab + " shows their names"
	}
	return "choose one of " + strings.Join(names, ", ")
}

func hasPrefixFold(s, prefix string) bool {
	return prefix != "" && len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// HasSolutions reports whether the course at root has the reference solutions: a handout has none.
func HasSolutions(root string) bool {
	_, err := os.Stat(filepath.Join(root, "solutions"))
	return !errors.Is(err, fs.ErrNotExist)
}
