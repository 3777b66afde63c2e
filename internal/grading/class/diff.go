package class

import (
	"errors"
	"fmt"
	"iter"
	"os"

	"distlabs/internal/grading/result"
	"distlabs/internal/harness/report"
)

// Change is a submission whose grade differs between two runs.
type Change struct {
	ID     string
	Before Mark
	After  Mark
	Why    []string // a sentence each; those about a test begin with its name
}

// Mark is the points of one side.
type Mark struct {
	Points, Max int
	Missing     bool // there is no result on this side
}

func (m Mark) String() string {
	if m.Missing {
		return "none"
	}
	return fmt.Sprintf("%d/%d", m.Points, m.Max)
}

// Comparison is two runs, or two results, side by side.
type Comparison struct {
	Asked   []string // in what the runs differ on which grades depend
	changes iter.Seq2[Change, error]
	Same    int // submissions whose grade is the same, once Changes has ended
}

// Changes compares submission by submission, keeping none.
func (c *Comparison) Changes() iter.Seq2[Change, error] { return c.changes }

// Diff compares two run directories, or two results.json.
func Diff(before, after string) (*Comparison, error) {
	infoA, errA := os.Stat(before)
	infoB, errB := os.Stat(after)
	switch {
	case errA != nil:
		return nil, usage("%s does not exist", before)
	case errB != nil:
		return nil, usage("%s does not exist", after)
	case infoA.IsDir() != infoB.IsDir():
		return nil, usage("%s and %s are a run and a result: want two of a kind", before, after)
	case !infoA.IsDir():
		return diffResults(before, after)
	}
	a, err := result.ReadRun(before)
	if err == nil {
		b, errB := result.ReadRun(after)
		if err = errB; err == nil {
			return diffRuns(a, b), nil
		}
	}
	if errors.Is(err, result.ErrNoRun) {
		return nil, usage("%v", err)
	}
	return nil, err
}

func diffResults(before, after string) (*Comparison, error) {
	a, err := result.Read(before)
	if err != nil {
		return nil, err
	}
	b, err := result.Read(after)
	if err != nil {
		return nil, err
	}
	c := &Comparison{}
	c.changes = func(yield func(Change, error) bool) {
		c.one(idOf(a, b), a, b, yield)
	}
	return c, nil
}

func idOf(results ...*result.Result) string {
	for _, r := range results {
		if r.Submission != nil {
			return r.Submission.ID
		}
	}
	return results[0].Source.Path
}

func diffRuns(a, b *result.RunDir) *Comparison {
	c := &Comparison{Asked: InfoDiff(a.Info, b.Info)}
	c.changes = func(yield func(Change, error) bool) {
		x, y := a.Info.Mine(), b.Info.Mine()
		for len(x) > 0 || len(y) > 0 {
			// Both lists are in the order of ids.
			id := ""
			switch {
			case len(y) == 0 || len(x) > 0 && x[0].ID < y[0].ID:
				id, x = x[0].ID, x[1:]
			case len(x) == 0 || y[0].ID < x[0].ID:
				id, y = y[0].ID, y[1:]
			default:
				id, x, y = x[0].ID, x[1:], y[1:]
			}
			ra, errA := resultOrNone(a, id)
			rb, errB := resultOrNone(b, id)
			if err := errors.Join(errA, errB); err != nil {
				if !yield(Change{ID: id}, err) {
					return
				}
				continue
			}
			if !c.one(id, ra, rb, yield) {
				return
			}
		}
	}
	return c
}

func resultOrNone(run *result.RunDir, id string) (*result.Result, error) {
	r, err := run.Result(id)
	if errors.Is(err, result.ErrNotGraded) {
		return nil, nil
	}
	return r, err
}

// one compares one submission; no result is a nil.
func (c *Comparison) one(id string, a, b *result.Result, yield func(Change, error) bool) bool {
	change := Change{ID: id, Before: markOf(a), After: markOf(b)}
	if a == nil && b == nil {
		return true
	}
	if a != nil && b != nil {
		change.Why = why(a, b)
		if change.Before == change.After && len(change.Why) == 0 {
			c.Same++
			return true
		}
		if a.Submission != nil && b.Submission != nil && a.Submission.Hash != b.Submission.Hash {
			change.Why = append([]string{"the submission itself has changed"}, change.Why...)
		}
	}
	return yield(change, nil)
}

