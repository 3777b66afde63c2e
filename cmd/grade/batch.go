package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"distlabs/internal/grading/class"
	"distlabs/internal/grading/course"
	"distlabs/internal/grading/grade"
	"distlabs/internal/grading/sandbox"
)

// batchFlags are the flags of grade batch.
type batchFlags struct {
	out       string
	labs      []string
	base      string
	resume    bool
	jobs      int
	seeds     int
	timeout   time.Duration
	secret    string
	hidden    int
	shard     string
	shards    int
	isolation int
}

func batchCommand() *cobra.Command {
	var f batchFlags
	cmd := &cobra.Command{
		Use:   "batch FOLDER | ARCHIVE ... | ROSTER.csv",
		Short: "Grade a class: one folder per submission; can be resumed",
		Long: `Grade the submissions of a class into a run directory.

A class is a folder with a folder or an archive (zip, tar, tar.gz) for each
submission, as Moodle and Canvas pack them too; or several folders or archives;
or a CSV file with the columns id, name and path. Each submission gets a folder,
whole or not at all: RUN/submissions/ID/results.json. What cannot be graded,
such as a corrupt archive, gets a result with the reason.

The work can be interrupted in any way at any time. With --resume the same
command grades only what is missing, or what depends on something that has
changed since: the submission, the labs, the grader, the Go version, the seeds.

Each submission gets further seeds, derived from it: the same whenever it is
graded again, and no table of them can be written into it. With --seed-secret
they follow from the secret too, and nobody can know them without it; results are
then authenticated by it.

A test may take --timeout of real time, and all tests of a submission together
five times that for each lab. Time in which this machine was busy with something
else counts only as a quarter. A test that ran out of time because of that is
repeated with four times its limit.

--shard 2/8 grades an eighth of the class; in a Kubernetes Indexed Job or a Slurm
array the shard is taken from the environment. grade merge puts shards together.

Exit status: 0 all are graded, whatever their marks; 3 some could not be, and
are named.`,
		Example: `  grade batch handed-in --labs 04 --out run
  grade batch handed-in --labs 04 --out run --resume
  grade batch roster.csv --labs 04 --out run --seed-secret secret
  grade batch handed-in --labs 04 --out run-2 --shard 2/8`,
		RunE: action(func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) }),
	}
	flags := cmd.Flags()
	flags.StringVar(&f.out, "out", "", "the run `directory` to write")
	flags.StringSliceVar(&f.labs, "labs", nil, "labs or parts to grade (default: all)")
	flags.StringVar(&f.base, "base", "own", "the earlier `labs` that a lab builds on: own or reference")
	flags.BoolVar(&f.resume, "resume", false, "go on with the run that is in the directory")
	flags.IntVar(&f.jobs, "jobs", 0, "processes at a time (default: one per core)")
	flags.IntVar(&f.seeds, "seeds", 0, "seeds per test (default: what each test asks for)")
	flags.DurationVar(&f.timeout, "timeout", grade.DefaultTimeout, "real time per test")
	flags.StringVar(&f.secret, "seed-secret", "", "make the further seeds secret, with the secret in this `file`")
	flags.IntVar(&f.hidden, "hidden-seeds", class.FurtherSeeds, "how many further seeds each test gets")
	flags.StringVar(&f.shard, "shard", "", "grade only this part of the class: `i/n`, i from 1")
	flags.IntVar(&f.shards, "shards", 0, "how many shards, if the environment tells only which one, from 0")
	flags.IntVar(&f.isolation, "require-isolation", 0, "refuse to run below this isolation `level`, 1 to 3 (docs/isolation.md)")
	cmd.MarkFlagRequired("out")
	cmd.MarkFlagsMutuallyExclusive("shard", "shards")
	return cmd
}

func (f batchFlags) run(cmd *cobra.Command, args []string) error {
	c, selected, err := open(f.labs)
	if err != nil {
		return err
	}
	if err := noLabs(c, args); err != nil {
		return err
	}
	found, o, err := f.options(args, selected)
	if err != nil {
		return asked(err)
	}
	defer found.Close()
	progress := &classStatus{w: cmd.ErrOrStderr(), live: isTerminal(cmd.ErrOrStderr()), every: 30 * time.Second, began: time.Now(), tests: countTests(selected)}
	o.Progress = progress.step
	p := newPrinter(cmd.OutOrStdout())
	if len(found.Ignored) > 0 {
		p.printf("note: no submissions: %s\n", oneLine(join(found.Ignored)))
	}
	if o.Shard != nil {
		p.printf("shard %s of %d submissions\n", o.Shard, len(found.Submissions))
	}
	return f.grade(cmd, c, found, o, progress, p)
}

