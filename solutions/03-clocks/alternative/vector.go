package clocks

import (
	"sync/atomic"

	"distlabs/labrpc"
)

// An Order says how two events lie to each other.
type Order int

// The orders of two events.
const (
	Before Order = iota + 1
	After
	Equal
	Concurrent
)

// String returns the order's name.
func (o Order) String() string {
	return [...]string{"unknown", "before", "after", "equal", "concurrent"}[o]
}

// A Vector counts the events of each node.
type Vector []uint64

// within reports whether v ≤ o in every entry.
func (v Vector) within(o Vector) bool {
	for i, count := range v {
		if count > o[i] {
			return false
		}
	}
	return true
}

// Compare asks twice whether one is within the other.
func (v Vector) Compare(o Vector) Order {
	before, after := v.within(o), o.within(v)
	switch {
	case before && after:
		return Equal
	case before:
		return Before
	case after:
		return After
	}
	return Concurrent
}

// Merge returns the larger of each two entries.
func (v Vector) Merge(o Vector) Vector {
	merged := make(Vector, 0, len(v))
	for i := range v {
		merged = append(merged, max(v[i], o[i]))
	}
	return merged
}

// A VectorClock points to a vector that is never changed, only replaced.
type VectorClock struct {
	own int
	now atomic.Pointer[Vector]
}

// NewVectorClock returns a clock at which nothing has happened.
func NewVectorClock(node labrpc.NodeID, nodes int) *VectorClock {
	c := &VectorClock{own: int(node) - 1}
	zero := make(Vector, nodes)
	c.now.Store(&zero)
	return c
}

// Tick replaces the vector by the next.
func (c *VectorClock) Tick() Vector { return c.Receive(*c.now.Load()) }

// Receive replaces the vector by the merger's next.
func (c *VectorClock) Receive(sent Vector) Vector {
	for {
		old := c.now.Load()
		next := old.Merge(sent)
		next[c.own]++
		if c.now.CompareAndSwap(old, &next) {
			return next.Merge(next) // a copy: the caller may do with it what it likes
		}
	}
}
