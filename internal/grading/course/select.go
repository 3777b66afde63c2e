package course

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Selected is a lab and those of its parts that a command is about.
type Selected struct {
	Lab   Lab
	Parts []Part
}

// Tests lists the tests of the selected parts.
func (s Selected) Tests() []Test {
	var tests []Test
	for _, p := range s.Parts {
		tests = append(tests, p.Tests...)
	}
	return tests
}

// Named keeps the tests whose names match; parts without such a test go.
func Named(selected []Selected, name *regexp.Regexp) (kept []Selected) {
	for _, s := range selected {
		in := Selected{Lab: s.Lab}
		for _, p := range s.Parts {
			p.Tests = slices.DeleteFunc(slices.Clone(p.Tests), func(t Test) bool { return !name.MatchString(t.Name) })
			if len(p.Tests) > 0 {
				in.Parts = append(in.Parts, p)
			}
		}
		if len(in.Parts) > 0 {
			kept = append(kept, in)
		}
	}
	return kept
}

// Whole reports whether every part of the lab is selected.
func (s Selected) Whole() bool { return len(s.Parts) == len(s.Lab.Parts) }

// Select finds the labs and parts that the names stand for, in the order of the
// course; no names stand for everything. A lab is named by its number (01 or 1),
// its folder (01-links) or the word in it (links), a part by its id (1A or 1a).
func (c *Course) Select(names ...string) ([]Selected, error) {
	want := map[string]bool{} // part ids
	for _, name := range names {
		ids := c.resolve(name)
		if len(ids) == 0 {
			return nil, c.unknown(name)
		}
		for _, id := range ids {
			want[id] = true
		}
	}
	var out []Selected
	for _, l := range c.Labs {
		s := Selected{Lab: l}
		for _, p := range l.Parts {
			if len(names) == 0 || want[p.ID] {
				s.Parts = append(s.Parts, p)
			}
		}
		if len(s.Parts) > 0 {
			out = append(out, s)
		}
	}
	return out, nil
}

// resolve lists the ids of the parts that one name stands for.
func (c *Course) resolve(name string) []string {
	name = strings.TrimSuffix(strings.TrimPrefix(name, "./"), "/")
	name = strings.TrimPrefix(name, "labs/") // what a shell completes
	for _, l := range c.Labs {
		forms := []string{l.ID, l.Number(), strings.TrimLeft(l.Number(), "0"), l.ID[3:], l.Package}
		whole := slices.Contains(forms, name)
		var ids []string
		for _, p := range l.Parts {
			if whole || strings.EqualFold(p.ID, name) {
				ids = append(ids, p.ID)
			}
		}
		if len(ids) > 0 {
			return ids
		}
	}
	return nil
}

func (c *Course) describe() string {
	var labs []string
	for _, l := range c.Labs {
		first, last := l.Parts[0].ID, l.Parts[len(l.Parts)-1].ID
		labs = append(labs, fmt.Sprintf("%s (%s to %s)", l.ID, first, last))
	}
	return strings.Join(labs, ", ")
}
