package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/grade"
	"distlabs/internal/grading/result"
	"distlabs/internal/grading/submission"
	"distlabs/internal/learning/learn"
)

func solutionCommand() *cobra.Command {
	var spoil bool
	cmd := &cobra.Command{
		Use:   "solution part",
		Short: "Show the reference of a part, once your own code passes",
		Long: `Show the reference's files of a part, once your own pass: in $PAGER on a
terminal, by their paths otherwise. If your files have changed since they passed,
they are tested first.`,
		Args: cobra.ExactArgs(1),
		RunE: action(func(cmd *cobra.Command, args []string) error {
			c, lab, part, err := openPart(args)
			if err != nil {
				return err
			}
			if !spoil {
				if err := earn(cmd, c, lab, part); err != nil {
					return err
				}
			}
			return show(cmd, c, lab, part)
		}),
	}
	cmd.Flags().BoolVar(&spoil, "spoil", false, "show it although yours does not pass")
	return cmd
}

// earn returns nil if the student's own files pass.
func earn(cmd *cobra.Command, c *course.Course, lab course.Lab, part course.Part) error {
	progress, err := learn.Collect(c)
	if err != nil {
		return err
	}
	digest, err := learn.Digest(c, lab, part)
	if err != nil {
		return err
	}
	if progress.Passed[part.ID] == digest {
		return nil
	}
	selected := []course.Selected{{Lab: lab, Parts: []course.Part{part}}}
	attempt, err := learn.Begin(c, selected)
	if err != nil {
		return err
	}
	var graded *result.Result
	err = withGrader(cmd, c, 0, newStatus(cmd.ErrOrStderr(), ofTests, countTests(selected)), func(g *grade.Grader) error {
		graded, err = g.Grade(cmd.Context(), submission.Source{Kind: course.WorkingTree}, selected, grade.Run{Together: true})
		return err
	})
	if err != nil {
		return err
	}
	if !graded.Passed() {
		return &exitError{code: exitFailed, err: fmt.Errorf("your %s does not pass yet (%d of %d points): grade run %s shows why, grade hint %s helps, --spoil shows the reference all the same",
			part.ID, graded.Points, graded.Max, part.ID, part.ID)}
	}
	_, err = attempt.End(graded)
	return err
}

// show opens the reference's files of the part in a pager, or lists them.
func show(cmd *cobra.Command, c *course.Course, lab course.Lab, part course.Part) error {
	var paths []string
	for _, name := range part.Files {
		path := lab.SolutionDir() + "/" + name
		if _, err := os.Stat(filepath.Join(c.Root, filepath.FromSlash(path))); err != nil {
			return &exitError{code: exitFailed, err: fmt.Errorf("%s is not in this checkout: it is a handout without solutions", path)}
		}
		paths = append(paths, path)
	}
	pager := pagerFor(cmd)
	if pager == nil {
		newPrinter(cmd.OutOrStdout()).printf("%s\n", strings.Join(paths, "\n"))
		return nil
	}
	view := exec.CommandContext(cmd.Context(), pager[0], slices.Concat(pager[1:], paths)...)
	view.Dir, view.Stdin, view.Stdout, view.Stderr = c.Root, os.Stdin, os.Stdout, os.Stderr
	if err := view.Run(); err != nil {
		return fmt.Errorf("$PAGER: %s: %w", strings.Join(pager, " "), err)
	}
	return nil
}

// pagerFor is the user's pager and its arguments; nil where there is no
// terminal to page on, or no pager.
func pagerFor(cmd *cobra.Command) []string {
	if !isTerminal(cmd.OutOrStdout()) {
		return nil
	}
	if pager := strings.Fields(os.Getenv("PAGER")); len(pager) > 0 {
		return pager
	}
	pager := "less"
	if runtime.GOOS == "windows" {
		pager = "more"
	}
	if _, err := exec.LookPath(pager); err != nil {
		return nil
	}
	return []string{pager}
}
