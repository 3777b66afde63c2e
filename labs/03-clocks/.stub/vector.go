package clocks

import "distlabs/labrpc"

// An Order says how two events lie to each other.
type Order int

// The orders of two events.
const (
	Before     Order = iota + 1 // the first happened before the second
	After                       // the second happened before the first
	Equal                       // they are the same event
	Concurrent                  // neither happened before the other
)

// String returns the order's name.
func (o Order) String() string {
	switch o {
	case Before:
		return "before"
	case After:
		return "after"
	case Equal:
		return "equal"
	case Concurrent:
		return "concurrent"
	}
	return "unknown"
}

// A Vector stamps an event with what it knows of each node: entry id-1 counts
// the events of node id that are the event itself or happened before it. Vectors
// of one system have one length.
type Vector []uint64

// Compare tells how the event stamped v lies to the one stamped o.
func (v Vector) Compare(o Vector) Order {
	// TODO(3D): compare.
	return 0
}

// Merge returns what v and o know together: the larger of each two entries. The result
// is a new vector, and neither of the two is altered.
func (v Vector) Merge(o Vector) Vector {
	// TODO(3D): merge.
	return nil
}

// A VectorClock stamps the events of one node (Fidge, Mattern 1988). All methods
// may be called by several goroutines at once.
type VectorClock struct {
	// TODO(3D): what it remembers.
}

// NewVectorClock returns the clock of a node among the given number of nodes.
func NewVectorClock(node labrpc.NodeID, nodes int) *VectorClock {
	return &VectorClock{}
}

// Tick returns the stamp of an event on this node: something done, or a message
// sent. The message carries the stamp. The stamp is the caller's: it does not
// change any more.
func (c *VectorClock) Tick() Vector {
	// TODO(3D): count.
	return nil
}

// Receive returns the stamp of the receipt of a message that carries sent, which
// it does not alter.
func (c *VectorClock) Receive(sent Vector) Vector {
	// TODO(3D): merge and count.
	return nil
}
