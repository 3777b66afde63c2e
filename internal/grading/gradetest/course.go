package gradetest

import (
	"os"
	"path/filepath"

	"distlabs/internal/grading/course"
)

// NewCourse lays out, in dir, the small course that the grader is tested with, so that its labs can be built as those of the real course
// are: with its results channel and its random numbers. The repository is the one that holds the working directory.
func NewCourse(dir string) error {
	root, err := course.Root(".")
	if err != nil {
		return err
	}
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(root, "internal", "grading", "course", "testdata", "course"))); err != nil {
		return err
	}
	for _, name := range []string{"report", "seeded", "seeded/v1", "seeded/v2"} {
		if err := copySources(root, dir, filepath.Join("internal", "harness", filepath.FromSlash(name))); err != nil {
			return err
		}
	}
	return nil
}

// copySources copies a package without its tests.
func copySources(from, to, name string) error {
	if err := os.MkdirAll(filepath.Join(to, name), 0o777); err != nil {
		return err
	}
	sources, err := filepath.Glob(filepath.Join(from, name, "*.go"))
	if err != nil {
		return err
	}
	for _, path := range sources {
		if course.IsTest(path) {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, name, filepath.Base(path)), text, 0o666); err != nil {
			return err
		}
	}
	return nil
}
