package submission

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"slices"

	"distlabs/internal/grading/course"
)

// Held is what was read of a submission, by lab: the selected labs and those
// that they build on. It is all that grading needs of it.
type Held map[string]Files

// Hold reads the permitted files of a submission's folder. The error is about
// this machine; whatever is wrong with the submission is in Held.
func Hold(c *course.Course, dir string, selected []course.Selected) (Held, error) {
	held, _, err := hold(c, dir, selected, nil)
	return held, err
}

// hold is Hold; more are the names of files that belong to the folder but are not in it.
func hold(c *course.Course, dir string, selected []course.Selected, more []string) (Held, survey, error) {
	r, err := os.OpenRoot(dir)
	if err != nil {
		return nil, survey{}, fmt.Errorf("submission: submission %s cannot be read: %w", dir, err)
	}
	defer r.Close()
	s := search{survey: lookThrough(r), labs: c.Labs, selected: selected}
	for _, name := range more {
		s.survey.add(name)
	}
	held := Held{}
	for _, x := range selected {
		for _, lab := range c.Needs(x.Lab) {
			if held[lab.ID], err = readSubmission(r, s, lab); err != nil {
				return nil, s.survey, err
			}
		}
	}
	return held, s.survey, nil
}

// Permits lists the names of the files that a submission may have for the
// selected labs and those that they build on.
func Permits(c *course.Course, selected []course.Selected) []string {
	var names []string
	for _, s := range selected {
		for _, lab := range c.Needs(s.Lab) {
			names = append(names, lab.Files()...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Empty reports whether the submission has no file of any lab.
func (h Held) Empty() bool {
	for _, files := range h {
		if !files.Absent {
			return false
		}
	}
	return true
}

// Hash is the SHA-256 of the permitted files, hexadecimal.
func (h Held) Hash() string { return h.sum(false) }

// Key is the SHA-256 of all that a result can depend on: also what is said of
// files that were ignored or refused.
func (h Held) Key() string { return h.sum(true) }

func (h Held) sum(all bool) string {
	// Every string is written with its length, so that no two lists of files are written alike.
	sum := sha256.New()
	write := func(parts ...string) {
		for _, p := range parts {
			fmt.Fprintf(sum, "%d:%s\n", len(p), p)
		}
	}
	for _, lab := range slices.Sorted(maps.Keys(h)) {
		files := h[lab]
		for _, name := range slices.Sorted(maps.Keys(files.Text)) {
			write(lab, name, string(files.Text[name]))
		}
		if all {
			write(append([]string{"said", files.Refused}, files.Notes...)...)
		}
	}
	return hex.EncodeToString(sum.Sum(nil))
}
