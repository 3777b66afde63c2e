// Package export writes the results of grading in the forms that other systems
// read: one file a form, each a pure function of results.
//
// A result holds strings that a student's program chose. Each writer says where
// they may stand and lets none of them become markup, a command, a formula or a
// line of its own.
package export

import (
	"errors"
	"iter"

	"distlabs/internal/grading/result"
)

// Student is one student of a class: a result, or the reason why there is none.
type Student struct {
	ID      string // of the submission
	Name    string // "" if it is not known
	Result  *result.Result
	Missing string // why Result is nil: one sentence
}

// Class is a class's students in the order of the run, one in memory at a time.
// It may be read more than once.
type Class = iter.Seq2[Student, error]

// OfRun is the class of a run directory. A submission that has no result yet is
// a student without one, not an error.
func OfRun(run *result.RunDir) Class {
	return func(yield func(Student, error) bool) {
		for submission, found := range run.Results() {
			s := Student{ID: submission.ID, Name: submission.Name, Result: found.Result}
			err := found.Err
			if errors.Is(err, result.ErrNotGraded) {
				s.Missing, err = "not graded yet", nil
			}
			if !yield(s, err) {
				return
			}
		}
	}
}

// OfResults is the class of results that are in memory.
func OfResults(results ...*result.Result) Class {
	return func(yield func(Student, error) bool) {
		for _, r := range results {
			if !yield(StudentOf(r), nil) {
				return
			}
		}
	}
}

// StudentOf is the student whose result r is, as far as r says.
func StudentOf(r *result.Result) Student {
	s := Student{Result: r}
	if r.Submission != nil {
		s.ID, s.Name = r.Submission.ID, r.Submission.Name
	}
	return s
}
