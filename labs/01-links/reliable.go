package links

import "distlabs/labrpc"

// A Reliable link delivers every message exactly once between nodes that stay
// up, and only messages that were sent (rule 7). Its memory does not grow with the number of messages (rule 8).
//
// All methods may be called by several goroutines at once.
type Reliable struct {
	deliver Deliver
	// TODO(1B): the Stubborn link below, and the data that tells a new message from a copy.
}

// NewReliable makes the link of one node. Each node has at most one.
func NewReliable(node *labrpc.Node, deliver Deliver) *Reliable {
	// TODO(1B): make the link below, with a Deliver of your own.
	return &Reliable{deliver: deliver}
}

// Send makes the node to deliver msg exactly once. It returns at
// once, and the caller may change msg afterwards.
//
// Two messages with the same content are two messages.
func (r *Reliable) Send(to labrpc.NodeID, msg []byte) {
	// TODO(1B): mark it, so that the receiver recognises a copy.
}
