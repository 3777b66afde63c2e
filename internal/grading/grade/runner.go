package grade

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"distlabs/internal/grading/result"
	"distlabs/internal/grading/sandbox"
	"distlabs/internal/grading/tidy"
	"distlabs/internal/grading/workspace"
	"distlabs/internal/harness/report"
)

// grace is how much longer than its time limit a test's process may live at least, so that the testing package can say
// where it hung. On a busy machine it has a quarter of the limit for that: its clock starts late, and it says it slowly.
const grace = 3 * time.Second

// lifeOf is how long a test's process may live if the test has so much time.
func lifeOf(timeout time.Duration) time.Duration { return timeout + max(grace, timeout/4) }

// DefaultMemory is how much memory a test's process may use: the reference of no lab needs a tenth of it.
const DefaultMemory = 2 << 30

// Runner runs the tests of one lab of a workspace. It is safe for concurrent use.
type Runner struct {
	g    *Grader
	w    *workspace.Workspace
	lab  *workspace.Lab
	hang atomic.Pointer[report.Failure] // of a test's process that was stopped before any test began
}

// Runner returns a runner for a lab that is built. What one runner has learnt of a binary, another one does not know:
// mutants that share a build have a runner each.
func (g *Grader) Runner(w *workspace.Workspace, lab string) *Runner {
	return &Runner{g: g, w: w, lab: w.Lab(lab)}
}

// Build builds the test binary of a workspace's lab, unless it is there or refused, and returns the lab's runner.
// Progress names the mutant, if it is one.
func (g *Grader) Build(ctx context.Context, w *workspace.Workspace, lab, mutant string) (*Runner, error) {
	g.Tell(Progress{Stage: StageBuild, Lab: lab, Mutant: mutant})
	r := g.Runner(w, lab)
	return r, w.Build(ctx, r.lab)
}

// Refused is why no test of the lab can be run: one sentence; "" if they can.
func (r *Runner) Refused() string { return r.lab.Refused }

// describe writes into a result what is known of the lab before any test has run.
func (r *Runner) describe(out *result.Lab) {
	out.Notes, out.Refused, out.Compile = r.lab.Notes, r.lab.Refused, r.lab.Compile
	for _, b := range r.lab.Base {
		out.Base = append(out.Base, result.Base(b))
	}
}

// Test runs one expected test in a process of its own and fills in its result.
func (r *Runner) Test(ctx context.Context, t *result.Test, run Run) (err error) {
	release, err := r.g.builder.Slot(ctx)
	if err != nil {
		return err
	}
	defer release()
	if r.hangs(t) || r.exhausted(t, run) {
		return nil
	}
	r.g.Tell(Progress{Stage: StageTest, Lab: r.lab.ID, Test: t.Name})
	own, err := r.w.Own()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tidy.RemoveAll(own)) }()
	out, err := r.process(ctx, t.Name, run, own)
	if err != nil {
		return err
	}
	v := r.verdict(t.Name)
	v.out, v.traces = out, filepath.Join(own, "traces")
	if run.Traces != nil {
		if v.kept, err = keep(v.traces, run.Traces(r.lab.Lab)); err != nil {
			return err
		}
	}
	v.fill(t)
	if told := v.result(); told != nil {
		if run.States {
			t.States = told.States
		}
		if run.Soak {
			t.Digests = told.Digests
		}
	}
	r.noteHang(v, t)
	return nil
}

// process runs a test's process, and once more if the machine gave it too little of its time.
func (r *Runner) process(ctx context.Context, test string, run Run, own string) (outcome, error) {
	each := func(e report.Event) {
		if e.Kind == report.Seed && e.Test == test {
			r.g.Tell(Progress{Stage: StageTest, Lab: r.lab.ID, Test: test, Seed: e.Seed})
		}
	}
	once := func(timeout, begin time.Duration) (outcome, error) {
		timeout = max(minTime, run.allowance.left(timeout).Truncate(time.Second/10)) // a sentence names it
		c := r.command(test, timeout, run, r.g.testLimits(run, timeout), own)
		out, err := reporting(ctx, r.g.builder.Box(), c, clocks{begin: begin}, each)
		sayLimit(&out, timeout, c.Time)
		run.allowance.spend(out.Outcome)
		return out, err
	}
	out, err := once(timeoutOf(run), beginningOf(run))
	if err != nil || !starved(out, run) || run.allowance.left(minTime) < minTime {
		return out, err
	}
	again, err := once(timeoutOf(run)*retryFactor, beginningOf(run)*retryFactor)
	again.again = true
	return again, err
}

