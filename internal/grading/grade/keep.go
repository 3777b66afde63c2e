package grade

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// The most that is kept of the runs that one test's process recorded.
const (
	maxTraces    = 64
	maxTraceSize = 64 << 20
)

// keep copies the recorded runs of one test's process to the folder where a person will look for
// them, and returns their new paths by name. The process was a stranger's: no link is followed, and nothing but
// regular files is taken.
func keep(from, to string) (map[string]string, error) {
	root, err := os.OpenRoot(from)
	if err != nil {
		return nil, fmt.Errorf("grade: recorded runs: %w", err)
	}
	defer root.Close()
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return nil, fmt.Errorf("grade: recorded runs: %w", err)
	}
	kept := map[string]string{}
	for _, e := range entries {
		if !e.Type().IsRegular() || len(kept) == maxTraces {
			continue
		}
		path := filepath.Join(to, e.Name())
		if err := keepFile(root, e.Name(), path); err != nil {
			return nil, fmt.Errorf("grade: recorded run %s: %w", path, err)
		}
		kept[e.Name()] = path
	}
	return kept, nil
}

func keepFile(root *os.Root, name, path string) (err error) {
	in, err := root.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	_, err = io.Copy(out, io.LimitReader(in, maxTraceSize))
	return err
}
