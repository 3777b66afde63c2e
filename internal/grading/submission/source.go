package submission

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/plain"
)

// maxNotes is how many files are named that were ignored.
const maxNotes = 20

// maxFile is the largest file that a source may hold.
const maxFile = 1 << 20

// Source is where the graded files come from.
type Source struct {
	Kind course.Origin // but not Stub
	Path string        // of a submission its directory, of a mutant its lab and name; results name the source by it
	Held Held          // its files, if they were read already; Path only names it then. A mutant is always held

	// Base is where the labs come from that a graded lab builds on: [course.Solution] for the reference, so that a bug
	// in one lab costs once; "" for the source's own.
	Base course.Origin
}

// Stubs is a submission without a file: every lab is graded as it is handed out.
func Stubs() Source { return Source{Kind: course.Submission, Held: Held{}} }

// Under is the source of a lab that a graded one builds on.
func (s Source) Under() Source {
	if s.Base != "" {
		return Source{Kind: s.Base}
	}
	return s
}

// Files is what a source has for one lab.
type Files struct {
	Text    map[string][]byte // by name; names only files that the lab permits
	Notes   []string          // what was ignored or is missing, a sentence each
	Refused string            // why nothing of it is graded; "" if it is
	Absent  bool              // it is refused because the source has no file of the lab
}

// Read gathers the permitted files that a source has for one lab. An error is the fault of this
// checkout or machine; what is wrong with a submission is in Files. The selected labs are those that are
// graded: they decide whose the files at a submission's root are.
func (s Source) Read(c *course.Course, selected []course.Selected, lab course.Lab) (Files, error) {
	switch {
	case s.Held != nil:
		return s.Held[lab.ID], nil
	case s.Kind == course.WorkingTree:
		return readOurs(c.Root, lab.Dir(), lab)
	case s.Kind == course.Solution:
		return readOurs(c.Root, lab.SolutionDir(), lab)
	case s.Kind == course.Submission:
		held, err := Hold(c, s.Path, selected)
		return held[lab.ID], err
	}
	return Files{}, fmt.Errorf("submission: unknown source %q", s.Kind)
}

// Text returns the files that a source has for a lab, by name, such as raft.go.
func (s Source) Text(c *course.Course, lab course.Lab) (map[string][]byte, error) {
	files, err := s.Read(c, []course.Selected{{Lab: lab, Parts: lab.Parts}}, lab)
	return files.Text, err
}

// readOurs reads a folder of this checkout, in which a file that is missing or
// too many is an error.
func readOurs(root, dir string, lab course.Lab) (Files, error) {
	files := Files{Text: map[string][]byte{}}
	r, err := os.OpenRoot(filepath.Join(root, filepath.FromSlash(dir)))
	if err != nil {
		return Files{}, fmt.Errorf("submission: %s has no such folder: %w", dir, err)
	}
	defer r.Close()
	for _, name := range lab.Files() {
		if files.Text[name], err = readRegular(r, name); err != nil {
			return Files{}, fmt.Errorf("submission: %s: %w", dir, err)
		}
	}
	entries, err := fs.ReadDir(r.FS(), ".")
	if err != nil {
		return Files{}, fmt.Errorf("submission: %s: %w", dir, err)
	}
	for _, e := range entries {
		name := e.Name()
		if files.Text[name] == nil && course.IsGo(name) && !course.IsTest(name) {
			files.Notes = append(files.Notes, name+" is not among the lab's files: ignored")
		}
	}
	return files, nil
}

var (
	errMissing   = errors.New("is missing")
	errIrregular = errors.New("is not a regular file")
	errTooLarge  = fmt.Errorf("is larger than %d bytes", maxFile)
)

// readRegular reads a regular file of at most maxFile bytes.
func readRegular(r *os.Root, name string) ([]byte, error) {
	info, err := r.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s %w", name, errMissing)
	case err != nil:
		return nil, err
	case info.Mode()&fs.ModeSymlink != 0:
		target, _ := r.Readlink(name)
		return nil, fmt.Errorf("%s is a symbolic link to %q: it %w", name, target, errIrregular)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s %w", name, errIrregular)
	}
	f, err := r.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("%s %w", name, errTooLarge)
	}
	return text, err
}

