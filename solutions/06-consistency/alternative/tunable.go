package consistency

import (
	"errors"
	"maps"
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

// Of returns the level's number of replicas, of n.
func (l Level) Of(n int) int { return map[Level]int{One: 1, Quorum: (n + 2) / 2, All: n}[l] }

// String returns the level's name, as Cassandra writes it.
func (l Level) String() string { return [...]string{"ONE", "QUORUM", "ALL"}[l] }

// A Stamp orders the writes of a key: the greater is the newer.
type Stamp struct {
	Counter uint64
	Node    labrpc.NodeID
}

// Compare is negative if s is older than o, 0 if they are the same.
func (s Stamp) Compare(o Stamp) int {
	switch {
	case s == o:
		return 0
	case s.Counter < o.Counter, s.Counter == o.Counter && s.Node < o.Node:
		return -1
	}
	return 1
}

// A Cell is a value with the stamp of its write.
type Cell struct {
	Value string
	Stamp Stamp
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

// A Holder is one of the N replicas. All its cells are one record on the disk,
// which is read for each request.
type Holder struct {
	node *labrpc.Node
	mu   sync.Mutex
}

// NewHolder makes the node a replica.
func NewHolder(node *labrpc.Node) *Holder {
	h := &Holder{node: node}
	labrpc.Handle(node, "Fetch", func(_ labrpc.NodeID, req FetchRequest) Cell { return h.cells()[req.Key] })
	labrpc.Handle(node, "Store", h.store)
	return h
}

func (h *Holder) cells() map[string]Cell {
	cells := map[string]Cell{}
	_, _ = h.node.Disk().Load("cells", &cells)
	return cells
}

func (h *Holder) store(_ labrpc.NodeID, req StoreRequest) StoreReply {
	h.mu.Lock()
	defer h.mu.Unlock()
	cells := maps.Clone(h.cells())
	if cells[req.Key].Stamp.Compare(req.Cell.Stamp) < 0 {
		cells[req.Key] = req.Cell
		_ = h.node.Disk().Save("cells", cells) // fails only when nobody hears the answer
	}
	return StoreReply{}
}
