package workspace

import (
	"go/format"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A call stands after each Unlock and before each use of an atomic variable, and no line or column moves.
func TestYields(t *testing.T) {
	const text = `package a

import "sync"

func (c *counter) add() int {
	c.n.Add(1) // at once
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n.Load() == 3 {
		c.mu.Unlock() // in between
		c.mu.Lock()
	}
	switch {
	case c.mu.TryLock():
		c.mu.RUnlock()
	default:
		old := c.n.Load()
		for !c.n.CompareAndSwap(old, old+1) {
			old = c.n.Load()
		}
	}
	go func() { c.mu.Unlock() }()
	return c.n.Load()
}
`
	got := string(yields([]byte(text)))
	want := strings.NewReplacer(
		"package a\n", "package a; import labsSeeded \"distlabs/internal/harness/seeded\"\n",
		"add() int {\n", "add() int { labsSeeded.Yield(); \n",
		"c.mu.Lock()\n\tdefer c.mu.Unlock()\n", "c.mu.Lock(); defer labsSeeded.Yield()\n\tdefer c.mu.Unlock(); labsSeeded.Yield()\n",
		"c.mu.Unlock() //", "c.mu.Unlock(); labsSeeded.Yield() //",
		"c.mu.RUnlock()\n", "c.mu.RUnlock(); labsSeeded.Yield()\n",
		"default:\n", "default: labsSeeded.Yield(); \n",
		"old := c.n.Load()\n", "old := c.n.Load(); labsSeeded.Yield()\n",
		"old+1) {\n", "old+1) { labsSeeded.Yield(); \n",
		"{ c.mu.Unlock() }()\n", "{ c.mu.Unlock(); labsSeeded.Yield() }(); labsSeeded.Yield()\n",
	).Replace(text)
	require.Equal(t, want, got)
	_, err := format.Source([]byte(got))
	require.NoError(t, err)
	for _, same := range []string{"package a\n\nvar x int\n", "packag a"} {
		require.Equal(t, same, string(yields([]byte(same))))
	}
}
