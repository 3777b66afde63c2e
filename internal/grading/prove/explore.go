package prove

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/grade"
	"distlabs/internal/grading/result"
	"distlabs/internal/grading/submission"
	"distlabs/internal/grading/workspace"
	"distlabs/internal/harness/report"
)

// Search says how schedules are searched: see package explore. The zero value of a field is the default.
type Search struct {
	grade.Run
	Strategy  string // own (the test's), random, pct, depth-first, by-state or sampled
	Schedules int
}

// DefaultSearch is what grade explore does.
var DefaultSearch = Search{Strategy: "own", Schedules: 5000, Run: grade.Run{Seed: "1"}}

// env is what the test harness reads.
func (s Search) env() string {
	return fmt.Sprintf("LABS_EXPLORE=%s:%d:%s", s.Strategy, s.Schedules, s.Seed)
}

// Refused is the error for a source of which nothing can be run, and says why.
type Refused string

func (r Refused) Error() string { return string(r) }

// Explored is what the search of one test has found.
type Explored struct {
	Lab, Part string
	Test      result.Test // Measures say how much was searched
	Confirmed bool        // under the race detector the same schedule fails too
}

// Found reports whether a schedule failed.
func (e Explored) Found() bool { return e.Test.Status == report.Fail }

// Schedules returns how many schedules were run.
func (e Explored) Schedules() int { return e.Test.Seeds }

// Explore searches the schedules of those selected tests that have some, without the race detector, which would make it
// six times as long. A schedule that fails is run once more with it.
func (p *Prover) Explore(ctx context.Context, src submission.Source, selected []course.Selected, s Search) ([]Explored, error) {
	w, err := p.builder().Assemble(src, selected)
	if err != nil {
		return nil, err
	}
	defer w.Remove()
	w.Plain = true
	run := s.parts()[0].run() // which tells the tests that search from the others
	graded := p.g.Blank(src, selected)
	for i := range graded.Labs {
		if err := p.g.GradeLab(ctx, w, &graded.Labs[i], run); err != nil {
			return nil, err
		}
		if refused := graded.Labs[i].Refused; refused != "" {
			return nil, fmt.Errorf("prove: %s: %w", graded.Labs[i].ID, Refused(refused))
		}
	}
	var all []Explored
	graded.Tests(func(lab *result.Lab, part *result.Part, t *result.Test) {
		if t.Status != report.Skip {
			all = append(all, Explored{Lab: lab.ID, Part: part.ID, Test: *t})
		}
	})
	last := make([]Search, len(all))
	for i := range all {
		last[i], err = goOn(ctx, p.g.Runner(w, all[i].Lab), &all[i].Test, s, p.builder().Jobs())
		if err != nil {
			return nil, err
		}
	}
	w.Plain = false
	for i := range all {
		if !all[i].Found() {
			continue
		}
		if err := p.confirm(ctx, w, &all[i], last[i]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// confirm runs a schedule that failed once more, with the race detector.
func (p *Prover) confirm(ctx context.Context, w *workspace.Workspace, e *Explored, s Search) error {
	f := &e.Test.Failures[0]
	env := assignments(f.Replay)
	if !slices.ContainsFunc(env, func(v string) bool { return strings.HasPrefix(v, "LABS_SCHEDULE=") }) {
		// A crash or a hang: it shows in the same search.
		env = []string{s.env()}
		f.Replay = s.env() + " " + f.Replay
	}
	if err := w.Build(ctx, w.Lab(e.Lab)); err != nil {
		return err
	}
	run := s.Run
	run.Seed, run.Traces, run.Env = "", nil, env
	again := result.Test{Name: e.Test.Name}
	if err := p.g.Runner(w, e.Lab).Test(ctx, &again, run); err != nil {
		return err
	}
	e.Confirmed = again.Status == report.Fail
	return nil
}

// A Comparison is how many schedules each strategy takes to find one mutant.
type Comparison struct {
	Mutant Mutant
	Part   string
	Needed map[string][]int // by strategy, a number for each repetition, ascending; those that found nothing are left out
}

// Compare searches the schedules of the named mutants of the selected parts (of all, if none is named) with each of the strategies,
// several times from different seeds, until one fails.
func (p *Prover) Compare(ctx context.Context, selected []course.Selected, names []string, s Search, strategies []string, repeat int) ([]Comparison, error) {
	mutants, err := p.mutantsOf(selected)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if !slices.ContainsFunc(mutants, func(m Mutant) bool { return m.Name == name }) {
			return nil, fmt.Errorf("prove: the selected parts have no mutant %q", name)
		}
	}
	mutants = slices.DeleteFunc(mutants, func(m Mutant) bool { return len(names) > 0 && !slices.Contains(names, m.Name) })
	all := make([]Comparison, len(mutants))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(2 * p.builder().Jobs())
	for i, m := range mutants {
		group.Go(func() (err error) {
			all[i], err = p.compare(ctx, m, s, strategies, repeat)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return all, nil
}

// compare searches the schedules of one mutant.
func (p *Prover) compare(ctx context.Context, m Mutant, s Search, strategies []string, repeat int) (Comparison, error) {
	c := Comparison{Mutant: m, Needed: map[string][]int{}}
	whole, err := p.course().Select(m.Lab)
	if err != nil {
		return c, err
	}
	c.Part = m.Part(whole[0].Lab)
	part, err := p.course().Select(c.Part)
	if err != nil {
		return c, err
	}
	src, err := m.Source(p.course())
	if err != nil {
		return c, err
	}
	w, err := p.builder().Assemble(src, whole)
	if err != nil {
		return c, err
	}
	defer w.Remove()
	w.Plain = true
	runner, err := p.g.Build(ctx, w, m.Lab, m.Name)
	if err != nil {
		return c, err
	}
	if why := runner.Refused(); why != "" {
		return c, fmt.Errorf("prove: mutant %s: %s", m.Name, why)
	}
	explores := map[string]bool{}
	for _, strategy := range strategies {
		for i := range repeat {
			s.Strategy, s.Seed = strategy, strconv.Itoa(1+i*1_000_000)
			needed := 0
			for _, t := range part[0].Parts[0].Tests {
				if known, no := explores[t.Name]; no && !known {
					continue
				}
				r := result.Test{Name: t.Name}
				if err := runner.Test(ctx, &r, s.run()); err != nil {
					return c, err
				}
				explores[t.Name] = r.Status != report.Skip
				if r.Status == report.Fail && (needed == 0 || r.Seeds < needed) {
					needed = r.Seeds
				}
			}
			if needed > 0 {
				c.Needed[strategy] = append(c.Needed[strategy], needed)
			}
		}
		slices.Sort(c.Needed[strategy])
	}
	return c, nil
}

// assignments are the variables that a command line sets.
func assignments(command string) (list []string) {
	for word := range strings.FieldsSeq(command) {
		if name, _, ok := strings.Cut(word, "="); !ok || name != strings.ToUpper(name) {
			break
		}
		list = append(list, word)
	}
	return list
}
