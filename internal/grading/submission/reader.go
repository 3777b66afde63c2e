package submission

import (
	"bytes"
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
	"distlabs/internal/grading/tidy"
)

// Piece is one upload of a submission: a folder, an archive, or a file.
type Piece struct {
	Path string
	Name string // as the student named it; "": as Path ends
}

func (p Piece) name() string {
	if p.Name != "" {
		return p.Name
	}
	return filepath.Base(p.Path)
}

// Reader reads submissions of the selected labs: folders, archives and files are read by the same rules,
// by any caller.
type Reader struct {
	course   *course.Course
	selected []course.Selected
	permits  []string
	folder   func(prefix string) (string, error) // makes an empty folder
}

// NewReader makes a reader. folder makes empty folders for what is unpacked; the reader removes them.
func NewReader(c *course.Course, selected []course.Selected, folder func(prefix string) (string, error)) *Reader {
	return &Reader{course: c, selected: selected, permits: Permits(c, selected), folder: folder}
}

// Read reads the permitted files of a submission that was handed in as these pieces. If it cannot be graded, why
// says so, in a sentence; the error is about this machine.
func (r *Reader) Read(pieces ...Piece) (held Held, why string, err error) {
	if len(pieces) == 0 {
		return Held{}, "nothing was handed in", nil
	}
	scratch, err := r.folder("held-")
	if err != nil {
		return nil, "", err
	}
	defer func() {
		err = errors.Join(err, tidy.RemoveAll(scratch))
	}()
	j := &join{r: r, scratch: scratch}
	held, err = j.all(pieces)
	if b, ok := errors.AsType[bad](err); ok {
		return Held{}, string(b), nil
	}
	switch {
	case err != nil:
		return held, "", err
	case held.Empty():
		return held, j.nothing(), nil
	}
	return held, r.refused(held), nil
}

// refused is why no selected lab can be graded; "" if one can.
func (r *Reader) refused(held Held) (why string) {
	for _, s := range r.selected {
		switch files := held[s.Lab.ID]; {
		case files.Refused == "":
			return ""
		case why == "" && !files.Absent:
			why = files.Refused
		}
	}
	if why == "" { // only labs that a selected one builds on
		why = held[r.selected[0].Lab.ID].Refused
	}
	return why
}

// join is the pieces of one submission that are read.
type join struct {
	r       *Reader
	scratch string
	folders int
	parts   []part   // the pieces with files of the labs
	skipped []string // why others were not read, a sentence each
	seen    []string // the names of files in all of them
	opened  []string // the archives that were opened
}

// part is what was read of one piece.
type part struct {
	name string
	held Held
}

func (j *join) all(pieces []Piece) (Held, error) {
	var loose, packed []Piece
	for _, p := range pieces {
		info, err := os.Stat(p.Path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			j.skipped = append(j.skipped, "nothing was handed in: there is no "+plain.Text(p.Path))
		case err != nil:
			return nil, fmt.Errorf("submission: submission %s cannot be read: %w", p.Path, err)
		case info.IsDir():
			inside, err := j.open(p)
			if err != nil {
				return nil, err
			}
			packed = append(packed, inside...)
		case IsArchive(p.name()):
			packed = append(packed, p)
		default:
			loose = append(loose, p)
		}
	}
	if len(loose) > 0 {
		if err := j.loose(loose); err != nil {
			return nil, err
		}
	}
	only := len(pieces) == 1 && len(packed) == 1 && len(j.parts) == 0
	complete := j.complete()
	for _, p := range packed {
		if complete {
			j.skipped = append(j.skipped, quoted(p.name())+" is not opened: the files beside it are complete")
		} else if err := j.archive(p, only); err != nil {
			return nil, err
		}
	}
	return j.merge()
}

// complete reports whether some piece has every file of the selected labs: archives beside it are not opened then.
func (j *join) complete() bool {
	return slices.ContainsFunc(j.parts, func(p part) bool {
		return !slices.ContainsFunc(j.r.selected, func(s course.Selected) bool {
			files := p.held[s.Lab.ID]
			return files.Refused == "" && len(files.Text) < len(s.Lab.Files())
		})
	})
}

// open reads a folder, and lists the archives in it: those at its top, or the only one deeper.
func (j *join) open(p Piece) ([]Piece, error) {
	s, err := j.hold(p.name(), p.Path, nil)
	if err != nil {
		return nil, err
	}
	var top, deep []Piece
	for _, name := range s.files {
		at := Piece{Path: filepath.Join(p.Path, filepath.FromSlash(name)), Name: name}
		info, err := os.Lstat(at.Path)
		switch {
		case !IsArchive(name) || err != nil || !info.Mode().IsRegular():
		case strings.Contains(name, "/"):
			deep = append(deep, at)
		default:
			top = append(top, at)
		}
	}
	if len(top) == 0 && len(deep) == 1 && len(j.parts) == 0 {
		return deep, nil
	}
	return top, nil
}

// hold reads the labs' files of a folder; more are the names of files that the folder's archive had besides.
func (j *join) hold(name, dir string, more []string) (survey, error) {
	held, s, err := hold(j.r.course, dir, j.r.selected, more)
	if err != nil {
		return s, err
	}
	j.seen = append(j.seen, s.files...)
	if !held.Empty() {
		j.parts = append(j.parts, part{name, held})
	}
	return s, nil
}

