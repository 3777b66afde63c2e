package consistency

import (
	"errors"
	"time"

	"distlabs/labrpc"
)

// CoordinatorOptions configure a Coordinator.
type CoordinatorOptions struct {
	Replicas []labrpc.NodeID // the N nodes that run a Replica; the coordinator's own need not be one
	Timeout  time.Duration   // after which a request has failed
	Retry    time.Duration   // after which a replica that has not answered is asked again; much shorter
}

// A Coordinator serves the requests of clients, by asking the replicas. Any node
// may be one, and several may be at work at once. All methods may be called by
// several goroutines at once.
type Coordinator struct {
	// TODO(6D): what it remembers.
}

// NewCoordinator makes the node a coordinator. It returns at once. All that it
// starts ends when node.Context() does.
func NewCoordinator(node *labrpc.Node, opts CoordinatorOptions) *Coordinator {
	return &Coordinator{}
}

// Put writes a key at all replicas that it can reach, and returns when as many as
// the level says have the value on their disks. If they have not in Timeout, the
// error wraps ErrUnavailable. The others go on being asked until then.
//
// Before that it asks as many replicas as the level says for the timestamp that they
// have: the write is newer than all that those have.
func (c *Coordinator) Put(key, value string, level Level) (Timestamp, error) {
	// TODO(6D): find a timestamp, and store.
	return Timestamp{}, errors.New("consistency: Put is yet to be written")
}

// ReadOptions say what a Get must return. The zero value is a read at ONE.
type ReadOptions struct {
	Level Level
	// AtLeast is for a session: nothing older than what it has written and read is returned, whatever
	// the level. Replicas are asked until one has that.
	AtLeast Timestamp
	// MaxStale, if not 0, allows to return what a majority had at some moment not longer ago than this: from memory,
	// without any message, if this coordinator has read it; or else by a read at QUORUM, or at Level if that is more.
	MaxStale time.Duration
}

// Get reads a key. If not enough replicas answer in Timeout, the error wraps
// ErrUnavailable.
//
// At QUORUM and ALL it returns the newest cell of those that it was told, and not
// before as many replicas as the level says have it: those that are behind are repaired.
func (c *Coordinator) Get(key string, opts ReadOptions) (Cell, error) {
	// TODO(6D): ask, compare, repair.
	return Cell{}, errors.New("consistency: Get is yet to be written")
}
