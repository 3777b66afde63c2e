package consistency

import (
	"errors"
	"time"

	"distlabs/labrpc"
)

// CoordinatorOptions configure a Coordinator.
type CoordinatorOptions struct {
	Replicas []labrpc.NodeID // the N nodes that run a Replica; the coordinator's own node need not be one of them
	Timeout  time.Duration   // after which a request fails, counted from its call
	Retry    time.Duration   // after which a replica that has not replied is asked again; much shorter
}

// A Coordinator serves the requests of clients: it asks the replicas. Any node
// may run one, and several may work at once. All methods may be called by
// several goroutines at once.
type Coordinator struct {
	// TODO(6D): the state of a coordinator.
}

// NewCoordinator makes the node a coordinator. It returns at once. All goroutines that it
// starts end when node.Context() ends.
func NewCoordinator(node *labrpc.Node, opts CoordinatorOptions) *Coordinator {
	return &Coordinator{}
}

// Put writes a key. First it fetches the cells of as many replicas as the level requires: the
// timestamp of the write is newer than theirs. Then it sends the new cell to all
// replicas, and returns when as many as the level requires have it on their disks. The others are asked again
// until Timeout after the call, also after Put has returned.
//
// If too few replicas reply within Timeout, the error wraps ErrUnavailable.
func (c *Coordinator) Put(key, value string, level Level) (Timestamp, error) {
	// TODO(6D): find a timestamp, and store.
	return Timestamp{}, errors.New("consistency: Put is not implemented")
}

// ReadOptions say what a Get must return. The zero value is a read at ONE.
type ReadOptions struct {
	Level Level
	// AtLeast is for a session: the Timestamp of the newest cell that the session has written or read. Get
	// returns nothing older, whatever the level: replicas are asked until one has such a cell.
	AtLeast Timestamp
	// MaxStale, if not 0, lets Get return a cell that a majority had at some instant at most that long before the call: from
	// memory and without a message, if this coordinator has read it; otherwise by a read at QUORUM, or at Level if that is higher.
	MaxStale time.Duration
}

// Get reads a key. If too few replicas reply within Timeout, the error wraps
// ErrUnavailable.
//
// At QUORUM and ALL it returns the newest of the cells that it has received, and only
// when as many replicas as the level requires have that cell: it repairs those that are behind.
func (c *Coordinator) Get(key string, opts ReadOptions) (Cell, error) {
	// TODO(6D): ask, compare, repair.
	return Cell{}, errors.New("consistency: Get is not implemented")
}
