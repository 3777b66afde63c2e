package consistency

import (
	"errors"
	"maps"
	"sync"

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
func (l Level) Required(n int) int { return map[Level]int{One: 1, Quorum: (n + 2) / 2, All: n}[l] }

// String returns the level's name, as Cassandra writes it.
func (l Level) String() string { return [...]string{"ONE", "QUORUM", "ALL"}[l] }

// A Timestamp orders the writes of a key: the greater is the newer.
type Timestamp struct {
	Counter uint64
	Node    labrpc.NodeID
}

// Compare returns a negative number if s is older than o, 0 if they are the same, a positive number if s is newer.
func (s Timestamp) Compare(o Timestamp) int {
	switch {
	case s == o:
		return 0
	case s.Counter < o.Counter, s.Counter == o.Counter && s.Node < o.Node:
		return -1
	}
	return 1
}

// A Cell is a value with the timestamp of its write.
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

// A Replica is one of the N replicas. All its cells are one record on the disk,
// which is read for each request.
type Replica struct {
	node *labrpc.Node
	mu   sync.Mutex
}

// NewReplica makes the node a replica.
func NewReplica(node *labrpc.Node) *Replica {
	h := &Replica{node: node}
	labrpc.Handle(node, "Fetch", func(_ labrpc.NodeID, req FetchRequest) Cell { return h.cells()[req.Key] })
	labrpc.Handle(node, "Store", h.store)
	return h
}

func (h *Replica) cells() map[string]Cell {
	cells := map[string]Cell{}
	_, _ = h.node.Disk().Load("cells", &cells)
	return cells
}

func (h *Replica) store(_ labrpc.NodeID, req StoreRequest) StoreReply {
	h.mu.Lock()
	defer h.mu.Unlock()
	cells := maps.Clone(h.cells())
	if cells[req.Key].Timestamp.Compare(req.Cell.Timestamp) < 0 {
		cells[req.Key] = req.Cell
		_ = h.node.Disk().Save("cells", cells) // fails only when nobody hears the answer
	}
	return StoreReply{}
}
