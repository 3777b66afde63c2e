package consistency

import (
	"errors"
	"time"

	"distlabs/labrpc"
)

// EventualOptions configure an Eventual.
type EventualOptions struct {
	Gossip time.Duration // how often a replica compares itself with another
}

// A VersionVector tells which updates a replica has: of each replica, the first
// so many. A replica that is not in it counts as 0.
type VersionVector map[labrpc.NodeID]uint64

// Includes reports whether v has every update that o has. If neither includes
// the other, each has updates that the other lacks.
func (v VersionVector) Includes(o VersionVector) bool {
	// TODO(6C): compare.
	return false
}

// Merge returns the vector of all updates that v or o has. It changes neither.
func (v VersionVector) Merge(o VersionVector) VersionVector {
	// TODO(6C): merge.
	return VersionVector{}
}

// An EventualStore is one replica of a store that takes writes everywhere, at once,
// whoever can be reached. All methods may be called by several goroutines at
// once; none waits for the network.
type EventualStore struct {
	// TODO(6C): what it remembers.
}

// NewEventualStore makes the node a replica, with what an earlier incarnation left on
// the disk. It returns at once. All that it starts ends when node.Context() does.
func NewEventualStore(node *labrpc.Node, opts EventualOptions) *EventualStore {
	// TODO(6C): read the disk, register a handler, begin to gossip. What the messages are like is up to you.
	return &EventualStore{}
}

// Put writes a key. It returns nil when a crash of this replica cannot undo it.
// An error (labrpc.ErrDown) says that this may or may not have happened.
func (e *EventualStore) Put(key, value string) error {
	// TODO(6C): write.
	return errors.New("consistency: Put is yet to be written")
}

// Delete removes a key, as a Put writes it.
func (e *EventualStore) Delete(key string) error {
	// TODO(6C): what must be left, so that the value does not come back?
	return errors.New("consistency: Delete is yet to be written")
}

// Get returns the value of a key, and whether there is one.
func (e *EventualStore) Get(key string) (string, bool) {
	// TODO(6C): read.
	return "", false
}

// Add adds n, which may be negative, to a counter. It returns nil when a crash
// of this replica cannot undo it; for an error see Put.
func (e *EventualStore) Add(counter string, n int) error {
	// TODO(6C): add.
	return errors.New("consistency: Add is yet to be written")
}

// Count returns the value of a counter: the sum of all adds that this replica
// has.
func (e *EventualStore) Count(counter string) int {
	// TODO(6C): sum up.
	return 0
}

// Version tells which updates this replica has. Every Put, Delete and Add is one
// update of the replica that it was called at.
func (e *EventualStore) Version() VersionVector {
	// TODO(6C): tell.
	return nil
}
