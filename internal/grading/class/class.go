// Package class grades a class: it finds the submissions in a folder, in
// archives or through a roster, grades them on the cores there are, and keeps
// one folder a submission in a run directory, so that the work can be
// interrupted, resumed, split over machines, merged and compared.
//
// A submission is a stranger's. Whatever is wrong with one, from a corrupt
// archive to code that never ends, is a result with a reason; the class goes on.
// An error is about this machine, this checkout, or what was asked.
//
// Nothing is kept in memory of a submission that is done.
package class

import (
	"errors"
	"fmt"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/result"
	"distlabs/internal/grading/submission"
	"distlabs/internal/grading/workspace"
)

// ErrUsage is wrapped by errors about what was asked.
var ErrUsage = errors.New("usage")

type usageError struct{ text string }

func (e usageError) Error() string        { return e.text }
func (e usageError) Is(target error) bool { return target == ErrUsage }

func usage(format string, args ...any) error { return usageError{fmt.Sprintf(format, args...)} }

// Submission is one of a class, not read yet.
type Submission struct {
	result.RunSubmission
	pieces []submission.Piece // what was handed in; none: nothing
	notes  []string           // what of it is not read, a sentence each
}

// reader reads a class's submissions.
type reader struct{ *submission.Reader }

func newReader(c *course.Course, scratch *workspace.Scratch, selected []course.Selected) *reader {
	return &reader{submission.NewReader(c, selected, scratch.Folder)}
}

// read reads the permitted files of a submission. If it cannot be graded why
// says so, in a sentence; the error is about this machine.
func (r *reader) read(s Submission) (held submission.Held, why string, err error) {
	held, why, err = r.Read(s.pieces...)
	for id, files := range held {
		if !files.Absent {
			files.Notes = append(files.Notes, s.notes...)
			held[id] = files
		}
	}
	return held, why, err
}
