package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/grade"
	"distlabs/internal/grading/prove"
	"distlabs/internal/grading/submission"
)

// exploreFlags are the flags of grade explore.
type exploreFlags struct {
	search   prove.Search
	solution bool
	mutants  bool
	only     []string
	repeat   int
	jobs     int
}

var strategies = []string{"sampled", "random", "pct", "depth-first", "by-state"}

func exploreCommand() *cobra.Command {
	f := exploreFlags{search: prove.DefaultSearch}
	cmd := &cobra.Command{
		Use:   "explore [lab or part ...]",
		Short: "Search the schedules of a small system for one that breaks a rule",
		Long: `Search schedules instead of sampling them. The tests that take part hold every
message of a small system, and a strategy chooses what happens next: this
message arrives, or is lost, or arrives twice; time passes to the next timer; a
node crashes. The rules are checked after every step.

  own          what the test does in a plain run: random or pct
  pct          probabilistic concurrency testing: random priorities of links, a few changes
  random       a random walk
  depth-first  all short schedules of one seed; one of each class of those that differ
               only in the order of steps at different nodes. And long ones with few
               detours from the usual order
  by-state     all short schedules of one seed, but none goes on from a state that looks
               like one in which the search has been
  sampled      for comparison: no schedules, but links that lose and delay by the seed

A search that draws (own, pct, random, sampled) runs on all processors, and finds the
same first schedule however many there are. It builds without the race detector, which
would make the search six times as long, and runs a schedule that fails once more with
it. What it finds is a failure like any other: shortened, drawn, and with the command
that shows it again.

Exit status: 0 if no schedule failed, 1 if one did.

With --mutants, every strategy searches for each known-wrong solution, several
times from different seeds. It prints how many schedules that took (the median). Its exit status is 0.`,
		Example: `  grade explore 4C
  grade explore 4C --strategy depth-first --schedules 100000
  grade explore 4C --mutants --schedules 2000`,
		RunE: action(func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) }),
	}
	flags := cmd.Flags()
	flags.StringVar(&f.search.Strategy, "strategy", f.search.Strategy, "how to choose: own, "+strings.Join(strategies, ", "))
	flags.IntVar(&f.search.Schedules, "schedules", f.search.Schedules, "schedules per test, at most")
	flags.StringVar(&f.search.Seed, "seed", f.search.Seed, "of the first schedule")
	flags.BoolVar(&f.solution, "solution", false, "search the reference solutions")
	flags.BoolVar(&f.mutants, "mutants", false, "compare the strategies on the known-wrong solutions")
	flags.StringSliceVar(&f.only, "only", nil, "with --mutants: these, by `name`")
	flags.IntVar(&f.repeat, "repeat", 5, "with --mutants: how many searches of each")
	flags.DurationVar(&f.search.Timeout, "timeout", 10*grade.DefaultTimeout, "real time per test")
	flags.IntVar(&f.jobs, "jobs", 0, "processes at a time (default: one per core)")
	cmd.MarkFlagsMutuallyExclusive("solution", "mutants")
	return cmd
}

func (f exploreFlags) run(cmd *cobra.Command, args []string) error {
	if err := f.check(); err != nil {
		return usage(err)
	}
	c, selected, err := open(args)
	if err != nil {
		return err
	}
	p := newPrinter(cmd.OutOrStdout())
	if f.mutants {
		var found []prove.Comparison
		err = withGrader(cmd, c, f.jobs, newStatus(cmd.ErrOrStderr(), ofTests, 0), func(g *grade.Grader) error {
			found, err = prove.New(g).Compare(cmd.Context(), selected, f.only, f.search, strategies, f.repeat)
			return err
		})
		if err == nil {
			printComparison(p, found, f.repeat)
		}
		return err
	}
	source := submission.Source{Kind: course.WorkingTree}
	if f.solution {
		source.Kind = course.Solution
	}
	f.search.Traces = func(lab course.Lab) string { return filepath.Join(c.Root, "labs", lab.ID, ".labs") }
	var found []prove.Explored
	err = withGrader(cmd, c, f.jobs, newStatus(cmd.ErrOrStderr(), ofTests, countTests(selected)), func(g *grade.Grader) error {
		found, err = prove.New(g).Explore(cmd.Context(), source, selected, f.search)
		return err
	})
	if _, refused := errors.AsType[prove.Refused](err); refused {
		return &exitError{code: exitFailed, err: err}
	}
	if err != nil {
		return err
	}
	return printExplored(p, found)
}

// check finds wrong values before anything is built.
func (f exploreFlags) check() error {
	if _, err := strconv.ParseUint(f.search.Seed, 10, 64); err != nil {
		return fmt.Errorf("--seed %q is not a seed: want a whole number", f.search.Seed)
	}
	if s := f.search.Strategy; s != "own" && !slices.Contains(strategies, s) {
		return fmt.Errorf("--strategy %q is none of own, %s", s, strings.Join(strategies, ", "))
	}
	if f.search.Schedules < 1 || f.repeat < 1 || f.search.Timeout <= 0 || f.jobs < 0 {
		return errors.New("--schedules, --repeat and --timeout must be above zero, --jobs not below")
	}
	return nil
}

// printExplored says for each test how much was searched, and what was found.
func printExplored(p *printer, found []prove.Explored) error {
	if len(found) == 0 {
		p.printf("no test of these parts searches schedules\n")
		return nil
	}
	failed := false
	for _, e := range found {
		p.printf("%s (%s)\n", p.strong(e.Test.Name), e.Part)
		for _, m := range e.Test.Measures {
			p.printf("    %s\n", strings.TrimSpace(fmt.Sprintf("%s: %.0f %s", m.Name, m.Value, m.Unit)))
		}
		if !e.Found() {
			p.printf("    %s\n", p.good("no schedule broke a rule"))
			continue
		}
		failed = true
		how := "the race detector's build fails in the same schedule"
		if !e.Confirmed {
			how = "but not in the race detector's build: see whether the failure replays"
		}
		p.printf("    %s, after %d schedules; %s\n\n%s\n", p.bad("found"), e.Schedules(), how, strings.TrimRight(e.Test.Failures[0].Text(), "\n"))
	}
	if failed {
		return &exitError{code: exitFailed}
	}
	return nil
}

// printComparison prints a row a mutant: how many schedules each strategy took.
func printComparison(p *printer, found []prove.Comparison, repeat int) {
	t := table{head: append([]string{"mutant", "part"}, strategies...)}
	missed := 0
	for _, c := range found {
		row := []string{c.Mutant.Name, c.Part}
		none := true
		for _, s := range strategies {
			row = append(row, needed(c.Needed[s], repeat))
			none = none && len(c.Needed[s]) == 0
		}
		if none {
			missed++
			continue
		}
		t.add(row...)
	}
	p.table(t)
	p.printf("\nschedules until a rule broke, the median of %d searches; (n/%d) where only n found it; - where none did\n", repeat, repeat)
	p.printf("mutants: %d, of which %d break no rule that these scenarios check\n", len(found), missed)
}

// needed is the median, counting a search that found nothing as longer than all others.
func needed(list []int, repeat int) string {
	switch {
	case len(list) == 0:
		return "-"
	case len(list) == repeat:
		return fmt.Sprint(list[(repeat-1)/2])
	case len(list) > repeat/2:
		return fmt.Sprintf("%d (%d/%d)", list[(repeat-1)/2], len(list), repeat)
	}
	return fmt.Sprintf("> (%d/%d)", len(list), repeat)
}
