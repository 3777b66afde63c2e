package clocks

import (
	"sync"

	"distlabs/labrpc"
)

// A Timestamp is an event's place in Lamport's total order.
type Timestamp struct {
	Time uint64        // the clock's count at the event
	Node labrpc.NodeID // where it happened
}

// Before reports whether s comes before o in the total order: by time, and
// within one time by node.
func (s Timestamp) Before(o Timestamp) bool {
	if s.Time != o.Time {
		return s.Time < o.Time
	}
	return s.Node < o.Node
}

// A LamportClock stamps the events of one node (Lamport 1978). All methods may be
// called by several goroutines at once.
type LamportClock struct {
	node labrpc.NodeID

	mu   sync.Mutex
	time uint64 // of the last event; 0 before the first
}

// NewLamportClock returns the clock of a node on which nothing has happened.
func NewLamportClock(node labrpc.NodeID) *LamportClock { return &LamportClock{node: node} }

// Tick returns the stamp of an event on this node: something done, or a message
// sent. The message carries the stamp. The first event on a node that has
// received nothing has time 1.
func (c *LamportClock) Tick() Timestamp {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.time++
	return Timestamp{Time: c.time, Node: c.node}
}

// Receive returns the stamp of the receipt of a message that carries sent.
//
// The receipt is an event too: it comes after the sending and after all that
// happened here, so it is later than both.
func (c *LamportClock) Receive(sent Timestamp) Timestamp {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.time = max(c.time, sent.Time) + 1
	return Timestamp{Time: c.time, Node: c.node}
}
