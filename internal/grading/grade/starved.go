package grade

import (
	"time"
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
	return !run.Soak && out.Real >= limit && out.CPU < limit/2
}

func timeoutOf(run Run) time.Duration {
	if run.Timeout <= 0 {
		return DefaultTimeout
	}
	return run.Timeout
}
