package prove

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/grade"
	"distlabs/internal/grading/prove/generate"
	"distlabs/internal/grading/submission"
	"distlabs/internal/grading/tidy"
	"distlabs/internal/grading/workspace"
	"distlabs/internal/harness/report"
)

// GeneratedRun says which generated mutants are run. The zero value runs all.
type GeneratedRun struct {
	Files     []string // mutants of these files only
	Operators []string // made by these operators only
	Keys      []string // that have one of these in their key
	Limit     int      // so many at most, chosen by Seed; 0: all
	Seed      uint64
}

// Outcome is what became of a generated mutant.
type Outcome string

// The fates.
const (
	Killed      Outcome = "killed"
	Survived    Outcome = "survived"
	NotCompiled Outcome = "not compiled"
	NotRun      Outcome = "not run" // the work was interrupted before
)

// GeneratedMutant is one generated mutant and its outcome.
type GeneratedMutant struct {
	generate.Mutant
	Outcome    Outcome
	Equivalent string         // why no observer can tell it from the reference; "" unless equivalent.yaml says so
	By         string         // the test that killed it
	Failure    report.Failure // what that test said
	Wrong      string         // NotCompiled: what the compiler says
	Unreached  bool           // no test reaches the place of the edit
}

// Generated is the generated mutants of one lab.
type Generated struct {
	Lab     course.Lab
	All     int               // how many there are, of which Mutants may be a choice
	Mutants []GeneratedMutant // in the order of files and lines
	Unknown []Equivalent      // entries of equivalent.yaml that are about no mutant
}

// Count returns how many mutants have an outcome, without those that are listed as equivalent.
func (g Generated) Count(outcome Outcome) int {
	n := 0
	for _, m := range g.Mutants {
		if m.Outcome == outcome && m.Equivalent == "" {
			n++
		}
	}
	return n
}

// Wrongly lists the mutants that are listed as equivalent and do not survive.
func (g Generated) Wrongly() (list []GeneratedMutant) {
	for _, m := range g.Mutants {
		if m.Equivalent != "" && m.Outcome != Survived && m.Outcome != NotRun {
			list = append(list, m)
		}
	}
	return list
}

// Proven reports whether every mutant is accounted for: killed, or listed as equivalent and alive.
func (g Generated) Proven() bool {
	ran := !slices.ContainsFunc(g.Mutants, func(m GeneratedMutant) bool { return m.Outcome == NotRun })
	return ran && g.Count(Survived) == 0 && len(g.Wrongly()) == 0 && len(g.Unknown) == 0
}

// RunGenerated derives mutants from the reference of one lab and runs its tests on each, until one fails. They are built
// together and without the race detector; a test that does not reach the place of an edit is not run. With an error it returns what
// was found before.
func (p *Prover) RunGenerated(ctx context.Context, lab course.Lab, run GeneratedRun) (Generated, error) {
	out := Generated{Lab: lab}
	reference, err := generate.Load(ctx, p.course().Root, lab.SolutionDir(), lab.Files())
	if err != nil {
		return out, fmt.Errorf("prove: %w", err)
	}
	all := reference.Mutants()
	out.All = len(all)
	equivalents, err := Equivalents(p.course(), lab)
	if err != nil {
		return out, err
	}
	why := map[string]string{}
	for _, e := range equivalents {
		why[e.Mutant] = e.Why
		if !slices.ContainsFunc(all, func(m generate.Mutant) bool { return m.Key == e.Mutant }) {
			out.Unknown = append(out.Unknown, e)
		}
	}
	chosen := run.choose(all)
	var sound []generate.Mutant
	var at []int // of each of sound, its index in out.Mutants
	for i, wrong := range reference.Compiles(chosen) {
		m := GeneratedMutant{Mutant: chosen[i], Outcome: NotRun, Equivalent: why[chosen[i].Key], Wrong: wrong}
		if wrong != "" {
			m.Outcome = NotCompiled
		} else {
			sound, at = append(sound, chosen[i]), append(at, i)
		}
		out.Mutants = append(out.Mutants, m)
	}
	r := &generatedRunner{Prover: p, lab: lab, reference: reference}
	defer func() { r.w.Remove() }()
	if err := r.prepare(ctx, sound); err != nil {
		return out, err
	}
	tests, ctx := errgroup.WithContext(ctx)
	tests.SetLimit(p.builder().Jobs())
	for i := range sound {
		tests.Go(func() error {
			m := &out.Mutants[at[i]]
			err := r.run(ctx, i, m)
			problem := ""
			if err == nil && m.Outcome == NotRun {
				m.Outcome = Survived
				if m.Equivalent == "" {
					problem = "survived"
				}
			}
			p.g.Tell(grade.Progress{Stage: grade.StageMutant, Lab: lab.ID, Mutant: m.Key, Problem: problem, Total: len(sound)})
			return err
		})
	}
	return out, tests.Wait()
}

