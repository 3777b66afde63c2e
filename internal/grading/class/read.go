package class

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/submission"
	"distlabs/internal/grading/tidy"
	"distlabs/internal/grading/workspace"
)

// reader reads submissions of the selected labs.
type reader struct {
	course   *course.Course
	scratch  *workspace.Scratch
	selected []course.Selected
	permits  []string
}

func newReader(c *course.Course, scratch *workspace.Scratch, selected []course.Selected) *reader {
	return &reader{course: c, scratch: scratch, selected: selected, permits: submission.Permits(c, selected)}
}

// read reads the permitted files of a submission. If it can not be graded why
// says so, in a sentence; the error is about this machine.
func (r *reader) read(s Submission) (held submission.Held, why string, err error) {
	scratch, err := r.scratch.Folder("held-")
	if err != nil {
		return nil, "", err
	}
	defer func() {
		err = errors.Join(err, tidy.RemoveAll(scratch))
	}()
	held, err = r.hold(s, scratch)
	if b, ok := errors.AsType[bad](err); ok {
		return submission.Held{}, string(b), nil
	}
	if err == nil && held.Empty() {
		return held, r.nothing(), nil
	}
	return held, "", err
}

func (r *reader) nothing() string {
	return "the submission has none of the files that are graded (" + strings.Join(r.permits, ", ") + ")"
}

func (r *reader) hold(s Submission, scratch string) (submission.Held, error) {
	switch s.form {
	case formNothing:
		if s.Path == "" {
			return nil, bad("nothing was handed in")
		}
		return nil, badf("nothing was handed in: there is no %s", s.Path)
	case formArchive:
		return r.archive(s.Path, scratch)
	case formLoose:
		if err := r.loose(s.Path, scratch); err != nil {
			return nil, err
		}
		return submission.Hold(r.course, scratch, r.selected)
	}
	return r.folder(s.Path, scratch, true)
}

// folder reads a folder: the lab's files in it, or in the one folder that it
// holds, or in the one archive.
func (r *reader) folder(dir, scratch string, archives bool) (submission.Held, error) {
	for range maxWrappers {
		held, err := submission.Hold(r.course, dir, r.selected)
		if err != nil || !held.Empty() {
			return held, err
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, badf("the submission's folder can not be listed")
		}
		var folders, packed []string
		for _, e := range entries {
			switch {
			case hidden(e.Name()):
			case e.IsDir():
				folders = append(folders, filepath.Join(dir, e.Name()))
			case e.Type().IsRegular() && isArchive(e.Name()):
				packed = append(packed, filepath.Join(dir, e.Name()))
			}
		}
		switch {
		case archives && len(packed) == 1:
			return r.archive(packed[0], scratch)
		case len(folders) != 1:
			return held, r.scattered(dir)
		}
		dir = folders[0]
	}
	return submission.Hold(r.course, dir, r.selected)
}

// scattered says where the lab's files are, if they are in folders of which none is the submission's own: two of them, or
// one beside others. It is nil if there are none.
func (r *reader) scattered(dir string) error {
	var found []string
	left := maxLook
	filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		rel, relErr := filepath.Rel(dir, path)
		switch left--; {
		case left < 0:
			return filepath.SkipAll
		case err != nil || relErr != nil:
			return nil
		case e.IsDir() && path != dir && (hidden(e.Name()) || strings.Count(rel, string(filepath.Separator)) >= maxWrappers):
			return filepath.SkipDir
		case e.Type().IsRegular() && slices.Contains(r.permits, e.Name()):
			found = append(found, quoted(filepath.ToSlash(rel)))
		}
		return nil
	})
	if len(found) == 0 {
		return nil
	}
	if n := len(found) - 3; n > 0 {
		found = append(found[:3], fmt.Sprintf("%d more", n))
	}
	return badf("the submission's files (%s) are in several folders: hand in one folder, with each file once", strings.Join(found, ", "))
}

// maxLook is how many files and folders are looked at for that.
const maxLook = 2000

// maxWrappers is how many folders may lie around a submission's own.
const maxWrappers = 3

func (r *reader) archive(path, scratch string) (submission.Held, error) {
	text, err := readBounded(path)
	if err != nil {
		return nil, err
	}
	to, err := os.OpenRoot(scratch)
	if err != nil {
		return nil, fmt.Errorf("class: %w", err)
	}
	defer to.Close()
	if err := unpack(text, path, to, r.permits); err != nil {
		return nil, err
	}
	return r.folder(scratch, "", false)
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
		return nil, fmt.Errorf("class: %w", err)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("class: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxArchive+1))
	if err != nil {
		return nil, fmt.Errorf("class: %w", err)
	}
	if len(text) > maxArchive {
		return nil, badf("the archive is larger than %d MiB", maxArchive>>20)
	}
	return text, nil
}

// again is what Canvas adds to the name of a file that was handed in once more.
var again = regexp.MustCompile(`-\d+\.go$`)

// loose copies the permitted ones of the files that share a prefix, under the
// names that the student gave them.
func (r *reader) loose(pattern, scratch string) error {
	to, err := os.OpenRoot(scratch)
	if err != nil {
		return fmt.Errorf("class: %w", err)
	}
	defer to.Close()
	entries, err := os.ReadDir(filepath.Dir(pattern))
	if err != nil {
		return fmt.Errorf("class: %w", err)
	}
	u := newUnpacker(to, r.permits)
	for _, e := range entries {
		m := canvasName.FindStringSubmatch(e.Name())
		if m == nil || m[1]+"_*"+m[2]+"_*" != filepath.Base(pattern) || isArchive(e.Name()) {
			continue
		}
		name := again.ReplaceAllString(m[4], ".go")
		open := func() (io.ReadCloser, error) { return os.Open(filepath.Join(filepath.Dir(pattern), e.Name())) }
		if err := u.entry(name, e.Type(), open); err != nil {
			return err
		}
	}
	return nil
}
