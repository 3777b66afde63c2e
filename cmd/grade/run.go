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

	"distlabs/internal/grading/class"
	"distlabs/internal/grading/course"
	"distlabs/internal/grading/grade"
	"distlabs/internal/grading/result"
	"distlabs/internal/grading/sandbox"
	"distlabs/internal/grading/submission"
	"distlabs/internal/learning/learn"
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
	partial    bool
	report     reportFlags
}

func runCommand() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run [lab or part ...]",
		Short: "Run the graded tests and show the points",
		Long: `Run the graded tests. Show the points of each part, and what was measured beside
its limit. It grades the labs of this checkout; their tests share a few processes,
until one fails.

With --solution it grades the reference solutions. With --submission it grades the
files of a folder or an archive, in which they lie at the top, under labs/<lab>/ or
under <lab>/. Only the files that lab.yaml names are taken from it, and each test
has a process of its own.

A lab may build on an earlier one. It builds on your own, or with --base reference
on the reference's: then a bug in one lab costs its points once.

The first failure is shown in full, each other one in a line.

With --format, the results are written in the form that another system reads.
With --partial this file is written again after every test: a grader that is
killed leaves the results that it had.`,
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
	flags.StringVar(&f.submission, "submission", "", "grade the files of this `folder` or archive, also on seeds that follow from their content")
	flags.StringVar(&f.base, "base", "own", "the earlier `labs` that a lab builds on: own or reference")
	flags.StringVar(&f.json, "json", "", "write the results to this `file` (schemas/results.schema.json)")
	flags.IntVar(&f.jobs, "jobs", 0, "processes at a time (default: one per core)")
	flags.IntVar(&f.seeds, "seeds", 0, "seeds per test (default: what each test asks for)")
	flags.StringVar(&f.seed, "seed", "", "run this seed only")
	flags.DurationVar(&f.timeout, "timeout", grade.DefaultTimeout, "real time per test; with --submission, five times that for all tests of a lab together")
	flags.IntVar(&f.isolation, "require-isolation", 0, "refuse to run below this isolation `level`, 1 to 3 (docs/isolation.md)")
	flags.BoolVarP(&f.verbose, "verbose", "v", false, "show every test, and every failure in full")
	f.report.bind(cmd, forOne)
	flags.BoolVar(&f.partial, "partial", false, "write the file of --out again after every test")
	cmd.MarkFlagsMutuallyExclusive("solution", "submission")
	cmd.MarkFlagsMutuallyExclusive("seed", "seeds")
	return cmd
}

func (f runFlags) run(cmd *cobra.Command, args []string) error {
	source, err := f.source()
	if err != nil {
		return err
	}
	if f.partial && f.report.out == "" {
		return usage(errors.New("--partial needs --out: the file to write again and again"))
	}
	if f.report.format != "" || f.report.out != "" {
		if err := f.report.check(forOne); err != nil {
			return err
		}
		if f.partial && f.report.format == "github" {
			return usage(errors.New("--partial: a summary of GitHub's is only added to, never written again"))
		}
	}
	c, selected, err := open(args)
	if err != nil {
		return noSubmissions(err, args)
	}
	run := grade.Run{Seeds: f.seeds, Seed: f.seed, Timeout: f.timeout, Together: source.Kind != course.Submission}
	why := "" // nothing can be graded
	if source.Kind == course.Submission {
		if source.Held, why, err = readSubmission(c, source.Path, selected); err != nil {
			return err
		}
		if f.seed == "" {
			run.Extra = class.Known(class.FurtherSeeds).For(source.Held.Hash())
		}
	}
	if source.Kind == course.WorkingTree {
		run.Traces = func(lab course.Lab) string { return filepath.Join(c.Root, "labs", lab.ID, ".labs") }
	}
	attempt, err := learn.Begin(c, selected)
	if err != nil {
		return err
	}
	if source.Kind == course.WorkingTree && len(selected) == 1 && len(selected[0].Parts) == 1 {
		if err := learn.WorksOn(c, selected[0].Parts[0]); err != nil {
			return err
		}
	}
	var graded *result.Result
	progress := newStatus(cmd.ErrOrStderr(), ofTests, countTests(selected))
	err = withOptions(cmd, c, grade.Options{Jobs: f.jobs, RequireIsolation: f.isolation}, progress, func(g *grade.Grader) error {
		if f.partial {
			if progress.then, err = f.keep(cmd, g.Partial(source, selected)); err != nil {
				return err
			}
		}
		if why != "" {
			graded = g.Ungraded(source, selected, why)
			return nil
		}
		graded, err = g.Grade(cmd.Context(), source, selected, run)
		return err
	})
	if err != nil {
		return err
	}
	if f.json != "" {
		if err := writeJSON(f.json, graded); err != nil {
			return err
		}
	}
	if f.report.format != "" {
		if err := f.report.writeOne(cmd, graded); err != nil {
			return err
		}
	}
	if f.report.format == "" || f.report.out != "" {
		if err := f.show(cmd, c, selected, attempt, graded); err != nil {
			return err
		}
	}
	if source.Kind != course.Submission && !graded.Passed() {
		return &exitError{code: exitFailed}
	}
	return nil
}

