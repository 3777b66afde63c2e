package grade

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"distlabs/internal/harness/report"
)

// grace is how much longer than its time limit a test's process may live, so
// that the testing package can say where it hung.
const grace = 3 * time.Second

// test runs one expected test in a process of its own and fills in its result.
func (w *workspace) test(ctx context.Context, p *prepared, t *TestResult, run Run) error {
	release, err := w.g.slot(ctx)
	if err != nil {
		return err
	}
	defer release()
	if run.mutant == 0 && w.hangs(p, t) { // mutants share a build, and not their faults
		return nil
	}
	w.g.tell(Progress{Stage: StageTest, Lab: p.lab.ID, Test: t.Name})
	own, err := w.ownFolder()
	if err != nil {
		return err
	}
	defer removeAll(own)
	c := w.testCommand(p, t.Name, run, own)
	if c.receiver, err = report.NewReceiver(); err != nil {
		return fmt.Errorf("grade: %w", err)
	}
	defer c.receiver.Close()
	c.each = func(e report.Event) {
		if e.Kind == report.Seed && e.Test == t.Name {
			w.g.tell(Progress{Stage: StageTest, Lab: p.lab.ID, Test: t.Name, Seed: e.Seed})
		}
	}
	out, err := w.g.process(ctx, c)
	if err == nil && starved(out, run) {
		out, err = w.g.rerunWithMoreTime(ctx, c, run)
	}
	if err != nil {
		return err
	}
	v := verdict{w: w, lab: p.lab, test: t.Name, out: out, traces: filepath.Join(own, "traces")}
	if run.Traces != nil {
		if v.kept, err = keep(v.traces, run.Traces(p.lab)); err != nil {
			return err
		}
	}
	v.fill(t)
	if run.mutant == 0 {
		p.noteHang(v, t)
	}
	return nil
}

// ownFolder makes the folder in which one test's process may write, and no other's.
func (w *workspace) ownFolder() (string, error) {
	own, err := os.MkdirTemp(w.dir, "own-")
	if err != nil {
		return "", fmt.Errorf("grade: %w", err)
	}
	for _, name := range []string{"home", "tmp", "traces"} {
		if err := os.Mkdir(filepath.Join(own, name), 0o777); err != nil {
			return "", fmt.Errorf("grade: %w", err)
		}
	}
	return own, nil
}

// testCommand is the process of one test.
func (w *workspace) testCommand(p *prepared, test string, run Run, own string) command {
	run.Timeout = timeoutOf(run)
	return command{
		path: p.binary,
		args: []string{"-test.run", "^" + test + "$", "-test.count", "1", "-test.paniconexit0",
			"-test.timeout", run.Timeout.String()},
		dir:   filepath.Join(w.course, "labs", p.lab.ID),
		env:   w.testEnv(own, run),
		limit: run.Timeout + grace, begin: beginningOf(run), limits: w.g.testLimits(run),
		sandboxedProcess: &sandboxedProcess{scratch: w.view, own: own, exec: p.binary, read: []string{w.course, p.binary}},
	}
}

// testEnv is the environment of a test: nothing of the user's is in it.
func (w *workspace) testEnv(own string, run Run) []string {
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
	if run.first > 1 {
		env = append(env, fmt.Sprintf("LABS_SEEDS=%d-%d", run.first, run.first+run.Seeds-1))
	} else if run.Seeds > 0 {
		env = append(env, "LABS_SEEDS="+strconv.Itoa(run.Seeds))
	}
	if run.Seed != "" {
		env = append(env, "LABS_SEED="+run.Seed)
	}
	if len(run.Extra) > 0 {
		env = append(env, "LABS_EXTRA_SEEDS="+joinSeeds(run.Extra))
	}
	if run.Soak {
		env = append(env, "LABS_SOAK=1")
	}
	if run.mutant > 0 {
		env = append(env, mutantEnv+"="+strconv.Itoa(run.mutant))
	}
	if run.Record {
		env = append(env, "LABS_RECORD=1")
	}
	if run.silent {
		env = append(env, "LABS_EXPLAIN=0")
	}
	if run.Traces == nil && !run.minimise { // nobody will look at the run: do not search for the faults that suffice
		env = append(env, "LABS_MINIMISE=0")
	}
	return append(append(env, run.env...), systemEnv()...)
}
