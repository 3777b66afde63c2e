//go:build !js

package labtest

import (
	"sync"

	"distlabs/internal/harness/report"
)

// place is where the tests that run lie. Finding it reads files, so that only a failure asks.
var place = sync.OnceValue(report.FindPlace)
