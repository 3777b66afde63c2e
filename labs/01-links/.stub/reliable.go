package links

import "distlabs/labrpc"

// A Reliable link delivers every message exactly once between nodes that stay
// up, and nothing that was not sent (rule 7). What it remembers of the past does not grow (rule 8).
//
// All methods may be called by several goroutines at once.
type Reliable struct {
	deliver Deliver
	// TODO(1B): the Stubborn link beneath, and what tells a new message from an old one.
}

// NewReliable makes the link of one node. Each node has at most one.
func NewReliable(node *labrpc.Node, deliver Deliver) *Reliable {
	// TODO(1B): make the link beneath, with a Deliver of your own.
	return &Reliable{deliver: deliver}
}

// Send sees to it that msg is delivered exactly once at to. It returns at
// once, and the caller may change msg afterwards.
//
// Two messages with the same content are two messages.
func (r *Reliable) Send(to labrpc.NodeID, msg []byte) {
	// TODO(1B): mark it, so that the other side knows it again.
}
