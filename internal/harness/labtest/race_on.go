//go:build race

package labtest

import "runtime"

// raceErrors counts what the race detector has reported in this process so far.
func raceErrors() int { return runtime.RaceErrors() }
