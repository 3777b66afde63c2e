// Package course knows what the course consists of: the labs, their parts, the
// points of every test, and the files that a student may edit. It reads the
// lab.yaml of each lab and is the one place that does.
package course

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Module is the path of the course's Go module.
const Module = "distlabs"

// PointsPerLab is what the points of every lab add up to.
const PointsPerLab = 100

// ErrNotInCourse says that a folder lies outside every checkout of the course.
var ErrNotInCourse = errors.New("course: this folder is not inside a checkout of the course")

// Course is every lab, in the order of their numbers.
type Course struct {
	Root string // the folder that holds go.mod
	Labs []Lab
}

// Lab is one folder under labs.
type Lab struct {
	ID      string   // the folder's name: 04-election
	Title   string   //
	Package string   // the Go package of the folder
	Imports []string // what a submission may import beyond the course's own list
	Parts   []Part   //
	Base    bool     // in a handout: it is there because another lab builds on it, and is not among those to solve
}

// Own are the labs that a student is to solve: all, except in a handout those that are there because another lab builds on them.
func (c *Course) Own() []Lab {
	own := slices.DeleteFunc(slices.Clone(c.Labs), func(l Lab) bool { return l.Base })
	if len(own) == 0 {
		return c.Labs
	}
	return own
}

// Part is one graded piece of a lab.
type Part struct {
	ID     string // 4C
	Title  string
	Points int
	Files  []string // what the student edits for this part
	Hints  []string // most general first
	Tests  []Test
	// Scenario names the test whose scenario a person can play: TestPlay4C, which is not graded, or else the first test that
	// searches schedules, TestAnySchedule4C. It is "" if the part has neither.
	Scenario string
}

// Test is one graded test; it earns all of its points or none.
type Test struct {
	Name   string
	Points int
}

// Number is the lab's number as its folder writes it: 04.
func (l Lab) Number() string { return l.ID[:2] }

// Dir is the lab's folder relative to the course's root, with slashes.
func (l Lab) Dir() string { return "labs/" + l.ID }

// StubDir is the folder of the lab's pristine stubs, relative to the course's root, with slashes: what the lab's
// own files were before the student wrote anything. The go command does not look into it.
func (l Lab) StubDir() string { return l.Dir() + "/.stub" }

// SolutionDir is the folder of the lab's reference, relative to the course's root, with slashes.
func (l Lab) SolutionDir() string { return "solutions/" + l.ID }

// Files lists every file of the lab that a student may edit, once, in the order of the parts.
func (l Lab) Files() []string {
	var files []string
	for _, p := range l.Parts {
		for _, f := range p.Files {
			if !slices.Contains(files, f) {
				files = append(files, f)
			}
		}
	}
	return files
}

// Tests lists every test of the lab in the order of the parts.
func (l Lab) Tests() []Test {
	var tests []Test
	for _, p := range l.Parts {
		tests = append(tests, p.Tests...)
	}
	return tests
}

// Needs lists the lab and the labs that its submissions may import.
func (c *Course) Needs(lab Lab) []Lab {
	labs := []Lab{lab}
	for _, other := range c.Labs {
		if slices.Contains(lab.Imports, Module+"/"+other.Dir()) {
			labs = append(labs, other)
		}
	}
	return labs
}

// IsGo reports whether a file of that name is a Go source.
func IsGo(name string) bool { return strings.HasSuffix(name, ".go") }

// IsTest reports whether a file of that name is a test: in a lab's folder the tests are ours, and every other Go
// source is the student's.
func IsTest(name string) bool { return strings.HasSuffix(name, "_test.go") }

var moduleLine = regexp.MustCompile(`(?m)^module\s+"?` + Module + `"?\s*$`)

// Root finds the course's root: dir or the nearest folder above it whose go.mod
// names the course's module.
func Root(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("course: %w", err)
	}
	for at := dir; ; at = filepath.Dir(at) {
		text, err := os.ReadFile(filepath.Join(at, "go.mod"))
		if err == nil && moduleLine.Match(text) {
			return at, nil
		}
		if filepath.Dir(at) == at {
			return "", fmt.Errorf("%w: no go.mod of module %q in %s or above", ErrNotInCourse, Module, dir)
		}
	}
}

// Load reads and checks every lab under root. The error is one line that names
// the file, the line in it where there is one, and what is wrong.
func Load(root string) (*Course, error) {
	entries, err := os.ReadDir(filepath.Join(root, "labs"))
	if err != nil {
		return nil, fmt.Errorf("course: %w", err)
	}
	c := &Course{Root: root}
	for _, e := range entries {
		// A folder without lab.yaml is no lab only if it says so with a leading dot or underscore:
		// a forgotten lab.yaml must not make a lab vanish.
		if !e.IsDir() || e.Name()[0] == '.' || e.Name()[0] == '_' {
			continue
		}
		lab, err := readLab(root, e.Name())
		if err != nil {
			return nil, fmt.Errorf("course: %w", err)
		}
		c.Labs = append(c.Labs, lab)
	}
	if len(c.Labs) == 0 {
		return nil, fmt.Errorf("course: no lab in %s", filepath.Join(root, "labs"))
	}
	slices.SortFunc(c.Labs, func(a, b Lab) int { return cmp.Compare(a.ID, b.ID) })
	if err := c.checkUnique(); err != nil {
		return nil, fmt.Errorf("course: %w", err)
	}
	return c, nil
}

// checkUnique refuses two labs that a command line could not tell apart.
func (c *Course) checkUnique() error {
	number, pkg := map[string]string{}, map[string]string{}
	for _, l := range c.Labs {
		file := l.Dir() + "/lab.yaml"
		if other, taken := number[l.Number()]; taken {
			return fmt.Errorf("%s: number %s is taken by %s", file, l.Number(), other)
		}
		if other, taken := pkg[l.Package]; taken {
			return fmt.Errorf("%s: package %s is taken by %s", file, l.Package, other)
		}
		number[l.Number()], pkg[l.Package] = l.ID, l.ID
	}
	return nil
}
