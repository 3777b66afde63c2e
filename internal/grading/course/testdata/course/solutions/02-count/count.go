// Package count is the grader's own second lab; it stands on the first.
package count

import (
	"strconv"
	"sync"

	echo "distlabs/labs/01-echo"
)

// Counter counts. Its methods may be called from several goroutines at once.
type Counter struct {
	mu sync.Mutex
	n  int
}

// Add adds one.
func (c *Counter) Add() {
	c.mu.Lock()
	c.n++
	c.mu.Unlock()
}

// Value returns the count as text.
func (c *Counter) Value() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return echo.Echo(strconv.Itoa(c.n))
}
