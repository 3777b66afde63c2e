package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/grade"
	"distlabs/internal/grading/prove"
)

func mutantsCommand() *cobra.Command {
	var run prove.MutantRun
	var chosen generatedFlags
	var generated bool
	var jobs int
	cmd := &cobra.Command{
		Use:   "mutants [lab or part ...]",
		Short: "Run the known-wrong solutions: the test that each names must fail",
		Long: `Run every solutions/<lab>/mutants/*.patch: the reference with one wrong idea.

The header of a patch says what is wrong and, in a line "dies by: TestName",
which test must notice. The kill matrix shows which tests noticed each mutant;
the named one has a column of its own. A test that only found itself vacuous
has noticed nothing. Where the header names the clauses that the mutant breaks
("breaks: 12a"), the failure must cite the rule of one of them.

With --generated, run mutants that nobody wrote instead: one edit each, derived from
the syntax of the reference (see docs/proving-the-tests.md). Each must be killed by some
test, or be listed in solutions/<lab>/equivalent.yaml.

Exit status: 0 if each mutant dies by the test that it names, under a rule that it
breaks, in every repetition, 1 if one does not, 3 if a patch does not apply or does not compile.`,
		RunE: action(func(cmd *cobra.Command, args []string) error {
			c, selected, err := open(args)
			if err != nil {
				return err
			}
			if run.Repeat < 1 || run.Timeout <= 0 || jobs < 0 {
				return usage(errors.New("--repeat and --timeout must be above zero, --jobs not below"))
			}
			if generated {
				return runGenerated(cmd, c, selected, chosen, jobs)
			}
			var fates []prove.MutantResult
			err = withGrader(cmd, c, jobs, newStatus(cmd.ErrOrStderr(), ofMutants, countMutants(c, selected)), func(g *grade.Grader) error {
				fates, err = prove.New(g).RunMutants(cmd.Context(), selected, run)
				return err
			})
			if err != nil {
				return err
			}
			p := newPrinter(cmd.OutOrStdout())
			if run.Minimise {
				printEnough(p, fates)
			}
			return printFates(p, selected, fates)
		}),
	}
	flags := cmd.Flags()
	flags.IntVar(&run.Repeat, "repeat", 1, "repetitions of each mutant's run")
	flags.BoolVar(&run.NamedOnly, "named-only", false, "run only the test that each mutant names")
	flags.BoolVar(&run.Minimise, "minimise", false, "look for the faults that are enough for each failure, and print how many")
	flags.DurationVar(&run.Timeout, "timeout", grade.DefaultTimeout, "real time per test")
	flags.IntVar(&jobs, "jobs", 0, "processes at a time (default: one per core)")
	flags.BoolVar(&generated, "generated", false, "run mutants that are derived from the reference's syntax")
	chosen.add(cmd)
	return cmd
}

// printEnough prints how many faults are enough for each mutant's failure, and the median.
func printEnough(p *printer, fates []prove.MutantResult) {
	t := table{head: []string{"mutant", "faults that are enough"}}
	var all []float64
	for _, f := range fates {
		if f.Enough != nil {
			t.add(f.Mutant.Name, fmt.Sprintf("%.0f %s", f.Enough.Value, f.Enough.Unit))
			all = append(all, f.Enough.Value)
		}
	}
	p.table(t)
	if slices.Sort(all); len(all) > 0 {
		p.printf("\n%d failures were minimised: %.0f faults in the median, %.0f at most; the others are not about faults\n\n",
			len(all), all[(len(all)-1)/2], all[len(all)-1])
	}
}

// printFates prints the kill matrix of each lab and what went wrong.
func printFates(p *printer, selected []course.Selected, fates []prove.MutantResult) error {
	survived, invalid := 0, 0
	for _, s := range selected {
		t := table{head: []string{s.Lab.ID, "part", "dies by", "killed", "also killed by"}}
		for _, f := range fates {
			if f.Mutant.Lab != s.Lab.ID {
				continue
			}
			switch {
			case f.Invalid != "":
				invalid++
			case !f.Convicted():
				survived++
			}
			t.add(fateRow(p, s.Lab, f)...)
		}
		if len(t.rows) == 0 {
			p.printf("%s: no mutants\n", s.Lab.ID)
			continue
		}
		p.table(t)
	}
	for _, f := range fates {
		switch {
		case f.Invalid != "":
			p.printf("\n%s %s: %s\n", p.bad("not run:"), f.Mutant.Name, f.Invalid)
		case !f.Dead():
			p.printf("\n%s %s: %s\n    %s noticed it in %d of %d runs\n", p.bad("survived:"), f.Mutant.Name,
				f.Mutant.Wrong, f.Mutant.DiesBy, f.Killed[f.Mutant.DiesBy], f.Runs)
			if f.Said.What != "" {
				p.printf("    it said (%s): %s\n", f.Said.Kind, oneLine(f.Said.What))
			}
		case f.Astray != "":
			p.printf("\n%s %s: %s\n    killed by %s under %s\n    it said: %s\n    %s\n", p.bad("astray:"), f.Mutant.Name,
				f.Mutant.Wrong, f.Mutant.DiesBy, f.Astray, oneLine(f.Said.What), oneLine(f.Said.Rule))
		}
	}
	p.printf("\nmutants: %d, %d dead by the named test, under a rule that they break; %d not; %d could not be run\n",
		len(fates), len(fates)-survived-invalid, survived, invalid)
	switch {
	case invalid > 0:
		return &exitError{code: exitInfrastructure, err: fmt.Errorf("mutants that could not be run: %d", invalid)}
	case survived > 0:
		return &exitError{code: exitFailed}
	}
	return nil
}

func fateRow(p *printer, lab course.Lab, f prove.MutantResult) []string {
	if f.Invalid != "" {
		return []string{f.Mutant.Name, f.Part, f.Mutant.DiesBy, p.bad("not run"), ""}
	}
	count := fmt.Sprintf("%d/%d", f.Killed[f.Mutant.DiesBy], f.Runs)
	if f.Convicted() {
		count = p.good(count)
	} else {
		count = p.bad(count)
	}
	var others []string
	for _, t := range lab.Tests() {
		if n := f.Killed[t.Name]; n > 0 && t.Name != f.Mutant.DiesBy {
			others = append(others, fmt.Sprintf("%s %d/%d", t.Name, n, f.Runs))
		}
	}
	return []string{f.Mutant.Name, f.Part, f.Mutant.DiesBy, count, strings.Join(others, ", ")}
}

// countMutants is how many mutants a run of the selected parts has; 0 if a patch cannot be read, which the run says.
func countMutants(c *course.Course, selected []course.Selected) (n int) {
	for _, s := range selected {
		mutants, err := prove.Mutants(c, s.Lab)
		if err != nil {
			return 0
		}
		for _, m := range mutants {
			if slices.ContainsFunc(s.Parts, func(p course.Part) bool { return p.ID == m.Part(s.Lab) }) {
				n++
			}
		}
	}
	return n
}
