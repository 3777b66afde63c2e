package grade

import (
	"context"
	"slices"
	"strings"
	"time"

	"distlabs/internal/grading/result"
	"distlabs/internal/grading/sandbox"
	"distlabs/internal/grading/tidy"
	"distlabs/internal/harness/report"
)

// Bound is how much several tests in one process may use.
type Bound struct {
	Real time.Duration
	CPU  time.Duration // 0: as long as Real allows
}

// Several is how the tests in one process came out.
type Several struct {
	Passed  []string    // those that ended before the first failure, or were skipped
	Failure result.Test // the first test that did not pass; its Status is report.Pass if all did
	CPU     time.Duration
	Starved bool // it was stopped for the real time that it took, and had little of the processor's
}

// Several runs tests of the lab in one process, in the order of the source, until one fails. It is for our own code only: a test may
// touch what the next one uses, and the process is not confined.
func (r *Runner) Several(ctx context.Context, tests []string, run Run, bound Bound) (end Several, err error) {
	release, err := r.g.builder.Slot(ctx)
	if err != nil {
		return end, err
	}
	defer release()
	own, err := r.w.Own()
	if err != nil {
		return end, err
	}
	defer tidy.RemoveAll(own)
	c := r.untilFirst(tests, bound.Real, run, sandbox.Limits{Memory: DefaultMemory, CPU: bound.CPU}, own)
	c.Confine = nil
	out, err := reporting(ctx, r.g.builder.Box(), c, clocks{begin: bound.Real}, func(report.Event) {})
	if err != nil {
		return end, err
	}
	end.CPU, end.Failure.Status = out.CPU, report.Pass
	end.Starved = out.Stopped != "" && out.CPU < bound.CPU/4
	if culprit := end.follow(out, tests); culprit != "" {
		end.Failure = result.Test{Name: culprit}
		end.Passed = slices.DeleteFunc(end.Passed, func(t string) bool { return t == culprit })
		v := r.verdict(culprit)
		v.out = out
		v.fill(&end.Failure)
	}
	return end, nil
}

// untilFirst is the process of several tests, which ends when one has failed.
func (r *Runner) untilFirst(tests []string, timeout time.Duration, run Run, limits sandbox.Limits, own string) sandbox.Command {
	c := r.command("("+strings.Join(tests, "|")+")", timeout, run, limits, own)
	c.Args = append(c.Args, "-test.failfast")
	return c
}

// follow reads the events of a process and returns the test that did not pass: the first that says so, else the one that was
// running at the end, else the last one, if the process did not end well; "" if all passed.
func (end *Several) follow(out outcome, tests []string) string {
	running := ""
	for _, e := range out.events {
		switch {
		case e.Kind == report.Start:
			running = e.Test
		case e.Kind == report.End && e.Result != nil:
			if e.Result.Status == report.Fail {
				return e.Test
			}
			end.Passed, running = append(end.Passed, e.Test), ""
		}
	}
	last := len(out.events) - 1
	switch {
	case running != "":
		return running
	case out.Exit == 0 && out.Stopped == "" && last >= 0 && out.events[last].Kind == report.Done:
		return ""
	case len(end.Passed) > 0:
		return end.Passed[len(end.Passed)-1]
	}
	return tests[0]
}
