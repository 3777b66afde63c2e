package prove

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/grade"
	"distlabs/internal/grading/result"
	"distlabs/internal/harness/report"
)

// MutantRun says how mutants are run. With Minimise, a result says how many faults are enough; without, nobody looks at a failure.
type MutantRun struct {
	grade.Run
	Repeat    int  // repetitions; 0: one
	NamedOnly bool // only the test that must notice, not all of the lab
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
	Enough  *report.Measure // with Run.Minimise: how many faults are enough for it; nil if that is not about faults
}

// Dead reports whether the named test killed the mutant in every repetition.
func (f MutantResult) Dead() bool {
	return f.Invalid == "" && f.Runs > 0 && f.Killed[f.Mutant.DiesBy] == f.Runs
}

// Convicted reports whether the named test killed the mutant in every repetition, each time under a rule that the mutant breaks.
func (f MutantResult) Convicted() bool { return f.Dead() && f.Astray == "" }

// RunMutants runs every mutant whose named test is selected, and reports them
// in the order of labs and names. The error is about this checkout or machine,
// such as a patch that does not apply.
func (p *Prover) RunMutants(ctx context.Context, selected []course.Selected, run MutantRun) ([]MutantResult, error) {
	mutants, err := p.mutantsOf(selected)
	if err != nil {
		return nil, err
	}
	fates := make([]MutantResult, len(mutants))
	var all errgroup.Group
	all.SetLimit(2 * p.builder().Jobs()) // each keeps a binary of some MiB on disk while it lives
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for i, m := range mutants {
		all.Go(func() (err error) {
			if fates[i], err = p.RunMutant(ctx, m, run); err != nil {
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
func (p *Prover) mutantsOf(selected []course.Selected) ([]Mutant, error) {
	var list []Mutant
	for _, s := range selected {
		mutants, err := Mutants(p.course(), s.Lab)
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
func (p *Prover) RunMutant(ctx context.Context, m Mutant, run MutantRun) (MutantResult, error) {
	whole, err := p.course().Select(m.Lab)
	if err != nil {
		return MutantResult{}, err
	}
	lab := whole[0].Lab
	fate := MutantResult{Mutant: m, Part: m.Part(lab), Killed: map[string]int{}}
	together, err := p.shared(ctx, lab, m.raced())
	if err != nil {
		return fate, err
	}
	run.Silent = !run.Minimise
	runner, env := together.runner(p.g, m.Name)
	if run.Env = append(slices.Clone(run.Env), env...); runner == nil {
		fate.Alone = true
		src, err := m.Source(p.course())
		if err != nil {
			return fate, err
		}
		w, err := p.builder().Assemble(src, whole)
		if err != nil {
			return fate, err
		}
		defer w.Remove()
		w.Plain = !m.raced()
		if runner, err = p.g.Build(ctx, w, m.Lab, m.Name); err != nil {
			return fate, err
		}
		if fate.Invalid = runner.Refused(); fate.Invalid != "" {
			p.g.Tell(grade.Progress{Stage: grade.StageMutant, Lab: lab.ID, Mutant: m.Name, Problem: fate.problem()})
			return fate, nil
		}
	}
	for range max(run.Repeat, 1) {
		if err := p.runOnce(ctx, runner, lab, &fate, run); err != nil {
			return fate, err
		}
		fate.Runs++
	}
	p.g.Tell(grade.Progress{Stage: grade.StageMutant, Lab: lab.ID, Mutant: m.Name, Problem: fate.problem()})
	return fate, nil
}

// problem says what is wrong with the tests, or with the mutant; "" if nothing is.
func (f MutantResult) problem() string {
	switch {
	case f.Invalid != "":
		return "could not be run: " + f.Invalid
	case !f.Dead():
		return "survived " + f.Mutant.DiesBy
	case f.Astray != "":
		return "was killed by " + f.Mutant.DiesBy + " under " + f.Astray
	}
	return ""
}

// runOnce runs the tests of a mutant and counts the kills.
func (p *Prover) runOnce(ctx context.Context, runner *grade.Runner, lab course.Lab, f *MutantResult, run MutantRun) error {
	var results []result.Test
	for _, t := range lab.Tests() {
		if !run.NamedOnly || t.Name == f.Mutant.DiesBy {
			results = append(results, result.Test{Name: t.Name, Max: t.Points})
		}
	}
	tests, ctx := errgroup.WithContext(ctx)
	for i := range results {
		tests.Go(func() error {
			if err := runner.Test(ctx, &results[i], run.Run); err != nil {
				return fmt.Errorf("mutant %s: %w", f.Mutant.Name, err)
			}
			p.g.Tell(grade.Progress{Stage: grade.StageTested, Lab: lab.ID, Mutant: f.Mutant.Name, Test: results[i].Name, Result: &results[i]})
			return nil
		})
	}
	if err := tests.Wait(); err != nil {
		return err
	}
	for _, t := range results {
		f.count(t)
	}
	return nil
}

// count takes in what a test did with the mutant.
func (f *MutantResult) count(t result.Test) {
	if t.Kills() {
		f.Killed[t.Name]++
		if t.Name == f.Mutant.DiesBy && f.Astray == "" {
			f.Astray = f.Mutant.astray(t.Failures[0])
		}
	}
	if t.Name != f.Mutant.DiesBy || len(t.Failures) == 0 || f.Said.What != "" {
		return
	}
	f.Said = t.Failures[0]
	if i := slices.IndexFunc(t.Measures, func(m report.Measure) bool { return m.Name == report.Enough }); i >= 0 {
		f.Enough = &t.Measures[i]
	}
}
