package grade

import (
	"distlabs/internal/grading/course"
	"distlabs/internal/grading/result"
	"distlabs/internal/grading/submission"
	"distlabs/internal/harness/report"
)

// Partial is the result of a run that is still going on: what a grader that is
// killed leaves behind. Tests that are not over yet are skipped and earn nothing.
type Partial struct {
	graded *result.Result
}

// Partial starts a partial result. Its methods must not be called at once from
// several goroutines; Options.Progress never is.
func (g *Grader) Partial(src submission.Source, selected []course.Selected) *Partial {
	p := &Partial{graded: g.Blank(src, selected)}
	p.graded.Tests(func(_ *result.Lab, _ *result.Part, t *result.Test) {
		t.Status, t.Skipped = report.Skip, "the grader was stopped before this test was over"
	})
	p.graded.Score()
	return p
}

// Add takes in a step of the run, and reports whether it ended a test.
func (p *Partial) Add(step Progress) bool {
	if step.Stage != StageTested {
		return false
	}
	p.graded.Tests(func(lab *result.Lab, _ *result.Part, t *result.Test) {
		if lab.ID == step.Lab && t.Name == step.Test {
			*t = *step.Result
		}
	})
	p.graded.Score()
	return true
}

// Result is the result so far. It is valid until the next Add.
func (p *Partial) Result() *result.Result { return p.graded }
