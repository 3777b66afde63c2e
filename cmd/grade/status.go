package main

import (
	"fmt"
	"io"
	"strings"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/grade"
	"distlabs/internal/harness/report"
)

// status is one line on the terminal that tells how far the work is. It is
// silent where its writer is no terminal.
type status struct {
	w      io.Writer // nil: silent
	total  int       // 0: not known
	done   int
	failed int
	then   func(grade.Progress) // also told of every step; may be nil
}

func newStatus(w io.Writer, total int) *status {
	s := &status{total: total}
	if isTerminal(w) {
		s.w = w
	}
	return s
}

// step redraws the line. The grader never calls it twice at once.
func (s *status) step(p grade.Progress) {
	if s.then != nil {
		s.then(p)
	}
	if s.w == nil {
		return
	}
	now := p.Test
	if p.Mutant != "" {
		now = p.Mutant + " " + now
	}
	switch p.Stage {
	case grade.StageBuild:
		now = strings.TrimSpace("building " + p.Lab + " " + p.Mutant)
	case grade.StageTested:
		s.done++
		if p.Result.Status == report.Fail {
			s.failed++
		}
	case grade.StageTest:
		if p.Seed != 0 {
			now += fmt.Sprintf(" seed %d", p.Seed)
		}
	}
	done := fmt.Sprint(s.done)
	if s.total > 0 {
		done = fmt.Sprintf("%d of %d", s.done, s.total)
	}
	// %.78s cuts by characters: the line must not wrap, or it could not be redrawn.
	fmt.Fprintf(s.w, "\r\x1b[K%.78s", fmt.Sprintf("%s tests done, %d failed · %s", done, s.failed, now))
}

func (s *status) clear() {
	if s.w != nil {
		fmt.Fprint(s.w, "\r\x1b[K")
	}
}

// countTests is how many tests a run of the selected parts has.
func countTests(selected []course.Selected) int {
	n := 0
	for _, s := range selected {
		n += len(s.Tests())
	}
	return n
}
