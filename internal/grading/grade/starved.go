package grade

import (
	"context"
	"fmt"
	"slices"
	"time"

	"distlabs/internal/harness/report"
)

// retryFactor is how many times as long a test may take the second time.
const retryFactor = 4

// starved reports whether a test ran out of real time and had used little of
// it: the machine was busy with something else, and a grade must not depend on
// that. A loop that never ends uses its time; a wait that never ends is found
// by the harness long before.
func starved(out outcome, run Run) bool {
	limit := timeoutOf(run)
	if len(out.events) == 0 {
		limit = beginningOf(run)
	}
	return !run.Soak && out.real >= limit && out.cpu < limit/2
}

func timeoutOf(run Run) time.Duration {
	if run.Timeout <= 0 {
		return DefaultTimeout
	}
	return run.Timeout
}

// rerunWithMoreTime runs a test's process once more, with more real time and no more of the processor's.
func (g *Grader) rerunWithMoreTime(ctx context.Context, c command, run Run) (outcome, error) {
	receiver, err := report.NewReceiver()
	if err != nil {
		return outcome{}, fmt.Errorf("grade: %w", err)
	}
	defer receiver.Close()
	c.receiver = receiver
	limit := timeoutOf(run) * retryFactor
	c.args = slices.Clone(c.args)
	c.args[slices.Index(c.args, "-test.timeout")+1] = limit.String()
	c.limit, c.begin = limit+grace, c.begin*retryFactor
	return g.process(ctx, c)
}
