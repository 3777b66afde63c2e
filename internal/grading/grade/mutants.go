package grade

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"distlabs/internal/grading/course"
	"distlabs/internal/harness/report"
)

// MutantRun says how mutants are run.
type MutantRun struct {
	Run
	Repeat    int  // repetitions; 0: one
	NamedOnly bool // only the test that must notice, not all of the lab
	Minimise  bool // look for the faults that are enough for each failure
}

// MutantResult is what became of one mutant.
type MutantResult struct {
	Mutant  Mutant
	Part    string          // of the test that it names
	Alone   bool            // it has a build of its own, not one shared with others
	Invalid string          // why it could not be run: it does not compile, or the gate refuses it
	Runs    int             // repetitions
	Killed  map[string]int  // by test: how many repetitions killed it
	Said    report.Failure  // the named test's first failure, even one that is no kill
	Astray  string          // of the first kill by the named test that is about no rule that the mutant breaks: "rule 27, want rule 12"
	Enough  *report.Measure // with MutantRun.Minimise: how many faults are enough for it; nil if that is not about faults
}

// Dead reports whether the named test killed the mutant in every repetition.
func (f MutantResult) Dead() bool {
	return f.Invalid == "" && f.Runs > 0 && f.Killed[f.Mutant.DiesBy] == f.Runs
}

// Convicted reports whether the named test killed the mutant in every repetition, each time under a rule that the mutant breaks.
func (f MutantResult) Convicted() bool { return f.Dead() && f.Astray == "" }

// Kills reports whether a test's result kills a mutant. A test that found itself
// vacuous, or a harness that tripped over itself, has noticed nothing.
func (t TestResult) Kills() bool {
	if t.Status != report.Fail || len(t.Failures) == 0 {
		return false
	}
	kind := t.Failures[0].Kind
	return kind != report.Vacuous && kind != report.Malformed
}

// FindsWrong reports whether a test that was given a stub finds it wrong. A search of schedules asks for nothing to happen, and
// with a stub nothing does: all that it can say is that it is vacuous, which earns nothing.
func (t TestResult) FindsWrong() bool {
	searches := slices.ContainsFunc(t.Measures, func(m report.Measure) bool { return m.Name == report.Schedules })
	return t.Kills() || searches && t.Status == report.Fail && t.Failures[0].Kind == report.Vacuous
}

// RunMutants runs every mutant whose named test is selected, and reports them
// in the order of labs and names. The error is about this checkout or machine,
// such as a patch that does not apply.
func (g *Grader) RunMutants(ctx context.Context, selected []course.Selected, run MutantRun) ([]MutantResult, error) {
	mutants, err := g.mutantsOf(selected)
	if err != nil {
		return nil, err
	}
	fates := make([]MutantResult, len(mutants))
	var all errgroup.Group
	all.SetLimit(2 * g.jobs) // each keeps a binary of some MiB on disk while it lives
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for i, m := range mutants {
		all.Go(func() (err error) {
			if fates[i], err = g.RunMutant(ctx, m, run); err != nil {
				cancel()
			}
			return err
		})
	}
	if err := all.Wait(); err != nil {
		return nil, err
	}
	return fates, nil
}

// mutantsOf lists the mutants of the selected parts.
func (g *Grader) mutantsOf(selected []course.Selected) ([]Mutant, error) {
	var list []Mutant
	for _, s := range selected {
		mutants, err := Mutants(g.course, s.Lab)
		if err != nil {
			return nil, err
		}
		for _, m := range mutants {
			if slices.ContainsFunc(s.Parts, func(p course.Part) bool { return p.ID == m.Part(s.Lab) }) {
				list = append(list, m)
			}
		}
	}
	return list, nil
}

// RunMutant builds one mutant once, together with others where that can be, and runs its tests as often as asked.
func (g *Grader) RunMutant(ctx context.Context, m Mutant, run MutantRun) (MutantResult, error) {
	whole, err := g.course.Select(m.Lab)
	if err != nil {
		return MutantResult{}, err
	}
	fate := MutantResult{Mutant: m, Part: m.Part(whole[0].Lab), Killed: map[string]int{}}
	together, err := g.sharedBuild(ctx, whole[0].Lab)
	if err != nil {
		return fate, err
	}
	w, p := together.w, together.p
	if run.mutant = together.number[m.Name]; run.mutant == 0 {
		fate.Alone = true
		if w, err = g.assemble(Source{Kind: MutantKind, Mutant: m}, whole); err != nil {
			return fate, err
		}
		defer w.remove()
		p = w.labs[m.Lab]
		g.tell(Progress{Stage: StageBuild, Lab: m.Lab, Mutant: m.Name})
		if err := w.build(ctx, p); err != nil {
			return fate, err
		}
		if fate.Invalid = p.refused; fate.Invalid != "" {
			return fate, nil
		}
	}
	for range max(run.Repeat, 1) {
		if err := w.runMutantOnce(ctx, p, &fate, run); err != nil {
			return fate, err
		}
		fate.Runs++
	}
	return fate, nil
}

// runMutantOnce runs the tests of a mutant and counts the kills.
func (w *workspace) runMutantOnce(ctx context.Context, p *prepared, f *MutantResult, run MutantRun) error {
	var results []TestResult
	run.minimise, run.silent = run.Minimise, !run.Minimise
	for _, t := range p.lab.Tests() {
		if !run.NamedOnly || t.Name == f.Mutant.DiesBy {
			results = append(results, TestResult{Name: t.Name, Max: t.Points})
		}
	}
	tests, ctx := errgroup.WithContext(ctx)
	for i := range results {
		tests.Go(func() error {
			if err := w.test(ctx, p, &results[i], run.Run); err != nil {
				return fmt.Errorf("mutant %s: %w", f.Mutant.Name, err)
			}
			w.g.tell(Progress{Stage: StageTested, Lab: p.lab.ID, Mutant: f.Mutant.Name, Test: results[i].Name, Result: &results[i]})
			return nil
		})
	}
	if err := tests.Wait(); err != nil {
		return err
	}
	for _, t := range results {
		if t.Kills() {
			f.Killed[t.Name]++
			if t.Name == f.Mutant.DiesBy && f.Astray == "" {
				f.Astray = f.Mutant.astray(t.Failures[0])
			}
		}
		if t.Name == f.Mutant.DiesBy && len(t.Failures) > 0 && f.Said.What == "" {
			f.Said = t.Failures[0]
			if i := slices.IndexFunc(t.Measures, func(m report.Measure) bool { return m.Name == report.Enough }); i >= 0 {
				f.Enough = &t.Measures[i]
			}
		}
	}
	return nil
}
