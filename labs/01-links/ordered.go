package links

import "distlabs/labrpc"

// Window is how many messages of one sender may be on the way to one receiver: a packet may carry message k only
// after the receiver's deliver has returned for message k-Window (rule 10).
const Window = 64

// An Ordered link delivers every message exactly once, and the messages of
// one sender one at a time in the order in which they were sent (rule 9). The receiver buffers at
// most Window messages per sender (rule 10).
//
// All methods may be called by several goroutines at once.
type Ordered struct {
	deliver Deliver
	// TODO(1C): the link below, and for each peer the two sides of a window.
}

// NewOrdered makes the link of one node. Each node has at most one.
func NewOrdered(node *labrpc.Node, deliver Deliver) *Ordered {
	// TODO(1C): make the link below, with a Deliver of your own.
	return &Ordered{deliver: deliver}
}

// Send makes the node to deliver msg exactly once, after all messages that were sent to it
// before. It returns at once, and the caller may change msg afterwards. A message for which the window has no
// room waits at the sender.
func (o *Ordered) Send(to labrpc.NodeID, msg []byte) {
	// TODO(1C): number it, and send it when the window has room.
}
