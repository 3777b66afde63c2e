package export

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
)

// Site writes a class's pages into a folder: index.html, the matrix, and
// students/<id>.html, a page each. It returns how many students it wrote.
func Site(dir, title string, class Class) (students int, err error) {
	if err := os.MkdirAll(filepath.Join(dir, "students"), 0o777); err != nil {
		return 0, fmt.Errorf("export: html: %w", err)
	}
	for s, err := range class {
		if err != nil {
			return students, err
		}
		var page bytes.Buffer
		if err := StudentPage(&page, s, "../index.html"); err != nil {
			return students, err
		}
		if err := os.WriteFile(filepath.Join(dir, "students", PageName(s.ID)), page.Bytes(), 0o666); err != nil {
			return students, fmt.Errorf("export: html: %w", err)
		}
		students++
	}
	link := func(s Student) string { return "students/" + url.PathEscape(PageName(s.ID)) }
	var index bytes.Buffer
	if err := ClassPage(&index, title, class, link); err != nil {
		return students, err
	}
	if err := os.WriteFile(filepath.Join(dir, "index.html"), index.Bytes(), 0o666); err != nil {
		return students, fmt.Errorf("export: html: %w", err)
	}
	return students, nil
}

var plainName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,99}$`)

// PageName is the file of a student's page: the id, or where that could be no
// file's name, or another's on some system, a hash of it.
func PageName(id string) string {
	if plainName.MatchString(id) {
		return id + ".html"
	}
	sum := sha256.Sum256([]byte(id))
	return fmt.Sprintf("student-%x.html", sum[:12])
}
