// Package newlab writes the files of a new lab: a small one that keeps every promise which selfcheck holds, for its author to
// replace piece by piece.
package newlab

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"

	"distlabs/internal/grading/course"
)

//go:embed template
var templates embed.FS

// A Lab is what the templates are filled with.
type Lab struct {
	ID      string // 08-sharding
	Number  string // 8
	Part    string // 8A
	Title   string // Sharding
	Package string // sharding
}

var idForm = regexp.MustCompile(`^(\d\d)-([a-z][a-z0-9]*(?:-[a-z0-9]+)*)$`)

// New returns the lab of that name. The name is the folder's: two digits, a hyphen, words.
func New(id string) (Lab, error) {
	match := idForm.FindStringSubmatch(id)
	if match == nil || match[1] == "00" {
		return Lab{}, fmt.Errorf("newlab: %q is not the name of a lab: want one like 08-sharding", id)
	}
	number := strings.TrimLeft(match[1], "0")
	words := strings.Split(match[2], "-")
	return Lab{
		ID: id, Number: number, Part: number + "A", Package: strings.Join(words, ""),
		Title: strings.ToUpper(words[0][:1]) + strings.Join(words, " ")[1:],
	}, nil
}

// Write writes the lab's files into the course, and returns their paths relative to its root. It writes nothing if the lab, or
// another one of its number, exists.
func Write(c *course.Course, l Lab) ([]string, error) {
	for _, other := range c.Labs {
		if other.Number() == l.ID[:2] {
			return nil, fmt.Errorf("newlab: lab %s is %s already: choose another number", other.Number(), other.Dir())
		}
	}
	for _, dir := range []string{"labs/" + l.ID, "solutions/" + l.ID} {
		if _, err := os.Lstat(filepath.Join(c.Root, filepath.FromSlash(dir))); !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("newlab: %s exists already", dir)
		}
	}
	texts, names, err := l.files()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		path := filepath.Join(c.Root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return nil, fmt.Errorf("newlab: %w", err)
		}
		if err := os.WriteFile(path, texts[name], 0o666); err != nil {
			return nil, fmt.Errorf("newlab: %w", err)
		}
	}
	return names, nil
}

// files fills in the templates. A stub stands in two places.
func (l Lab) files() (texts map[string][]byte, names []string, err error) {
	texts = map[string][]byte{}
	add := func(name string, text []byte) {
		texts[name] = text
		names = append(names, name)
	}
	err = fs.WalkDir(templates, "template", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		source, err := templates.ReadFile(path)
		if err != nil {
			return err
		}
		t, err := template.New(path).Parse(string(source))
		if err != nil {
			return err
		}
		var text bytes.Buffer
		if err := t.Execute(&text, l); err != nil {
			return err
		}
		dir, file, _ := strings.Cut(strings.TrimPrefix(path, "template/"), "/")
		name := dir + "/" + l.ID + "/" + strings.TrimSuffix(file, ".txt")
		add(name, text.Bytes())
		if dir == "labs" && strings.HasSuffix(name, "/server.go") {
			add("labs/"+l.ID+"/.stub/server.go", text.Bytes())
		}
		return nil
	})
	return texts, names, err
}
