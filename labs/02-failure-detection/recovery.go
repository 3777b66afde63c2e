package detector

import (
	"time"

	"distlabs/labrpc"
)

// RecoveryOptions say how a Recovery works.
type RecoveryOptions struct {
	Period time.Duration // from one heartbeat to the next
	Delay  time.Duration // no message takes longer; only a second copy may
	// Saw is told what becomes of the peers, in order. It returns at once and does
	// not call the Recovery. It may be nil.
	Saw func(Life)
}

// A Life is what a Recovery says of one incarnation of one peer: first that it
// runs, then that it is over. It says each once, and says no more of an
// incarnation than that.
type Life struct {
	Peer        labrpc.NodeID
	Incarnation uint64
	Over        bool
}

// A Recovery watches nodes that crash and come back. However quickly a node is
// back, everybody learns that it was gone: its memory was.
type Recovery struct{}

// NewRecovery begins an incarnation of the node, makes it known to the peers
// and watches theirs. It returns at once. All that it starts ends when
// node.Context() does.
func NewRecovery(node *labrpc.Node, opts RecoveryOptions) *Recovery {
	// TODO(2E): find your number, make it known, and watch.
	return &Recovery{}
}

// Incarnation returns the node's own number. It is at least 1, and greater than
// that of every earlier incarnation of this node that anybody may have heard of.
func (r *Recovery) Incarnation() uint64 {
	// TODO(2E): remember.
	return 0
}
