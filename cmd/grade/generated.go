package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/grade"
	"distlabs/internal/grading/prove"
	"distlabs/internal/grading/prove/generate"
)

// generatedFlags say which generated mutants are run, and what is printed.
type generatedFlags struct {
	prove.GeneratedRun
	all bool
}

func (f *generatedFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringSliceVar(&f.Files, "file", nil, "with --generated: mutants of these files of the lab only")
	flags.StringSliceVar(&f.Operators, "operator", nil, "with --generated: mutants made by these operators only")
	flags.StringArrayVar(&f.Keys, "key", nil, "with --generated: mutants whose key contains this text only; may be repeated")
	flags.IntVar(&f.Limit, "limit", 0, "with --generated: so many mutants of each lab at most, chosen by --seed")
	flags.Uint64Var(&f.Seed, "seed", 1, "with --generated and --limit: which of them are chosen")
	flags.BoolVar(&f.all, "verbose", false, "with --generated: print the killed ones too, with the test that killed each")
}

func (f *generatedFlags) check(selected []course.Selected) error {
	if f.Limit < 0 {
		return errors.New("--limit must not be below zero")
	}
	for _, op := range f.Operators {
		if !slices.Contains(generate.Operators, generate.Operator(op)) {
			return fmt.Errorf("--operator %s: there are %s", op, operators())
		}
	}
	for _, file := range f.Files {
		if !slices.ContainsFunc(selected, func(s course.Selected) bool { return slices.Contains(s.Lab.Files(), file) }) {
			return fmt.Errorf("--file %s: no selected lab has a file of that name", file)
		}
	}
	return nil
}

func operators() string {
	var names []string
	for _, op := range generate.Operators {
		names = append(names, string(op))
	}
	return join(names)
}

func runGenerated(cmd *cobra.Command, c *course.Course, selected []course.Selected, f generatedFlags, jobs int) error {
	if err := f.check(selected); err != nil {
		return usage(err)
	}
	var all []prove.Generated
	err := withGrader(cmd, c, jobs, newStatus(cmd.ErrOrStderr(), ofMutants, 0), func(g *grade.Grader) error {
		for _, s := range selected {
			one, err := prove.New(g).RunGenerated(cmd.Context(), s.Lab, f.GeneratedRun)
			all = append(all, one)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil && cmd.Context().Err() == nil {
		return err
	}
	p := newPrinter(cmd.OutOrStdout())
	proven := true
	for _, one := range all {
		printGenerated(p, one, f.all)
		proven = proven && one.Proven()
	}
	printScores(p, all)
	if err != nil {
		return err
	}
	if !proven {
		return &exitError{code: exitFailed}
	}
	return nil
}

// printGenerated prints what became of one lab's mutants: a table of files, and each mutant that is not accounted for.
func printGenerated(p *printer, g prove.Generated, verbose bool) {
	for _, m := range g.Mutants {
		switch {
		case verbose && m.Outcome == prove.Killed:
			p.printf("%s %s:%d %s by %s: %s\n", p.good("killed:"), m.File, m.Line, m.Operator, m.By, oneLine(m.Failure.What))
			p.printf("    %s\n    %s\n    %s\n", m.Before, arrow(m), m.Failure.Rule)
		case verbose && m.Outcome == prove.NotCompiled:
			p.printf("not compiled: %s:%d %s: %s\n", m.File, m.Line, m.Operator, oneLine(m.Wrong))
		case m.Outcome == prove.Survived && m.Equivalent == "":
			why := ""
			if m.Unreached {
				why = " (no test reaches this line)"
			}
			p.printf("%s %s/%s:%d %s%s\n    %s\n    %s\n", p.bad("survived:"), g.Lab.SolutionDir(), m.File, m.Line, m.Operator, why, m.Before, arrow(m))
			p.printf("    - mutant: %s\n", strconv.Quote(m.Key))
		}
	}
	for _, m := range g.Wrongly() {
		what := "does not compile"
		if m.Outcome == prove.Killed {
			what = "is killed by " + m.By
		}
		p.printf("%s %s lists a mutant that %s: remove the entry\n    %s\n", p.bad("not equivalent:"), prove.EquivalentsFile(g.Lab), what, m.Key)
	}
	for _, e := range g.Unknown {
		p.printf("%s %s:%d: no generated mutant has this key: remove the entry, or correct it\n    %s\n", p.bad("unknown:"), prove.EquivalentsFile(g.Lab), e.Line, e.Mutant)
	}
	t := table{head: []string{g.Lab.ID, "mutants", "killed", "survived", "equivalent", "not compiled"}}
	for _, file := range g.Lab.Files() {
		one := g
		one.Mutants = slices.DeleteFunc(slices.Clone(g.Mutants), func(m prove.GeneratedMutant) bool { return m.File != file })
		if len(one.Mutants) > 0 {
			t.add(counts(p, file, one)...)
		}
	}
	p.table(t)
}

func arrow(m prove.GeneratedMutant) string {
	if m.After == "" {
		return "=> (nothing)"
	}
	return "=> " + m.After
}

func counts(p *printer, name string, g prove.Generated) []string {
	killed, survived, broken := g.Count(prove.Killed), g.Count(prove.Survived), g.Count(prove.NotCompiled)
	equivalent := len(g.Mutants) - killed - survived - broken - g.Count(prove.NotRun)
	alive := strconv.Itoa(survived)
	if survived > 0 {
		alive = p.bad(alive)
	}
	return []string{name, strconv.Itoa(len(g.Mutants)), strconv.Itoa(killed), alive, strconv.Itoa(equivalent), strconv.Itoa(broken)}
}

// printScores prints how many of the mutants that an observer can tell from the reference were killed.
func printScores(p *printer, all []prove.Generated) {
	p.printf("\n")
	killed, alive := 0, 0
	for _, g := range all {
		k, s := g.Count(prove.Killed), g.Count(prove.Survived)
		killed, alive = killed+k, alive+s
		sample := ""
		if ran := len(g.Mutants) - g.Count(prove.NotRun); ran < g.All {
			sample = fmt.Sprintf(" (%d of the lab's %d mutants were run)", ran, g.All)
		}
		p.printf("%s: %s killed%s\n", g.Lab.ID, score(k, s), sample)
	}
	if len(all) > 1 {
		p.printf("all labs: %s killed\n", score(killed, alive))
	}
}

// score is the mutation score: killed of those that compile and are not listed as equivalent.
func score(killed, survived int) string {
	total := killed + survived
	if total == 0 {
		return "none of 0"
	}
	return strings.TrimSuffix(fmt.Sprintf("%d of %d, %.1f %%,", killed, total, 100*float64(killed)/float64(total)), ",")
}
