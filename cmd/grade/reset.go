package main

import (
	"os"

	"github.com/spf13/cobra"

	"distlabs/internal/learning/learn"
)

func resetCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "reset part|file ...",
		Short: "Put a stub back, and keep a backup of what was there",
		Long: `Put stubs back, and keep a backup of what was there in .labs/backup: copy it from
there if you want it again.

A part stands for its own files: those that no part before it has.`,
		Example: `  grade reset 1B
  grade reset labs/04-election/raft.go`,
		Args: cobra.MinimumNArgs(1),
		RunE: action(func(cmd *cobra.Command, args []string) error {
			c, _, err := open(nil)
			if err != nil {
				return err
			}
			dir, err := os.Getwd()
			if err != nil {
				return err
			}
			var files []learn.File
			for _, name := range args {
				found, err := learn.FilesOf(c, name, dir)
				if err != nil {
					return usage(trimmed(err))
				}
				files = append(files, found...)
			}
			changed, backup, err := learn.Reset(c, files)
			if err != nil {
				return err
			}
			p := newPrinter(cmd.OutOrStdout())
			for _, f := range changed {
				p.printf("%s is the stub again; yours is in %s/%s/%s\n", f.Path(), backup, f.Lab, f.Name)
			}
			if len(changed) == 0 {
				p.printf("nothing to do: %s the stub already\n", isOrAre(len(files)))
			}
			return nil
		}),
	}
}

func isOrAre(n int) string {
	if n == 1 {
		return "it is"
	}
	return "they are"
}
