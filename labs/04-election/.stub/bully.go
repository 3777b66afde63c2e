package election

import (
	"time"

	"distlabs/labrpc"
)

// BullyOptions are the options of a Bully.
type BullyOptions struct {
	// Delay is the longest time that a message takes (the synchronous model). A
	// node's own steps take no time.
	Delay time.Duration
}

// A Bully elects the highest node that is up, by the bully algorithm
// (Garcia-Molina 1982). The messages are yours; see rules 1 to 4 of the README.
// Its methods may be called by several goroutines at once.
type Bully struct {
	node *labrpc.Node
}

// NewBully starts a node that has just come up, for the first time or after a
// crash in which it lost its memory. NewBully returns at once. Every goroutine
// that it starts ends when node.Context() does.
func NewBully(node *labrpc.Node, opts BullyOptions) *Bully {
	// TODO(4A): start an election, and detect a crash of the leader.
	return &Bully{node: node}
}

// Leader returns the leader, or 0 while this node knows none.
func (b *Bully) Leader() labrpc.NodeID {
	// TODO(4A): return the leader.
	return 0 // knows none
}