// show prints the result for a person, and for a student what to do next.
func (f runFlags) show(cmd *cobra.Command, c *course.Course, selected []course.Selected, attempt *learn.Attempt, graded *result.Result) error {
	p := newPrinter(cmd.OutOrStdout())
	printResult(p, graded, f.verbose)
	if graded.Source.Kind != course.WorkingTree {
		return nil
	}
	if err := printAdvice(cmd, p, c, selected, graded); err != nil {
		return err
	}
	if f.seed == "" && f.seeds == 0 {
		return printFinish(p, c, attempt, graded)
	}
	return nil
}

// keep writes the partial result, and returns what writes it again when a test
// has ended. A write that fails then is not the end: the last one, of the whole
// result, will say so.
func (f runFlags) keep(cmd *cobra.Command, partial *grade.Partial) (func(grade.Progress), error) {
	then := func(step grade.Progress) {
		if partial.Add(step) {
			_ = f.report.writeOne(cmd, partial.Result())
		}
	}
	return then, f.report.writeOne(cmd, partial.Result())
}

// source is what the flags ask to grade, and on what; every wrong value is found here,
// before anything is built.
func (f runFlags) source() (submission.Source, error) {
	src, err := f.graded()
	if f.base == "reference" {
		src.Base = course.Solution
	}
	return src, err
}

func (f runFlags) graded() (submission.Source, error) {
	if f.seed != "" {
		if _, err := strconv.ParseUint(f.seed, 10, 64); err != nil {
			return submission.Source{}, usage(fmt.Errorf("--seed %q is not a seed: want a whole number", f.seed))
		}
	}
	switch {
	case f.base != "" && f.base != "own" && f.base != "reference":
		return submission.Source{}, usage(fmt.Errorf("--base %q is neither own nor reference", f.base))
	case f.seeds < 0:
		return submission.Source{}, usage(fmt.Errorf("--seeds %d is negative", f.seeds))
	case f.jobs < 0:
		return submission.Source{}, usage(fmt.Errorf("--jobs %d is negative", f.jobs))
	case f.isolation < 0 || f.isolation > sandbox.IsolationContainer:
		return submission.Source{}, usage(fmt.Errorf("--require-isolation %d: there are the levels 1 to %d", f.isolation, sandbox.IsolationContainer))
	case f.timeout <= 0:
		return submission.Source{}, usage(fmt.Errorf("--timeout %v leaves no time", f.timeout))
	case f.solution:
		return submission.Source{Kind: course.Solution}, nil
	case f.submission == "":
		return submission.Source{Kind: course.WorkingTree}, nil
	}
	info, err := os.Stat(f.submission)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return submission.Source{}, usage(fmt.Errorf("submission %q does not exist", f.submission))
	case err != nil:
		return submission.Source{}, err
	case !info.IsDir() && !submission.IsArchive(f.submission):
		return submission.Source{}, usage(fmt.Errorf("submission %q is neither a folder nor an archive (%s)", f.submission, submission.ArchiveEndings()))
	}
	return submission.Source{Kind: course.Submission, Path: f.submission}, nil
}

// readSubmission reads a folder or archive by the rules by which grade batch reads one.
func readSubmission(c *course.Course, path string, selected []course.Selected) (held submission.Held, why string, err error) {
	folder := func(prefix string) (string, error) { return os.MkdirTemp("", prefix) }
	return submission.NewReader(c, selected, folder).Read(submission.Piece{Path: path})
}

func writeJSON(path string, graded *result.Result) error {
	var text bytes.Buffer
	if err := graded.WriteJSON(&text); err != nil {
		return err
	}
	return replaceFile("--json", path, text.Bytes())
}
