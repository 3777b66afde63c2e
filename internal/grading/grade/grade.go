package grade

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"distlabs/internal/grading/course"
)

// DefaultTimeout is the real time that one test has.
const DefaultTimeout = 60 * time.Second

// Options say how a Grader works; the zero value is a good one.
type Options struct {
	Jobs     int            // processes at a time; 0: one per core
	Progress func(Progress) // called as work goes on, never twice at once; may be nil

	Memory           int64 // bytes that one test's process may use; 0: DefaultMemory
	RequireIsolation int   // New returns ErrIsolation if this machine offers less
}

// Progress is one step of the work.
type Progress struct {
	Stage  Stage
	Lab    string
	Mutant string // "" unless mutants are run
	Test   string // of StageTest and StageTested
	Seed   uint64 // of StageTest: the seed that it is at, 0 if none yet
	Result *TestResult
}

// Stage is what a step of the work is about.
type Stage string

// The stages, in order.
const (
	StageBuild  Stage = "build"  // a lab's test binary is being built
	StageTest   Stage = "test"   // a test began, or began another seed
	StageTested Stage = "tested" // a test is over; Result is set
)

// Run says how tests are run; the zero value is the default run.
type Run struct {
	Seeds   int           // so many seeds a test; 0: what the test asks for
	Seed    string        // this seed only; "": the test's own list
	Extra   []uint64      // seeds to run after those; not with Seed
	Soak    bool          // every seed twice, and on after a failure
	Procs   int           // processors a process; 0: one, which is faster in a bubble
	Timeout time.Duration // real time a test; 0: DefaultTimeout
	Plain   bool          // build without the race detector, which takes most of the time
	Record  bool          // keep the record of every run in Traces, and not only of a failing one

	// Traces says where the recorded runs of a lab's failing tests are kept, as
	// an absolute path; nil throws them away.
	Traces func(course.Lab) string

	first    int      // of the Seeds; 0: from the first on
	env      []string // more of the test's environment
	minimise bool     // also where nobody will look at the run
	silent   bool     // that a test fails is enough: no second run, no record
	mutant   int      // which of a shared build's mutants runs; 0: none
}

// Grader grades sources. It is safe for concurrent use: all that run at one
// time share its job slots.
type Grader struct {
	course   *course.Course
	tools    toolchain
	scratch  string
	made     *scratch
	jobs     int
	memory   int64
	building limits
	box      sandbox
	gateOpen bool // only in tests: what the gate refuses is built and run
	slots    *semaphore.Weighted
	mu       sync.Mutex         // guards calls of progress, and mutants
	mutants  map[string]*shared // by lab
	progress func(Progress)
}

// New finds the Go toolchain and makes the scratch folder, below which
// everything happens. The caller must Close the grader.
func New(ctx context.Context, c *course.Course, o Options) (*Grader, error) {
	tools, err := findToolchain(ctx, c.Root)
	if err != nil {
		return nil, err
	}
	scratch, err := newScratch()
	if err != nil {
		return nil, err
	}
	if o.Jobs <= 0 {
		o.Jobs = runtime.NumCPU()
	}
	box, err := findSandbox(ctx, scratch.dir)
	if err == nil {
		err = box.demand(o.RequireIsolation)
	}
	if err != nil {
		return nil, errors.Join(err, scratch.remove())
	}
	return &Grader{course: c, tools: tools, scratch: scratch.dir, made: scratch, jobs: o.Jobs, memory: o.Memory, building: buildLimits, box: box,
		mutants: map[string]*shared{}, slots: semaphore.NewWeighted(int64(o.Jobs)), progress: o.Progress}, nil
}

// Close removes the scratch folder.
func (g *Grader) Close() error { return g.made.remove() }

// Grade grades the selected labs and parts of a source. The error is about this
// checkout or machine: whatever a submission is or does is in the result.
func (g *Grader) Grade(ctx context.Context, src Source, selected []course.Selected, run Run) (*Result, error) {
	result := newResult(g.tools.Version, src, selected)
	result.Isolation, result.Barriers = g.box.Level, g.box.Barriers
	each, remove, err := g.assembleEach(src, selected)
	if err != nil {
		return nil, err
	}
	defer remove()
	var all errgroup.Group
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for i := range selected {
		each[i].plain = run.Plain
	}
	for i := range selected {
		all.Go(func() error {
			err := each[i].gradeLab(ctx, &result.Labs[i], selected[i], run)
			if err != nil {
				cancel()
			}
			return err
		})
	}
	if err := all.Wait(); err != nil {
		return nil, err
	}
	result.score()
	result.replayOnBase()
	return result, nil
}

// gradeLab builds one lab and runs its selected tests.
func (w *workspace) gradeLab(ctx context.Context, out *LabResult, s course.Selected, run Run) error {
	p := w.labs[s.Lab.ID]
	w.g.tell(Progress{Stage: StageBuild, Lab: s.Lab.ID})
	if err := w.build(ctx, p); err != nil {
		return err
	}
	out.Base, out.Notes, out.Refused, out.Compile = p.base, p.notes, p.refused, p.compile
	tests, ctx := errgroup.WithContext(ctx)
	for i := range out.Parts {
		for j := range out.Parts[i].Tests {
			t := &out.Parts[i].Tests[j]
			tests.Go(func() error {
				if p.refused == "" {
					if err := w.test(ctx, p, t, run); err != nil {
						return err
					}
				}
				w.g.tell(Progress{Stage: StageTested, Lab: s.Lab.ID, Test: t.Name, Result: t})
				return nil
			})
		}
	}
	return tests.Wait()
}

// tell reports progress, one call at a time.
func (g *Grader) tell(p Progress) {
	if g.progress == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.progress(p)
}

// slot waits for one of the grader's jobs to be free.
func (g *Grader) slot(ctx context.Context) (release func(), err error) {
	if err := g.slots.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	return func() { g.slots.Release(1) }, nil
}
