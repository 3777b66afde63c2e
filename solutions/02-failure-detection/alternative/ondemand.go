package detector

import (
	"errors"
	"sync"
	"time"

	"distlabs/labrpc"
)

// ErrSilent says that a peer has not answered in time.
var ErrSilent = errors.New("the peer is silent")

// A Caller asks by one-way messages, three times before it gives up, and
// matches answers by a number of its own for each Reach.
type Caller struct {
	node *labrpc.Node

	mu      sync.Mutex
	last    int
	waiting map[int]chan struct{}
}

// Question is asked, and sent back as the answer.
type Question struct{ Number int }

// NewCaller makes the node answer the Reach of others.
func NewCaller(node *labrpc.Node) *Caller {
	c := &Caller{node: node, waiting: map[int]chan struct{}{}}
	labrpc.Receive(node, "question", func(from labrpc.NodeID, q Question) { labrpc.Send(node, from, "answer", q) })
	labrpc.Receive(node, "answer", func(_ labrpc.NodeID, q Question) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if answered, ok := c.waiting[q.Number]; ok {
			close(answered)
			delete(c.waiting, q.Number)
		}
	})
	return c
}

// Reach returns nil once the peer has answered this question.
func (c *Caller) Reach(peer labrpc.NodeID, limit time.Duration) error {
	answered := make(chan struct{})
	c.mu.Lock()
	c.last++
	number := c.last
	c.waiting[number] = answered
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.waiting, number)
	}()

	over := time.After(limit)
	again := time.NewTicker(limit/5*2 + 1)
	defer again.Stop()
	for {
		labrpc.Send(c.node, peer, "question", Question{Number: number})
		select {
		case <-answered:
			return nil
		case <-over:
			return ErrSilent
		case <-c.node.Context().Done():
			return ErrSilent
		case <-again.C:
		}
	}
}
