package grade

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"distlabs/internal/grading/result"
	"distlabs/internal/harness/report"
)

// retryFactor is how many times as long a test may take the second time.
const retryFactor = 4

// starved reports whether a test ran out of real time because the machine was busy with something else: a grade must
// not depend on that. Its threads were then ready to run for a good part of the time, and got no processor. A program that waits for
// itself, or sleeps, is not ready to run; a loop that never ends uses the processor.
func starved(out outcome, run Run) bool {
	limit := timeoutOf(run)
	if len(out.events) == 0 {
		limit = beginningOf(run)
	}
	return !run.Soak && out.Real >= limit && out.CPU < limit/2 && out.Queued >= limit/4
}

func timeoutOf(run Run) time.Duration {
	if run.Timeout <= 0 {
		return DefaultTimeout
	}
	return run.Timeout
}

// TotalFactor is how many times the limit of one test all tests of a lab have together, of a submission.
const TotalFactor = 5

// allowance is what all tests of a submission have together. A nil one is without bounds.
type allowance struct {
	total   time.Duration
	spent   atomic.Int64 // nanoseconds of real time, of the tests' processes
	retried atomic.Bool
}

func newAllowance(run Run, labs int) *allowance {
	return &allowance{total: TotalFactor * timeoutOf(run) * time.Duration(labs)}
}

// spend notes how long a process took.
func (a *allowance) spend(d time.Duration) {
	if a != nil {
		a.spent.Add(int64(d))
	}
}

// left is what the next process may take of a limit.
func (a *allowance) left(limit time.Duration) time.Duration {
	if a == nil {
		return limit
	}
	return min(limit, a.total-time.Duration(a.spent.Load()))
}

// retry reports whether a test may be repeated: one of a submission.
func (a *allowance) retry() bool { return a == nil || a.retried.CompareAndSwap(false, true) }

// exhausted fills in the result of a test for which no time is left, and reports whether it has.
func (r *Runner) exhausted(t *result.Test, run Run) bool {
	if run.allowance.left(minTime) >= minTime {
		return false
	}
	f := r.verdict(t.Name).failure(report.Limit, fmt.Sprintf("the test was not run: the tests of this submission before it took more than the %v of real time that all of them have together",
		run.allowance.total))
	r.verdict(t.Name).finish(&f)
	t.Status, t.Failures = report.Fail, []report.Failure{f}
	return true
}

// minTime is less than any test is given.
const minTime = time.Second

// sayLimit puts the limit that was given in place of the one by which the process is ended, which is a little longer.
func sayLimit(out *outcome, given, kept time.Duration) {
	out.Stopped = strings.Replace(out.Stopped, "not done after "+kept.String(), "not done after "+given.String(), 1)
}
