package grade

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"distlabs/internal/report"
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
	w.g.tell(Progress{Stage: StageTest, Lab: p.lab.ID, Test: t.Name})
	c := w.testCommand(p, t.Name, run)
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
	if err != nil {
		return err
	}
	verdict{w: w, lab: p.lab, test: t.Name, out: out}.fill(t)
	return nil
}

// testCommand is the process of one test.
func (w *workspace) testCommand(p *prepared, test string, run Run) command {
	if run.Timeout <= 0 {
		run.Timeout = DefaultTimeout
	}
	traces := filepath.Join(w.dir, "traces", p.lab.ID)
	if run.Traces != nil {
		traces = run.Traces(p.lab)
	}
	return command{
		path: p.binary,
		args: []string{"-test.run", "^" + test + "$", "-test.count", "1", "-test.paniconexit0",
			"-test.timeout", run.Timeout.String()},
		dir:   filepath.Join(w.course, "labs", p.lab.ID),
		env:   w.testEnv(traces, run),
		limit: run.Timeout + grace,
	}
}

// testEnv is the environment of a test: nothing of the user's is in it.
func (w *workspace) testEnv(traces string, run Run) []string {
	home, tmp := filepath.Join(w.dir, "home"), filepath.Join(w.dir, "tmp")
	env := []string{
		"PATH=/usr/bin:/bin", "LANG=C.UTF-8", "TZ=UTC",
		"HOME=" + home, "USERPROFILE=" + home, "TMPDIR=" + tmp, "TMP=" + tmp, "TEMP=" + tmp,
		"GOMAXPROCS=" + strconv.Itoa(max(run.Procs, 1)),
		// halt_on_error: a race can forge pointers, so nothing after it counts.
		// Without atexit_sleep_ms=0 every passing process sleeps a second.
		"GORACE=halt_on_error=1 atexit_sleep_ms=0",
		"LABS_TRACE_DIR=" + traces,
	}
	if run.first > 1 {
		env = append(env, fmt.Sprintf("LABS_SEEDS=%d-%d", run.first, run.first+run.Seeds-1))
	} else if run.Seeds > 0 {
		env = append(env, "LABS_SEEDS="+strconv.Itoa(run.Seeds))
	}
	if run.Seed != "" {
		env = append(env, "LABS_SEED="+run.Seed)
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
	if run.Traces == nil { // nobody will look at the run: do not search for the faults that suffice
		env = append(env, "LABS_MINIMISE=0")
	}
	return append(env, systemEnv()...)
}
