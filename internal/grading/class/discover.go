package class

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"distlabs/internal/grading/result"
)

// Class is the submissions that were found, in the order of their ids.
type Class struct {
	Submissions []Submission
	Ignored     []string // names in the class's folder that are no submission
}

// Find finds the submissions of a class: in one folder, of folders and
// archives; in several folders and archives, one a submission; or in a roster,
// a CSV file with the columns id, name and path.
func Find(paths []string) (*Class, error) {
	if len(paths) == 0 {
		return nil, usage("no submissions: name a folder of them, archives, or a roster.csv")
	}
	c := &Class{}
	var err error
	if len(paths) == 1 && strings.EqualFold(filepath.Ext(paths[0]), ".csv") {
		err = c.roster(paths[0])
	} else {
		err = c.given(paths)
	}
	if err != nil {
		return nil, err
	}
	slices.SortFunc(c.Submissions, func(a, b Submission) int { return cmp.Compare(a.ID, b.ID) })
	if len(c.Submissions) == 0 {
		return nil, usage("no submissions in %s: want a folder or an archive (%s) for each", paths[0], strings.Join(archiveEndings, ", "))
	}
	return c, c.unique()
}

// unique refuses ids that a file system could take for one.
func (c *Class) unique() error {
	seen := map[string]Submission{}
	for _, s := range c.Submissions {
		folded := strings.ToLower(s.ID)
		if other, taken := seen[folded]; taken {
			return usage("two submissions are called %q and %q (%q, %q): rename one, or name them in a roster", other.ID, s.ID, other.Path, s.Path)
		}
		seen[folded] = s
	}
	return nil
}

// given takes what the command line names.
func (c *Class) given(paths []string) error {
	for _, path := range paths {
		info, err := os.Stat(path)
		switch {
		case errors.Is(err, os.ErrNotExist):
			return usage("%s does not exist", path)
		case err != nil:
			return fmt.Errorf("class: %w", err)
		case info.IsDir() && len(paths) == 1:
			return c.folder(path)
		case info.IsDir():
			c.add(path, filepath.Base(filepath.Clean(path)), formFolder)
		case isArchive(path):
			c.add(path, withoutEnding(filepath.Base(path)), formArchive)
		default:
			return usage("%s is neither a folder nor an archive (%s) nor a roster (.csv)", path, strings.Join(archiveEndings, ", "))
		}
	}
	return nil
}

// folder takes every folder and archive of the class's folder, and groups files
// that bear the prefix of Canvas.
func (c *Class) folder(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("class: %w", err)
	}
	loose := map[string]bool{}
	for _, e := range entries {
		name := e.Name()
		path := filepath.Join(dir, name)
		canvas := canvasName.FindStringSubmatch(name)
		switch {
		case hidden(name):
		case e.IsDir():
			c.add(path, name, formFolder)
		case e.Type().IsRegular() && isArchive(name):
			c.add(path, withoutEnding(name), formArchive)
		case e.Type().IsRegular() && canvas != nil && strings.HasSuffix(name, ".go"):
			if id := canvas[1] + "_" + canvas[2]; !loose[id] {
				loose[id] = true
				c.add(filepath.Join(dir, canvas[1]+"_*"+canvas[2]+"_*"), id, formLoose)
			}
		default:
			c.Ignored = append(c.Ignored, name)
		}
	}
	return nil
}

var (
	// Moodle: "Ada Lovelace_12345_assignsubmission_file_".
	moodleName = regexp.MustCompile(`^(.+)_(\d+)_assignsubmission_(?:file|onlinetext)_?$`)
	// Canvas: "lovelaceada_LATE_12345_67890_raft-1.go": name, late, user, attachment, file.
	canvasName = regexp.MustCompile(`^([\pL\pN-]+)_(?:LATE_)?(\d+)_(\d+)_(.+)$`)
)

// add adds a submission whose id is made from the name of its folder or archive.
func (c *Class) add(path, name string, f form) {
	s := Submission{form: f}
	s.Path = path
	if m := moodleName.FindStringSubmatch(name); m != nil {
		name, s.Name = m[1]+"_"+m[2], m[1]
	} else if m := canvasName.FindStringSubmatch(name); m != nil && f == formArchive {
		name = m[1] + "_" + m[2]
	}
	s.ID = cleanID(name)
	c.Submissions = append(c.Submissions, s)
}

const maxID = 100

var (
	idForm  = regexp.MustCompile(`^[\pL\pN][\pL\pN._@+-]*$`)
	notInID = regexp.MustCompile(`[^\pL\pN._@+-]+`)
)

// cleanID makes a name into one that is safe as a folder's.
func cleanID(name string) string {
	id := strings.Trim(notInID.ReplaceAllString(name, "_"), "._@+-")
	if runes := []rune(id); len(runes) > maxID {
		id = string(runes[:maxID])
	}
	return cmp.Or(id, "submission")
}

// roster reads a class from a CSV file with the columns id, name (optional) and
// path, which is relative to the file. Other columns are ignored. Who has no
// path has handed in nothing.
func (c *Class) roster(path string) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return usage("%s does not exist", path)
	}
	if err != nil {
		return fmt.Errorf("class: %w", err)
	}
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(text, []byte("\ufeff"))))
	r.FieldsPerRecord = -1
	head, err := r.Read()
	if err != nil {
		return usage("%s: %v", path, err)
	}
	column := func(name string) int {
		return slices.IndexFunc(head, func(h string) bool { return strings.EqualFold(strings.TrimSpace(h), name) })
	}
	id, name, at := column("id"), column("name"), column("path")
	if id < 0 || at < 0 {
		return usage("%s: the first line is %q, want columns named id, name and path", path, strings.Join(head, ","))
	}
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return usage("%s: %v", path, err)
		}
		line, _ := r.FieldPos(0)
		cell := func(i int) string {
			if i < 0 || i >= len(row) {
				return ""
			}
			return strings.TrimSpace(row[i])
		}
		s, err := rosterSubmission(filepath.Dir(path), cell(id), cell(name), cell(at))
		if err != nil {
			return usage("%s:%d: %v", path, line, err)
		}
		c.Submissions = append(c.Submissions, s)
	}
}

func rosterSubmission(dir, id, name, path string) (Submission, error) {
	if !idForm.MatchString(id) || len([]rune(id)) > maxID {
		return Submission{}, fmt.Errorf("the id %q can not name a folder: want letters, digits and . _ @ + -, at most %d", id, maxID)
	}
	s := Submission{RunSubmission: result.RunSubmission{ID: id, Name: name, Path: path}}
	if path == "" {
		s.form = formNothing
		return s, nil
	}
	if !filepath.IsAbs(path) {
		s.Path = filepath.Join(dir, filepath.FromSlash(path))
	}
	info, err := os.Stat(s.Path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		s.form = formNothing
	case err == nil && !info.IsDir():
		s.form = formArchive // what is none is told when it is read
	}
	return s, nil // any other error comes again when it is read, and is then about this one alone
}

// hidden reports whether a name is a file system's own affair.
func hidden(name string) bool { return strings.HasPrefix(name, ".") || name == "__MACOSX" }
