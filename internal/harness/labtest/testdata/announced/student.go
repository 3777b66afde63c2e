// Package announced counts two at a time.
package announced

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
		c.mu.Lock()
		defer c.mu.Unlock()
		c.n += 2
	})
	return c
}

func (c *Counter) Count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}
