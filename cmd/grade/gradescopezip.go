package main

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"distlabs/internal/grading/autograder"
)

func gradescopeZipCommand() *cobra.Command {
	var out string
	o := autograder.Options{Go: runtime.Version()}
	cmd := &cobra.Command{
		Use:   "gradescope-zip lab or part ...",
		Short: "Make the autograder.zip from which Gradescope builds its container",
		Long: `Make the archive that you upload to Gradescope as an assignment's autograder.

In it are the source of the grader and the labs as they are in this checkout,
without solutions. When Gradescope builds the image, setup.sh installs gcc and Go
(from go.dev, if the image has none that will do), fetches the Go modules that
go.sum names, and builds. For each submission run_autograder then writes
results.json, again after every test, so that a container that runs out of time
reports what it knew.

Where the grader itself fails, no results.json is left: Gradescope then reports a
failed autograder and gives no zero.`,
		Example: `  grade gradescope-zip 04 --out autograder.zip
  grade gradescope-zip 1A 1B --visibility after_due_date --out autograder.zip`,
		Args: cobra.MinimumNArgs(1),
		RunE: action(func(cmd *cobra.Command, args []string) error {
			c, selected, err := open(args)
			if err != nil {
				return err
			}
			if err := o.Check(); err != nil {
				return usage(err)
			}
			if out == "" {
				return usage(errors.New("--out is missing: name the archive to write"))
			}
			var archive bytes.Buffer
			if err := autograder.Write(&archive, c, selected, o); err != nil {
				return err
			}
			if err := replaceFile("--out", out, archive.Bytes()); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %d KiB; upload it as the assignment's autograder\n", out, (archive.Len()+1023)/1024)
			return nil
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&out, "out", "", "write the archive to this `file`")
	flags.StringVar(&o.Visibility, "visibility", "visible", "when a student sees the tests: visible, after_due_date, after_published, hidden")
	flags.StringVar(&o.Go, "go", o.Go, "the `version` of Go to install where there is none")
	flags.StringVar(&o.Sum, "go-sha256", "", "the `sum` of its archive for Linux, as go.dev/dl tells it, to be checked")
	return cmd
}
