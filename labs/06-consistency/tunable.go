package consistency

import (
	"errors"

	"distlabs/labrpc"
)

// ErrUnavailable says that too few replicas have replied in time. A Put may have
// taken effect, may still do so, or never.
var ErrUnavailable = errors.New("consistency: too few replicas reply")

// A Level says how many of the N replicas a request requires.
type Level int

// The levels.
const (
	One    Level = iota
	Quorum       // a majority
	All
)

// Required returns how many of n replicas the level requires.
func (l Level) Required(n int) int {
	// TODO(6D): count.
	return n + 1 // more than exist
}

// String returns the level's name, as Cassandra writes it.
func (l Level) String() string {
	return [...]string{"ONE", "QUORUM", "ALL"}[l]
}

// A Timestamp orders the writes of a key: the greater one is newer. The zero Timestamp belongs
// to no write.
type Timestamp struct {
	Counter uint64
	Node    labrpc.NodeID // the coordinator; it orders timestamps with equal counters
}

// Compare returns a negative number if s is older than o, 0 if they are the same, a positive number if s is newer.
func (s Timestamp) Compare(o Timestamp) int {
	// TODO(6D): compare.
	return 0
}

// A Cell is a value with the timestamp of its write. The zero Cell stands for no value.
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

// A Replica is one of the N replicas: it stores cells. It sends only replies, and only a Store changes its cells.
type Replica struct {
	node *labrpc.Node
}

// NewReplica makes the node a replica, with the cells that an earlier incarnation left on
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

// store keeps the request's cell if it is newer than the replica's. It replies in both cases: then the
// replica has that cell or a newer one.
func (h *Replica) store(_ labrpc.NodeID, req StoreRequest) StoreReply {
	// TODO(6D): compare, and keep.
	return StoreReply{}
}
