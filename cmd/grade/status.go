package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/grade"
	"distlabs/internal/harness/report"
)

// A unit is what a command's progress is counted in.
type unit string

const (
	ofTests   unit = "tests"
	ofMutants unit = "mutants"
	ofSteps   unit = "steps" // tests of stubs, references and alternatives, and mutants
	ofRuns    unit = "runs"  // of a soak, which runs each seed two or three times
)

// status tells how far the work is, and what it has found: on a terminal in one line that is redrawn, elsewhere, as in a
// log, in a line a minute. A soak takes hours: what it finds is also told at once.
type status struct {
	w       io.Writer
	live    bool
	every   time.Duration // in a log
	unit    unit
	total   int             // 0: not known
	counted map[string]bool // labs whose number of mutants is in total
	began   time.Time
	last    time.Time // when a line was written

	done  int
	of    string               // the solution that runs, if there are several
	found []string             // what is wrong, a sentence each
	then  func(grade.Progress) // also told of every step; may be nil
}

func newStatus(w io.Writer, unit unit, total int) *status {
	now := time.Now()
	return &status{w: w, live: isTerminal(w), every: time.Minute, unit: unit, total: total, began: now, last: now}
}

// step counts and shows a step. The grader never calls it twice at once.
func (s *status) step(p grade.Progress) {
	if s.then != nil {
		s.then(p)
	}
	known := len(s.found)
	s.count(p)
	if s.unit == ofRuns {
		for _, text := range s.found[known:] {
			s.clear()
			fmt.Fprintln(s.w, oneLine(text))
		}
	}
	switch now := time.Now(); {
	case s.live:
		// %.78s cuts by characters: the line must not wrap, or it could not be redrawn.
		fmt.Fprintf(s.w, "\r\x1b[K%.78s", s.line()+" · "+what(p))
	case now.Sub(s.last) >= s.every:
		s.last = now
		fmt.Fprintln(s.w, s.line())
	}
}

// count takes in what a step finished.
func (s *status) count(p grade.Progress) {
	switch {
	case p.Stage == grade.StageMutant:
		if s.unit == ofMutants || s.unit == ofSteps {
			s.done++
		}
		if p.Total > 0 && !s.counted[p.Lab] {
			if s.counted == nil {
				s.counted = map[string]bool{}
			}
			s.counted[p.Lab] = true
			s.total += p.Total
		}
		if p.Problem != "" {
			s.found = append(s.found, p.Mutant+" "+p.Problem)
		}
	case p.Stage == grade.StageTested && p.Mutant == "":
		if s.unit == ofTests || s.unit == ofSteps {
			s.done++
		}
		if s.unit != ofSteps && p.Result.Status == report.Fail { // of steps, tests of the stubs fail as they must
			s.found = append(s.found, strings.TrimSpace(s.of+" "+failed(p)))
		}
	case p.Stage == grade.StageTest && p.Seed != 0 && s.unit == ofRuns:
		s.done++
	}
}

// failed says in a line which test failed, and how.
func failed(p grade.Progress) string {
	text := p.Test + " failed"
	if n := len(p.Result.Failed); n > 0 {
		text += fmt.Sprintf(" on seeds %s", some(p.Result.Failed))
	}
	if len(p.Result.Failures) > 0 {
		text += ": " + oneLine(p.Result.Failures[0].What)
	}
	return text
}

// line is how far the work is.
func (s *status) line() string {
	text := fmt.Sprintf("%d %s done", s.done, s.unit)
	if s.total > 0 {
		text = fmt.Sprintf("%d of %d %s done", min(s.done, s.total), s.total, s.unit)
	}
	switch {
	case s.unit == ofMutants || s.unit == ofSteps:
		text += fmt.Sprintf(", %d not killed as they should", len(s.found))
	default:
		text += fmt.Sprintf(", %d failed", len(s.found))
	}
	if left := s.left(time.Since(s.began)); left >= time.Second {
		text += fmt.Sprintf(" · about %s left", short(left))
	}
	return text
}

// left estimates the time that remains; 0 if nothing is known of it.
func (s *status) left(spent time.Duration) time.Duration {
	if s.done == 0 || s.total <= s.done {
		return 0
	}
	return time.Duration(float64(spent) / float64(s.done) * float64(s.total-s.done))
}

// what is what goes on.
func what(p grade.Progress) string {
	now := p.Test
	if p.Mutant != "" {
		now = strings.TrimSpace(p.Mutant + " " + now)
	}
	switch {
	case p.Stage == grade.StageBuild:
		now = strings.TrimSpace("building " + p.Lab + " " + p.Mutant)
	case p.Stage == grade.StageTest && p.Seed != 0:
		now += fmt.Sprintf(" seed %d", p.Seed)
	}
	return now
}

func (s *status) clear() {
	if s.live {
		fmt.Fprint(s.w, "\r\x1b[K")
	}
}

// interrupted says what was done and found before an interrupt, if anything was.
func (s *status) interrupted() {
	if s.done == 0 {
		return
	}
	total := ""
	if s.total > 0 {
		total = fmt.Sprintf("of %d ", s.total)
	}
	found := "nothing wrong was found"
	if len(s.found) > 0 {
		found = "found:"
	}
	fmt.Fprintf(s.w, "until the interrupt, after %s: %d %s%s done; %s\n", short(time.Since(s.began)), s.done, total, s.unit, found)
	for _, text := range s.found {
		fmt.Fprintf(s.w, "    %s\n", oneLine(text))
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
