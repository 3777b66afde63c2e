package main

import (
	"github.com/spf13/cobra"

	"distlabs/internal/grading/class"
)

func similarCommand() *cobra.Command {
	var out string
	var labs []string
	cmd := &cobra.Command{
		Use:   "similar FOLDER | ARCHIVE ... | ROSTER.csv",
		Short: "Export a class for Dolos, which finds similar submissions",
		Long: `Lay the permitted files of a class out as Dolos reads them, a folder for each lab, and
print the commands that search them. Similarity is not ours to judge; Dolos
(https://dolos.ugent.be) is made for it, and leaves out what all were given.`,
		Example: "  grade similar handed-in --labs 04 --out similar",
		RunE: action(func(cmd *cobra.Command, args []string) error {
			c, selected, err := open(labs)
			if err != nil {
				return err
			}
			if err := noLabs(c, args); err != nil {
				return err
			}
			found, err := class.Find(args)
			if err != nil {
				return asked(err)
			}
			defer found.Close()
			s, err := class.ExportSimilar(c, found, selected, out)
			if err != nil {
				return asked(err)
			}
			p := newPrinter(cmd.OutOrStdout())
			p.printf("%d files of %d submissions in %s\n", s.Files, len(found.Submissions), out)
			if len(s.Unread) > 0 {
				p.printf("note: without a file of these labs: %s\n", oneLine(join(s.Unread)))
			}
			for _, command := range s.Commands {
				p.printf("%s\n", command)
			}
			return nil
		}),
	}
	cmd.Flags().StringVar(&out, "out", "", "the `directory` to make")
	cmd.Flags().StringSliceVar(&labs, "labs", nil, "labs to lay out (default: all)")
	cmd.MarkFlagRequired("out")
	return cmd
}
