package grade

import "distlabs/internal/report"

// A package that hangs while it is initialised hangs so for every test, and
// each would take all of its time: a hundred minutes for one submission. So once
// a process was stopped before its test began, the lab's other tests get that
// failure without being run.

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
