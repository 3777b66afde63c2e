package workspace

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"distlabs/internal/grading/filelock"
	"distlabs/internal/grading/tidy"
)

// Scratch is the folder below which a grader does everything. It is locked
// while the grader lives, so that others can tell one that was left behind.
type Scratch struct {
	dir  string
	lock *os.File
}

const (
	scratchPrefix = "grade-"
	scratchLock   = ".lock"
)

// NewScratch makes a scratch folder, and removes those of graders that were
// killed: they hold the binaries of whatever was being graded.
func NewScratch() (*Scratch, error) {
	sweepScratch(os.TempDir())
	dir, err := os.MkdirTemp("", scratchPrefix)
	if err == nil {
		dir, err = filepath.Abs(dir)
	}
	if err == nil { // the go command, started in a folder, takes it by this path, and so must an overlay
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("workspace: no scratch folder: %w", err)
	}
	// The lock gets its name only when it is taken: a sweep must not come between.
	unnamed := filepath.Join(dir, scratchLock+".new")
	lock, err := filelock.Take(unnamed)
	if err == nil {
		err = os.Rename(unnamed, filepath.Join(dir, scratchLock))
	}
	if err != nil {
		os.RemoveAll(dir)
		return nil, fmt.Errorf("workspace: no scratch folder: %w", err)
	}
	return &Scratch{dir: dir, lock: lock}, nil
}

// Folder makes a folder that is gone when the scratch folder is, if not before.
func (s *Scratch) Folder(prefix string) (string, error) {
	dir, err := os.MkdirTemp(s.dir, prefix)
	if err != nil {
		return "", fmt.Errorf("workspace: %w", err)
	}
	return dir, nil
}

// Remove removes the folder. Windows removes no file that is open.
func (s *Scratch) Remove() error { return errors.Join(s.lock.Close(), tidy.RemoveAll(s.dir)) }

// sweepScratch removes the scratch folders whose graders are gone.
func sweepScratch(tmp string) {
	locks, _ := filepath.Glob(filepath.Join(tmp, scratchPrefix+"*", scratchLock))
	for _, path := range locks {
		lock, err := filelock.TakeExisting(path)
		if err != nil {
			continue // in use, another user's, or gone by now
		}
		_ = tidy.RemoveAll(filepath.Dir(path))
		lock.Close()
	}
}
