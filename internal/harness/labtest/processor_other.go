//go:build !unix

package labtest

import "time"

// processorTime is an upper bound of the time for which this process has had a processor.
func processorTime() time.Duration { return time.Since(processBegan) }
