package grade

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
	"distlabs/internal/grading/prove/generate"
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

// Fate is what became of a generated mutant.
type Fate string

// The fates.
const (
	Killed      Fate = "killed"
	Survived    Fate = "survived"
	NotCompiled Fate = "not compiled"
)

// GeneratedMutant is one generated mutant and its fate.
type GeneratedMutant struct {
	generate.Mutant
	Fate       Fate
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

// Count returns how many mutants have a fate, without those that are listed as equivalent.
func (g Generated) Count(fate Fate) int {
	n := 0
	for _, m := range g.Mutants {
		if m.Fate == fate && m.Equivalent == "" {
			n++
		}
	}
	return n
}

// Wrongly lists the mutants that are listed as equivalent and do not survive.
func (g Generated) Wrongly() (list []GeneratedMutant) {
	for _, m := range g.Mutants {
		if m.Equivalent != "" && m.Fate != Survived {
			list = append(list, m)
		}
	}
	return list
}

// Proven reports whether every mutant is accounted for: killed, or listed as equivalent and alive.
func (g Generated) Proven() bool {
	return g.Count(Survived) == 0 && len(g.Wrongly()) == 0 && len(g.Unknown) == 0
}

// RunGenerated derives mutants from the reference of one lab and runs its tests on each, until one fails. They are built
// together and without the race detector; a test that does not reach the place of an edit is not run.
func (g *Grader) RunGenerated(ctx context.Context, lab course.Lab, run GeneratedRun) (Generated, error) {
	out := Generated{Lab: lab}
	reference, err := generate.Load(ctx, g.course.Root, lab.SolutionDir(), lab.Files())
	if err != nil {
		return out, fmt.Errorf("grade: %w", err)
	}
	all := reference.Mutants()
	out.All = len(all)
	equivalents, err := Equivalents(g.course, lab)
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
		m := GeneratedMutant{Mutant: chosen[i], Fate: Survived, Equivalent: why[chosen[i].Key], Wrong: wrong}
		if wrong != "" {
			m.Fate = NotCompiled
		} else {
			sound, at = append(sound, chosen[i]), append(at, i)
		}
		out.Mutants = append(out.Mutants, m)
	}
	r := &generatedRunner{g: g, lab: lab, reference: reference}
	if err := r.prepare(ctx, sound); err != nil {
		return out, err
	}
	defer r.w.remove()
	tests, ctx := errgroup.WithContext(ctx)
	tests.SetLimit(g.jobs)
	for i := range sound {
		tests.Go(func() error {
			m := &out.Mutants[at[i]]
			err := r.run(ctx, i, m)
			g.tell(Progress{Stage: StageTested, Lab: lab.ID, Mutant: m.Key, Test: string(m.Fate), Result: &TestResult{}})
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
	g         *Grader
	lab       course.Lab
	reference *generate.Package
	schema    generate.Schema
	w         *workspace
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
	var err error
	if r.w, err = r.build(ctx, r.schema.Files); err != nil {
		return err
	}
	r.tests = make([]traced, len(r.lab.Tests()))
	tests, ctx := errgroup.WithContext(ctx)
	tests.SetLimit(r.g.jobs)
	for i, t := range r.lab.Tests() {
		tests.Go(func() error {
			var err error
			r.tests[i], err = r.trace(ctx, t.Name)
			return err
		})
	}
	return tests.Wait()
}

// build builds the reference with some files changed, without the race detector.
func (r *generatedRunner) build(ctx context.Context, files map[string][]byte) (*workspace, error) {
	whole, err := r.g.course.Select(r.lab.ID)
	if err != nil {
		return nil, err
	}
	w, err := r.g.assemble(Source{Kind: Solution}, whole)
	if err != nil {
		return nil, err
	}
	w.plain = true
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(w.course, "labs", r.lab.ID, name), text, 0o666); err != nil {
			w.remove()
			return nil, fmt.Errorf("grade: scratch workspace: %w", err)
		}
	}
	p := w.labs[r.lab.ID]
	r.g.tell(Progress{Stage: StageBuild, Lab: r.lab.ID})
	err = w.build(ctx, p)
	if err == nil && p.refused != "" {
		err = fmt.Errorf("grade: generated mutants of %s: %w", r.lab.ID, Refused(strings.Join(append([]string{p.refused}, p.compile...), "\n")))
	}
	if err != nil {
		w.remove()
		return nil, err
	}
	return w, nil
}

// trace runs one test on the reference.
func (r *generatedRunner) trace(ctx context.Context, test string) (traced, error) {
	t := traced{name: test, reaches: make([]bool, r.schema.Places)}
	file, err := os.CreateTemp(r.w.dir, "trace-")
	if err != nil {
		return t, fmt.Errorf("grade: %w", err)
	}
	defer file.Close()
	ended, err := r.process(ctx, r.w, []string{test}, processRun{trace: file.Name(), limit: 10 * time.Minute})
	if err != nil {
		return t, err
	}
	if f := ended.failure; f.Status == report.Fail {
		return t, fmt.Errorf("grade: the reference of %s fails %s before any mutant is made: %s", r.lab.ID, test, f.Failures[0].What)
	}
	text, err := os.ReadFile(file.Name())
	if err != nil {
		return t, fmt.Errorf("grade: %w", err)
	}
	for place := range strings.FieldsSeq(string(text)) {
		n, err := strconv.Atoi(place)
		if err != nil || n < 0 || n >= len(t.reaches) {
			return t, fmt.Errorf("grade: a test says that it has reached place %q of the generated mutants", place)
		}
		t.reaches[n] = true
	}
	t.cpu = ended.cpu
	return t, nil
}

// run runs the tests on one mutant until one kills it: those of the parts that have the edited file first.
func (r *generatedRunner) run(ctx context.Context, i int, m *GeneratedMutant) error {
	w, number := r.w, r.schema.Number[i]
	if number == 0 {
		alone, err := r.build(ctx, map[string][]byte{m.File: r.reference.Text(m.Mutant)})
		if refused, ok := errors.AsType[Refused](err); ok {
			m.Fate, m.Wrong = NotCompiled, string(refused)
			return nil
		}
		if err != nil {
			return err
		}
		defer alone.remove()
		w = alone
	}
	own, others := r.reaching(i, m.File)
	m.Unreached = len(own)+len(others) == 0
	for _, tests := range slices.Concat(halves(own), halves(others)) {
		for len(tests) > 0 {
			run := processRun{mutant: number, limit: 30 * time.Second}
			var names []string
			for _, t := range tests {
				names = append(names, t.name)
				run.cpu += 10 * t.cpu
				run.limit += 40 * t.cpu
			}
			run.cpu += 4 * time.Second
			ended, err := r.process(ctx, w, names, run)
			if err != nil {
				return err
			}
			if ended.failure.Kills() {
				m.Fate, m.By, m.Failure = Killed, ended.failure.Name, ended.failure.Failures[0]
				return nil
			}
			if ended.failure.Status != report.Fail {
				break
			}
			// The test found itself vacuous, which is no kill. Those after it have not run yet.
			tests = slices.DeleteFunc(slices.Clone(tests), func(t traced) bool { return t.name == ended.failure.Name || slices.Contains(ended.passed, t.name) })
		}
	}
	return nil
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