// loose reads files that were handed in one by one.
func (j *join) loose(files []Piece) error {
	dir, to, err := j.sub()
	if err != nil {
		return err
	}
	defer to.Close()
	u := newUnpacker(to, j.r.permits)
	for _, p := range files {
		info, err := os.Lstat(p.Path)
		if err != nil {
			return fmt.Errorf("submission: %w", err)
		}
		open := func() (io.ReadCloser, error) { return os.Open(p.Path) }
		if err := u.entry(p.name(), info.Mode(), open); err != nil {
			return err
		}
	}
	_, err = j.hold("the files", dir, u.marks)
	return err
}

// archive reads an archive. What is wrong with one of several is a note.
func (j *join) archive(p Piece, only bool) error {
	err := j.unpack(p)
	if b, ok := errors.AsType[bad](err); ok && !only {
		j.skipped = append(j.skipped, fmt.Sprintf("%s is not read: %s", quoted(p.name()), string(b)))
		return nil
	}
	return err
}

func (j *join) unpack(p Piece) error {
	text, err := readBounded(p.Path)
	if err != nil {
		return err
	}
	j.opened = append(j.opened, p.name())
	before := len(j.seen)
	marks, err := j.unpackText(text, p.name(), p.name())
	if err != nil || len(j.parts) > 0 && j.parts[len(j.parts)-1].name == p.name() {
		return err
	}
	var inner []string
	for _, name := range marks {
		if IsArchive(name) {
			inner = append(inner, name)
		}
	}
	if len(inner) != 1 {
		return nil
	}
	// An archive in an archive, as a browser or a helper packs a download again. One level, and only where nothing
	// else is found.
	u := newUnpacker(nil, nil)
	u.nested = inner[0]
	if err := u.read(text, p.name()); err != nil || u.inner == nil {
		return err
	}
	j.seen = j.seen[:before]
	_, err = j.unpackText(u.inner, inner[0], p.name()+"/"+inner[0])
	return err
}

// unpackText reads the text of an archive, and returns the names of the other files in it.
func (j *join) unpackText(text []byte, name, as string) ([]string, error) {
	dir, to, err := j.sub()
	if err != nil {
		return nil, err
	}
	defer to.Close()
	u := newUnpacker(to, j.r.permits)
	if err := u.read(text, name); err != nil {
		return nil, err
	}
	_, err = j.hold(as, dir, u.marks)
	return u.marks, err
}

// sub makes a folder for one piece.
func (j *join) sub() (string, *os.Root, error) {
	j.folders++
	dir := filepath.Join(j.scratch, fmt.Sprint(j.folders))
	if err := os.Mkdir(dir, 0o777); err != nil {
		return "", nil, fmt.Errorf("submission: %w", err)
	}
	to, err := os.OpenRoot(dir)
	if err != nil {
		return "", nil, fmt.Errorf("submission: %w", err)
	}
	return dir, to, nil
}

// merge puts the pieces together: each file once.
func (j *join) merge() (Held, error) {
	var held Held
	switch len(j.parts) {
	case 0:
		return Held{}, nil
	case 1:
		held = j.parts[0].held
	default:
		var err error
		if held, err = j.united(); err != nil {
			return nil, err
		}
	}
	if len(j.skipped) > 0 {
		for id, files := range held {
			if !files.Absent {
				files.Notes = append(slices.Clone(files.Notes), j.skipped...)
				held[id] = files
			}
		}
	}
	return held, nil
}

// united lays the files of several pieces side by side and reads them as one folder.
func (j *join) united() (Held, error) {
	dir, to, err := j.sub()
	if err != nil {
		return nil, err
	}
	to.Close()
	from := map[string]part{}
	notes := map[string][]string{}
	for _, p := range j.parts {
		for id, files := range p.held {
			if files.Refused != "" && !files.Absent {
				return nil, badf("of several uploads, %s cannot be read: %s", quoted(p.name), files.Refused)
			}
			for name, text := range files.Text {
				at := filepath.Join("labs", id, name)
				if other, twice := from[at]; twice && !bytes.Equal(other.held[id].Text[name], text) {
					return nil, badf("two uploads, %s and %s, have different files %s: hand in each file once", quoted(other.name), quoted(p.name), name)
				}
				from[at] = p
				full := filepath.Join(dir, at)
				if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o777), os.WriteFile(full, text, 0o666)); err != nil {
					return nil, fmt.Errorf("submission: %w", err)
				}
			}
			for _, note := range files.Notes {
				if !strings.Contains(note, missingNote) {
					notes[id] = append(notes[id], note)
				}
			}
		}
	}
	held, _, err := hold(j.r.course, dir, j.r.selected, nil)
	for id, more := range notes {
		files := held[id]
		files.Notes = append(files.Notes, more...)
		held[id] = files
	}
	return held, err
}

// nothing says why there is nothing to grade.
func (j *join) nothing() string {
	if len(j.seen) == 0 && len(j.skipped) > 0 {
		return strings.Join(j.skipped[:min(len(j.skipped), maxNamed)], "; ")
	}
	s := search{}
	for _, name := range j.seen {
		if slices.Contains(j.opened, name) {
			continue
		}
		s.survey.files = append(s.survey.files, name)
	}
	text := s.none(j.r.permits)
	if len(j.skipped) > 0 {
		text += "; " + strings.Join(j.skipped[:min(len(j.skipped), maxNamed)], "; ")
	}
	return text
}

// readBounded reads an archive into memory.
func readBounded(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, bad("the archive is gone")
	}
	if err == nil && !info.Mode().IsRegular() {
		return nil, bad("the archive is not a regular file")
	}
	if err != nil {
		return nil, fmt.Errorf("submission: %w", err)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("submission: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxArchive+1))
	if err != nil {
		return nil, fmt.Errorf("submission: %w", err)
	}
	if len(text) > maxArchive {
		return nil, badf("the archive is larger than %d MiB", maxArchive>>20)
	}
	return text, nil
}
