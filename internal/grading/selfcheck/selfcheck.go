// Package selfcheck holds a lab to what its author promises: its page agrees
// with lab.yaml and rules.yaml, its stubs earn nothing, its reference and its alternatives earn
// everything, its known-wrong solutions die by the tests that they name and under the rules that
// they break, and every clause of every rule is held so by some test.
//
// That lab.yaml and the test files agree is checked whenever a course is loaded.
package selfcheck

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/grade"
	"distlabs/internal/grading/prove"
	"distlabs/internal/grading/result"
	"distlabs/internal/grading/submission"
)

// Check is one promise of one lab.
type Check struct {
	Lab      string
	Promise  string   // "stubs earn nothing"
	Problems []string // a sentence each; none if the promise holds
}

// OK reports whether the promise holds.
func (c Check) OK() bool { return len(c.Problems) == 0 }

// Options say how a course is checked; the zero value takes no mutant.
type Options struct {
	Mutants int            // so many of each lab's mutants, spread over them; below 0: all
	Run     grade.Run      // of every test
	Each    func(Check)    // told of each check as it is done
	Course  *course.Course //
	Grader  *grade.Grader  //
	Labs    []course.Selected
}

// Run checks the labs one after another. The error is about this machine or
// ctx; what is wrong with a lab is in the checks.
func Run(ctx context.Context, o Options) error {
	for _, s := range o.Labs {
		whole, err := o.Course.Select(s.Lab.ID)
		if err != nil {
			return err
		}
		o.Each(Page(o.Course, s.Lab))
		o.Each(Matrix(o.Course, s.Lab))
		for _, check := range []func(context.Context, Options, course.Selected) ([]Check, error){stubs, reference, alternatives, mutants} {
			checks, err := check(ctx, o, whole[0])
			if err != nil {
				return err
			}
			for _, c := range checks {
				c.Lab = s.Lab.ID
				o.Each(c)
			}
		}
	}
	return nil
}

// stubs grades the lab as students receive it.
func stubs(ctx context.Context, o Options, s course.Selected) ([]Check, error) {
	c := Check{Promise: "stubs earn nothing"}
	graded, err := o.Grader.Grade(ctx, submission.Stubs(), []course.Selected{s}, o.Run)
	if err != nil {
		return nil, err
	}
	said := Check{Promise: "what tests say of stubs cites rules that README.md has", Problems: uncited(o.Course, s.Lab, graded)}
	c.Problems = refusals(graded)
	graded.Tests(func(lab *result.Lab, _ *result.Part, t *result.Test) {
		switch {
		case lab.Refused != "":
		case t.Points > 0:
			c.Problems = append(c.Problems, fmt.Sprintf("%s gives the stub %d points", t.Name, t.Points))
		case !t.FindsWrong():
			c.Problems = append(c.Problems, fmt.Sprintf("%s does not find the stub wrong: %s", t.Name, says(t)))
		}
	})
	return []Check{c, said}, nil
}

// reference grades the solution.
func reference(ctx context.Context, o Options, s course.Selected) ([]Check, error) {
	c := Check{Promise: "the reference earns everything"}
	graded, err := o.Grader.Grade(ctx, submission.Source{Kind: course.Solution}, []course.Selected{s}, o.Run)
	if err != nil {
		return nil, err
	}
	c.Problems = refusals(graded)
	graded.Tests(func(lab *result.Lab, _ *result.Part, t *result.Test) {
		if lab.Refused == "" && t.Points < t.Max {
			c.Problems = append(c.Problems, fmt.Sprintf("%s fails: %s", t.Name, says(t)))
		}
	})
	return []Check{c}, nil
}

