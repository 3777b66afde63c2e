package links_test

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
)

// onceAlone runs body once, however many seeds are asked for: it weighs the heap, and so has its network for itself,
// unrecorded, and nothing in it depends on the seed.
func onceAlone(t *testing.T, body func(s *labtest.Sim)) {
	t.Helper()
	var begun atomic.Bool
	labtest.Once(t, func(s *labtest.Sim) {
		if !begun.Swap(true) {
			body(s)
		}
	})
}

// checkMemoryGrowth fails if things that happen stay on the heap: n of them have happened, and do makes more of them happen. The
// allowance is a byte for each, and 16 KiB for good measure; the smallest set of numbers in Go takes eight times
// as much. What is remembered is on the heap, however the link is built.
//
// Something else in the process may be at work, such as another seed, so a bad result is tried again: a leak
// stays, all else passes. Each try makes three times as many of what there is, since maps grow by doubling: a leak
// can hide in a map that has just grown, but not for long.
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
	s.Measure("memory that "+things+" leave behind", max(each, 0), "bytes each", "≤ 4")
	if growth > allowance(more) {
		s.Failf(rule, "%d more %s left %d bytes of memory behind at the two ends together, %.1f for each; the limit is 1", more, things, growth, each)
	}
}

func allowance(things int) int64 { return int64(things) + 16<<10 }

// heapInUse is the size of everything that can still be reached.
func heapInUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what the first one freed by finalizers and pools
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A packetLog keeps copies of what passes on the wire.
type packetLog struct {
	mu   sync.Mutex
	over bool
	seen []labrpc.Message
}

// record is an interceptor.
func (l *packetLog) record(p *labrpc.Message) labrpc.Verdict {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.over {
		l.seen = append(l.seen, *p)
	}
	return labrpc.Pass
}

func (l *packetLog) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
}

func (l *packetLog) packets() []labrpc.Message {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.seen)
}
