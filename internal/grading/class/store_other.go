//go:build !unix

package class

import (
	"time"
)

func syncDir(string) error { return nil }

func cpuTime() time.Duration { return 0 }