// choose takes the mutants that a run asks for.
func (run GeneratedRun) choose(all []generate.Mutant) []generate.Mutant {
	wanted := func(list []string, value string) bool { return len(list) == 0 || slices.Contains(list, value) }
	var chosen []generate.Mutant
	for _, m := range all {
		inKey := func(part string) bool { return strings.Contains(m.Key, part) }
		if wanted(run.Files, m.File) && wanted(run.Operators, string(m.Operator)) && (len(run.Keys) == 0 || slices.ContainsFunc(run.Keys, inKey)) {
			chosen = append(chosen, m)
		}
	}
	if run.Limit <= 0 || run.Limit >= len(chosen) {
		return chosen
	}
	sample := rand.New(rand.NewPCG(run.Seed, 0)).Perm(len(chosen))[:run.Limit]
	slices.Sort(sample)
	var some []generate.Mutant
	for _, i := range sample {
		some = append(some, chosen[i])
	}
	return some
}

// generatedRunner runs the mutants of one lab.
type generatedRunner struct {
	*Prover
	lab       course.Lab
	reference *generate.Package
	schema    generate.Schema
	w         *workspace.Workspace
	tests     []traced
}

// traced is what a test does with the reference.
type traced struct {
	name    string
	reaches []bool // by place
	cpu     time.Duration
}

// prepare builds the program that is all mutants, and runs each test once on the reference, for the places that it reaches.
func (r *generatedRunner) prepare(ctx context.Context, mutants []generate.Mutant) error {
	r.schema = r.reference.Schema(mutants)
	runner, w, err := r.build(ctx, r.schema.Files)
	if err != nil {
		return err
	}
	r.w, r.tests = w, make([]traced, len(r.lab.Tests()))
	tests, ctx := errgroup.WithContext(ctx)
	for i, t := range r.lab.Tests() {
		tests.Go(func() error {
			var err error
			r.tests[i], err = r.trace(ctx, runner, t.Name)
			return err
		})
	}
	return tests.Wait()
}

// build builds the reference with some files changed, without the race detector. The caller must remove the workspace.
func (r *generatedRunner) build(ctx context.Context, files map[string][]byte) (*grade.Runner, *workspace.Workspace, error) {
	whole, err := r.course().Select(r.lab.ID)
	if err != nil {
		return nil, nil, err
	}
	w, err := r.builder().Assemble(submission.Source{Kind: course.Solution}, whole)
	if err != nil {
		return nil, nil, err
	}
	w.Plain = true
	var runner *grade.Runner
	if err = w.Put(w.Lab(r.lab.ID), files); err == nil {
		runner, err = r.g.Build(ctx, w, r.lab.ID, "")
	}
	if err == nil && runner.Refused() != "" {
		err = fmt.Errorf("prove: generated mutants of %s: %w", r.lab.ID, Refused(runner.Refused()))
	}
	if err != nil {
		w.Remove()
		return nil, nil, err
	}
	return runner, w, nil
}

