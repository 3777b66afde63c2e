package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"distlabs/internal/grading/course"
	"distlabs/internal/learning/learn"
)

func hintCommand() *cobra.Command {
	var again, all bool
	cmd := &cobra.Command{
		Use:   "hint part",
		Short: "Give the next hint for a part, most general first",
		Long: `Give the next hint for a part, most general first, and remember which you have had.

Without a part, it is the one that you last ran alone, watched or had a hint for.`,
		Example: `  grade hint 4C           the next hint
  grade hint 4C --again   the hints that you have had
  grade hint 4C --all     all of them`,
		Args: cobra.MaximumNArgs(1),
		RunE: action(func(cmd *cobra.Command, args []string) error {
			c, _, part, err := openPart(args)
			if err != nil {
				return err
			}
			p := newPrinter(cmd.OutOrStdout())
			if !again && !all {
				h, err := learn.NextHint(c, part)
				if learn.IsNoMoreHints(err) {
					return &exitError{code: exitFailed, err: trimmed(err)}
				} else if err != nil {
					return err
				}
				printHint(p, part, h)
				p.printf("%s\n", left(h))
				return nil
			}
			hints, err := learn.Hints(c, part, all)
			if err != nil {
				return err
			}
			if len(hints) == 0 {
				p.printf("%s: no hint yet; it has %d\n", part.ID, len(part.Hints))
			}
			for _, h := range hints {
				printHint(p, part, h)
			}
			return nil
		}),
	}
	cmd.Flags().BoolVar(&again, "again", false, "repeat the hints that were given")
	cmd.Flags().BoolVar(&all, "all", false, "show every hint")
	cmd.MarkFlagsMutuallyExclusive("again", "all")
	return cmd
}

func printHint(p *printer, part course.Part, h learn.Hint) {
	p.printf("%s %s\n", p.strong(fmt.Sprintf("%s, hint %d of %d:", part.ID, h.Number, h.Of)), h.Text)
}

func left(h learn.Hint) string {
	switch h.Left() {
	case 0:
		return "(that was the last)"
	case 1:
		return "(1 more)"
	}
	return fmt.Sprintf("(%d more)", h.Left())
}

// openPart finds the one part that the command is about: the one named, or the
// one that the student last worked on.
func openPart(args []string) (*course.Course, course.Lab, course.Part, error) {
	c, selected, err := open(args)
	if err != nil {
		return nil, course.Lab{}, course.Part{}, err
	}
	if len(args) == 0 {
		lab, part, err := current(c)
		return c, lab, part, err
	}
	if len(selected) != 1 || len(selected[0].Parts) != 1 {
		lab := selected[0].Lab
		return nil, course.Lab{}, course.Part{}, usage(fmt.Errorf("%s is a whole lab: name a part, %s to %s", args[0], lab.Parts[0].ID, lab.Parts[len(lab.Parts)-1].ID))
	}
	return c, selected[0].Lab, selected[0].Parts[0], nil
}

// current is the part that the student works on.
func current(c *course.Course) (course.Lab, course.Part, error) {
	p, err := learn.Load(c.Root)
	if err != nil {
		return course.Lab{}, course.Part{}, err
	}
	lab, part := p.Current(c)
	return lab, part, nil
}
