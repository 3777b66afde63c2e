package main

import (
	"github.com/spf13/cobra"

	"distlabs/internal/grading/newlab"
)

func newLabCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "new-lab NN-name",
		Short: "Write a new lab that passes selfcheck, for its author to replace",
		Args:  cobra.ExactArgs(1),
		RunE: action(func(cmd *cobra.Command, args []string) error {
			lab, err := newlab.New(args[0])
			if err != nil {
				return usage(err)
			}
			c, _, err := open(nil)
			if err != nil {
				return err
			}
			names, err := newlab.Write(c, lab)
			if err != nil {
				return usage(err)
			}
			p := newPrinter(cmd.OutOrStdout())
			for _, name := range names {
				p.printf("%s\n", name)
			}
			p.printf("\ngo run ./cmd/grade selfcheck %s   # holds the lab to its promises; CONTRIBUTING.md says what they are\n", lab.ID[:2])
			return nil
		}),
	}
}
