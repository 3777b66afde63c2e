package gradetest

import (
	"os"
	"path/filepath"

	"distlabs/internal/grading/course"
)

// NewCourse lays out, in dir, the small course that the grader is tested with, so that its labs can be built: with the real results
// channel. The repository is the one that holds the working directory.
func NewCourse(dir string) error {
	root, err := course.Root(".")
	if err != nil {
		return err
	}
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(root, "internal", "grading", "course", "testdata", "course"))); err != nil {
		return err
	}
	channel := filepath.Join("internal", "harness", "report")
	if err := os.MkdirAll(filepath.Join(dir, channel), 0o777); err != nil {
		return err
	}
	sources, err := filepath.Glob(filepath.Join(root, channel, "*.go"))
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
		if err := os.WriteFile(filepath.Join(dir, channel, filepath.Base(path)), text, 0o666); err != nil {
			return err
		}
	}
	return nil
}
