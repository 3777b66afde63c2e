package labtest

import (
	"time"

	"distlabs/internal/harness/trace"
)

// At writes an instant of a run, such as the result of Net.Now, as the record of the run does: 70.954s. So a reader finds the
// instant that a message names in the record below it. For a length of time, print the duration itself.
func At(instant time.Duration) string { return trace.Seconds(instant) }