func markOf(r *result.Result) Mark {
	if r == nil {
		return Mark{Missing: true}
	}
	return Mark{Points: r.Points, Max: r.Max}
}

// why lists what changed points, test by test, or why none could be earned.
func why(a, b *result.Result) []string {
	var list []string
	if a.Ungraded != b.Ungraded {
		list = append(list, said("not gradable", a.Ungraded, b.Ungraded))
	}
	refused := map[string]string{}
	for _, lab := range a.Labs {
		refused[lab.ID] = lab.Refused
	}
	hidden := map[string]bool{} // labs whose tests a refusal explains
	for _, lab := range b.Labs {
		if was, there := refused[lab.ID]; there && was != lab.Refused {
			hidden[lab.ID] = true
			list = append(list, said(lab.ID+" not run", was, lab.Refused))
		}
	}
	if a.Ungraded != b.Ungraded || len(hidden) == len(b.Labs) && len(hidden) > 0 {
		return list
	}
	return append(list, tests(a, b, hidden)...)
}

func said(what, before, after string) string {
	switch {
	case after == "":
		return fmt.Sprintf("%s before: %s", what, before)
	case before == "":
		return fmt.Sprintf("%s: %s", what, after)
	}
	return fmt.Sprintf("%s: %s (before: %s)", what, after, before)
}

// tests compares test by test; of a part that only one side has it says just that.
func tests(a, b *result.Result, skip map[string]bool) []string {
	before, partsB := map[string]result.Test{}, map[string]bool{}
	partsA := map[string]bool{}
	a.Tests(func(lab *result.Lab, p *result.Part, t *result.Test) {
		before[lab.ID+" "+t.Name], partsA[p.ID] = *t, true
	})
	var list []string
	b.Tests(func(lab *result.Lab, p *result.Part, t *result.Test) {
		was, there := before[lab.ID+" "+t.Name]
		delete(before, lab.ID+" "+t.Name)
		first := !partsB[p.ID]
		partsB[p.ID] = true
		switch {
		case skip[lab.ID]:
		case !partsA[p.ID] && first:
			list = append(list, fmt.Sprintf("part %s was not graded before: %d/%d", p.ID, p.Points, p.Max))
		case !partsA[p.ID]:
		case !there:
			list = append(list, fmt.Sprintf("%s is new: %s, %d/%d", t.Name, t.Status, t.Points, t.Max))
		case was.Points != t.Points || was.Max != t.Max || was.Status != t.Status:
			list = append(list, fmt.Sprintf("%s: %s %d/%d to %s %d/%d%s", t.Name, was.Status, was.Points, was.Max, t.Status, t.Points, t.Max, because(was, *t)))
		}
	})
	gone := ""
	a.Tests(func(lab *result.Lab, p *result.Part, t *result.Test) {
		_, left := before[lab.ID+" "+t.Name]
		switch {
		case !left || skip[lab.ID] || gone == p.ID:
		case !partsB[p.ID]:
			gone = p.ID
			list = append(list, fmt.Sprintf("part %s is not graded any more: it had %d/%d", p.ID, p.Points, p.Max))
		default:
			list = append(list, fmt.Sprintf("%s is gone: it was %s, %d/%d", t.Name, t.Status, t.Points, t.Max))
		}
	})
	return list
}

// because is what the failing side said, and on which seed.
func because(a, b result.Test) string {
	for _, side := range []struct {
		test result.Test
		when string
	}{{b, ""}, {a, "before: "}} {
		if side.test.Status == report.Fail && len(side.test.Failures) > 0 {
			f := side.test.Failures[0]
			if f.Seed != 0 {
				return fmt.Sprintf(" (%s%s, seed %d)", side.when, f.What, f.Seed)
			}
			return fmt.Sprintf(" (%s%s)", side.when, f.What)
		}
	}
	return ""
}
