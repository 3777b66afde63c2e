package class

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"distlabs/internal/grading/submission"
)

// The bounds of an archive that holds a whole class.
const (
	maxBulkEntries = 200_000
	maxBulkFile    = 64 << 20 // bytes of one file in it
	maxBulk        = 8 << 30  // bytes of all
)

// isBulk reports whether an archive holds a class, as a platform packs it: files or folders that bear a platform's
// names. Of the only archive that was given, several archives in it are enough.
func isBulk(file string, only bool) bool {
	if !strings.EqualFold(filepath.Ext(file), ".zip") {
		return false
	}
	z, err := zip.OpenReader(file)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return false
	}
	defer z.Close()
	archives := 0
	for i, f := range z.File {
		if i > maxBulkEntries {
			return false
		}
		parts := strings.Split(strings.Trim(strings.ReplaceAll(f.Name, `\`, "/"), "/"), "/")
		for at, part := range parts[:min(2, len(parts))] {
			if submission.Hidden(part) {
				break
			}
			folder := at < len(parts)-1 || f.Mode().IsDir()
			if _, ok := parseUpload(part, folder); ok {
				return true
			}
			if !folder && submission.IsArchive(part) {
				archives++
			}
		}
	}
	return only && archives > 1
}

// unpackBulk unpacks a class into a folder of its own, which Close removes.
func (c *Class) unpackBulk(file string) (string, error) {
	dir, err := os.MkdirTemp("", "class-")
	if err != nil {
		return "", fmt.Errorf("class: %w", err)
	}
	c.unpacked = append(c.unpacked, dir)
	to, err := os.OpenRoot(dir)
	if err != nil {
		return "", fmt.Errorf("class: %w", err)
	}
	defer to.Close()
	z, err := zip.OpenReader(file)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return "", usage("%s is corrupt: %v", file, err)
	}
	defer z.Close()
	left := int64(maxBulk)
	for i, f := range z.File {
		name := path.Clean(strings.ReplaceAll(f.Name, `\`, "/"))
		switch {
		case i >= maxBulkEntries:
			return "", usage("%s has more than %d entries: unpack it and name the folder", file, maxBulkEntries)
		case !f.Mode().IsRegular() || !filepath.IsLocal(filepath.FromSlash(name)):
			continue // links, folders, ways out: nothing of a class
		case f.UncompressedSize64 > maxBulkFile:
			c.Ignored = append(c.Ignored, name)
			continue
		}
		n, err := unpackOne(to, f, strings.ToValidUTF8(name, "_"))
		if err != nil {
			return "", usage("%s: %s cannot be unpacked: %v", file, f.Name, err)
		}
		if left -= n; left < 0 {
			return "", usage("%s unpacks to more than %d GiB: unpack it and name the folder", file, maxBulk>>30)
		}
	}
	return dir, nil
}

func unpackOne(to *os.Root, f *zip.File, name string) (int64, error) {
	r, err := f.Open()
	if err != nil {
		return 0, err
	}
	defer r.Close()
	name = filepath.FromSlash(name)
	if err := to.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return 0, err
	}
	w, err := to.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(w, io.LimitReader(r, maxBulkFile))
	return n, errors.Join(err, w.Close())
}

// Close removes what was unpacked to find the class.
func (c *Class) Close() error {
	var all []error
	for _, dir := range c.unpacked {
		all = append(all, os.RemoveAll(dir))
	}
	return errors.Join(all...)
}
