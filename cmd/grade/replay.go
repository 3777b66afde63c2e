package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/grade"
	"distlabs/internal/grading/prove"
	"distlabs/internal/grading/submission"
	"distlabs/internal/harness/trace"
	"distlabs/internal/harness/view"
)

// replayFlags are the flags of grade replay.
type replayFlags struct {
	formatFlags
	run     runFlags // of which it has the source and the time limit
	mutant  string
	against string
}

func replayCommand() *cobra.Command {
	var f replayFlags
	cmd := &cobra.Command{
		Use:   "replay lab test [seed]",
		Short: "Run one seed of one test, recorded, and draw the run",
		Long: `Run one seed of one test, recorded, and draw the run, whether it passes or fails.
A run that fails is drawn with a minimal set of faults that still makes it fail. Without a seed, the
test's own seeds are run and the first that fails is drawn.

The test is named by its name or the beginning of it, with or without "Test", or
by a part that has one test. The formats are those of grade trace. The drawing
and the record go to the folder .labs of the lab unless --out says otherwise.

With --against, a second seed is run too and drawn beside the first, aligned at
the point where the two runs diverge.`,
		Example: `  grade replay 04 HighestWins 3
  grade replay 04 HighestWins 3 --solution --format text
  grade replay 04 HighestWins 3 --against 4`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 2 || len(args) > 3 {
				return usage(errors.New("replay wants a lab, a test and a seed, such as: grade replay 04 HighestWins 3"))
			}
			return nil
		},
		RunE: action(func(cmd *cobra.Command, args []string) error { return f.replay(cmd, args) }),
	}
	flags := cmd.Flags()
	f.add(cmd)
	flags.BoolVar(&f.run.solution, "solution", false, "run the reference")
	flags.StringVar(&f.run.submission, "submission", "", "run the files of this `directory`")
	flags.StringVar(&f.mutant, "mutant", "", "run the reference with the known-wrong patch of this `name`")
	flags.StringVar(&f.against, "against", "", "compare with this `seed`")
	flags.DurationVar(&f.run.timeout, "timeout", grade.DefaultTimeout, "real time for each seed")
	flags.StringVar(&f.run.base, "base", "own", "the earlier `labs` that a lab builds on: own or reference")
	cmd.MarkFlagsMutuallyExclusive("solution", "submission", "mutant")
	return cmd
}

func (f replayFlags) replay(cmd *cobra.Command, args []string) error {
	format, err := f.parse(f.against != "")
	if err != nil {
		return err
	}
	if len(args) == 3 {
		f.run.seed = args[2]
	}
	for what, seed := range map[string]string{"the seed": f.run.seed, "--against": f.against} {
		if _, err := strconv.ParseUint(seed, 10, 64); err != nil && seed != "" {
			return usage(fmt.Errorf("%s %q is not a seed: want a whole number", what, seed))
		}
	}
	c, _, err := open(nil)
	if err != nil {
		return err
	}
	test, err := c.FindTest(args[0], args[1])
	if err != nil {
		return usage(err)
	}
	source, err := f.source(c, test.Lab)
	if err != nil {
		return err
	}
	r := replayer{c: c, source: source, test: test, run: grade.Run{Seed: f.run.seed, Timeout: f.run.timeout}}
	err = withGrader(cmd, c, 0, newStatus(cmd.ErrOrStderr(), ofTests, 0), func(g *grade.Grader) error {
		return r.both(cmd, g, f.against)
	})
	if err != nil {
		return err
	}
	return f.write(cmd, format, r.drawing)
}

// source is what the flags ask to run.
func (f replayFlags) source(c *course.Course, lab course.Lab) (submission.Source, error) {
	if f.mutant == "" {
		return f.run.source()
	}
	mutants, err := prove.Mutants(c, lab)
	if err != nil {
		return submission.Source{}, err
	}
	for _, m := range mutants {
		if m.Name == f.mutant {
			return m.Source(c)
		}
	}
	return submission.Source{}, usage(fmt.Errorf("--mutant %q: there is no %s/mutants/%s.patch", f.mutant, lab.SolutionDir(), f.mutant))
}

