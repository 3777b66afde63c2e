package sandbox

import (
	"io/fs"
	"os"
	"path/filepath"
)

// RemoveAll removes a folder in which a stranger's process may have taken rights away.
func RemoveAll(dir string) {
	if os.RemoveAll(dir) == nil {
		return
	}
	filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			os.Chmod(path, 0o700)
		}
		return nil
	})
	os.RemoveAll(dir)
}
