package learn

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"distlabs/internal/grading/course"
)

// File is one file of a lab that the student edits.
type File struct {
	Lab  string // the lab's folder: 04-election
	Name string
}

// Path is the file's path from the course's root, with slashes.
func (f File) Path() string { return course.Lab{ID: f.Lab}.Dir() + "/" + f.Name }

func (f File) in(c *course.Course) string { return filepath.Join(c.Root, filepath.FromSlash(f.Path())) }

// Stub is what the file was before the student wrote anything.
func Stub(c *course.Course, f File) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(c.Root, filepath.FromSlash(course.Lab{ID: f.Lab}.StubDir()), f.Name))
	if err != nil {
		return nil, fmt.Errorf("learn: the stub of %s is not kept: %w", f.Path(), err)
	}
	return text, nil
}

// IsStub reports whether the student has not changed the file.
func IsStub(c *course.Course, f File) (bool, error) {
	stub, err := Stub(c, f)
	if err != nil {
		return false, err
	}
	text, err := os.ReadFile(f.in(c))
	if err != nil {
		return false, fmt.Errorf("learn: %w", err)
	}
	return bytes.Equal(stub, text), nil
}

// FilesOf finds the files that a name on the command line stands for: a part's
// own, or one file, by its path or, where no other lab has one of that name or
// dir is inside the lab, by its name alone.
//
// A part's own files are those that no part before it has: resetting 5D must not
// take away what 5A is made of.
func FilesOf(c *course.Course, name, dir string) ([]File, error) {
	if strings.HasSuffix(name, ".go") {
		f, err := oneFile(c, name, dir)
		return []File{f}, err
	}
	selected, err := c.Select(name)
	if err != nil {
		return nil, err
	}
	lab, part := selected[0].Lab, selected[0].Parts[0]
	if len(selected[0].Parts) != 1 {
		return nil, fmt.Errorf("learn: %s is a whole lab: name a part (%s) or a file", name, part.ID)
	}
	var files []File
	for _, f := range part.Files {
		if first := firstWith(lab, f); first.ID == part.ID {
			files = append(files, File{lab.ID, f})
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("learn: all files of %s belong to %s before it (%s): name the file", part.ID, firstWith(lab, part.Files[0]).ID, strings.Join(part.Files, ", "))
	}
	return files, nil
}

// firstWith is the first part of the lab with the file.
func firstWith(lab course.Lab, file string) course.Part {
	at := slices.IndexFunc(lab.Parts, func(p course.Part) bool { return slices.Contains(p.Files, file) })
	return lab.Parts[at]
}

func oneFile(c *course.Course, name, dir string) (File, error) {
	var found []File
	for _, lab := range c.Labs {
		for _, f := range lab.Files() {
			at := File{lab.ID, f}
			switch {
			case name == f, filepath.ToSlash(name) == at.Path():
				found = append(found, at)
			case filepath.Clean(filepath.Join(dir, name)) == at.in(c), filepath.Clean(name) == at.in(c):
				return at, nil
			}
			if name == f && filepath.Clean(dir) == filepath.Dir(at.in(c)) {
				return at, nil
			}
		}
	}
	switch len(found) {
	case 0:
		return File{}, fmt.Errorf("learn: no lab has a file %q of yours", name)
	case 1:
		return found[0], nil
	}
	return File{}, fmt.Errorf("learn: several labs have a file %q: name it with its folder, such as %s", name, found[0].Path())
}

// Reset puts the stubs back, after a backup of what was there. It returns the
// files that it changed and the folder of the backup, relative to the root.
func Reset(c *course.Course, files []File) (changed []File, backup string, err error) {
	texts := map[File][]byte{}
	for _, f := range files {
		stub, err := Stub(c, f)
		if err != nil {
			return nil, "", err
		}
		text, err := os.ReadFile(f.in(c))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, "", fmt.Errorf("learn: %w", err)
		}
		if err != nil || !bytes.Equal(stub, text) {
			texts[f] = stub
			changed = append(changed, f)
		}
	}
	backup, err = write(c, texts)
	return changed, backup, err
}

// write keeps a backup of the files and then replaces them all.
func write(c *course.Course, texts map[File][]byte) (backup string, err error) {
	if len(texts) == 0 {
		return "", nil
	}
	dir, err := newBackup(c.Root)
	if err != nil {
		return "", err
	}
	for f := range texts {
		old, err := os.ReadFile(f.in(c))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil {
			err = replace(filepath.Join(c.Root, dir, f.Lab, f.Name), old)
		}
		if err != nil {
			return "", fmt.Errorf("learn: no backup, so nothing was changed: %w", err)
		}
	}
	for f, text := range texts {
		if err := replace(f.in(c), text); err != nil {
			return dir, err
		}
	}
	return filepath.ToSlash(dir), nil
}

// newBackup makes a folder, relative to the root, that is named after the time.
func newBackup(root string) (string, error) {
	parent := filepath.Join(".labs", "backup")
	if err := os.MkdirAll(filepath.Join(root, parent), 0o777); err != nil {
		return "", fmt.Errorf("learn: no backup, so nothing was changed: %w", err)
	}
	stamp := time.Now().Format("2006-01-02-150405")
	for n := 1; ; n++ {
		dir := filepath.Join(parent, stamp)
		if n > 1 {
			dir += fmt.Sprintf("-%d", n)
		}
		err := os.Mkdir(filepath.Join(root, dir), 0o777)
		if err == nil || !errors.Is(err, os.ErrExist) {
			return dir, err
		}
	}
}
