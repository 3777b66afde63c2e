// Package links builds links on a network that loses, duplicates, delays and reorders packets, and on which an
// adversary forges them: stubborn, reliable, ordered, authenticated and durable links.
package links

import "distlabs/labrpc"

// Deliver hands a message to the application: the node from sent msg. The link calls it on a goroutine of its own.
// It may take any time, may call Send, and may keep and change msg. Except for an Ordered link, several calls may
// run at once.
type Deliver func(from labrpc.NodeID, msg []byte)

// A Stubborn link delivers every message at least once between nodes that stay
// up, however many packets the network loses, as long as it does not lose all of them.
//
// All methods may be called by several goroutines at once.
type Stubborn struct {
	node    *labrpc.Node
	deliver Deliver
	// TODO(1A): the messages that are not acknowledged.
}

// NewStubborn makes the link of one node. Each node has at most one.
func NewStubborn(node *labrpc.Node, deliver Deliver) *Stubborn {
	// TODO(1A): listen, with labrpc.Receive.
	return &Stubborn{node: node, deliver: deliver}
}

// Send makes the node to deliver msg at least once (rule 1). It returns at
// once, and the caller may change msg afterwards (rule 6).
//
// The link sends a message again, soon at first and then less and less often, until the
// receiver has acknowledged it. An acknowledgement says that deliver has returned there (rules 2 to 5).
func (s *Stubborn) Send(to labrpc.NodeID, msg []byte) {
	// TODO(1A): send it, and send it again, with labrpc.Send.
}
