package workspace

import (
	"context"
	"errors"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sync/semaphore"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/sandbox"
)

// Options say how a Builder works; the zero value is a good one.
type Options struct {
	Jobs             int // builds and tests at a time; 0: one per core
	RequireIsolation int // New returns an error that wraps sandbox.ErrIsolation if this machine offers less

	Box    *sandbox.Box   // nil: the best one that this machine has
	Open   bool           // only in tests: what the gate refuses is built, if the go command's own list permits it
	Unread bool           // only in tests, with Open: also what that list does not permit
	Limits sandbox.Limits // of a build; zero: what no lab needs a tenth of
}

// Builder makes workspaces. It has what they share: the course, the toolchain with its cache, the scratch
// folder, the sandbox, and the job slots. It is safe for concurrent use.
type Builder struct {
	course  *course.Course
	tools   toolchain
	scratch *Scratch
	box     sandbox.Box
	open    bool // the gate lets everything pass
	unread  bool // and nobody looks at the go command's list
	limits  sandbox.Limits
	jobs    int
	slots   *semaphore.Weighted

	exporting sync.Mutex
	exported  map[string]string // guarded by exporting: see exports
}

// New finds the Go toolchain and the sandbox, and makes the scratch folder, below which
// everything happens. The caller must Close the builder.
func New(ctx context.Context, c *course.Course, o Options) (*Builder, error) {
	tools, err := findToolchain(ctx, c.Root)
	if err != nil {
		return nil, err
	}
	scratch, err := NewScratch()
	if err != nil {
		return nil, err
	}
	var box sandbox.Box
	if o.Box != nil {
		box = *o.Box
	} else {
		box, err = sandbox.Find(ctx, scratch.dir)
	}
	if err == nil {
		err = box.Demand(o.RequireIsolation)
	}
	if err == nil && box.OtherUsers() {
		err = os.Chmod(scratch.dir, 0o711) // the users of the processes pass through it
	}
	if err != nil {
		return nil, errors.Join(err, scratch.Remove())
	}
	return newBuilder(c, tools, scratch, box, o), nil
}

func newBuilder(c *course.Course, tools toolchain, scratch *Scratch, box sandbox.Box, o Options) *Builder {
	b := &Builder{course: c, tools: tools, scratch: scratch, box: box, open: o.Open, unread: o.Unread, limits: o.Limits, jobs: o.Jobs}
	if b.limits == (sandbox.Limits{}) {
		b.limits = buildLimits
	}
	if b.jobs <= 0 {
		b.jobs = runtime.NumCPU()
	}
	b.slots = semaphore.NewWeighted(int64(b.jobs))
	return b
}

// Close removes the scratch folder.
func (b *Builder) Close() error { return b.scratch.Remove() }

// Course is the course that workspaces are copies of.
func (b *Builder) Course() *course.Course { return b.course }

// Box is the sandbox in which commands are run.
func (b *Builder) Box() sandbox.Box { return b.box }

// Scratch is the folder below which everything happens.
func (b *Builder) Scratch() *Scratch { return b.scratch }

// GoVersion is the version of the Go toolchain that builds.
func (b *Builder) GoVersion() string { return b.tools.Version }

// Jobs is how many builds and tests run at a time.
func (b *Builder) Jobs() int { return b.jobs }

// Slot waits until one of the jobs is free, and takes it until release is called.
func (b *Builder) Slot(ctx context.Context) (release func(), err error) {
	if err := b.slots.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	return func() { b.slots.Release(1) }, nil
}
