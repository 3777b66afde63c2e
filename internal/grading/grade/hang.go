package grade

import (
	"fmt"
	"time"

	"distlabs/internal/harness/report"
)

// A package that hangs while it is initialised hangs so for every test, and
// each would take all of its time: a hundred minutes for one submission. So a
// process has only a while until its test begins, and once one was stopped before
// that, the lab's other tests get its failure without being run.

// beginning is the real time that a process has until its test begins: fifty times what it takes.
const beginning = 10 * time.Second

// beginningOf is that limit in a run.
func beginningOf(run Run) time.Duration {
	if run.Soak {
		return timeoutOf(run)
	}
	return min(beginning, timeoutOf(run))
}

// untilBegun stops a process whose test has not begun within the limit. The function event is for
// the process's events, and hands them on to each; done is for its end.
func (s *stopper) untilBegun(limit time.Duration, each func(report.Event)) (event func(report.Event), done func() bool) {
	timer := time.AfterFunc(limit, func() {
		s.stop(fmt.Sprintf("it had not begun after %v of real time: does an init function, or what a package variable is set to, never end?", limit))
	})
	return func(e report.Event) {
		timer.Stop()
		if each != nil {
			each(e)
		}
	}, timer.Stop
}

// noteHang remembers that a test's process was stopped before the test began.
func (p *prepared) noteHang(v verdict, t *TestResult) {
	if v.out.stopped != "" && !v.began() && len(t.Failures) > 0 {
		f := t.Failures[0]
		p.hang.CompareAndSwap(nil, &f)
	}
}

// hangs fills in the result of a test that need not be run, and reports whether it has.
func (w *workspace) hangs(p *prepared, t *TestResult) bool {
	hang := p.hang.Load()
	if hang == nil {
		return false
	}
	f := *hang
	f.Test, f.Replay = "", "" // those of this test, not of the one that was run
	verdict{w: w, lab: p.lab, test: t.Name}.finish(&f)
	t.Status, t.Failures = report.Fail, []report.Failure{f}
	return true
}
