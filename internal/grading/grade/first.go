package grade

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"distlabs/internal/grading/course"
	"distlabs/internal/harness/report"
)

// notRun is why a test has no verdict after FirstFailure.
const notRun = "not run: a test before it failed"

// FirstFailure grades parts of one lab of the working tree, for someone who waits
// for it: tests begin in the order of lab.yaml, and once one has failed, none after
// it is begun or waited for. So the test that the result shows as failed is the
// first, whatever the machine's load. Those without a verdict have the status skip.
func (g *Grader) FirstFailure(ctx context.Context, s course.Selected, run Run) (*Result, error) {
	src, selected := Source{Kind: WorkingTree}, []course.Selected{s}
	result := newResult(g.tools.Version, src, selected)
	w, err := g.assemble(src, selected)
	if err != nil {
		return nil, err
	}
	defer w.remove()
	p, lab := w.labs[s.Lab.ID], &result.Labs[0]
	g.tell(Progress{Stage: StageBuild, Lab: s.Lab.ID})
	if err := w.build(ctx, p); err != nil {
		return nil, err
	}
	lab.Notes, lab.Refused, lab.Compile = p.notes, p.refused, p.compile
	if p.refused == "" {
		if err := w.untilFailure(ctx, p, result, run); err != nil {
			return nil, err
		}
	}
	result.score()
	return result, nil
}

// untilFailure runs the result's tests, so many at a time as there are jobs.
func (w *workspace) untilFailure(ctx context.Context, p *prepared, result *Result, run Run) error {
	var tests []*TestResult
	result.Tests(func(_ *LabResult, _ *PartResult, t *TestResult) { tests = append(tests, t) })
	race := &firstFailure{first: len(tests), cancel: make([]context.CancelFunc, len(tests))}
	defer race.end()
	var all errgroup.Group
	all.SetLimit(w.g.jobs)
	for i, t := range tests {
		own, ok := race.begin(ctx, i)
		if !ok {
			break
		}
		all.Go(func() error {
			err := w.test(own, p, t, run)
			switch {
			case own.Err() != nil && ctx.Err() == nil:
				return nil // an earlier one has failed
			case err != nil:
				return fmt.Errorf("grade: %s: %w", t.Name, err)
			}
			if t.Status != report.Pass {
				race.failed(i)
			}
			w.g.tell(Progress{Stage: StageTested, Lab: p.lab.ID, Test: t.Name, Result: t})
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		return err
	}
	for _, t := range tests[min(race.first+1, len(tests)):] {
		*t = TestResult{Name: t.Name, Max: t.Max, Status: report.Skip, Skipped: notRun}
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
func (r *firstFailure) begin(ctx context.Context, i int) (context.Context, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i > r.first {
		return nil, false
	}
	own, cancel := context.WithCancel(ctx)
	r.cancel[i] = cancel
	return own, true
}

// failed stops all tests after i.
func (r *firstFailure) failed(i int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.first = min(r.first, i)
	for _, cancel := range r.cancel[i+1:] {
		if cancel != nil {
			cancel()
		}
	}
}

func (r *firstFailure) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, cancel := range r.cancel {
		if cancel != nil {
			cancel()
		}
	}
}
