package workspace

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"distlabs/internal/grading/course"
)

// harness holds the packages that a lab's tests are built from; the grader's own stay out of a workspace.
const harness = "internal/harness"

// copyCourse copies what the test binaries of these labs are built from. Solutions and the
// grader itself stay out of a submission's sight.
func (w *Workspace) copyCourse(labs []course.Lab) error {
	root := w.b.course.Root
	for _, name := range []string{"go.mod", "go.sum"} {
		if err := copyFile(root, w.Root, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	ours := func(name string) bool { return !course.IsTest(name) }
	if err := copyTree(root, w.Root, "labrpc", ours); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := copyTree(root, w.Root, harness, ours); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, lab := range labs {
		editable := lab.Files()
		graded := func(name string) bool {
			return !course.IsGo(name) || course.IsTest(name) || slices.Contains(editable, name)
		}
		if err := copyTree(root, w.Root, lab.Dir(), graded); err != nil {
			return err
		}
	}
	return nil
}

// copyTree copies the regular files under dir that keep wants. Folders whose
// name begins with a dot are left out, and testdata except a lab's own.
func copyTree(from, to, dir string, keep func(name string) bool) error {
	return filepath.WalkDir(filepath.Join(from, filepath.FromSlash(dir)), func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if e.IsDir() {
			foreign := e.Name() == "testdata" && !strings.HasPrefix(dir, "labs/")
			if strings.HasPrefix(e.Name(), ".") || foreign {
				return filepath.SkipDir
			}
			return os.MkdirAll(filepath.Join(to, name), 0o777)
		}
		if !e.Type().IsRegular() || !keep(e.Name()) {
			return nil
		}
		return copyFile(from, to, name)
	})
}

func copyFile(from, to, name string) error {
	text, err := os.ReadFile(filepath.Join(from, name))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(filepath.Join(to, name)), 0o777); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(to, name), text, 0o666)
}
