package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"distlabs/internal/grading/class"
)

func mergeCommand() *cobra.Command {
	var out, secretFile string
	cmd := &cobra.Command{
		Use:   "merge RUN ... --out RUN",
		Short: "Put the runs of shards together",
		Long: `Put the runs of a class's shards together into one run of the whole class.

The runs must have asked for the same: labs, tests, grader, Go version, seeds.
Where two have the same submission their results must be the same. A result that
was changed since it was graded is refused. With --seed-secret, the secret that
the class was graded with, this holds even if the changes were made with care.

Exit status: 2 if the runs do not fit together; 3 if a shard, or the result of
a submission, is missing: they are named.`,
		Example: "  grade merge run-* --out run",
		RunE: action(func(cmd *cobra.Command, args []string) error {
			var secret *class.Secret
			if secretFile != "" {
				var err error
				if secret, err = class.ReadSecret(secretFile, out, 0); err != nil {
					return asked(err)
				}
			}
			n, err := class.Merge(args, out, secret)
			if err != nil {
				return asked(err)
			}
			newPrinter(cmd.OutOrStdout()).printf("%d submissions from %d runs in %s\n", n, len(args), out)
			return nil
		}),
	}
	cmd.Flags().StringVar(&out, "out", "", "the run `directory` to make")
	cmd.Flags().StringVar(&secretFile, "seed-secret", "", "check that every result was graded with the secret in this `file`")
	cmd.MarkFlagRequired("out")
	return cmd
}

func diffCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "diff BEFORE AFTER",
		Short: "List whose points changed between two runs, and why",
		Long: `Compare two runs of a class, or two results.json: whose points changed, by which
tests, and what the failing side said.

Exit status: 0 whether or not anything changed.`,
		Example: `  grade diff run-1 run-2
  grade diff before.json after.json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usage(errors.New("want two runs, or two results.json"))
			}
			return nil
		},
		RunE: action(func(cmd *cobra.Command, args []string) error {
			c, err := class.Diff(args[0], args[1])
			if err != nil {
				return asked(err)
			}
			p := newPrinter(cmd.OutOrStdout())
			for _, asked := range c.Asked {
				p.printf("the runs differ: %s\n", asked)
			}
			changed := 0
			for change, err := range c.Changes() {
				if err != nil {
					return fmt.Errorf("%s: %w", change.ID, err)
				}
				changed++
				p.printf("%s  %s to %s\n", p.strong(oneLine(change.ID)), change.Before, change.After)
				for _, why := range change.Why {
					p.printf("    %s\n", oneLine(why))
				}
			}
			p.printf("%d changed, %d the same\n", changed, c.Same)
			return nil
		}),
	}
}
