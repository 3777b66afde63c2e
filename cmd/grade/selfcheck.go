package main

import (
	"errors"
	"time"

	"github.com/spf13/cobra"

	"distlabs/internal/grading/grade"
	"distlabs/internal/grading/selfcheck"
)

func selfcheckCommand() *cobra.Command {
	var o selfcheck.Options
	var all bool
	var jobs int
	cmd := &cobra.Command{
		Use:   "selfcheck [lab ...]",
		Short: "Check what a lab must have: points, stubs, references, known-wrong solutions",
		Long: `Check what the author of a lab promises: README.md has the headings of every lab and
the points of lab.yaml, the stubs earn nothing, the reference and the alternatives earn everything,
known-wrong solutions die by the tests that they name and under the rules that they break (a
sample, spread over them, or with --all every one), and each clause of rules.yaml is held so.

Exit status: 0 if every promise is kept, 1 if not.`,
		Example: `  grade selfcheck 04
  grade selfcheck --all`,
		RunE: action(func(cmd *cobra.Command, args []string) error {
			c, selected, err := open(args)
			if err != nil {
				return err
			}
			if o.Mutants < 0 || o.Run.Timeout <= 0 || jobs < 0 {
				return usage(errors.New("--mutants and --jobs must not be below zero, --timeout must be above"))
			}
			if all {
				o.Mutants = -1
			}
			p := newPrinter(cmd.OutOrStdout())
			o.Course, o.Labs = c, selected
			status := newStatus(cmd.ErrOrStderr(), ofSteps, selfcheck.Steps(o))
			broken := 0
			o.Each = func(check selfcheck.Check) {
				status.clear()
				if check.OK() {
					p.printf("%s      %s: %s\n", p.good("ok"), check.Lab, check.Promise)
					return
				}
				broken++
				p.printf("%s  %s: %s\n", p.bad("broken"), check.Lab, check.Promise)
				for _, problem := range check.Problems {
					p.printf("        %s\n", oneLine(problem))
				}
			}
			err = withGrader(cmd, c, jobs, status, func(g *grade.Grader) error {
				o.Grader = g
				return selfcheck.Run(cmd.Context(), o)
			})
			if err != nil {
				return err
			}
			if broken > 0 {
				return &exitError{code: exitFailed}
			}
			return nil
		}),
	}
	flags := cmd.Flags()
	flags.BoolVar(&all, "all", false, "run every mutant")
	flags.IntVar(&o.Mutants, "mutants", 10, "how many mutants of each lab to run")
	flags.DurationVar(&o.Run.Timeout, "timeout", time.Minute, "real time per test")
	flags.IntVar(&jobs, "jobs", 0, "processes at a time (default: one per core)")
	cmd.MarkFlagsMutuallyExclusive("all", "mutants")
	return cmd
}