// A replayer runs one or two seeds of a test.
type replayer struct {
	c       *course.Course
	source  submission.Source
	test    course.Selected
	run     grade.Run
	drawing drawing
}

// both runs the seeds and prepares their drawing.
func (r *replayer) both(cmd *cobra.Command, g *grade.Grader, against string) error {
	run, seed, err := r.one(cmd, g)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%s-%d", r.test.Tests()[0].Name, seed)
	if r.source.Kind != course.WorkingTree {
		name += "-" + string(r.source.Kind) // beside the student's own
	}
	r.drawing = drawing{run: run, base: filepath.Join(r.c.Root, filepath.FromSlash(r.test.Lab.Dir()), ".labs", name)}
	if wd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(wd, r.drawing.base); err == nil {
			r.drawing.base = rel
		}
	}
	var record bytes.Buffer
	if err := run.Write(&record); err != nil {
		return err
	}
	if err := writeWhole(r.drawing.base+view.FormatJSON.Extension(), record.Bytes()); err != nil {
		return err
	}
	if against != "" {
		r.run.Seed = against
		if r.drawing.other, _, err = r.one(cmd, g); err != nil {
			return err
		}
		r.drawing.base += "-against-" + against
	}
	return r.sources()
}

// one runs a seed, says how it came out, and returns its record.
func (r *replayer) one(cmd *cobra.Command, g *grade.Grader) (*trace.Run, uint64, error) {
	got, err := g.Replay(cmd.Context(), r.source, r.test, r.run)
	if err != nil {
		return nil, 0, err
	}
	p, test := newPrinter(cmd.ErrOrStderr()), got.Test
	if got.Record == nil {
		for _, failure := range test.Failures {
			p.printf("%s\n", failure.Text())
		}
		return nil, 0, &exitError{code: exitFailed, err: r.noRecord(got)}
	}
	run, err := trace.Read(bytes.NewReader(got.Record))
	if err != nil {
		return nil, 0, &exitError{code: exitFailed, err: fmt.Errorf("the record of %s: %w", test.Name, err)}
	}
	if len(test.Failures) == 0 {
		p.printf("%s, seed %d: %s\n", test.Name, got.Seed, p.good("passes"))
	} else {
		p.printf("%s, seed %d: %s: %s\n", test.Name, got.Seed, p.bad("fails"), oneLine(test.Failures[0].What))
	}
	return run, got.Seed, nil
}

// noRecord says why there is nothing to draw.
func (r *replayer) noRecord(got grade.Replayed) error {
	name := got.Test.Name
	switch {
	case r.run.Seed == "" && len(got.Test.Failures) == 0:
		return fmt.Errorf("%s passes with each of its %d seeds: to draw one that passes, name it: grade replay %s %s 1",
			name, got.Test.Seeds, r.test.Lab.Number(), name)
	case len(got.Test.Failures) == 0:
		return fmt.Errorf("%s uses no network: there is nothing to draw", name)
	}
	return fmt.Errorf("%s fails in a way that leaves no record, or uses no network: there is nothing to draw", name)
}

// sources lets the page show the lines of the source that was run, and lead to them where they lie in this checkout.
func (r *replayer) sources() error {
	lab := r.test.Lab
	text, err := r.source.Text(r.c, lab)
	if err != nil {
		return err
	}
	r.drawing.opts.Source = func(file string) ([]byte, error) {
		dir, name := path.Split(file)
		if path.Base(dir) != lab.ID {
			return nil, errors.New("another package's file")
		}
		if own, ok := text[name]; ok {
			return own, nil
		}
		if !strings.HasSuffix(name, "_test.go") {
			return nil, errors.New("not a file of the lab")
		}
		return os.ReadFile(filepath.Join(r.c.Root, "labs", lab.ID, name))
	}
	if r.source.Kind == course.WorkingTree {
		r.drawing.opts.Link = view.Beside(filepath.Dir(r.drawing.base)).Link
	}
	return nil
}
