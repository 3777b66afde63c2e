package grade

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/result"
	"distlabs/internal/grading/submission"
	"distlabs/internal/harness/report"
)

// NotRun is why a test has no verdict after FirstFailure.
const NotRun = "not run: a test before it failed"

// FirstFailure grades parts of one lab of the working tree, for someone who waits
// for it: tests begin in the order of lab.yaml, and once one has failed, none after
// it is begun or waited for. So the test that the result shows as failed is the
// first, whatever the machine's load. Those without a verdict have the status skip.
func (g *Grader) FirstFailure(ctx context.Context, s course.Selected, run Run) (*result.Result, error) {
	src, selected := submission.Source{Kind: course.WorkingTree}, []course.Selected{s}
	graded := g.Blank(src, selected)
	w, err := g.builder.Assemble(src, selected)
	if err != nil {
		return nil, err
	}
	defer w.Remove()
	r, err := g.Build(ctx, w, s.Lab.ID, "")
	if err != nil {
		return nil, err
	}
	lab := &graded.Labs[0]
	r.describe(lab)
	lab.Base = nil // all of it is the working tree's
	if lab.Refused == "" {
		if err := r.untilFailure(ctx, graded, run); err != nil {
			return nil, err
		}
	}
	graded.Score()
	return graded, nil
}

// untilFailure runs the result's tests, so many at a time as there are jobs.
func (r *Runner) untilFailure(ctx context.Context, graded *result.Result, run Run) error {
	var tests []*result.Test
	graded.Tests(func(_ *result.Lab, _ *result.Part, t *result.Test) { tests = append(tests, t) })
	race := &firstFailure{first: len(tests), cancel: make([]context.CancelFunc, len(tests))}
	defer race.end()
	var all errgroup.Group
	all.SetLimit(r.g.builder.Jobs())
	for i, t := range tests {
		own, ok := race.begin(ctx, i)
		if !ok {
			break
		}
		all.Go(func() error {
			err := r.Test(own, t, run)
			switch {
			case own.Err() != nil && ctx.Err() == nil:
				return nil // an earlier one has failed
			case err != nil:
				return fmt.Errorf("grade: %s: %w", t.Name, err)
			}
			if t.Status != report.Pass {
				race.failed(i)
			}
			r.tested(t)
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		return err
	}
	for _, t := range tests[min(race.first+1, len(tests)):] {
		*t = result.Test{Name: t.Name, Max: t.Max, Status: report.Skip, Skipped: NotRun}
	}
	return ctx.Err()
}

// firstFailure knows the first test, in order, that has failed.
type firstFailure struct {
	mu     sync.Mutex
	first  int // number of tests: none
	cancel []context.CancelFunc
}

// begin returns the context of test i, unless a test before it has failed.
func (f *firstFailure) begin(ctx context.Context, i int) (context.Context, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if i > f.first {
		return nil, false
	}
	own, cancel := context.WithCancel(ctx)
	f.cancel[i] = cancel
	return own, true
}

// failed stops all tests after i.
func (f *firstFailure) failed(i int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.first = min(f.first, i)
	for _, cancel := range f.cancel[i+1:] {
		if cancel != nil {
			cancel()
		}
	}
}

func (f *firstFailure) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, cancel := range f.cancel {
		if cancel != nil {
			cancel()
		}
	}
}
