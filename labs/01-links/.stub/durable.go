package links

import "distlabs/labrpc"

// Apply is the application: it returns the state after msg from that sender. The result depends only on the arguments,
// and Apply changes nothing else: the link may call it again for the same message after a crash.
type Apply func(state []byte, from labrpc.NodeID, msg []byte) []byte

// A Durable link applies every message exactly once to the durable state of its
// receiver, although both nodes may crash at any time and restart (rules 15 to 17).
//
// All methods may be called by several goroutines at once.
type Durable struct {
	node  *labrpc.Node
	apply Apply
	// TODO(1E): the content of the disk, and the messages that are not acknowledged.
}

// NewDurable makes the link of one node from the records on node.Disk().
// Each incarnation has one. It returns an error if the disk cannot be read.
func NewDurable(node *labrpc.Node, apply Apply) (*Durable, error) {
	// TODO(1E): load the records of the last incarnation, and send its messages again.
	return &Durable{node: node, apply: apply}, nil
}

// Send promises, by returning nil, that msg will be applied exactly once at the node to (rule 15).
// After an error, msg will be applied once or not at all. Send returns at once.
func (d *Durable) Send(to labrpc.NodeID, msg []byte) error {
	// TODO(1E): decide what must be on the disk before you promise.
	return labrpc.ErrDown // promises nothing
}

// State returns a copy of the state after all messages that were applied so far; at first it is nil. A message that it has
// shown as applied stays applied (rule 17).
func (d *Durable) State() []byte {
	// TODO(1E)
	return nil
}
