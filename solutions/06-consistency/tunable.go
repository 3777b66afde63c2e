package consistency

import (
	"cmp"
	"errors"
	"strings"
	"sync"

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
	switch l {
	case Quorum:
		return n/2 + 1
	case All:
		return n
	}
	return 1
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
	return cmp.Or(cmp.Compare(s.Counter, o.Counter), cmp.Compare(s.Node, o.Node))
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

	mu    sync.Mutex
	cells map[string]Cell
}

const cellRecord = "cell/"

// NewReplica makes the node a replica, with what an earlier incarnation left on
// the disk.
func NewReplica(node *labrpc.Node) *Replica {
	h := &Replica{node: node, cells: map[string]Cell{}}
	for _, name := range node.Disk().Names() {
		if key, ok := strings.CutPrefix(name, cellRecord); ok {
			var c Cell
			_, _ = node.Disk().Load(name, &c)
			h.cells[key] = c
		}
	}
	labrpc.Handle(node, "Fetch", h.fetch)
	labrpc.Handle(node, "Store", h.store)
	return h
}

func (h *Replica) fetch(_ labrpc.NodeID, req FetchRequest) Cell {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.cells[req.Key]
}

// store takes a cell over if it is newer. It answers in any case: what was asked
// for is true then.
func (h *Replica) store(_ labrpc.NodeID, req StoreRequest) StoreReply {
	h.mu.Lock()
	defer h.mu.Unlock()
	if req.Cell.Timestamp.Compare(h.cells[req.Key].Timestamp) > 0 {
		if h.node.Disk().Save(cellRecord+req.Key, req.Cell) == nil {
			h.cells[req.Key] = req.Cell
		}
	}
	return StoreReply{}
}
