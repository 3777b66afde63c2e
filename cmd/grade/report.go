package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"distlabs/internal/grading/export"
	"distlabs/internal/grading/result"
)

// The forms of a report: of one result, of a class, or of both.
var (
	forOne   = []string{"gradescope", "classroom50", "github", "prairielearn", "vpl", "junit", "csv", "html"}
	forClass = []string{"csv", "canvas", "moodle", "junit", "html"}
)

// reportFlags say in which form a result is written, and where.
type reportFlags struct {
	format     string
	out        string
	visibility string
	metadata   string
	maxGrade   float64
	gradebook  string
	column     string
	title      string
}

// bind adds the flags that a report of one result has.
func (f *reportFlags) bind(cmd *cobra.Command, formats []string) {
	flags := cmd.Flags()
	flags.StringVar(&f.format, "format", "", "write the results in this `form`: "+join(formats))
	flags.StringVar(&f.out, "out", "", "write it to this `file` (default: standard output)")
	flags.StringVar(&f.visibility, "visibility", "visible", "gradescope: show the tests "+join(export.GradescopeVisibilities)+"; a hidden test hides the total")
	flags.Float64Var(&f.maxGrade, "max-grade", 0, "vpl: the activity's highest grade (default: the points there are)")
	flags.StringVar(&f.metadata, "metadata", "", "gradescope: show late days and attempts from this `file`, its submission_metadata.json")
	register(cmd, "format", words(formats...))
	register(cmd, "visibility", words(export.GradescopeVisibilities...))
}

func reportCommand() *cobra.Command {
	var f reportFlags
	formats := slices.Compact(slices.Sorted(slices.Values(slices.Concat(forOne, forClass))))
	cmd := &cobra.Command{
		Use:   "report --format FORM RESULTS.json|RUN",
		Short: "Write results in the forms that other systems read",
		Long: `Write the results.json of one submission, or the run directory of a class, in
the form that another system reads.

  gradescope    results.json of a Gradescope autograder
  classroom50   classroom50/result/v1; the submission's identity is read from the
                environment that Classroom 50's runner sets
  github        annotations for GitHub Actions, and a summary for the file that
                $GITHUB_STEP_SUMMARY names
  prairielearn  results.json of a PrairieLearn external grader
  vpl           what an evaluation script of Moodle's VPL prints
  canvas        a gradebook that was exported from Canvas, with one column filled
  moodle        a grading worksheet that was downloaded from an assignment of
                Moodle's, with its grades filled
  csv           a table of a class: students down, parts across
  junit         JUnit XML
  html          a page; of a class (--out names a folder) a page a student and a
                matrix, index.html

The first five are about one submission; canvas and moodle are about a class.`,
		Example: `  grade report --format gradescope results.json
  grade report --format html RUN --out PAGES
  grade report --format canvas --gradebook exported.csv --column "Lab 4" RUN --out import.csv`,
		Args: cobra.ExactArgs(1),
		RunE: action(func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0], formats) }),
	}
	f.bind(cmd, formats)
	cmd.Flags().StringVar(&f.gradebook, "gradebook", "", "canvas, moodle: the `file` that Canvas exported, or Moodle's grading worksheet")
	cmd.Flags().StringVar(&f.column, "column", "", "canvas, moodle: the `assignment` to fill, as its column is headed (moodle: default Grade)")
	cmd.Flags().StringVar(&f.title, "title", "Labs", "html: the title of the class's page")
	return cmd
}

func (f reportFlags) run(cmd *cobra.Command, path string, formats []string) error {
	if err := f.check(formats); err != nil {
		return err
	}
	switch {
	case f.format == "canvas" && (f.gradebook == "" || f.column == ""):
		return usage(errors.New("--format canvas needs --gradebook and --column"))
	case f.format == "moodle" && f.gradebook == "":
		return usage(errors.New("--format moodle needs --gradebook: the grading worksheet that Moodle offers for download"))
	case f.format != "canvas" && f.format != "moodle" && (f.gradebook != "" || f.column != ""):
		return usage(errors.New("--gradebook and --column are for --format canvas and moodle"))
	}
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return usage(fmt.Errorf("%s does not exist", path))
	}
	if err != nil {
		return err
	}
	if info.IsDir() {
		err = f.ofRun(cmd, path)
	} else {
		err = f.ofResult(cmd, path)
	}
	if err == nil && f.out != "" {
		fmt.Fprintf(cmd.OutOrStdout(), "%s is written\n", f.out)
	}
	return err
}

func (f reportFlags) ofResult(cmd *cobra.Command, path string) error {
	graded, err := result.Read(path)
	if err != nil {
		return err
	}
	return f.writeOne(cmd, graded)
}

func (f reportFlags) ofRun(cmd *cobra.Command, path string) error {
	run, err := result.ReadRun(path)
	if errors.Is(err, result.ErrNoRun) {
		return usage(err)
	}
	if err != nil {
		return err
	}
	return f.writeClass(cmd, export.OfRun(run))
}

