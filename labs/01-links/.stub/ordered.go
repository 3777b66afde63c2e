package links

import "distlabs/labrpc"

// Window is how many messages of one sender may be under way to one receiver (rule 10): no packet may carry
// the k-th before the receiver's deliver has returned from the (k-Window)-th.
const Window = 64

// An Ordered link delivers every message exactly once, and the messages of
// one sender one at a time in the order in which they were sent (rule 9). It holds at
// most Window of them back at the receiver (rule 10).
//
// All methods may be called by several goroutines at once.
type Ordered struct {
	deliver Deliver
	// TODO(1C): the link beneath, and for each peer the two sides of a window.
}

// NewOrdered makes the link of one node. Each node has at most one.
func NewOrdered(node *labrpc.Node, deliver Deliver) *Ordered {
	// TODO(1C): make the link beneath, with a Deliver of your own.
	return &Ordered{deliver: deliver}
}

// Send sees to it that msg is delivered at to, after all that was sent there
// before. It returns at once, and the caller may change msg afterwards; what the window has no
// room for waits at the sender.
func (o *Ordered) Send(to labrpc.NodeID, msg []byte) {
	// TODO(1C): number it, and send it when the window has room.
}
