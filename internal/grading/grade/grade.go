package grade

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/plain"
	"distlabs/internal/grading/result"
	"distlabs/internal/grading/sandbox"
	"distlabs/internal/grading/submission"
	"distlabs/internal/grading/workspace"
)

// DefaultTimeout is the real time that one test has.
const DefaultTimeout = 60 * time.Second

// Options say how a Grader works; the zero value is a good one.
type Options struct {
	Jobs     int            // of New: processes at a time; 0: one per core
	Progress func(Progress) // called as work goes on, never twice at once; may be nil

	Memory           int64 // bytes that one test's process may use; 0: DefaultMemory
	RequireIsolation int   // of New: it returns sandbox.ErrIsolation if this machine offers less
}

// Run says how tests are run; the zero value is the default run.
type Run struct {
	Seeds   int           // so many seeds a test; 0: what the test asks for
	First   int           // of the Seeds; 0: from the first on
	Seed    string        // this seed only; "": the test's own list
	Extra   []uint64      // seeds to run after those; not with Seed
	Soak    bool          // every seed twice, and on after a failure
	Once    bool          // with Soak: every seed once
	Procs   int           // processors a process; 0: one, which is faster in a bubble
	Timeout time.Duration // real time a test; 0: DefaultTimeout
	Plain   bool          // build without the race detector, which takes most of the time
	Record  bool          // keep the record of every run in Traces, and not only of a failing one
	Env     []string      // more of the test's environment

	// Traces says where the recorded runs of a lab's failing tests are kept, as
	// an absolute path; nil throws them away.
	Traces func(course.Lab) string

	Minimise bool // look for the faults that are enough also where Traces keeps nothing
	States   bool // keep the hashes of the states that a search has seen: many, so not for a class
	Silent   bool // that a test fails is enough: no second run, no record

	// Together has tests share processes until one fails: of our own code and of a student's before it is handed in, where
	// nobody wants one test to change what another finds.
	Together bool

	allowance *allowance // of Grade: what all tests of a submission have together
}

// Grader grades sources. It is safe for concurrent use: all that run at one
// time share its builder's job slots.
type Grader struct {
	builder  *workspace.Builder
	owned    bool // Close closes the builder
	memory   int64
	mu       sync.Mutex // guards calls of progress
	progress func(Progress)
}

// New makes a grader with a builder of its own. The caller must Close the grader.
func New(ctx context.Context, c *course.Course, o Options) (*Grader, error) {
	builder, err := workspace.New(ctx, c, workspace.Options{Jobs: o.Jobs, RequireIsolation: o.RequireIsolation})
	if err != nil {
		return nil, err
	}
	g := On(builder, o)
	g.owned = true
	return g, nil
}

// On makes a grader that works with a builder that is the caller's.
func On(builder *workspace.Builder, o Options) *Grader {
	return &Grader{builder: builder, memory: o.Memory, progress: o.Progress}
}

// Close removes the scratch folder, unless the builder is the caller's.
func (g *Grader) Close() error {
	if !g.owned {
		return nil
	}
	return g.builder.Close()
}

// Builder is what the grader builds with.
func (g *Grader) Builder() *workspace.Builder { return g.builder }

// Grade grades the selected labs and parts of a source. The error is about this
// checkout or machine: whatever a submission is or does is in the result.
func (g *Grader) Grade(ctx context.Context, src submission.Source, selected []course.Selected, run Run) (*result.Result, error) {
	graded := g.Blank(src, selected)
	g.confined(graded)
	if src.Kind == course.Submission {
		run.allowance = newAllowance(run, len(selected))
	}
	each, remove, err := g.builder.AssembleEach(src, selected)
	if err != nil {
		return nil, err
	}
	defer remove()
	var all errgroup.Group
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for i := range selected {
		each[i].Plain = run.Plain
	}
	for i := range selected {
		all.Go(func() error {
			err := g.GradeLab(ctx, each[i], &graded.Labs[i], run)
			if err != nil {
				cancel()
			}
			return err
		})
	}
	if err := all.Wait(); err != nil {
		return nil, err
	}
	graded.Score()
	replayOnBase(graded)
	return graded, nil
}

// GradeLab builds one lab of a workspace and runs the tests that out lists.
func (g *Grader) GradeLab(ctx context.Context, w *workspace.Workspace, out *result.Lab, run Run) error {
	r, err := g.Build(ctx, w, out.ID, "")
	if err != nil {
		return err
	}
	r.describe(out)
	if run.Together && out.Refused == "" {
		return r.together(ctx, out, run)
	}
	tests, ctx := errgroup.WithContext(ctx)
	for i := range out.Parts {
		for j := range out.Parts[i].Tests {
			t := &out.Parts[i].Tests[j]
			tests.Go(func() error {
				if out.Refused == "" {
					if err := r.Test(ctx, t, run); err != nil {
						return err
					}
				}
				r.tested(t)
				return nil
			})
		}
	}
	return tests.Wait()
}

// Blank is the result of a source before anything has run: every expected test has failed.
func (g *Grader) Blank(src submission.Source, selected []course.Selected) *result.Result {
	r := result.New(result.Source{Kind: src.Kind, Path: src.Path}, selected)
	r.Grader, r.Go, r.Isolation = Version, g.builder.GoVersion(), sandbox.IsolationGate
	return r
}

// confined says in a result what keeps the tests' processes of this grader from harm.
func (g *Grader) confined(r *result.Result) {
	box := g.builder.Box()
	r.Isolation, r.Barriers = box.Level, box.Barriers
}

// Ungraded is the result of a submission that could not be graded at all; why
// is one sentence.
func (g *Grader) Ungraded(src submission.Source, selected []course.Selected, why string) *result.Result {
	r := g.Blank(src, selected)
	g.confined(r)
	r.Ungraded = plain.Text(why)
	r.Score()
	return r
}

// replayOnBase corrects the commands that show failures again: go test would build on another base
// than the one that was graded.
func replayOnBase(r *result.Result) {
	r.Tests(func(lab *result.Lab, part *result.Part, test *result.Test) {
		if r.Source.Kind == course.Solution || !slices.ContainsFunc(lab.Base, func(b result.Base) bool { return b.Kind == course.Solution }) {
			return
		}
		for i := range test.Failures {
			f := &test.Failures[i]
			f.Play = "" // the page has the student's own earlier labs
			f.Replay = fmt.Sprintf("go run ./cmd/grade run %s --base reference", part.ID)
			if f.Seed != 0 {
				f.Replay += fmt.Sprintf(" --seed %d", f.Seed)
			}
		}
	})
}
