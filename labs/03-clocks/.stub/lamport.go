package clocks

import "distlabs/labrpc"

// A Timestamp is an event's place in Lamport's total order.
type Timestamp struct {
	Time uint64        // the clock's count at the event
	Node labrpc.NodeID // where it happened
}

// Before reports whether s comes before o in the total order: by time, and
// within one time by node.
func (s Timestamp) Before(o Timestamp) bool {
	// TODO(3C): compare.
	return false
}

// A LamportClock stamps the events of one node (Lamport 1978). All methods may be
// called by several goroutines at once.
type LamportClock struct {
	// TODO(3C): what it remembers.
}

// NewLamportClock returns the clock of a node on which nothing has happened.
func NewLamportClock(node labrpc.NodeID) *LamportClock {
	return &LamportClock{}
}

// Tick returns the stamp of an event on this node: something done, or a message
// sent. The message carries the stamp. The first event on a node that has
// received nothing has time 1.
func (c *LamportClock) Tick() Timestamp {
	// TODO(3C): count.
	return Timestamp{}
}

// Receive returns the stamp of the receipt of a message that carries sent. The
// receipt is an event too.
func (c *LamportClock) Receive(sent Timestamp) Timestamp {
	// TODO(3C): count.
	return Timestamp{}
}
