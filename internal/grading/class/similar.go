package class

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/workspace"
)

// Similar is what was laid out for a search for similar submissions.
type Similar struct {
	Labs     []course.Lab // those with a folder
	Files    int          // submissions in all of them
	Unread   []string     // ids of submissions without a file of any lab
	Commands []string     // that search each lab's folder
}

// ExportSimilar lays the permitted files of a class out for Dolos
// (https://dolos.ugent.be), which finds similar programs:
//
//	OUT/04-election/info.csv   whose file is whose
//	OUT/04-election/ID.go      a submission's files of the lab, one after another
//	OUT/04-election/stubs/stubs.go  what all were given, and is not to count
//
// Dolos compares file with file, so a submission is one file; its parser takes
// several package clauses in one.
func ExportSimilar(c *course.Course, class *Class, selected []course.Selected, out string) (*Similar, error) {
	if entries, err := os.ReadDir(out); err == nil && len(entries) > 0 || err != nil && !os.IsNotExist(err) {
		return nil, usage("%s is there already: name a new folder", out)
	}
	s := &Similar{}
	tables := map[string]*table{}
	for _, sel := range selected {
		t, err := newTable(c, sel.Lab, out)
		if err != nil {
			return nil, err
		}
		tables[sel.Lab.ID] = t
		s.Labs = append(s.Labs, sel.Lab)
		s.Commands = append(s.Commands, fmt.Sprintf("dolos run -l go -i %s %s", filepath.Join(t.dir, "stubs", "stubs.go"), filepath.Join(t.dir, "info.csv")))
	}
	scratch, err := workspace.NewScratch()
	if err != nil {
		return nil, err
	}
	defer scratch.Remove()
	r := newReader(c, scratch, selected)
	for _, sub := range class.Submissions {
		held, _, err := r.read(sub)
		if err != nil {
			return nil, fmt.Errorf("class: %s: %w", sub.ID, err)
		}
		found := 0
		for _, sel := range selected {
			if files := held[sel.Lab.ID].Text; len(files) > 0 {
				found++
				if err := tables[sel.Lab.ID].add(sub, files); err != nil {
					return nil, err
				}
			}
		}
		if found == 0 {
			s.Unread = append(s.Unread, sub.ID)
		}
		s.Files += found
	}
	for _, t := range tables {
		if err := t.close(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// table is the folder of one lab.
type table struct {
	lab  course.Lab
	dir  string
	text bytes.Buffer
	csv  *csv.Writer
}

func newTable(c *course.Course, lab course.Lab, out string) (*table, error) {
	t := &table{lab: lab, dir: filepath.Join(out, lab.ID)}
	t.csv = csv.NewWriter(&t.text)
	if err := os.MkdirAll(filepath.Join(t.dir, "stubs"), 0o777); err != nil {
		return nil, fmt.Errorf("class: %w", err)
	}
	stubs := map[string][]byte{}
	from := lab.StubDir()
	if !exists(filepath.Join(c.Root, filepath.FromSlash(from))) { // this course keeps none: labs/ has them
		from = lab.Dir()
	}
	for _, name := range lab.Files() {
		text, err := os.ReadFile(filepath.Join(c.Root, filepath.FromSlash(from), name))
		if err != nil {
			return nil, fmt.Errorf("class: %w", err)
		}
		stubs[name] = text
	}
	return t, errors.Join(t.csv.Write([]string{"filename", "full_name", "id", "label"}), t.write(filepath.Join("stubs", "stubs.go"), stubs))
}

func (t *table) add(sub Submission, files map[string][]byte) error {
	name := sub.Name
	if name == "" {
		name = sub.ID
	}
	// A cell that begins like a formula is one to a spreadsheet.
	if strings.ContainsRune("=+-@", rune(name[0])) {
		name = "'" + name
	}
	return errors.Join(t.csv.Write([]string{sub.ID + ".go", name, sub.ID, t.lab.ID}), t.write(sub.ID+".go", files))
}

// write writes files into one, in the lab's own order.
func (t *table) write(name string, files map[string][]byte) error {
	var all bytes.Buffer
	for _, file := range t.lab.Files() {
		if text, ok := files[file]; ok {
			fmt.Fprintf(&all, "// %s\n\n%s\n", file, text)
		}
	}
	return os.WriteFile(filepath.Join(t.dir, name), all.Bytes(), 0o666)
}

func (t *table) close() error {
	t.csv.Flush()
	return errors.Join(t.csv.Error(), os.WriteFile(filepath.Join(t.dir, "info.csv"), t.text.Bytes(), 0o666))
}
