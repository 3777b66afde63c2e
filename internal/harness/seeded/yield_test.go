package seeded

import (
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Code that reads under a lock, and writes under it later, loses updates while Yield is on, also on one thread; while it is off,
// Yield does nothing.
func TestYieldSplits(t *testing.T) {
	const goroutines, each = 4, 100
	lost := func() int {
		var mu sync.Mutex
		var group sync.WaitGroup
		n := 0
		for range goroutines {
			group.Go(func() {
				for range each {
					mu.Lock()
					next := n + 1
					mu.Unlock()
					Yield()
					mu.Lock()
					n = next
					mu.Unlock()
					Yield()
				}
			})
		}
		group.Wait()
		return goroutines*each - n
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // with more, each goroutine may be alone on a thread, and over before the next begins
	defer SetYielding(false, 0)
	SetYielding(true, 1)
	require.Greater(t, lost(), 50)

	runtime.GOMAXPROCS(goroutines)
	require.Eventually(t, func() bool {
		SetYielding(true, goroutines)
		return lost() > 0
	}, time.Minute, time.Millisecond, "naps let nobody else go first")
	SetYielding(false, 0)
	yielded = 0
	lost()
	require.Zero(t, yielded)
}
