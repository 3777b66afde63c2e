package seeded

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Code that reads under a lock, and writes under it later, loses updates while Yield is on, also on one thread; while it is off,
// Yield does nothing.
func TestYieldSplits(t *testing.T) {
	lost := func() int {
		const goroutines, each = 4, 100
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
	SetYielding(true, 1)
	defer SetYielding(false, 0)
	require.Greater(t, lost(), 50)
	SetYielding(true, 4)
	require.Greater(t, lost(), 50)
	SetYielding(false, 0)
	yielded = 0
	lost()
	require.Zero(t, yielded)
}
