package grade

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"distlabs/internal/grading/result"
	"distlabs/internal/grading/sandbox"
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

// leastCharged is the part of its real time with which a process is charged at least, however busy the machine is.
const leastCharged = 4

// allowance is what all tests of a submission have together. A nil one is without bounds.
type allowance struct {
	total time.Duration
	spent atomic.Int64 // nanoseconds with which the tests' processes were charged
}

func newAllowance(run Run, labs int) *allowance {
	return &allowance{total: TotalFactor * timeoutOf(run) * time.Duration(labs)}
}

// charged is the real time that counts of a process: not that in which it was ready to run and the machine was busy with
// something else. At least a quarter counts, so that four times the total bounds the real time of a submission on any machine.
func charged(out sandbox.Outcome) time.Duration {
	return max(out.Real-out.Queued, min(out.CPU, out.Real), out.Real/leastCharged)
}

// spend notes how long a process took.
func (a *allowance) spend(out sandbox.Outcome) {
	if a != nil {
		a.spent.Add(int64(charged(out)))
	}
}

// left is what the next process may take of a limit.
func (a *allowance) left(limit time.Duration) time.Duration {
	if a == nil {
		return limit
	}
	return min(limit, a.total-time.Duration(a.spent.Load()))
}

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
