package election

import (
	"time"

	"distlabs/labrpc"
)

// BullyOptions say how a Bully works.
type BullyOptions struct {
	// Delay bounds the time that a message takes (the synchronous model). What
	// a node does takes no time.
	Delay time.Duration
}

// A Bully elects the highest node that is up, by the algorithm of that name
// (Garcia-Molina 1982). The nodes may say to each other whatever you like; see
// rules 1 to 4 of the README. Its methods may be called by several goroutines at once.
type Bully struct {
	node *labrpc.Node
}

// NewBully starts a node, which has just come up: for the first time, or after
// a crash that took its memory. It returns at once. All that it starts ends
// when node.Context() does.
func NewBully(node *labrpc.Node, opts BullyOptions) *Bully {
	// TODO(4A): elect, and watch whoever was elected.
	return &Bully{node: node}
}

// Leader returns the node that leads, or 0 while this node does not know of any.
func (b *Bully) Leader() labrpc.NodeID {
	// TODO(4A): remember.
	return 0 // knows of none
}
