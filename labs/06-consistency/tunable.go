package consistency

import (
	"errors"

	"distlabs/labrpc"
)

// ErrUnavailable: too few replicas have answered in time. A Put may or may not
// have happened, and may still happen.
var ErrUnavailable = errors.New("consistency: too few replicas answer")

// A Level says how many of the N replicas must have answered before a request has.
type Level int

// The levels.
const (
	One    Level = iota
	Quorum       // a majority
	All
)

// Required returns the level's number of replicas, of n.
func (l Level) Required(n int) int {
	// TODO(6D): count.
	return n + 1 // more than there are
}

// String returns the level's name, as Cassandra writes it.
func (l Level) String() string {
	return [...]string{"ONE", "QUORUM", "ALL"}[l]
}

// A Timestamp orders the writes of a key: the greater is the newer. The zero Timestamp is
// that of nothing.
type Timestamp struct {
	Counter uint64
	Node    labrpc.NodeID // the coordinator, to tell equal counters apart
}

// Compare is negative if s is older than o, 0 if they are the same.
func (s Timestamp) Compare(o Timestamp) int {
	// TODO(6D): compare.
	return 0
}

// A Cell is a value with the timestamp of its write; the zero Cell if there is none.
type Cell struct {
	Value     string
	Timestamp Timestamp
}

// FetchRequest is the argument of "Fetch"; the reply is the replica's Cell.
type FetchRequest struct {
	Key string
}

// StoreRequest is the argument of "Store".
type StoreRequest struct {
	Key  string
	Cell Cell
}

// StoreReply says that the replica has the cell, or a newer one, on its disk.
type StoreReply struct{}

// A Replica is one of the N replicas: it holds cells.
type Replica struct {
	node *labrpc.Node
}

// NewReplica makes the node a replica, with what an earlier incarnation left on
// the disk.
func NewReplica(node *labrpc.Node) *Replica {
	h := &Replica{node: node}
	// TODO(6D): read the disk.
	labrpc.Handle(node, "Fetch", h.fetch)
	labrpc.Handle(node, "Store", h.store)
	return h
}

func (h *Replica) fetch(_ labrpc.NodeID, req FetchRequest) Cell {
	// TODO(6D): look it up.
	return Cell{}
}

// store takes a cell over if it is newer. It answers in any case: what was asked
// for is true then.
func (h *Replica) store(_ labrpc.NodeID, req StoreRequest) StoreReply {
	// TODO(6D): compare, and keep.
	return StoreReply{}
}
