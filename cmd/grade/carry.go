package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/grade"
	"distlabs/internal/grading/result"
	"distlabs/internal/learning/learn"
)

func carryCommand() *cobra.Command {
	var reference bool
	cmd := &cobra.Command{
		Use:   "carry 05",
		Short: "Begin lab 05 with your Raft server of lab 04",
		Long: `Copy your Raft server of lab 04 to election.go, where lab 05 builds on it, and
the fields that you added to its messages to wire.go. Then test that it elects.

Only a stub is overwritten, and a backup of it is kept. Nothing is written that
does not compile in lab 05.

With --reference it takes the reference's server instead of yours.`,
		Args: cobra.ExactArgs(1),
		RunE: action(func(cmd *cobra.Command, args []string) error {
			c, selected, err := open(args)
			if err != nil {
				return err
			}
			if len(selected) != 1 || selected[0].Lab.ID != learn.CarryTo {
				return usage(fmt.Errorf("nothing can be carried into %s: only lab 05 builds on the code of another lab: grade carry 05", args[0]))
			}
			done, err := learn.Carry(cmd.Context(), c, reference)
			if err != nil {
				return &exitError{code: exitFailed, err: trimmed(err)}
			}
			p := newPrinter(cmd.OutOrStdout())
			for _, f := range done.Files {
				p.printf("%s is written; its stub is in %s\n", f.Path(), done.Backup)
			}
			for _, note := range done.Notes {
				p.printf("note: %s\n", note)
			}
			if reference {
				p.printf("It elects.")
			} else if err := elects(cmd, p, c); err != nil {
				return err
			}
			p.printf(" Next: Status, in raft.go, must report the vote as well; then grade run 5A.\n")
			return nil
		}),
	}
	cmd.Flags().BoolVar(&reference, "reference", false, "take the reference's server instead of yours")
	return cmd
}

// electing is the test of lab 04 that shows whether what is carried elects.
const electing = "TestElectsALeader4C"

// elects tests the server that was carried, in the lab that it comes from, and says how it came out.
func elects(cmd *cobra.Command, p *printer, c *course.Course) error {
	test, err := c.FindTest("04", electing)
	if err != nil {
		return err
	}
	var graded *result.Result
	progress := newStatus(cmd.ErrOrStderr(), ofTests, 1)
	err = withOptions(cmd, c, grade.Options{}, progress, func(g *grade.Grader) error {
		graded, err = g.FirstFailure(cmd.Context(), test, grade.Run{})
		return err
	})
	if err != nil {
		return err
	}
	if graded.Passed() {
		p.printf("It elects: %s passes.", electing)
		return nil
	}
	why := graded.Labs[0].Refused
	if failures := graded.Labs[0].Parts[0].Tests[0].Failures; why == "" && len(failures) > 0 {
		why = failures[0].What
	}
	p.printf("It does not elect yet: %s fails in lab 04 (%s). Correct it in %s too.", electing, oneLine(why), learn.CarriedServer)
	return nil
}
