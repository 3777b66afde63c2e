package links

import "distlabs/labrpc"

// Apply is what a message does to the application: it returns the state after msg from that sender. It depends on
// nothing else and changes nothing: it may be called again for the same message, if a crash has undone the first call.
type Apply func(state []byte, from labrpc.NodeID, msg []byte) []byte

// A Durable link applies every message exactly once to the durable state of its
// receiver, though both ends may crash and restart at any moment (rules 15 to 17).
//
// All methods may be called by several goroutines at once.
type Durable struct {
	node  *labrpc.Node
	apply Apply
	// TODO(1E): what the disk holds, and what is under way.
}

// NewDurable makes the link of one node, and goes on from what node.Disk()
// holds. Each incarnation has one. The error says that the disk can not be read.
func NewDurable(node *labrpc.Node, apply Apply) (*Durable, error) {
	// TODO(1E): load what the last incarnation left, and go on sending it.
	return &Durable{node: node, apply: apply}, nil
}

// Send promises, by returning nil, that msg will be applied exactly once at to (rule 15).
// After an error it will be applied once or not at all. It does not wait for the other side.
func (d *Durable) Send(to labrpc.NodeID, msg []byte) error {
	// TODO(1E): decide what must be on the disk before you promise.
	return labrpc.ErrDown // promises nothing
}

// State returns a copy of the state: what every message applied so far has made of it, at first nil. What
// it has once shown is never lost (rule 17).
func (d *Durable) State() []byte {
	// TODO(1E)
	return nil
}