// readSubmission reads the lab's files of a submission, wherever it keeps them.
// The whole submission is read through os.Root, so no path leaves it.
func readSubmission(r *os.Root, s search, lab course.Lab) (Files, error) {
	if refused := linked(r, lab); refused != "" {
		return Files{Refused: refused}, nil
	}
	folder, refused := s.place(lab)
	switch {
	case refused != "":
		return Files{Refused: plain.Text(refused)}, nil
	case folder == "":
		return Files{Refused: plain.Text(s.none(lab.Files())), Absent: true}, nil
	case folder == ".":
		return gather(r, s.survey, folder, lab)
	}
	sub, err := r.OpenRoot(filepath.FromSlash(folder))
	if err != nil {
		return Files{Refused: fmt.Sprintf("the submission's folder %s cannot be read", quoted(folder))}, nil
	}
	defer sub.Close()
	return gather(sub, s.survey, folder, lab)
}

// missingNote is in what is said of a file that is not there.
const missingNote = " is not in the submission: graded as the stub"

// wide reports whether a text is in UTF-16, as some Windows programs save it.
func wide(text []byte) bool {
	return bytes.HasPrefix(text, []byte{0xff, 0xfe}) || bytes.HasPrefix(text, []byte{0xfe, 0xff}) || bytes.HasPrefix(text, []byte("p\x00a\x00")) || bytes.HasPrefix(text, []byte("\x00p\x00a"))
}

// ignoredNote says why a file or folder beside the lab's files is ignored; "" if that need not be said.
func ignoredNote(name string) string {
	switch {
	case course.IsTest(name):
		return "is a test file, and tests are ours: ignored"
	case course.IsGo(name):
		return "is not among the lab's files: ignored"
	case name == "go.mod" || name == "go.sum" || name == "go.work" || name == "vendor":
		return "belongs to the course: ignored"
	case name == "lab.yaml", strings.HasPrefix(name, "."), strings.HasSuffix(name, ".md"), name == "labs":
		return ""
	}
	return "is not among the lab's files: ignored"
}

// gather reads the lab's files from the folder that holds them, which the survey knows by its name.
func gather(r *os.Root, s survey, folder string, lab course.Lab) (Files, error) {
	files := Files{Text: map[string][]byte{}}
	entries, err := fs.ReadDir(r.FS(), ".")
	if err != nil {
		return Files{Refused: "the submission's folder cannot be listed"}, nil
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return cmp.Compare(a.Name(), b.Name()) })
	ignored := 0
	ignore := func(name, note string) {
		if ignored++; ignored <= maxNotes {
			files.Notes = append(files.Notes, plain.Word(name)+" "+note)
		}
	}
	onDisk := map[string]bool{}
	for _, e := range entries {
		name := e.Name()
		onDisk[name] = true
		switch {
		case e.Type()&fs.ModeSymlink != 0 || !e.IsDir() && !e.Type().IsRegular():
			_, err := readRegular(r, name)
			return Files{Refused: plain.Text(plain.Cut(fmt.Sprintf("the submission's %v", err), 1000))}, nil
		case slices.Contains(lab.Files(), name):
			if files.Text[name], err = readRegular(r, name); err != nil {
				return Files{Refused: plain.Text(plain.Cut(fmt.Sprintf("the submission's %v", err), 1000))}, nil
			}
			if wide(files.Text[name]) {
				return Files{Refused: fmt.Sprintf("the submission's %s is in UTF-16, which Go does not read: save it as UTF-8", name)}, nil
			}
		default:
			if note := ignoredNote(name); note != "" {
				ignore(name, note)
			}
		}
	}
	for _, name := range s.dirs[folder] { // what an archive has besides
		if note := ignoredNote(name); note != "" && !onDisk[name] {
			ignore(name, note)
		}
	}
	if more := ignored - maxNotes; more > 0 {
		files.Notes = append(files.Notes, fmt.Sprintf("%d more files are ignored", more))
	}
	for _, name := range lab.Files() {
		if files.Text[name] == nil {
			files.Notes = append(files.Notes, name+missingNote+s.nearNote(folder, name))
		}
	}
	return files, nil
}
