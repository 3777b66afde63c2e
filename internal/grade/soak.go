package grade

import (
	"context"
	"fmt"

	"distlabs/internal/course"
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
	var all []Soak
	for _, n := range procs {
		run.Procs = n
		result := newResult(g.tools.Version, src, selected)
		for i := range selected {
			if err := each[i].gradeLab(ctx, &result.Labs[i], selected[i], run); err != nil {
				return nil, err
			}
			if refused := result.Labs[i].Refused; refused != "" {
				return nil, fmt.Errorf("grade: the %s of %s is refused: %s", what, selected[i].Lab.ID, refused)
			}
		}
		result.score()
		result.Tests(func(lab *LabResult, part *PartResult, t *TestResult) {
			all = append(all, Soak{Procs: n, Lab: lab.ID, Part: part.ID, Test: *t})
		})
	}
	return all, nil
}
