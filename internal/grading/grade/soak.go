package grade

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"distlabs/internal/grading/course"
	"distlabs/internal/harness/report"
)

// Soak is one test over many seeds, each run twice.
type Soak struct {
	Procs int // processors that the process had
	Lab   string
	Part  string
	Test  TestResult
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
func (g *Grader) RunSoak(ctx context.Context, src Source, selected []course.Selected, run Run, procs []int) ([]Soak, error) {
	each, remove, err := g.assembleEach(src, selected)
	if err != nil {
		return nil, err
	}
	defer remove()
	run.Soak = true
	what := "reference"
	if src.Kind == Submission {
		what = "submission"
	}
	of := map[string]*workspace{} // by lab
	for i, s := range selected {
		w := each[i]
		of[s.Lab.ID] = w
		p := w.labs[s.Lab.ID]
		g.tell(Progress{Stage: StageBuild, Lab: s.Lab.ID})
		if err := w.build(ctx, p); err != nil {
			return nil, err
		}
		if p.refused != "" {
			return nil, fmt.Errorf("grade: the %s of %s is refused: %s", what, s.Lab.ID, p.refused)
		}
	}
	var all []Soak
	for _, n := range procs {
		run.Procs = n
		result := newResult(g.tools.Version, src, selected)
		if err := g.soak(ctx, of, result, run); err != nil {
			return nil, err
		}
		result.score()
		result.Tests(func(lab *LabResult, part *PartResult, t *TestResult) {
			all = append(all, Soak{Procs: n, Lab: lab.ID, Part: part.ID, Test: *t})
		})
	}
	return all, nil
}

// soak fills in a result, each test in as many processes as its seeds make chunks.
func (g *Grader) soak(ctx context.Context, of map[string]*workspace, result *Result, run Run) error {
	chunks, ctx := errgroup.WithContext(ctx)
	result.Tests(func(lab *LabResult, _ *PartResult, t *TestResult) {
		parts := make([]*TestResult, (run.Seeds+soakChunk-1)/soakChunk)
		var left atomic.Int64
		left.Store(int64(len(parts)))
		for i := range parts {
			run := run
			run.first = 1 + i*soakChunk
			run.Seeds = min(soakChunk, run.Seeds-i*soakChunk)
			parts[i] = &TestResult{Name: t.Name, Max: t.Max}
			chunks.Go(func() error {
				w := of[lab.ID]
				err := w.test(ctx, w.labs[lab.ID], parts[i], run)
				if left.Add(-1) == 0 {
					t.join(parts)
					if t.Status == report.Pass && len(t.Uncovered) > 0 {
						t.Status = report.Fail
						t.Failures = append(t.Failures, report.Vacuity(t.Name, t.Uncovered, fmt.Sprintf("%d seeds", t.Seeds),
							fmt.Sprintf("go run ./cmd/grade soak %s --seeds %d", lab.ID, t.Seeds)))
					}
					g.tell(Progress{Stage: StageTested, Lab: lab.ID, Test: t.Name, Result: t})
				}
				return err
			})
		}
	})
	return chunks.Wait()
}

// join makes one result of those of a test's chunks. It passes if all do; of a measure the worst counts; what one chunk
// covered is covered.
func (t *TestResult) join(chunks []*TestResult) {
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
				t.Measures[at].Value = m.Worse(t.Measures[at].Value)
			}
		}
	}
}