// command is the process of one test, with so much real time.
func (r *Runner) command(test string, timeout time.Duration, run Run, limits sandbox.Limits, own string) sandbox.Command {
	return sandbox.Command{
		Path: r.lab.Binary,
		Args: []string{"-test.run", "^" + test + "$", "-test.count", "1", "-test.paniconexit0",
			"-test.timeout", timeout.String()},
		Dir:  filepath.Join(r.w.Root, "labs", r.lab.ID),
		Env:  testEnv(own, run),
		Time: lifeOf(timeout), Limits: limits,
		Confine: &sandbox.Confinement{Scratch: r.w.View, Own: own, Program: r.lab.Binary, Read: []string{r.w.Root, r.lab.Binary}},
	}
}

// testLimits are those of a test that has so much real time. A loop on every processor that it may use does not use up its
// processor time within its life: so the testing package says where it loops, also at a second try. A soak has no
// limit on memory: it is of our own code, and grows with its thousands of seeds.
func (g *Grader) testLimits(run Run, timeout time.Duration) sandbox.Limits {
	memory := g.memory
	if memory <= 0 {
		memory = DefaultMemory
	}
	l := sandbox.ProgramLimits(memory, lifeOf(timeout)*time.Duration(max(run.Procs, 1)+1))
	if run.Soak {
		l.Memory, l.Data = 0, 0
	}
	return l
}

// testEnv is the environment of a test: nothing of the user's is in it.
func testEnv(own string, run Run) []string {
	home, tmp := filepath.Join(own, "home"), filepath.Join(own, "tmp")
	env := []string{
		"PATH=/usr/bin:/bin", "LANG=C.UTF-8", "TZ=UTC",
		"HOME=" + home, "USERPROFILE=" + home, "TMPDIR=" + tmp, "TMP=" + tmp, "TEMP=" + tmp,
		"GOMAXPROCS=" + strconv.Itoa(max(run.Procs, 1)),
		// halt_on_error: a race can forge pointers, so nothing after it counts.
		// Without atexit_sleep_ms=0 every passing process sleeps a second.
		"GORACE=halt_on_error=1 atexit_sleep_ms=0",
		"LABS_TRACE_DIR=" + filepath.Join(own, "traces"),
	}
	if run.First > 1 {
		env = append(env, fmt.Sprintf("LABS_SEEDS=%d-%d", run.First, run.First+run.Seeds-1))
	} else if run.Seeds > 0 {
		env = append(env, "LABS_SEEDS="+strconv.Itoa(run.Seeds))
	}
	if run.Seed != "" {
		env = append(env, "LABS_SEED="+run.Seed)
	}
	if len(run.Extra) > 0 {
		env = append(env, "LABS_EXTRA_SEEDS="+joinSeeds(run.Extra))
	}
	switch {
	case run.Soak && run.Once:
		env = append(env, "LABS_SOAK=once")
	case run.Soak:
		env = append(env, "LABS_SOAK=1")
	}
	if run.Record {
		env = append(env, "LABS_RECORD=1")
	}
	if run.Silent {
		env = append(env, "LABS_EXPLAIN=0")
	}
	if run.Traces == nil && !run.Minimise { // nobody will look at the run: do not search for the faults that suffice
		env = append(env, "LABS_MINIMISE=0")
	}
	return append(append(env, run.Env...), workspace.SystemEnv()...)
}

func joinSeeds(seeds []uint64) string {
	text := make([]string, len(seeds))
	for i, seed := range seeds {
		text[i] = strconv.FormatUint(seed, 10)
	}
	return strings.Join(text, ",")
}
