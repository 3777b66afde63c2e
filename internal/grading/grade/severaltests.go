package grade

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"distlabs/internal/grading/prove/generate"
	"distlabs/internal/harness/report"
)

// processRun says how several tests run in one process.
type processRun struct {
	mutant int           // its number in the shared program
	trace  string        // path of the file for the places that are reached; "" for none
	cpu    time.Duration // limit of processor time; 0: none
	limit  time.Duration // limit of real time
}

// processEnd is how such a process ended.
type processEnd struct {
	passed  []string   // the tests that ended before
	failure TestResult // the first test that did not pass; Status is report.Pass if all did
	cpu     time.Duration
}

// process runs tests of the lab in one process, in the order of the source, until one fails.
func (r *generatedRunner) process(ctx context.Context, w *workspace, tests []string, run processRun) (end processEnd, err error) {
	release, err := r.g.slot(ctx)
	if err != nil {
		return end, err
	}
	defer release()
	own, err := w.ownFolder()
	if err != nil {
		return end, err
	}
	defer removeAll(own)
	p := w.labs[r.lab.ID]
	c := w.testCommand(p, "", Run{Timeout: run.limit, silent: true}, own)
	c.args = []string{"-test.run", "^(" + strings.Join(tests, "|") + ")$", "-test.failfast", "-test.count", "1", "-test.paniconexit0",
		"-test.timeout", run.limit.String()}
	c.env = append(c.env, generate.NumberEnv+"="+strconv.Itoa(run.mutant))
	if run.trace != "" {
		c.env = append(c.env, generate.TraceEnv+"="+run.trace)
	}
	// The program is our own: limits of time are enough.
	c.sandboxedProcess, c.limits = nil, limits{cpu: run.cpu, memory: DefaultMemory}
	if c.receiver, err = report.NewReceiver(); err != nil {
		return end, fmt.Errorf("grade: %w", err)
	}
	defer c.receiver.Close()
	out, err := r.g.process(ctx, c)
	if err != nil {
		return end, err
	}
	end.cpu, end.failure.Status = out.cpu, report.Pass
	var running string
	for _, e := range out.events {
		switch {
		case e.Kind == report.Start:
			running = e.Test
		case e.Kind == report.End && e.Result != nil:
			if e.Result.Status == report.Fail {
				return end, r.fill(w, &end, e.Test, out, own)
			}
			end.passed, running = append(end.passed, e.Test), ""
		}
	}
	done := len(out.events) > 0 && out.events[len(out.events)-1].Kind == report.Done
	switch {
	case running != "":
		return end, r.fill(w, &end, running, out, own)
	case out.exit != 0 || out.stopped != "" || !done:
		last := tests[0]
		if len(end.passed) > 0 {
			last = end.passed[len(end.passed)-1]
		}
		return end, r.fill(w, &end, last, out, own)
	}
	if missing := slices.DeleteFunc(slices.Clone(tests), func(t string) bool { return slices.Contains(end.passed, t) }); len(missing) > 0 && run.mutant == 0 {
		return end, fmt.Errorf("grade: %s did not report: %s", r.lab.ID, strings.Join(missing, ", "))
	}
	return end, nil
}

// fill makes the result of the test that did not pass.
func (r *generatedRunner) fill(w *workspace, end *processEnd, test string, out outcome, own string) error {
	end.failure = TestResult{Name: test}
	verdict{w: w, lab: r.lab, test: test, out: out, traces: filepath.Join(own, "traces")}.fill(&end.failure)
	end.passed = slices.DeleteFunc(end.passed, func(t string) bool { return t == test })
	return nil
}
