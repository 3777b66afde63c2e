package submission

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"distlabs/internal/grading/course"
)

// Held is what was read of a submission, by lab: the selected labs and those
// that they build on. It is all that grading needs of it.
type Held map[string]Files

// Hold reads the permitted files of a submission's folder. The error is about
// this machine; whatever is wrong with the submission is in Held.
func Hold(c *course.Course, dir string, selected []course.Selected) (Held, error) {
	held := Held{}
	for _, s := range selected {
		for _, lab := range c.Needs(s.Lab) {
			files, err := readSubmission(dir, selected, lab)
			if err != nil {
				return nil, err
			}
			held[lab.ID] = files
		}
	}
	return held, nil
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
