// Package tidy removes folders that strangers filled.
package tidy

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// RemoveAll removes a folder and everything in it, however deep it is and whatever rights were taken away from its parts.
// It returns nil if the folder is not there, also if another process removes it meanwhile.
//
// os.RemoveAll goes down a level at a time and keeps a descriptor open on each, so that some thousand levels use up what a
// process may open. Here what is deeper than maxLevels is made flat instead: what is in a folder of a folder moves up
// beside it.
func RemoveAll(dir string) error {
	info, err := os.Lstat(dir)
	if err == nil && !info.IsDir() {
		err = os.Remove(dir)
	} else if err == nil {
		err = remove(dir, 0)
	}
	// What is below it may go meanwhile (see once): only the folder itself can be missing here.
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing %s: %w", dir, err)
	}
	return nil
}

const maxLevels = 20

func remove(dir string, level int) error {
	if level == maxLevels {
		f := flattener{dir: dir}
		return f.all()
	}
	os.Chmod(dir, 0o700)
	err := each(dir, func(e fs.DirEntry) error {
		path := filepath.Join(dir, e.Name())
		if e.IsDir() {
			return remove(path, level+1)
		}
		return os.Remove(path)
	})
	if err != nil {
		return err
	}
	return os.Remove(dir)
}

type flattener struct {
	dir   string
	moved int // names given so far
}

// all removes the files and takes the folders apart, until there is nothing: what moves up is met again.
func (f *flattener) all() error {
	os.Chmod(f.dir, 0o700)
	err := each(f.dir, func(e fs.DirEntry) error {
		path := filepath.Join(f.dir, e.Name())
		if !e.IsDir() {
			return os.Remove(path)
		}
		return f.folder(path)
	})
	if err != nil {
		return err
	}
	return os.Remove(f.dir)
}

// folder removes a folder of the folder; its own folders move up.
func (f *flattener) folder(path string) error {
	os.Chmod(path, 0o700)
	err := each(path, func(e fs.DirEntry) error {
		from := filepath.Join(path, e.Name())
		if !e.IsDir() {
			return os.Remove(from)
		}
		os.Chmod(from, 0o700) // a folder that may not be written may not be moved: its ".." would change
		for {
			f.moved++
			to := filepath.Join(f.dir, fmt.Sprintf(".moved-%d", f.moved))
			if _, err := os.Lstat(to); err == nil {
				continue // a stranger may give such names too
			}
			return os.Rename(from, to)
		}
	})
	if err != nil {
		return err
	}
	return os.Remove(path)
}

// atOnce is how many entries of a folder are held at a time.
const atOnce = 1000

// each calls do, which removes the entry, for the entries of a folder until none is left. A system's list of a folder that
// changes under the reader may skip some, so it is read again.
func each(dir string, do func(fs.DirEntry) error) error {
	for {
		done, err := once(dir, do)
		if err != nil || done == 0 {
			return err
		}
	}
}

func once(dir string, do func(fs.DirEntry) error) (done int, err error) {
	d, err := os.Open(dir)
	if err != nil {
		return 0, err
	}
	defer d.Close()
	for {
		entries, err := d.ReadDir(atOnce)
		for _, e := range entries {
			if err := do(e); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return done, err
			}
			done++
		}
		if errors.Is(err, io.EOF) {
			return done, nil
		}
		if err != nil {
			return done, err
		}
	}
}
