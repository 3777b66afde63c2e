// Package learn is what a student's own checkout remembers and offers: which
// parts have passed, the hints given, the pristine stub of every file, and the
// way from lab 04's server to lab 05.
//
// All of it lies in .labs at the course's root, which git ignores. Nothing here
// earns points: grades come from package grade alone.
package learn

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/result"
	"distlabs/internal/harness/passed"
)

// version is that of the form of learner.json.
const version = 1

// Progress is what is remembered of a student's work. The zero value is a
// beginner's.
type Progress struct {
	Version int               `json:"version"`
	At      string            `json:"at,omitempty"`     // the part that the student works on
	Hints   map[string]int    `json:"hints,omitempty"`  // by part: how many were shown
	Passed  map[string]string `json:"passed,omitempty"` // by part: the Digest with which it passed last
}

func file(root string) string { return filepath.Join(root, ".labs", "learner.json") }

// Load reads what is remembered in the course at root.
func Load(root string) (Progress, error) {
	p := Progress{Version: version, Hints: map[string]int{}, Passed: map[string]string{}}
	text, err := os.ReadFile(file(root))
	if errors.Is(err, os.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return p, fmt.Errorf("learn: %w", err)
	}
	if err := json.Unmarshal(text, &p); err != nil {
		return p, fmt.Errorf("learn: %s is damaged (remove it to begin again): %w", file(root), err)
	}
	if p.Version != version {
		return p, fmt.Errorf("learn: %s has version %d, want %d: another version of the course wrote it", file(root), p.Version, version)
	}
	return p, nil
}

// Update changes what is remembered, in the file at once. A change that changes
// nothing writes nothing.
func Update(root string, change func(*Progress)) (Progress, error) {
	p, err := Load(root)
	if err != nil {
		return p, err
	}
	before, err := json.Marshal(p)
	if err != nil {
		return p, fmt.Errorf("learn: %w", err)
	}
	change(&p)
	text, err := json.Marshal(p)
	if err != nil || string(text) == string(before) {
		return p, err
	}
	return p, replace(file(root), append(text, '\n'))
}

// replace puts a whole file in place at once, so that nobody reads half of one.
func replace(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return fmt.Errorf("learn: %w", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return fmt.Errorf("learn: %w", err)
	}
	_, err = tmp.Write(text)
	err = errors.Join(err, tmp.Chmod(0o666&^umask), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		os.Remove(tmp.Name())
		return fmt.Errorf("learn: %w", err)
	}
	return nil
}

// umask is the usual one: a temporary file is made for its owner only.
const umask = 0o022

// WorksOn remembers the part that the student works on.
func WorksOn(c *course.Course, part course.Part) error {
	_, err := Update(c.Root, func(p *Progress) { p.At = part.ID })
	return err
}

// Digest names the state of a part: the student's files of it and the lab's
// tests. A pass is worth as much as its digest is the same.
func Digest(c *course.Course, lab course.Lab, part course.Part) (string, error) {
	dir := filepath.Join(c.Root, filepath.FromSlash(lab.Dir()))
	tests, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		return "", fmt.Errorf("learn: %w", err)
	}
	paths := slices.Sorted(slices.Values(tests))
	for _, name := range slices.Sorted(slices.Values(part.Files)) {
		paths = append(paths, filepath.Join(dir, name))
	}
	sums := map[string]string{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return "", fmt.Errorf("learn: %w", err)
		}
		sums[filepath.Base(path)] = passed.Sum(text)
	}
	return digest(sums, part), nil
}

// digest is Digest, of a lab's folder whose files have these sums.
func digest(sums map[string]string, part course.Part) string {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		if strings.HasSuffix(name, "_test.go") || slices.Contains(part.Files, name) {
			fmt.Fprintf(&text, "%s %s\n", name, sums[name])
		}
	}
	return passed.Sum([]byte(text.String()))
}

// Attempt is the student's files as they were when a run of them began.
type Attempt struct {
	course  *course.Course
	digests map[string]string // by part
}

// Begin remembers the selected parts as they are, before they are run.
func Begin(c *course.Course, selected []course.Selected) (*Attempt, error) {
	a := &Attempt{course: c, digests: map[string]string{}}
	for _, s := range selected {
		for _, p := range s.Parts {
			d, err := Digest(c, s.Lab, p)
			if err != nil {
				return nil, err
			}
			a.digests[p.ID] = d
		}
	}
	return a, nil
}

// End records the parts that passed, and returns the labs that are complete by
// that and were not before.
func (a *Attempt) End(graded *result.Result) (finished []course.Lab, err error) {
	before, err := Load(a.course.Root)
	if err != nil {
		return nil, err
	}
	after, err := Update(a.course.Root, func(p *Progress) {
		for _, lab := range graded.Labs {
			for _, part := range lab.Parts {
				if part.Points == part.Max && a.digests[part.ID] != "" {
					p.Passed[part.ID] = a.digests[part.ID]
				}
			}
		}
	})
	if err != nil {
		return nil, err
	}
	for _, lab := range a.course.Labs {
		if after.Complete(lab) && !before.Complete(lab) {
			finished = append(finished, lab)
		}
	}
	return finished, nil
}

// Complete reports whether every part of the lab has passed at some time.
func (p Progress) Complete(lab course.Lab) bool {
	return !slices.ContainsFunc(lab.Parts, func(part course.Part) bool { return p.Passed[part.ID] == "" })
}

// Next is the first part to solve, in the order of the course, that has never passed.
func (p Progress) Next(c *course.Course) (course.Lab, course.Part, bool) {
	for _, lab := range c.Own() {
		for _, part := range lab.Parts {
			if p.Passed[part.ID] == "" {
				return lab, part, true
			}
		}
	}
	return course.Lab{}, course.Part{}, false
}

// Current is the part that the student works on: the one of last time, or else
// the first that has never passed, or else the last of all.
func (p Progress) Current(c *course.Course) (course.Lab, course.Part) {
	for _, lab := range c.Labs {
		for _, part := range lab.Parts {
			if part.ID == p.At {
				return lab, part
			}
		}
	}
	if lab, part, ok := p.Next(c); ok {
		return lab, part
	}
	own := c.Own()
	lab := own[len(own)-1]
	return lab, lab.Parts[len(lab.Parts)-1]
}
