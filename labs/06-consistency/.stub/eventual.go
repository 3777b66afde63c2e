package consistency

import (
	"errors"
	"time"

	"distlabs/labrpc"
)

// EventualOptions configure an EventualStore.
type EventualOptions struct {
	Gossip time.Duration // how often a replica exchanges updates with another one
}

// A VersionVector counts the updates that a replica has: of each replica, the first
// so many. A replica that is not in the vector counts as 0.
type VersionVector map[labrpc.NodeID]uint64

// Includes reports whether v has every update that o has. If neither includes
// the other, each has updates that the other lacks.
func (v VersionVector) Includes(o VersionVector) bool {
	// TODO(6C): compare.
	return false
}

// Merge returns a new vector of all updates that v or o has. It changes neither of the two.
func (v VersionVector) Merge(o VersionVector) VersionVector {
	// TODO(6C): merge.
	return VersionVector{}
}

// An EventualStore is one replica of a store that accepts writes at every replica, whatever
// other replicas can be reached. All methods may be called by several goroutines at
// once; no method waits for a message.
type EventualStore struct {
	// TODO(6C): the state of a replica.
}

// NewEventualStore makes the node a replica, with the state that an earlier incarnation left on
// the disk. It returns at once. All goroutines that it starts end when node.Context() ends.
func NewEventualStore(node *labrpc.Node, opts EventualOptions) *EventualStore {
	// TODO(6C): read the disk, register a handler, start to gossip. You decide which messages replicas send.
	return &EventualStore{}
}

// Put writes a key. It returns nil when a crash of this replica cannot undo the write any more.
// After an error (labrpc.ErrDown) the write may have happened or not.
func (e *EventualStore) Put(key, value string) error {
	// TODO(6C): write.
	return errors.New("consistency: Put is not implemented")
}

// Delete removes a key. It is a write, like Put, also if the key has no value.
func (e *EventualStore) Delete(key string) error {
	// TODO(6C): what must be left, so that the value does not come back?
	return errors.New("consistency: Delete is not implemented")
}

// Get returns the value of a key, and whether the key has one.
func (e *EventualStore) Get(key string) (string, bool) {
	// TODO(6C): read.
	return "", false
}

// Add adds n, which may be negative, to a counter. It returns nil when a crash
// of this replica cannot undo that any more; for an error see Put.
func (e *EventualStore) Add(counter string, n int) error {
	// TODO(6C): add.
	return errors.New("consistency: Add is not implemented")
}

// Count returns the value of a counter: the sum of all adds that this replica
// has.
func (e *EventualStore) Count(counter string) int {
	// TODO(6C): sum up.
	return 0
}

// Version returns which updates this replica has, in a map of the caller's own. Every Put,
// Delete and Add is one update of the replica at which it was called.
func (e *EventualStore) Version() VersionVector {
	// TODO(6C): return a copy.
	return nil
}
