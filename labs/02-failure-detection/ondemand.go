package detector

import (
	"errors"
	"time"

	"distlabs/labrpc"
)

// ErrSilent says that a peer has not answered in time.
var ErrSilent = errors.New("the peer is silent")

// A Caller notices that a peer has crashed at the time at which a caller
// wants something of it, and not before: it needs no traffic in the
// background.
type Caller struct{}

// NewCaller makes the node answer the Reach of others.
func NewCaller(node *labrpc.Node) *Caller {
	// TODO(2A): answer.
	return &Caller{}
}

// Reach returns nil as soon as it knows that the peer was alive after this
// call began. Otherwise it returns, when the limit is over, an error that is
// ErrSilent (errors.Is).
//
// Reach may be called from several goroutines at once; none waits for
// another. It sends nothing once it has returned.
func (c *Caller) Reach(peer labrpc.NodeID, limit time.Duration) error {
	// TODO(2A): ask.
	return ErrSilent // takes everybody for dead
}