// alternatives grades the lab's other correct solutions, the patches among them without the race detector.
func alternatives(ctx context.Context, o Options, s course.Selected) ([]Check, error) {
	all, err := prove.Alternatives(o.Course, s.Lab)
	c := Check{Promise: fmt.Sprintf("the alternatives earn everything (%d)", len(all))}
	if err != nil {
		c.Problems = []string{err.Error()}
	}
	for _, a := range all {
		run := o.Run
		run.Plain = a.Patch
		graded, err := o.Grader.Grade(ctx, a.Source, []course.Selected{a.In(s)}, run)
		if err != nil {
			return nil, err
		}
		for _, refused := range refusals(graded) {
			c.Problems = append(c.Problems, a.Name+": "+refused)
		}
		graded.Tests(func(lab *result.Lab, _ *result.Part, t *result.Test) {
			if lab.Refused == "" && t.Points < t.Max {
				c.Problems = append(c.Problems, fmt.Sprintf("%s: %s fails: %s", a.Name, t.Name, says(t)))
			}
		})
	}
	return []Check{c}, nil
}

// mutants runs a sample of the lab's known-wrong solutions, or all.
func mutants(ctx context.Context, o Options, s course.Selected) ([]Check, error) {
	all, err := prove.Mutants(o.Course, s.Lab)
	if err != nil {
		return []Check{{Promise: "mutants apply to the reference", Problems: []string{err.Error()}}}, nil
	}
	chosen := spread(all, o.Mutants)
	c := Check{Promise: fmt.Sprintf("mutants die by the test that they name, under a rule that they break (%d of %d)", len(chosen), len(all))}
	if len(all) == 0 {
		c.Problems = []string{"there are none: nothing shows that the tests notice anything"}
	}
	prover := prove.New(o.Grader)
	problems, fates := make([]string, len(chosen)), make([]prove.MutantResult, len(chosen))
	var group errgroup.Group
	group.SetLimit(2 * o.Grader.Builder().Jobs()) // some have a build of their own on disk while they live
	var failed sync.Once
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for i, m := range chosen {
		group.Go(func() error {
			fate, err := prover.RunMutant(ctx, m, prove.MutantRun{Run: o.Run, NamedOnly: true})
			fates[i] = fate
			switch {
			case err != nil:
				failed.Do(cancel)
				return err
			case fate.Invalid != "":
				problems[i] = fmt.Sprintf("%s cannot be run: %s", m.Name, fate.Invalid)
			case !fate.Dead():
				problems[i] = fmt.Sprintf("%s survives %s: %s", m.Name, m.DiesBy, m.Wrong)
			case fate.Astray != "":
				problems[i] = fmt.Sprintf("%s is killed by %s under %s: %s", m.Name, m.DiesBy, fate.Astray, fate.Said.What)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	c.Problems = append(c.Problems, slices.DeleteFunc(problems, func(p string) bool { return p == "" })...)
	checks := []Check{c}
	if rules, err := o.Course.Rules(s.Lab); err == nil { // Matrix has said so otherwise
		checks = append(checks, held(rules, all, fates))
	}
	return checks, nil
}

// Steps is how many tests and mutants a check of the labs runs.
func Steps(o Options) (n int) {
	for _, s := range o.Labs {
		alternatives, _ := prove.Alternatives(o.Course, s.Lab) // Run says what is wrong with them
		mutants, _ := prove.Mutants(o.Course, s.Lab)
		n += len(s.Lab.Tests())*(2+len(alternatives)) + len(spread(mutants, o.Mutants))
	}
	return n
}

// spread takes n of a list, evenly, and always the same; all if n is below 0.
func spread[T any](list []T, n int) []T {
	if n < 0 || n >= len(list) {
		return list
	}
	var chosen []T
	for i := range n {
		chosen = append(chosen, list[i*len(list)/n])
	}
	return chosen
}

func refusals(r *result.Result) []string {
	var list []string
	for _, lab := range r.Labs {
		if lab.Refused != "" {
			list = append(list, lab.Refused)
		}
	}
	return list
}

func says(t *result.Test) string {
	if len(t.Failures) == 0 {
		return string(t.Status)
	}
	return t.Failures[0].What
}
