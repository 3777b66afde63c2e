package submission

import (
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
		return readSubmission(s.Path, selected, lab)
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
func readSubmission(dir string, selected []course.Selected, lab course.Lab) (Files, error) {
	r, err := os.OpenRoot(dir)
	if err != nil {
		return Files{}, fmt.Errorf("submission: submission %s can not be read: %w", dir, err)
	}
	defer r.Close()
	folder, refused := locate(r, selected, lab)
	if refused != "" {
		return Files{Refused: refused}, nil
	}
	if folder == "" {
		refused = fmt.Sprintf("the submission has none of the lab's files (%s), neither at its root nor in %s or %s",
			strings.Join(lab.Files(), ", "), lab.Dir(), lab.ID)
		return Files{Refused: refused, Absent: true}, nil
	}
	if folder != "." {
		sub, err := r.OpenRoot(folder)
		if err != nil {
			return Files{Refused: fmt.Sprintf("the submission's folder %s can not be read", folder)}, nil
		}
		defer sub.Close()
		return gather(sub, lab)
	}
	return gather(r, lab)
}

// locate finds the folder of the submission that holds the lab: labs/<lab>,
// <lab>, or the root itself if what lies there can belong to no other lab. It is
// "" if there is none.
func locate(r *os.Root, selected []course.Selected, lab course.Lab) (folder, refused string) {
	for _, folder := range []string{filepath.Join("labs", lab.ID), lab.ID} {
		for _, at := range []string{filepath.Dir(folder), folder} {
			info, err := r.Lstat(at)
			if err == nil && info.Mode()&fs.ModeSymlink != 0 {
				return "", fmt.Sprintf("the submission's %s is a symbolic link; links are not followed", filepath.ToSlash(at))
			}
			if err == nil && at == folder && info.IsDir() {
				return folder, ""
			}
		}
	}
	if !holds(r, lab) {
		return "", ""
	}
	asked := slices.ContainsFunc(selected, func(s course.Selected) bool { return s.Lab.ID == lab.ID })
	for _, other := range selected {
		if other.Lab.ID == lab.ID || !holds(r, other.Lab) {
			continue
		}
		if !asked { // a lab that the other builds on: the files are the other's
			return "", ""
		}
		return "", fmt.Sprintf("the files at the submission's root could belong to %s or to %s: name the lab", lab.ID, other.Lab.ID)
	}
	return ".", ""
}

// holds reports whether the root has any of the lab's files.
func holds(r *os.Root, lab course.Lab) bool {
	return slices.ContainsFunc(lab.Files(), func(name string) bool {
		_, err := r.Lstat(name)
		return err == nil
	})
}

// gather reads the lab's files from the folder that holds them.
func gather(r *os.Root, lab course.Lab) (Files, error) {
	files := Files{Text: map[string][]byte{}}
	entries, err := fs.ReadDir(r.FS(), ".")
	if err != nil {
		return Files{Refused: "the submission's folder can not be listed"}, nil
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return cmp.Compare(a.Name(), b.Name()) })
	ignored := 0
	for _, e := range entries {
		name, note := e.Name(), ""
		switch {
		case e.Type()&fs.ModeSymlink != 0 || !e.IsDir() && !e.Type().IsRegular():
			_, err := readRegular(r, name)
			return Files{Refused: plain.Text(plain.Cut(fmt.Sprintf("the submission's %v", err), 1000))}, nil
		case slices.Contains(lab.Files(), name):
			if files.Text[name], err = readRegular(r, name); err != nil {
				return Files{Refused: plain.Text(plain.Cut(fmt.Sprintf("the submission's %v", err), 1000))}, nil
			}
		case course.IsTest(name):
			note = "is a test file, and tests are ours: ignored"
		case course.IsGo(name):
			note = "is not among the lab's files: ignored"
		case name == "go.mod" || name == "go.sum" || name == "go.work" || name == "vendor":
			note = "belongs to the course: ignored"
		case name == "lab.yaml", strings.HasPrefix(name, "."), strings.HasSuffix(name, ".md"), name == "labs":
		default:
			note = "is not among the lab's files: ignored"
		}
		if note != "" {
			if ignored++; ignored <= maxNotes {
				files.Notes = append(files.Notes, plain.Word(name)+" "+note)
			}
		}
	}
	if more := ignored - maxNotes; more > 0 {
		files.Notes = append(files.Notes, fmt.Sprintf("%d more files are ignored", more))
	}
	if len(files.Text) == 0 {
		files.Absent = true
		files.Refused = fmt.Sprintf("the submission has none of the lab's files (%s)", strings.Join(lab.Files(), ", "))
		return files, nil
	}
	for _, name := range lab.Files() {
		if files.Text[name] == nil {
			files.Notes = append(files.Notes, name+" is not in the submission: graded as the stub")
		}
	}
	return files, nil
}
