package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"distlabs/internal/course"
	"distlabs/internal/grade"
	"distlabs/internal/learn"
)

// runFlags are the flags of grade run.
type runFlags struct {
	solution   bool
	submission string
	base       string
	json       string
	jobs       int
	seeds      int
	seed       string
	timeout    time.Duration
	isolation  int
	verbose    bool
}

func runCommand() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run [lab or part ...]",
		Short: "Run the graded tests and show the points",
		Long: `Run the graded tests, one process a test, and show the points of each part.

It grades the labs in this checkout, or with --solution the reference, or with
--submission the permitted files of a directory, laid over the labs of this
checkout. The directory may hold the files as they are, or under labs/<lab>/ or
<lab>/. Only the files that lab.yaml names are taken from it.

A lab may build on an earlier one: on yours, or with --base reference on the
reference's, so that a bug in one lab costs its points once.

The first failure is shown in full, the others in a line each.`,
		Example: `  grade run                        your own work
  grade run 1A                     one part of it
  grade run 01 --seed 81 -v        one seed, everything in full
  grade run --solution             the reference: full marks
  grade run 06 --base reference    lab 06, on the reference's lab 05
  grade run 01 --submission DIR --json results.json`,
		RunE: action(func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) }),
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.solution, "solution", false, "grade the reference solutions")
	flags.StringVar(&f.submission, "submission", "", "grade the files of this `directory`")
	flags.StringVar(&f.base, "base", "own", "the earlier `labs` that a lab builds on: own or reference")
	flags.StringVar(&f.json, "json", "", "write the results to this `file` (schemas/results.schema.json)")
	flags.IntVar(&f.jobs, "jobs", 0, "processes at a time (default: one per core)")
	flags.IntVar(&f.seeds, "seeds", 0, "seeds per test (default: what each test asks for)")
	flags.StringVar(&f.seed, "seed", "", "run this seed only")
	flags.DurationVar(&f.timeout, "timeout", grade.DefaultTimeout, "real time per test")
	flags.IntVar(&f.isolation, "isolation", 0, "refuse to run below this isolation `level` (1: gate and channel)")
	flags.BoolVarP(&f.verbose, "verbose", "v", false, "show every test, and every failure in full")
	cmd.MarkFlagsMutuallyExclusive("solution", "submission")
	cmd.MarkFlagsMutuallyExclusive("seed", "seeds")
	return cmd
}

func (f runFlags) run(cmd *cobra.Command, args []string) error {
	source, err := f.source()
	if err != nil {
		return err
	}
	if f.isolation > grade.IsolationLevel {
		return &exitError{code: exitIsolation, err: fmt.Errorf("isolation level %d is demanded, this machine offers %d", f.isolation, grade.IsolationLevel)}
	}
	c, selected, err := open(args)
	if err != nil {
		return err
	}
	run := grade.Run{Seeds: f.seeds, Seed: f.seed, Timeout: f.timeout}
	if source.Kind == grade.WorkingTree {
		run.Traces = func(lab course.Lab) string { return filepath.Join(c.Root, "labs", lab.ID, ".labs") }
	}
	attempt, err := learn.Begin(c, selected)
	if err != nil {
		return err
	}
	var result *grade.Result
	err = withGrader(cmd, c, f.jobs, newStatus(cmd.ErrOrStderr(), countTests(selected)), func(g *grade.Grader) error {
		result, err = g.Grade(cmd.Context(), source, selected, run)
		return err
	})
	if err != nil {
		return err
	}
	if f.json != "" {
		if err := writeJSON(f.json, result); err != nil {
			return err
		}
	}
	p := newPrinter(cmd.OutOrStdout())
	printResult(p, result, f.verbose)
	if source.Kind == grade.WorkingTree {
		if err := printAdvice(cmd, p, c, selected, result); err != nil {
			return err
		}
	}
	if source.Kind == grade.WorkingTree && f.seed == "" && f.seeds == 0 {
		if err := printFinish(p, c, attempt, result); err != nil {
			return err
		}
	}
	if source.Kind != grade.Submission && !result.Passed() {
		return &exitError{code: exitFailed}
	}
	return nil
}

// source is what the flags ask to grade, and on what; every wrong value is found here,
// before anything is built.
func (f runFlags) source() (grade.Source, error) {
	src, err := f.graded()
	if f.base == "reference" {
		src.Base = grade.Solution
	}
	return src, err
}

func (f runFlags) graded() (grade.Source, error) {
	if f.seed != "" {
		if _, err := strconv.ParseUint(f.seed, 10, 64); err != nil {
			return grade.Source{}, usage(fmt.Errorf("--seed %q is not a seed: want a whole number", f.seed))
		}
	}
	switch {
	case f.base != "" && f.base != "own" && f.base != "reference":
		return grade.Source{}, usage(fmt.Errorf("--base %q is neither own nor reference", f.base))
	case f.seeds < 0:
		return grade.Source{}, usage(fmt.Errorf("--seeds %d is negative", f.seeds))
	case f.jobs < 0:
		return grade.Source{}, usage(fmt.Errorf("--jobs %d is negative", f.jobs))
	case f.timeout <= 0:
		return grade.Source{}, usage(fmt.Errorf("--timeout %v leaves no time", f.timeout))
	case f.solution:
		return grade.Source{Kind: grade.Solution}, nil
	case f.submission == "":
		return grade.Source{Kind: grade.WorkingTree}, nil
	}
	info, err := os.Stat(f.submission)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return grade.Source{}, usage(fmt.Errorf("submission %q does not exist", f.submission))
	case err != nil:
		return grade.Source{}, err
	case !info.IsDir():
		return grade.Source{}, usage(fmt.Errorf("submission %q is not a directory", f.submission))
	}
	return grade.Source{Kind: grade.Submission, Dir: f.submission}, nil
}

// writeJSON puts the whole file in place at once, so that nobody reads half of one.
func writeJSON(path string, result *grade.Result) error {
	var text bytes.Buffer
	if err := result.WriteJSON(&text); err != nil {
		return err
	}
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, text.Bytes(), 0o666); err != nil {
		return fmt.Errorf("--json: %w", err)
	}
	return os.Rename(tmp, path)
}
