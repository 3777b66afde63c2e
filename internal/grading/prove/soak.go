package prove

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/grade"
	"distlabs/internal/grading/result"
	"distlabs/internal/grading/submission"
	"distlabs/internal/harness/report"
)

// Soak is one test over many seeds, each run twice.
type Soak struct {
	Procs int // processors that the process had
	Lab   string
	Part  string
	Test  result.Test
}

// Clean reports whether every seed passed and replayed identically. A test that
// ran fewer seeds than asked has not shown that.
func (s Soak) Clean(seeds int) bool {
	return s.Test.Points == s.Test.Max && len(s.Test.Failed) == 0 && len(s.Test.Diverged) == 0 && s.Test.Seeds >= seeds
}

// soakChunk is how many seeds one process of a soak runs. The race detector never gives back some megabytes a seed,
// and the last test of a long list should keep more than one processor at work.
const soakChunk = 200

// RunSoak runs the selected tests of a source over so many seeds, once for
// every number of processors in procs. The harness then runs each seed twice,
// compares the two recorded runs, and goes on after a failure.
func (p *Prover) RunSoak(ctx context.Context, src submission.Source, selected []course.Selected, run grade.Run, procs []int) ([]Soak, error) {
	each, remove, err := p.builder().AssembleEach(src, selected)
	if err != nil {
		return nil, err
	}
	defer remove()
	run.Soak = true
	what := "reference"
	if src.Kind == course.Submission {
		what = "submission"
	}
	runners := map[string]*grade.Runner{} // by lab
	for i, s := range selected {
		each[i].Plain = run.Plain
		r, err := p.g.Build(ctx, each[i], s.Lab.ID, "")
		if err != nil {
			return nil, err
		}
		if why := r.Refused(); why != "" {
			return nil, fmt.Errorf("prove: the %s of %s is refused: %s", what, s.Lab.ID, why)
		}
		runners[s.Lab.ID] = r
	}
	var all []Soak
	for _, n := range procs {
		run.Procs = n
		graded := p.g.Blank(src, selected)
		if err := p.soak(ctx, runners, graded, run); err != nil {
			return nil, err
		}
		graded.Score()
		graded.Tests(func(lab *result.Lab, part *result.Part, t *result.Test) {
			all = append(all, Soak{Procs: n, Lab: lab.ID, Part: part.ID, Test: *t})
		})
	}
	return all, nil
}

// soak fills in a result, each test in as many processes as its seeds make chunks.
func (p *Prover) soak(ctx context.Context, runners map[string]*grade.Runner, graded *result.Result, run grade.Run) error {
	chunks, ctx := errgroup.WithContext(ctx)
	graded.Tests(func(lab *result.Lab, _ *result.Part, t *result.Test) {
		parts := make([]*result.Test, (run.Seeds+soakChunk-1)/soakChunk)
		var left atomic.Int64
		left.Store(int64(len(parts)))
		for i := range parts {
			run := run
			run.First = 1 + i*soakChunk
			run.Seeds = min(soakChunk, run.Seeds-i*soakChunk)
			parts[i] = &result.Test{Name: t.Name, Max: t.Max}
			chunks.Go(func() error {
				err := runners[lab.ID].Test(ctx, parts[i], run)
				if left.Add(-1) == 0 {
					join(t, parts)
					if t.Status == report.Pass && len(t.Uncovered) > 0 {
						t.Status = report.Fail
						t.Failures = append(t.Failures, report.Vacuity(t.Name, t.Uncovered, fmt.Sprintf("%d seeds", t.Seeds),
							fmt.Sprintf("go run ./cmd/grade soak %s --seeds %d", lab.ID, t.Seeds)))
					}
					p.g.Tell(grade.Progress{Stage: grade.StageTested, Lab: lab.ID, Test: t.Name, Result: t})
				}
				return err
			})
		}
	})
	return chunks.Wait()
}

// join makes one result of those of a test's chunks. It passes if all do; of a measure the worst counts; what one chunk
// covered is covered.
func join(t *result.Test, chunks []*result.Test) {
	t.Status, t.Uncovered = report.Pass, chunks[0].Uncovered
	for _, c := range chunks {
		if c.Status != report.Pass {
			t.Status, t.Skipped = c.Status, c.Skipped
		}
		t.Seeds += c.Seeds
		t.Uncovered = slices.DeleteFunc(slices.Clone(t.Uncovered), func(what string) bool { return !slices.Contains(c.Uncovered, what) })
		t.Virtual += c.Virtual
		t.Real += c.Real
		t.Failed = append(t.Failed, c.Failed...)
		t.Diverged = append(t.Diverged, c.Diverged...)
		t.Failures = append(t.Failures, c.Failures...)
		for _, m := range c.Measures {
			at := slices.IndexFunc(t.Measures, func(o report.Measure) bool { return o.Name == m.Name })
			if at < 0 {
				t.Measures = append(t.Measures, m)
			} else {
				t.Measures[at] = report.Worst(t.Measures[at], m)
			}
		}
	}
}
