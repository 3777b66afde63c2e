package grade

import (
	"distlabs/internal/grading/course"
	"distlabs/internal/harness/report"
)

// Partial is the result of a run that is still going on: what a grader that is
// killed leaves behind. Tests that are not over yet are skipped and earn nothing.
type Partial struct {
	result *Result
}

// Partial starts a partial result. Its methods must not be called at once from
// several goroutines; Options.Progress never is.
func (g *Grader) Partial(src Source, selected []course.Selected) *Partial {
	p := &Partial{result: newResult(g.tools.Version, src, selected)}
	p.result.Tests(func(_ *LabResult, _ *PartResult, t *TestResult) {
		t.Status, t.Skipped = report.Skip, "the grader was stopped before this test was over"
	})
	p.result.score()
	return p
}

// Add takes in a step of the run, and reports whether it ended a test.
func (p *Partial) Add(step Progress) bool {
	if step.Stage != StageTested {
		return false
	}
	p.result.Tests(func(lab *LabResult, _ *PartResult, t *TestResult) {
		if lab.ID == step.Lab && t.Name == step.Test {
			*t = *step.Result
		}
	})
	p.result.score()
	return true
}

// Result is the result so far. It is valid until the next Add.
func (p *Partial) Result() *Result { return p.result }
