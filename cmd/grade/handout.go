package main

import (
	"errors"

	"github.com/spf13/cobra"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/handout"
)

func handoutCommand() *cobra.Command {
	var o handout.Options
	var labs []string
	cmd := &cobra.Command{
		Use:   "handout --out DIR",
		Short: "Make what students receive: stubs and tests, no solutions",
		Long: `Make a folder for students: the stubs, tests and pages of the labs, the packages that
they are built from, and this command; no solutions and no mutants. Its go.mod
holds what it needs and no more, and it is compiled before it is put in place.

Where a lab builds on an earlier one that is not handed out, the earlier one is
there too, as stubs; with --with-base as the reference, which gives that away.`,
		Example: `  grade handout --out for-students
  grade handout --out for-students --labs 04,05`,
		Args: noLabsAtAll,
		RunE: action(func(cmd *cobra.Command, args []string) error {
			c, selected, err := open(labs)
			if err != nil {
				return err
			}
			for _, s := range selected {
				if !s.Whole() {
					return usage(errors.New("--labs: a lab is handed out whole: name it, not a part of it"))
				}
				o.Labs = append(o.Labs, s.Lab)
			}
			made, err := handout.Make(cmd.Context(), c, o)
			if errors.Is(err, handout.ErrUsage) {
				return usage(err)
			}
			if err != nil {
				return err
			}
			p := newPrinter(cmd.OutOrStdout())
			p.printf("%d files in %s\nlabs to solve: %s\n", made.Files, o.Out, join(ids(made.Labs)))
			if len(made.Bases) > 0 {
				what := "stubs of labs that these build on"
				if o.WithBase {
					what = "references of labs that these build on"
				}
				p.printf("%s: %s\n", what, join(ids(made.Bases)))
			}
			return nil
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&o.Out, "out", "", "the `directory` to make")
	flags.StringSliceVar(&labs, "labs", nil, "labs to hand out (default: all)")
	flags.BoolVar(&o.WithBase, "with-base", false, "the references of labs that these build on, in place of stubs")
	cmd.MarkFlagRequired("out")
	return cmd
}

func ids(labs []course.Lab) []string {
	var list []string
	for _, l := range labs {
		list = append(list, l.ID)
	}
	return list
}
