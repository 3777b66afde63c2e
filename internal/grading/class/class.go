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

	"distlabs/internal/grading/result"
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
	form form
}

// form is how a submission is kept.
type form int

const (
	formFolder  form = iota // a folder of files, or of one archive
	formArchive             // an archive
	formLoose               // files of a folder that share a prefix, as Canvas names them
	formNothing             // nothing was handed in
)
