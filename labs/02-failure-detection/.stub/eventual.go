package detector

import (
	"time"

	"distlabs/labrpc"
)

// EventualOptions say how an Eventual works. No bound on delays is among them:
// there is one after some time, but no node knows when and how large.
type EventualOptions struct {
	Period  time.Duration // how often a node makes itself heard, or asks
	Initial time.Duration // the timeout to begin with
	// Changed is told of every change of mind, once and in order. It returns at
	// once and does not call the Eventual. It may be nil.
	Changed func(Change)
}

// An Eventual is wrong now and then, notices it, and learns from it, until it
// is wrong no more: an eventually perfect detector, for the partially
// synchronous model. See rules 9 to 12 of the README.
type Eventual struct{}

// NewEventual starts the detector. It returns at once. All that it starts ends
// when node.Context() does.
func NewEventual(node *labrpc.Node, opts EventualOptions) *Eventual {
	// TODO(2C): make yourself heard, listen, and learn.
	return &Eventual{}
}

// Suspects reports whether the peer is suspected now. It may be called from
// several goroutines at once.
func (e *Eventual) Suspects(peer labrpc.NodeID) bool {
	// TODO(2C): remember.
	return false // trusts everybody
}

// Timeout returns how long the peer may be silent, by what is known now,
// before it is suspected. It may be called from several goroutines at once.
func (e *Eventual) Timeout(peer labrpc.NodeID) time.Duration {
	// TODO(2C): say what was learnt.
	return 0
}
