package detector

import (
	"time"

	"distlabs/labrpc"
)

// HeartbeatOptions say how a Heartbeat works.
type HeartbeatOptions struct {
	Period   time.Duration // from one beat to the next
	Delay    time.Duration // no message that arrives takes longer; only a second copy may
	Tolerate int           // so many messages in a row may be lost on a link
	// Changed is told of every change of mind, once and in order. It returns at
	// once and does not call the Heartbeat. It may be nil.
	Changed func(Change)
}

// A Heartbeat suspects the peers whose beats stay away. No node asks and no node
// answers: every node sends each peer one message a period, and no other.
type Heartbeat struct{}

// NewHeartbeat starts to send beats to all peers, the first before a period is
// over, and to watch for theirs. A peer that has not been heard yet is given
// as much time as one that was heard when NewHeartbeat was called. It returns
// at once. All that it starts ends when node.Context() does.
func NewHeartbeat(node *labrpc.Node, opts HeartbeatOptions) *Heartbeat {
	// TODO(2B): beat, and listen.
	return &Heartbeat{}
}

// Suspects reports whether the peer is suspected now. It may be called from
// several goroutines at once.
func (h *Heartbeat) Suspects(peer labrpc.NodeID) bool {
	// TODO(2B): remember.
	return false // trusts everybody
}
