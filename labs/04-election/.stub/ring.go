package election

import (
	"time"

	"distlabs/labrpc"
)

// RingOptions are the options of a Ring.
type RingOptions struct {
	// Order contains every node once. A node's neighbour is the next node in the
	// list; the neighbour of the last node is the first.
	Order []labrpc.NodeID
	// Delay is the longest time that a message takes (the synchronous model).
	Delay time.Duration
}

// A Ring elects the highest node of a ring by the algorithm of Chang and Roberts
// (1979). The messages are yours, but their number is limited; see rules 5 to 8 of
// the README. Its methods may be called by several goroutines at once.
type Ring struct {
	node *labrpc.Node
}

// NewRing makes a node part of the ring. It starts no election and returns at once.
// Every goroutine that it starts ends when node.Context() does.
func NewRing(node *labrpc.Node, opts RingOptions) *Ring {
	// TODO(4B): handle the messages of the node before you.
	return &Ring{node: node}
}

// Elect starts an election and returns at once. It may be called at any time.
func (r *Ring) Elect() {
	// TODO(4B): send your ID round the ring.
}

// Leader returns the winner of the last election whose result has reached this
// node; 0 before the first.
func (r *Ring) Leader() labrpc.NodeID {
	// TODO(4B): return the winner.
	return 0 // knows none
}
