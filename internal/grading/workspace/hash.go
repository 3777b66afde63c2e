package workspace

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// HashTree writes the names and the texts of the regular files below dir that keep wants to sum. The names that keep is
// asked for begin at dir and have slashes; nothing of a folder that it does not want is read. A folder that is not there has no files.
func HashTree(sum io.Writer, dir string, keep func(name string, e fs.DirEntry) bool) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			if path == dir && os.IsNotExist(err) {
				return nil
			}
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		switch wanted := keep(name, e); {
		case e.IsDir() && !wanted && path != dir:
			return filepath.SkipDir
		case !e.Type().IsRegular() || !wanted:
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(sum, "%d:%s\n%d:%s\n", len(name), name, len(text), text)
		return err
	})
}
