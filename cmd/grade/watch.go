package main

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"distlabs/internal/grading/course"
	"distlabs/internal/learning/learn"
	"distlabs/internal/learning/watch"
)

// watchAction is grade without a command: watch mode in a terminal, elsewhere a
// few plain lines on how far the student is. Outside every course it is the help.
func watchAction(cmd *cobra.Command, _ []string) error {
	c, _, err := open(nil)
	if status, ok := err.(*exitError); ok && status.code == exitUsage {
		return cmd.Help()
	} else if err != nil {
		return err
	}
	if onTerminal(cmd) {
		return watch.Run(cmd.Context(), c, watch.Options{In: os.Stdin, Out: os.Stdout, Colour: newPrinter(os.Stdout).colour,
			Advise: func(ctx context.Context, lab course.Lab) (texts []string) {
				all, err := advise(ctx, c, lab)
				if err != nil { // no advice is no reason to stop watching; grade advice says why
					return nil
				}
				for _, a := range all {
					texts = append(texts, a.String())
				}
				return texts
			}})
	}
	progress, err := learn.Collect(c)
	if err != nil {
		return err
	}
	p := newPrinter(cmd.OutOrStdout())
	for _, line := range watch.Summary(c, progress) {
		p.printf("%s\n", line)
	}
	p.printf("In a terminal, grade alone watches your files and runs what you save; grade --help lists the commands.\n")
	return nil
}

// onTerminal reports whether the command can both read keys and paint a screen.
func onTerminal(cmd *cobra.Command) bool {
	return cmd.OutOrStdout() == os.Stdout && isTerminal(os.Stdout) && isTerminal(os.Stdin) && os.Getenv("TERM") != "dumb"
}
