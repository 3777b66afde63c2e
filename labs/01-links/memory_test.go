package links_test

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
)

// onceAlone runs body once, however many seeds are asked for. The body makes its own network, which is not recorded.
// Such a test measures the heap, or sends more messages than a record can hold, or calls a link from many goroutines, whose
// order does not follow from the seed.
func onceAlone(t *testing.T, body func(s *labtest.Sim)) {
	t.Helper()
	var begun atomic.Bool
	labtest.OnceWithin(t, 3*time.Hour, func(s *labtest.Sim) {
		if !begun.Swap(true) {
			body(s)
		}
	})
}

// checkMemoryGrowth fails if things that happen leave memory behind. n of them have happened already, and do makes more
// of them happen. The limit is one byte for each, and 16 KiB in total. The smallest set of numbers in Go takes
// eight times as much. The heap holds all that a link remembers, however the link is built.
//
// Another goroutine of the process may use memory meanwhile, so a bad result is measured again: a leak
// stays. Each try makes three times as many things: maps grow by doubling, so a leak can hide in a map that has just
// grown, but not for long.
func checkMemoryGrowth(s *labtest.Sim, things string, n int, rule string, do func(n int)) {
	var more int
	var growth int64
	for range 3 {
		more = 2 * n
		before := heapInUse()
		do(more)
		growth = heapInUse() - before
		if growth <= allowance(more) {
			break
		}
		n += more
	}
	each := float64(growth) / float64(more)
	s.Measure("memory that "+things+" leave", max(each, 0), "bytes each", fmt.Sprintf("≤ %.1f", float64(allowance(more))/float64(more)))
	if growth > allowance(more) {
		s.Failf(rule, "%d more %s left %d bytes of memory on all nodes together, %.1f bytes for each, want at most 1", more, things, growth, each)
	}
}

// widenTimers gives the runtime's list of timers its full size before a measure. The list never shrinks, and how far it
// grows depends on when the runtime clears stopped timers from it: that is not memory of the link.
// The timers end within a second.
func widenTimers() {
	const most = 1 << 12
	for i := range time.Duration(most) {
		time.AfterFunc(time.Second*(i+1)/most, func() {}) // one after another: the race detector bears 8128 goroutines
	}
}

func allowance(things int) int64 { return int64(things) + 16<<10 }

// heapInUse is the size of all objects that can still be reached.
func heapInUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // frees the objects that finalizers and pools have released
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