// trace runs one test on the reference.
func (r *generatedRunner) trace(ctx context.Context, runner *grade.Runner, test string) (traced, error) {
	t := traced{name: test, reaches: make([]bool, r.schema.Places)}
	folder, err := r.w.Own()
	if err != nil {
		return t, err
	}
	defer tidy.RemoveAll(folder)
	file := filepath.Join(folder, "reached")
	run := grade.Run{Silent: true, Env: []string{generate.TraceEnv + "=" + file}}
	ended, err := runner.Several(ctx, []string{test}, run, grade.Bound{Real: 10 * time.Minute})
	if err != nil {
		return t, err
	}
	if f := ended.Failure; f.Status == report.Fail {
		return t, fmt.Errorf("prove: the reference of %s fails %s before any mutant is made: %s", r.lab.ID, test, f.Failures[0].What)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return t, fmt.Errorf("prove: %w", err)
	}
	for place := range strings.FieldsSeq(string(text)) {
		n, err := strconv.Atoi(place)
		if err != nil || n < 0 || n >= len(t.reaches) {
			return t, fmt.Errorf("prove: a test says that it has reached place %q of the generated mutants", place)
		}
		t.reaches[n] = true
	}
	t.cpu = ended.CPU
	return t, nil
}

// run runs the tests on one mutant until one kills it: those of the parts that have the edited file first.
func (r *generatedRunner) run(ctx context.Context, i int, m *GeneratedMutant) error {
	number := r.schema.Number[i]
	runner := r.g.Runner(r.w, r.lab.ID)
	if number == 0 {
		alone, w, err := r.build(ctx, map[string][]byte{m.File: r.reference.Text(m.Mutant)})
		if refused, ok := errors.AsType[Refused](err); ok {
			m.Outcome, m.Wrong = NotCompiled, string(refused)
			return nil
		}
		if err != nil {
			return err
		}
		defer w.Remove()
		runner = alone
	}
	own, others := r.reaching(i, m.File)
	m.Unreached = len(own)+len(others) == 0
	for _, tests := range slices.Concat(halves(own), halves(others)) {
		if killed, err := m.try(ctx, runner, tests, number); killed || err != nil {
			return err
		}
	}
	return nil
}

// try runs tests on the mutant, and reports whether one kills it. A test that finds itself vacuous does not: those after it are run too.
func (m *GeneratedMutant) try(ctx context.Context, runner *grade.Runner, tests []traced, number int) (killed bool, err error) {
	for len(tests) > 0 {
		bound := grade.Bound{Real: 30 * time.Second, CPU: 4 * time.Second}
		var names []string
		for _, t := range tests {
			names = append(names, t.name)
			bound.CPU += 10 * t.cpu
			bound.Real += 40 * t.cpu
		}
		run := grade.Run{Silent: true, Env: []string{generate.NumberEnv + "=" + strconv.Itoa(number)}}
		ended, err := runner.Several(ctx, names, run, bound)
		if err == nil && ended.Starved { // by a machine that has much else to do, or it waits forever
			bound.Real *= 4
			ended, err = runner.Several(ctx, names, run, bound)
		}
		if err != nil {
			return false, err
		}
		if ended.Failure.Kills() {
			m.Outcome, m.By, m.Failure = Killed, ended.Failure.Name, ended.Failure.Failures[0]
			return true, nil
		}
		if ended.Failure.Status != report.Fail {
			return false, nil
		}
		over := append(ended.Passed, ended.Failure.Name)
		tests = slices.DeleteFunc(slices.Clone(tests), func(t traced) bool { return slices.Contains(over, t.name) })
	}
	return false, nil
}

// halves sorts tests by what they cost, and cuts the list in two: most mutants die by a cheap test.
func halves(tests []traced) [][]traced {
	slices.SortStableFunc(tests, func(a, b traced) int { return cmp.Compare(a.cpu, b.cpu) })
	return [][]traced{tests[:len(tests)/2], tests[len(tests)/2:]}
}

// reaching lists the tests that reach a mutant's place: those of the parts of its file, and the others.
func (r *generatedRunner) reaching(i int, file string) (own, others []traced) {
	for _, part := range r.lab.Parts {
		for _, test := range part.Tests {
			at := slices.IndexFunc(r.tests, func(t traced) bool { return t.name == test.Name })
			switch {
			case r.schema.Number[i] != 0 && !r.tests[at].reaches[r.schema.Place[i]]:
			case slices.Contains(part.Files, file):
				own = append(own, r.tests[at])
			default:
				others = append(others, r.tests[at])
			}
		}
	}
	return own, others
}
