package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/result"
	"distlabs/internal/learning/advice"
)

func adviceCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "advice [lab ...]",
		Short: "Check your code for mistakes that matter when machines crash",
		Long: `Check your code, as go vet does, for mistakes that matter when machines crash and
messages are lost: a mutex held while you wait for a reply, a goroutine that outlives
its node, time.Now in a message, random numbers without a seed, messages in the
order of a map, a MAC compared by ==.

It is advice: it costs no points, and the exit status is 0.`,
		RunE: action(func(cmd *cobra.Command, args []string) error {
			c, selected, err := open(args)
			if err != nil {
				return err
			}
			var labs []course.Lab
			for _, s := range selected {
				labs = append(labs, s.Lab)
			}
			all, err := advise(cmd.Context(), c, labs...)
			broken, notCompiled := errors.AsType[advice.NotCompiled](err)
			if err != nil && !notCompiled {
				return err
			}
			p := newPrinter(cmd.OutOrStdout())
			for _, a := range all {
				p.printf("%s\n", a)
			}
			if notCompiled {
				p.printf("no advice yet: %s\n", oneLine(broken.Error()))
			} else if len(all) == 0 {
				p.printf("nothing to advise\n")
			}
			return nil
		}),
	}
}

// advise reads the student's own files of the labs.
func advise(ctx context.Context, c *course.Course, labs ...course.Lab) ([]advice.Advice, error) {
	var dirs []string
	for _, lab := range labs {
		dirs = append(dirs, lab.Dir())
	}
	return advice.Check(ctx, c.Root, dirs...)
}

// printAdvice ends a student's own run with advice on the labs in it, if there is any.
func printAdvice(cmd *cobra.Command, p *printer, c *course.Course, selected []course.Selected, graded *result.Result) error {
	var labs []course.Lab
	for i, s := range selected {
		if graded.Labs[i].Refused == "" {
			labs = append(labs, s.Lab)
		}
	}
	if len(labs) == 0 {
		return nil
	}
	all, err := advise(cmd.Context(), c, labs...)
	if _, notCompiled := errors.AsType[advice.NotCompiled](err); err != nil && !notCompiled {
		return err
	}
	for i, a := range all {
		if i == 0 {
			p.printf("\n")
		}
		p.printf("%s %s\n", p.strong("advice:"), a)
	}
	return nil
}
