// Package slow counts two at a time, and takes long for it.
package slow

import (
	"sync"

	"distlabs/labrpc"
)

// Counter counts what it is told.
type Counter struct {
	mu sync.Mutex
	n  int
}

func NewCounter(node *labrpc.Node) *Counter {
	c := &Counter{}
	labrpc.Receive(node, "add", func(labrpc.NodeID, struct{}) {
		n := uint64(1)
		for range 200_000_000 {
			n = n*6364136223846793005 + 1
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.n += 1 + int(n|1)&1
	})
	return c
}

func (c *Counter) Count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}