// check finds wrong values of flags before anything is run.
func (f reportFlags) check(formats []string) error {
	switch {
	case f.format == "" && f.out == "":
		return usage(fmt.Errorf("--format is missing: want one of %s", join(formats)))
	case !slices.Contains(formats, f.format):
		return usage(fmt.Errorf("--format %q is none of %s", f.format, join(formats)))
	case !slices.Contains(export.GradescopeVisibilities, f.visibility):
		return usage(fmt.Errorf("--visibility %q is none of %s", f.visibility, join(export.GradescopeVisibilities)))
	case f.maxGrade < 0:
		return usage(fmt.Errorf("--max-grade %v is negative", f.maxGrade))
	}
	if f.format == "classroom50" {
		if _, err := export.Classroom50Env(os.Getenv); err != nil {
			return usage(err)
		}
	}
	return nil
}

// writeOne writes the report of one result.
func (f reportFlags) writeOne(cmd *cobra.Command, r *result.Result) error {
	if f.format == "canvas" || f.format == "moodle" {
		return f.writeClass(cmd, export.OfResults(r))
	}
	return f.toOut(cmd, func(w io.Writer) error { return f.encode(w, r) })
}

func (f reportFlags) encode(w io.Writer, r *result.Result) error {
	switch f.format {
	case "gradescope":
		o := export.GradescopeOptions{Visibility: f.visibility}
		if f.metadata != "" {
			o.Metadata, _ = os.ReadFile(f.metadata) // no grade depends on it
		}
		return export.Gradescope(w, r, o)
	case "classroom50":
		submission, err := export.Classroom50Env(os.Getenv)
		if err != nil {
			return usage(err)
		}
		if err := export.Classroom50(w, r, submission); err != nil {
			return usage(err)
		}
		return nil
	case "github":
		if err := appendSummary(os.Getenv("GITHUB_STEP_SUMMARY"), r); err != nil {
			return err
		}
		return export.Annotations(w, r)
	case "prairielearn":
		return export.PrairieLearn(w, r)
	case "vpl":
		return export.VPL(w, r, f.maxGrade)
	case "junit":
		return export.JUnit(w, export.OfResults(r))
	case "csv":
		return export.CSV(w, export.OfResults(r))
	default: // html: check knows no other
		return export.StudentPage(w, export.StudentOf(r), "")
	}
}

// appendSummary adds the result to a job's summary; path "": there is none.
func appendSummary(path string, r *result.Result) error {
	if path == "" {
		return nil
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return fmt.Errorf("GITHUB_STEP_SUMMARY: %w", err)
	}
	return errors.Join(export.Summary(file, r), file.Close())
}

// writeClass writes the report of a class.
func (f reportFlags) writeClass(cmd *cobra.Command, class export.Class) error {
	switch f.format {
	case "csv":
		return f.toOut(cmd, func(w io.Writer) error { return export.CSV(w, class) })
	case "junit":
		return f.toOut(cmd, func(w io.Writer) error { return export.JUnit(w, class) })
	case "canvas", "moodle":
		return f.fillGradebook(cmd, class)
	case "html":
		if f.out == "" {
			return usage(errors.New("--format html writes the pages of a class into a folder: name it with --out"))
		}
		_, err := export.Site(f.out, f.title, class)
		return err
	}
	return usage(fmt.Errorf("--format %s is about one submission: name its results.json, such as RUN/submissions/alice/results.json", f.format))
}

// fillGradebook fills the gradebook and says what became of each submission.
func (f reportFlags) fillGradebook(cmd *cobra.Command, class export.Class) error {
	gradebook, err := os.ReadFile(f.gradebook)
	if err != nil {
		return usage(fmt.Errorf("--gradebook: %w", err))
	}
	var filled bytes.Buffer
	fill := export.Canvas
	if f.format == "moodle" {
		fill = export.Moodle
	}
	report, err := fill(&filled, gradebook, f.column, class)
	if errors.Is(err, export.ErrGradebook) || errors.Is(err, export.ErrWorksheet) {
		return usage(err)
	}
	if err != nil {
		return err
	}
	err = f.toOut(cmd, func(w io.Writer) error {
		_, err := w.Write(filled.Bytes())
		return err
	})
	if err != nil {
		return err
	}
	say := func(what string, list []string) {
		if len(list) > 0 {
			fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", what, oneLine(strings.Join(list, "; ")))
		}
	}
	scale := ""
	if report.Possible > 0 {
		scale = fmt.Sprintf(", out of %v points", report.Possible)
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s: %d filled%s\n", oneLine(report.Column), report.Filled, scale)
	say("no such student in the gradebook", report.Unknown)
	say("more than one could be meant, left alone", report.Unsure)
	say("not graded, left alone", report.Ungraded)
	say("not a number, left alone", report.Kept)
	say("had another number before", report.Replaced)
	say("students without a submission", report.Empty)
	return nil
}

// toOut writes to the file of --out, whole or not at all, or to standard output.
func (f reportFlags) toOut(cmd *cobra.Command, encode func(w io.Writer) error) error {
	if f.out == "" {
		return encode(cmd.OutOrStdout())
	}
	var text bytes.Buffer
	if err := encode(&text); err != nil {
		return err
	}
	return replaceFile("--out", f.out, text.Bytes())
}

// replaceFile puts a whole file in place at once, so that nobody reads half of one.
func replaceFile(flag, path string, text []byte) error {
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, text, 0o666); err != nil {
		return fmt.Errorf("%s: %w", flag, err)
	}
	return os.Rename(tmp, path)
}
