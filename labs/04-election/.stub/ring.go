package election

import (
	"time"

	"distlabs/labrpc"
)

// RingOptions say how the nodes are arranged.
type RingOptions struct {
	// Order names every node once. A node's neighbour is the next in the list, the
	// last one's is the first.
	Order []labrpc.NodeID
	// Delay bounds the time that a message takes (the synchronous model).
	Delay time.Duration
}

// A Ring elects the highest node of a ring by the algorithm of Chang and Roberts
// (1979). The nodes may say to each other whatever you like, but not too
// much; see rules 5 to 8 of the README. Its methods may be called by several
// goroutines at once.
type Ring struct {
	node *labrpc.Node
}

// NewRing makes a node part of the ring. It calls no election. It returns at once; all that
// it starts ends when node.Context() does.
func NewRing(node *labrpc.Node, opts RingOptions) *Ring {
	// TODO(4B): listen to the one before you.
	return &Ring{node: node}
}

// Elect calls an election. It returns at once.
func (r *Ring) Elect() {
	// TODO(4B): send a name round the ring.
}

// Leader returns the winner of the last election that this node has heard of; 0
// before the first.
func (r *Ring) Leader() labrpc.NodeID {
	// TODO(4B): remember.
	return 0 // knows of none
}
