package class

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"distlabs/internal/grading/result"
	"distlabs/internal/grading/submission"
)

// Class is the submissions that were found, in the order of their ids.
type Class struct {
	Submissions []Submission
	Ignored     []string // names in the class's folder that are no submission

	unpacked []string // folders that were made, for Close
}

// Find finds the submissions of a class: in one folder or archive, as a learning platform packs it; in several folders
// and archives, one a submission; or in a roster, a CSV file with the columns id, name and path. The caller must Close
// the class.
func Find(paths []string) (*Class, error) {
	if len(paths) == 0 {
		return nil, usage("no submissions: name a folder of them, archives, or a roster.csv")
	}
	c := &Class{}
	if err := c.find(paths); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *Class) find(paths []string) error {
	var err error
	if len(paths) == 1 && strings.EqualFold(filepath.Ext(paths[0]), ".csv") {
		err = c.roster(paths[0])
	} else {
		err = c.given(paths)
	}
	if err != nil {
		return err
	}
	slices.SortFunc(c.Submissions, func(a, b Submission) int { return cmp.Compare(a.ID, b.ID) })
	if len(c.Submissions) == 0 {
		return usage("no submissions in %s: want a folder or an archive (%s) for each", paths[0], submission.ArchiveEndings())
	}
	return c.unique()
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
			return c.folder(path, path)
		case info.IsDir():
			c.add(path, path, filepath.Base(filepath.Clean(path)))
		case isBulk(path, len(paths) == 1):
			if err := c.bulk(path, path); err != nil {
				return err
			}
		case submission.IsArchive(path):
			c.add(path, path, submission.WithoutEnding(filepath.Base(path)))
		default:
			return usage("%s is neither a folder nor an archive (%s) nor a roster (.csv)", path, submission.ArchiveEndings())
		}
	}
	return nil
}

// bulk takes a class that is packed in one archive, which is called so.
func (c *Class) bulk(path, called string) error {
	dir, err := c.unpackBulk(path)
	if err != nil {
		return err
	}
	return c.folder(dir, called)
}

// found is one upload in a class's folder.
type found struct {
	upload
	path   string
	called string // what the class was told that the path is
}

// folder takes every folder and archive of the class's folder, which is called so, and puts together what a platform's
// names say is one student's.
func (c *Class) folder(dir, called string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("class: %w", err)
	}
	entries = slices.DeleteFunc(entries, func(e os.DirEntry) bool { return submission.Hidden(e.Name()) })
	if len(entries) == 1 && entries[0].IsDir() && hasUploads(filepath.Join(dir, entries[0].Name())) {
		return c.folder(filepath.Join(dir, entries[0].Name()), filepath.Join(called, entries[0].Name()))
	}
	groups := map[string][]found{}
	for _, e := range entries {
		name := e.Name()
		path, called := filepath.Join(dir, name), filepath.Join(called, name)
		up, ok := parseUpload(name, e.IsDir())
		switch {
		case !e.IsDir() && !e.Type().IsRegular():
			c.Ignored = append(c.Ignored, name)
		case ok:
			groups[up.key] = append(groups[up.key], found{up, path, called})
		case e.IsDir():
			c.add(path, called, name)
		case isBulk(path, false):
			if err := c.bulk(path, called); err != nil {
				return err
			}
		case submission.IsArchive(name):
			c.add(path, called, submission.WithoutEnding(name))
		default:
			c.Ignored = append(c.Ignored, name)
		}
	}
	c.addGroups(groups)
	return nil
}

// hasUploads reports whether a folder has a name in it that a platform gave.
func hasUploads(dir string) bool {
	entries, _ := os.ReadDir(dir)
	return slices.ContainsFunc(entries, func(e os.DirEntry) bool {
		_, ok := parseUpload(e.Name(), e.IsDir())
		return ok
	})
}

// addGroups adds a submission for each student's uploads.
func (c *Class) addGroups(groups map[string][]found) {
	keys := slices.Sorted(maps.Keys(groups))
	ids := map[string]int{}
	for _, key := range keys {
		ids[strings.ToLower(cleanID(groups[key][0].id))]++
	}
	for _, key := range keys {
		list := groups[key]
		id := cleanID(list[0].id)
		if ids[strings.ToLower(id)] > 1 {
			id = cleanID(key)
		}
		s := Submission{RunSubmission: result.RunSubmission{ID: id, Name: list[0].name, Path: list[0].called}}
		list, older := newest(list)
		if len(older) > 0 {
			s.notes = append(s.notes, "of several attempts the newest is graded; not read: that of "+strings.Join(older, ", "))
		}
		// A comment is read only if there is nothing else: then the reason names it.
		work := slices.DeleteFunc(slices.Clone(list), func(f found) bool { return f.aside })
		if len(work) > 0 {
			list = work
		}
		for _, f := range list {
			s.pieces = append(s.pieces, submission.Piece{Path: f.path, Name: cmp.Or(f.file, filepath.Base(f.path))})
		}
		if s.Path = list[0].called; len(list) > 1 {
			s.Path += fmt.Sprintf(" and %d more", len(list)-1)
		}
		c.Submissions = append(c.Submissions, s)
	}
}

// add adds a folder or archive that bears no platform's name.
func (c *Class) add(path, called, name string) {
	s := Submission{pieces: []submission.Piece{{Path: path}}}
	s.Path, s.ID = called, cleanID(name)
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
	r := csv.NewReader(strings.NewReader(decoded(text)))
	r.FieldsPerRecord = -1
	r.Comma = comma(text)
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
		return Submission{}, fmt.Errorf("the id %q cannot name a folder: want letters, digits and . _ @ + -, at most %d", id, maxID)
	}
	s := Submission{RunSubmission: result.RunSubmission{ID: id, Name: name, Path: path}}
	if path == "" {
		return s, nil
	}
	if !filepath.IsAbs(path) {
		s.Path = filepath.Join(dir, filepath.FromSlash(path))
	}
	s.pieces = []submission.Piece{{Path: s.Path}}
	return s, nil
}

// decoded returns the text of a roster: UTF-8, UTF-16 with a byte order mark, or, as spreadsheet programs save CSV on
// Windows, code page 1252.
func decoded(text []byte) string {
	from := encoding.Encoding(charmap.Windows1252)
	switch {
	case bytes.HasPrefix(text, []byte{0xff, 0xfe}), bytes.HasPrefix(text, []byte{0xfe, 0xff}):
		from = unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM)
	case utf8.Valid(text):
		return strings.TrimPrefix(string(text), "\ufeff")
	}
	plain, err := from.NewDecoder().Bytes(text)
	if err != nil {
		plain = bytes.ToValidUTF8(text, []byte("?"))
	}
	return string(plain)
}

// comma is the character between the cells of a roster: the one that its first line has most of.
func comma(text []byte) rune {
	head, _, _ := strings.Cut(decoded(text), "\n")
	best := ','
	for _, r := range ";\t" {
		if strings.Count(head, string(r)) > strings.Count(head, string(best)) {
			best = r
		}
	}
	return best
}
