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

// Soak is one test over many seeds.
type Soak struct {
	Procs int // processors that the process had
	Lab   string
	Part  string
	Test  result.Test
}

// Clean reports whether every seed passed, and replayed identically if that was asked of it. A test that
// ran fewer seeds than asked has not shown that.
func (s Soak) Clean(seeds int) bool {
	return s.Test.Status == report.Pass && len(s.Test.Failed) == 0 && len(s.Test.Failures) == 0 && len(s.Test.Diverged) == 0 && s.Test.Seeds >= seeds
}

// RefusedError is the error of a source that may not run, or does not compile.
type RefusedError struct {
	Source string // reference or submission, or as the caller calls it
	Lab    string // its ID
	Why    string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("prove: the %s of %s is refused: %s", e.Source, e.Lab, e.Why)
}

// soakChunk is how many seeds one process of a soak runs. The race detector never gives back some megabytes a seed,
// and the last test of a long list should keep more than one processor at work.
const soakChunk = 50

// RunSoak runs the selected tests of a source over so many seeds, once for every number of processors in procs, and goes on
// after a failure. Each seed runs once with the race detector, unless run.Plain is set, and twice without it, and all its runs must be the same.
// With run.Once set it runs once in each build, and need not replay.
// With an error it returns the soaks of the tests that were finished: none with a RefusedError.
func (p *Prover) RunSoak(ctx context.Context, src submission.Source, selected []course.Selected, run grade.Run, procs []int) ([]Soak, error) {
	run.Soak = true
	var builds []soakBuild
	plain := []bool{false, true}
	if run.Plain {
		plain = plain[1:]
	}
	for _, plain := range plain {
		build := run
		build.Plain = plain
		b, remove, err := p.soakBuild(ctx, src, selected, build)
		if err != nil {
			return nil, err
		}
		defer remove()
		builds = append(builds, b)
	}
	var all []Soak
	for _, n := range procs {
		run.Procs = n
		graded := p.g.Blank(src, selected)
		err := p.soak(ctx, builds, graded, run)
		graded.Score()
		graded.Tests(func(lab *result.Lab, part *result.Part, t *result.Test) {
			if err == nil || t.Seeds > 0 {
				all = append(all, Soak{Procs: n, Lab: lab.ID, Part: part.ID, Test: *t})
			}
		})
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// A soakBuild has the runner of each lab, by its ID.
type soakBuild map[string]*grade.Runner

func (p *Prover) soakBuild(ctx context.Context, src submission.Source, selected []course.Selected, run grade.Run) (b soakBuild, remove func(), err error) {
	each, drop, err := p.builder().AssembleEach(src, selected)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			drop()
		}
	}()
	what := "reference"
	if src.Kind == course.Submission {
		what = "submission"
	}
	b = soakBuild{}
	for i, s := range selected {
		each[i].Plain, each[i].Unchecked = run.Plain, run.Seeds > soakChunk
		r, err := p.g.Build(ctx, each[i], s.Lab.ID, "")
		if err != nil {
			return nil, nil, err
		}
		if why := r.Refused(); why != "" {
			return nil, nil, &RefusedError{Source: what, Lab: s.Lab.ID, Why: why}
		}
		b[s.Lab.ID] = r
	}
	return b, drop, nil
}

// soak fills in a result, each test in as many processes as its seeds make chunks. A test of which a chunk did not end stays blank.
func (p *Prover) soak(ctx context.Context, builds []soakBuild, graded *result.Result, run grade.Run) error {
	chunks, ctx := errgroup.WithContext(ctx)
	graded.Tests(func(lab *result.Lab, _ *result.Part, t *result.Test) {
		parts := make([]*result.Test, (run.Seeds+soakChunk-1)/soakChunk)
		var left atomic.Int64
		left.Store(int64(len(parts)))
		var explained atomic.Bool
		for i := range parts {
			run := run
			run.First = 1 + i*soakChunk
			run.Seeds = min(soakChunk, run.Seeds-i*soakChunk)
			parts[i] = &result.Test{Name: t.Name, Max: t.Max}
			chunks.Go(func() error {
				err := soakPart(ctx, builds, lab.ID, parts[i], run, &explained)
				if err == nil && left.Add(-1) == 0 {
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
