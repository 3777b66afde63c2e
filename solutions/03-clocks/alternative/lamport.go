package clocks

import (
	"cmp"
	"sync/atomic"

	"distlabs/labrpc"
)

// A Timestamp is an event's place in the total order.
type Timestamp struct {
	Time uint64
	Node labrpc.NodeID
}

// Before compares by time, then by node.
func (s Timestamp) Before(o Timestamp) bool {
	return cmp.Or(cmp.Compare(s.Time, o.Time), cmp.Compare(s.Node, o.Node)) < 0
}

// A LamportClock is an atomic counter.
type LamportClock struct {
	node labrpc.NodeID
	next atomic.Uint64 // one less than the time of the next event
}

// NewLamportClock returns a clock at which nothing has happened.
func NewLamportClock(node labrpc.NodeID) *LamportClock { return &LamportClock{node: node} }

// Tick counts.
func (c *LamportClock) Tick() Timestamp { return Timestamp{Time: c.next.Add(1), Node: c.node} }

// Receive counts from what was sent, if that is more.
func (c *LamportClock) Receive(sent Timestamp) Timestamp {
	for {
		now := c.next.Load()
		if c.next.CompareAndSwap(now, max(now, sent.Time)+1) {
			return Timestamp{Time: max(now, sent.Time) + 1, Node: c.node}
		}
	}
}
