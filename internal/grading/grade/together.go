package grade

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"distlabs/internal/grading/result"
	"distlabs/internal/grading/tidy"
	"distlabs/internal/harness/report"
)

// together runs the tests of a lab, several in a process, and fills in their results: under the race detector, to start a process
// costs more than most tests. Once a test has failed, each of those that have not begun has a process of its own, as in Runner.Test.
func (r *Runner) together(ctx context.Context, out *result.Lab, run Run) error {
	jobs := r.g.builder.Jobs()
	q := &queue{share: 4 * jobs}
	for i := range out.Parts {
		for j := range out.Parts[i].Tests {
			q.tests = append(q.tests, &out.Parts[i].Tests[j])
		}
	}
	all, ctx := errgroup.WithContext(ctx)
	for range jobs {
		all.Go(func() error {
			for tests := q.take(); len(tests) > 0; tests = q.take() {
				left, err := r.batch(ctx, tests, run)
				if err != nil {
					return err
				}
				if left != nil {
					q.putBack(left)
				}
			}
			return nil
		})
	}
	return all.Wait()
}

// queue holds the tests that have not begun. It is safe for concurrent use.
type queue struct {
	share int // a batch is this part of what is left: the last ones are small, so that all processors are busy to the end
	mu    sync.Mutex
	tests []*result.Test
	alone bool // a batch is one test
}

func (q *queue) take() []*result.Test {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := (len(q.tests) + q.share - 1) / q.share
	if q.alone {
		n = min(1, n)
	}
	batch := q.tests[:n]
	q.tests = q.tests[n:]
	return batch
}

// putBack takes those of a batch that a failure kept from having a result.
func (q *queue) putBack(tests []*result.Test) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.tests, q.alone = slices.Concat(tests, q.tests), true
}

// batch runs tests in one process until one fails. It fills in the results of those that were over, and returns the others; nil if no
// test of several failed.
func (r *Runner) batch(ctx context.Context, tests []*result.Test, run Run) (left []*result.Test, err error) {
	if len(tests) == 1 {
		err := r.Test(ctx, tests[0], run)
		if err == nil {
			r.tested(tests[0])
		}
		return nil, err
	}
	release, err := r.g.builder.Slot(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	own, err := r.w.Own()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, tidy.RemoveAll(own)) }()
	names := make([]string, len(tests))
	for i, t := range tests {
		names[i] = t.Name
	}
	out, err := r.processOf(ctx, names, run, own)
	if err != nil {
		return nil, err
	}
	var end Several
	culprit := end.follow(out, names)
	for _, t := range tests {
		v := r.verdict(t.Name)
		switch {
		case t.Name == culprit && out.Stopped == "" && v.of(out).began():
			v.out, v.traces = out, filepath.Join(own, "traces")
			if run.Traces != nil {
				if v.kept, err = keep(v.traces, run.Traces(r.lab.Lab)); err != nil {
					return nil, err
				}
			}
		case t.Name != culprit && slices.Contains(end.Passed, t.Name):
			v = v.of(out)
		default: // it did not begin, or may not be the one at fault
			left = append(left, t)
			continue
		}
		v.fill(t)
		r.tested(t)
	}
	if culprit != "" && left == nil {
		left = []*result.Test{}
	}
	return left, nil
}

// processOf runs the process of several tests. It is stopped when one of them takes more than its time.
func (r *Runner) processOf(ctx context.Context, tests []string, run Run, own string) (outcome, error) {
	each := func(e report.Event) {
		if e.Kind == report.Start || e.Kind == report.Seed {
			r.g.Tell(Progress{Stage: StageTest, Lab: r.lab.ID, Test: e.Test, Seed: e.Seed})
		}
	}
	timeout := lifeOf(timeoutOf(run)) * time.Duration(len(tests)) // which none comes to, so that the limit that a sentence names is that of one
	c := r.untilFirst(tests, timeout, run, r.g.testLimits(run, timeout), own)
	return reporting(ctx, r.g.builder.Box(), c, clocks{begin: beginningOf(run), test: lifeOf(timeoutOf(run))}, each)
}

// of is the verdict on a test that was over before another one of its process failed, if any did: what came later is not its.
func (v verdict) of(out outcome) verdict {
	for _, e := range out.events {
		if e.Test == v.test {
			v.out.events = append(v.out.events, e)
		}
	}
	v.out.events = append(v.out.events, report.Event{Kind: report.Done})
	return v
}

func (r *Runner) tested(t *result.Test) {
	r.g.Tell(Progress{Stage: StageTested, Lab: r.lab.ID, Test: t.Name, Result: t})
}
