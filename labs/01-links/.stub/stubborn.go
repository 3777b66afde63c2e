// Package links makes, out of packets that may be lost, doubled, delayed, overtaken and forged, links that a
// protocol can stand on: stubborn, reliable, ordered, authenticated, durable.
package links

import "distlabs/labrpc"

// Deliver is how a link hands a message to the application: from sent msg. It
// runs on a goroutine of the link and may take as long as it likes; except for an Ordered link, several
// calls may run at once. msg is the callee's to keep.
type Deliver func(from labrpc.NodeID, msg []byte)

// A Stubborn link delivers every message at least once between nodes that stay
// up, however much the network loses, as long as it does not lose everything.
//
// All methods may be called by several goroutines at once.
type Stubborn struct {
	node    *labrpc.Node
	deliver Deliver
	// TODO(1A): what is under way.
}

// NewStubborn makes the link of one node. Each node has at most one.
func NewStubborn(node *labrpc.Node, deliver Deliver) *Stubborn {
	// TODO(1A): listen, with labrpc.Receive.
	return &Stubborn{node: node, deliver: deliver}
}

// Send sees to it that msg is delivered at to, at least once (rule 1). It returns at
// once, and the caller may change msg afterwards (rule 6).
//
// A message is sent again, soon at first and then ever less often, until the
// other side has acknowledged it; an acknowledgement says that deliver has returned there (rules 2 to 5).
func (s *Stubborn) Send(to labrpc.NodeID, msg []byte) {
	// TODO(1A): send it, and go on sending it, with labrpc.Send.
}
