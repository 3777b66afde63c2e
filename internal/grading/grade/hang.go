package grade

import (
	"time"

	"distlabs/internal/grading/result"
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

// noteHang remembers that a test's process was stopped before the test began.
func (r *Runner) noteHang(v verdict, t *result.Test) {
	if v.out.Stopped != "" && !v.began() && len(t.Failures) > 0 {
		f := t.Failures[0]
		r.hang.CompareAndSwap(nil, &f)
	}
}

// hangs fills in the result of a test that need not be run, and reports whether it has.
func (r *Runner) hangs(t *result.Test) bool {
	hang := r.hang.Load()
	if hang == nil {
		return false
	}
	f := *hang
	f.Test, f.Replay = "", "" // those of this test, not of the one that was run
	r.verdict(t.Name).finish(&f)
	t.Status, t.Failures = report.Fail, []report.Failure{f}
	return true
}
