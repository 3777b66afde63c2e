package seeded

import "runtime"

// labtest has Yield do something while goroutines of a test call a student's methods at once.
var (
	yielding, napping bool
	yielded           uint64
)

// SetYielding switches Yield on or off; threads is how many the goroutines have.
//
//go:norace
func SetYielding(on bool, threads int) { yielding, napping, yielded = on, threads > 1, 0 }

// Yield lets other goroutines go first, now and then, if a test asked for that. The grader builds student code with a call of it after
// each Unlock and before each use of an atomic variable: who splits one step into two there is overtaken in between, on a machine of
// any speed and load. On one thread the same calls give way in every run. It orders nothing for the race detector, and a goroutine that naps is not durably blocked: virtual time stands
// still meanwhile.
//
//go:norace
func Yield() {
	if !yielding {
		return
	}
	yielded++
	switch x := yielded * 0x9e3779b97f4a7c15 >> 60; {
	case x == 0 && napping:
		nap()
	case x < 8, yielded <= 16: // the first may be the only one that matters
		runtime.Gosched()
	}
}