func (f batchFlags) grade(cmd *cobra.Command, c *course.Course, found *class.Class, o class.Options, progress *classStatus, p *printer) error {
	var summary class.Summary
	demand := grade.Options{Jobs: f.jobs, RequireIsolation: f.isolation}
	tests := newStatus(io.Discard, ofTests, 0)
	tests.then = progress.test
	err := withOptions(cmd, c, demand, tests, func(g *grade.Grader) (err error) {
		summary, err = class.Grade(cmd.Context(), g, found, o)
		progress.clear()
		return err
	})
	if err != nil {
		if cmd.Context().Err() != nil && summary.Total > 0 {
			fmt.Fprintf(cmd.ErrOrStderr(), "%d of %d submissions are graded; the same command with --resume does the rest\n", summary.Done, summary.Total)
		}
		return asked(err)
	}
	p.printf("%d of %d submissions graded into %s", summary.Done, summary.Total, f.out)
	if summary.Ungraded > 0 {
		p.printf(", %d with a reason in place of a grade", summary.Ungraded)
	}
	if summary.Kept > 0 {
		p.printf(", %d of them before", summary.Kept)
	}
	p.printf("\n")
	if n := summary.Done - summary.Kept; n > 0 {
		p.printf("%s in all; %s of processor time a submission\n", short(summary.Real), seconds(summary.CPU.Seconds()/float64(n)))
	}
	for _, id := range summary.Changed {
		p.printf("note: the result of %s had been changed since it was graded: it was graded again\n", oneLine(id))
	}
	if err := summary.Err(); err != nil {
		return &exitError{code: exitInfrastructure, err: fmt.Errorf("%d of %d submissions could not be graded (--resume tries again):\n%w", summary.Failed, summary.Total, err)}
	}
	return nil
}

// options reads the flags and finds the class.
func (f batchFlags) options(args []string, selected []course.Selected) (*class.Class, class.Options, error) {
	o := class.Options{Out: f.out, Resume: f.resume, Selected: selected, Run: grade.Run{Seeds: f.seeds, Timeout: f.timeout}}
	switch {
	case f.base != "own" && f.base != "reference":
		return nil, o, usage(fmt.Errorf("--base %q is neither own nor reference", f.base))
	case f.out == "":
		return nil, o, usage(errors.New("--out is empty"))
	case f.isolation < 0 || f.isolation > sandbox.IsolationContainer:
		return nil, o, usage(fmt.Errorf("--require-isolation %d: there are the levels 1 to %d", f.isolation, sandbox.IsolationContainer))
	case f.jobs < 0 || f.seeds < 0 || f.timeout <= 0 || f.hidden < 0 || f.shards < 0:
		return nil, o, usage(errors.New("--jobs, --seeds, --hidden-seeds and --shards must not be below zero, --timeout must be above"))
	}
	if f.base == "reference" {
		o.Base = course.Solution
	}
	var err error
	if f.shard != "" {
		o.Shard, err = class.ParseShard(f.shard)
	} else {
		o.Shard, err = class.ShardFrom(os.Getenv, f.shards)
	}
	if err != nil {
		return nil, o, err
	}
	o.Secret = class.Known(f.hidden)
	if f.secret != "" {
		if o.Secret, err = class.ReadSecret(f.secret, f.out, f.hidden); err != nil {
			return nil, o, err
		}
	}
	found, err := class.Find(args)
	return found, o, err
}

// asked gives an error about what was asked the status of one.
func asked(err error) error {
	if errors.Is(err, class.ErrUsage) {
		return usage(err)
	}
	return err
}

// classStatus tells how far a class is: on a terminal in one line that is
// redrawn, elsewhere in a line now and then.
type classStatus struct {
	w     io.Writer
	live  bool
	every time.Duration
	began time.Time
	tests int // of a submission

	mu     sync.Mutex
	last   time.Time
	tested int            // tests of all submissions that are over
	state  class.Progress // the last one
}

// test counts a test that is over. Before the first submission is done, tests are all that says how long the class will take.
func (s *classStatus) test(p grade.Progress) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.Stage == grade.StageTested && p.Mutant == "" {
		s.tested++
		s.show()
	}
}

// left estimates the time that remains.
func (s *classStatus) left(spent time.Duration) time.Duration {
	if all := s.tests * s.state.Total; s.state.Left == 0 && s.state.Kept == 0 && s.tested > 0 && s.tested < all {
		return time.Duration(float64(spent) / float64(s.tested) * float64(all-s.tested))
	}
	return s.state.Left
}

func (s *classStatus) step(p class.Progress) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = p
	s.show()
}

func (s *classStatus) show() {
	now, p := time.Now(), s.state
	if s.last.IsZero() {
		s.last = now
	}
	text := fmt.Sprintf("%d of %d submissions done", p.Done+p.Failed, p.Total)
	if p.Ungraded > 0 {
		text += fmt.Sprintf(", %d not gradable", p.Ungraded)
	}
	if p.Failed > 0 {
		text += fmt.Sprintf(", %d failed", p.Failed)
	}
	if p.Done+p.Failed == 0 && s.tested > 0 {
		text += fmt.Sprintf(", %d of %d tests", s.tested, s.tests*p.Total)
	}
	if left := s.left(now.Sub(s.began)); left > 0 {
		text += fmt.Sprintf(" · about %s left", short(left))
	}
	switch {
	case s.live:
		fmt.Fprintf(s.w, "\r\x1b[K%.78s", text+" · "+p.ID)
	case now.Sub(s.last) >= s.every:
		s.last = now
		fmt.Fprintln(s.w, text)
	}
}

func (s *classStatus) clear() {
	if s.live {
		fmt.Fprint(s.w, "\r\x1b[K")
	}
}

// short is a duration to the second, or to a tenth below ten.
func short(d time.Duration) string {
	if d < 10*time.Second {
		return seconds(d.Seconds())
	}
	return d.Round(time.Second).String()
}
