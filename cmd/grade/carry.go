package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"distlabs/internal/learning/learn"
)

func carryCommand() *cobra.Command {
	var reference bool
	cmd := &cobra.Command{
		Use:   "carry 05",
		Short: "Begin lab 05 with your Raft server of lab 04",
		Long: `Put your Raft server of lab 04 where lab 05 goes on from it, election.go, and
the fields that you added to its messages into wire.go. A backup is kept.

Only a stub is written over, and only what compiles in lab 05 is written.`,
		Args: cobra.ExactArgs(1),
		RunE: action(func(cmd *cobra.Command, args []string) error {
			c, selected, err := open(args)
			if err != nil {
				return err
			}
			if len(selected) != 1 || selected[0].Lab.ID != learn.CarryTo {
				return usage(fmt.Errorf("nothing can be carried into %s: only lab 05 goes on from another, want grade carry 05", args[0]))
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
			p.printf("It elects already. Next: Status, in raft.go, must tell the vote as well; then grade run 5A.\n")
			return nil
		}),
	}
	cmd.Flags().BoolVar(&reference, "reference", false, "take the reference's server instead of yours")
	return cmd
}
