package consistency

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
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
	return maps.Equal(v.Merge(o), v.Merge(nil))
}

// Merge returns a new vector of all updates that v or o has. It changes neither of the two.
func (v VersionVector) Merge(o VersionVector) VersionVector {
	merged := VersionVector{}
	for id, n := range v {
		if n > 0 {
			merged[id] = n
		}
	}
	for id, n := range o {
		if n > merged[id] {
			merged[id] = n
		}
	}
	return merged
}

// An EventualStore is one replica of a store that takes writes everywhere. It is a
// log of all updates, each replica's in their order, and what follows from them.
// An update is one record on the disk; the version vector is the lengths of the logs.
type EventualStore struct {
	node *labrpc.Node
	opts EventualOptions

	mu      sync.Mutex
	logs    map[labrpc.NodeID][]update
	clock   int64             // the latest time of any update
	current map[string]update // the put or delete of each key that counts
	sums    map[string]int
}

// An update is what a client asked for. Times of different replicas may be equal.
type update struct {
	Kind   updateKind
	Key    string
	Value  string
	N      int
	Time   int64
	Origin labrpc.NodeID
	Number uint64
}

type updateKind int

const (
	putUpdate updateKind = iota
	deleteUpdate
	addUpdate
)

// mostUpdates is how many updates go into one message.
const mostUpdates = 200

// A digest asks for updates.
type digest struct {
	Version VersionVector
}

// news has updates that somebody lacked, each replica's in their order.
type news struct {
	Updates []update
}

// NewEventualStore makes the node a replica, with what an earlier incarnation left on
// the disk.
func NewEventualStore(node *labrpc.Node, opts EventualOptions) *EventualStore {
	e := &EventualStore{node: node, opts: opts, clock: math.MinInt64, logs: map[labrpc.NodeID][]update{}, current: map[string]update{}, sums: map[string]int{}}
	for _, name := range node.Disk().Names() { // sorted, so in order
		if strings.HasPrefix(name, "log/") {
			var u update
			_, _ = node.Disk().Load(name, &u)
			e.apply(u)
		}
	}
	labrpc.Receive(node, "Digest", e.asked)
	labrpc.Receive(node, "News", e.told)
	go e.ask()
	return e
}

// Put writes a key.
func (e *EventualStore) Put(key, value string) error {
	return e.update(update{Kind: putUpdate, Key: key, Value: value})
}

// Delete removes a key.
func (e *EventualStore) Delete(key string) error {
	return e.update(update{Kind: deleteUpdate, Key: key})
}

// Add adds n to a counter.
func (e *EventualStore) Add(counter string, n int) error {
	return e.update(update{Kind: addUpdate, Key: counter, N: n})
}

func (e *EventualStore) update(u update) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	u.Origin = e.node.ID()
	u.Number = uint64(len(e.logs[u.Origin])) + 1
	u.Time = max(e.node.Clock().Now().UnixNano(), e.clock+1)
	return e.append(u)
}

// append takes an update on, if it is the next of its replica. The caller holds e.mu.
func (e *EventualStore) append(u update) error {
	if u.Number != uint64(len(e.logs[u.Origin]))+1 {
		return nil // known already, or some before it are missing
	}
	if err := e.node.Disk().Save(fmt.Sprintf("log/%03d/%010d", u.Origin, u.Number), u); err != nil {
		return err
	}
	e.apply(u)
	return nil
}

func (e *EventualStore) apply(u update) {
	e.logs[u.Origin] = append(e.logs[u.Origin], u)
	e.clock = max(e.clock, u.Time)
	if u.Kind == addUpdate {
		e.sums[u.Key] += u.N
		return
	}
	old, ok := e.current[u.Key]
	if !ok || u.Time > old.Time || u.Time == old.Time && u.Origin > old.Origin {
		e.current[u.Key] = u
	}
}

// Get returns the value of a key, and whether the key has one.
func (e *EventualStore) Get(key string) (string, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	u, ok := e.current[key]
	return u.Value, ok && u.Kind == putUpdate
}

// Count returns the value of a counter.
func (e *EventualStore) Count(counter string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.sums[counter]
}

// Version tells which updates this replica has.
func (e *EventualStore) Version() VersionVector {
	e.mu.Lock()
	defer e.mu.Unlock()
	v := VersionVector{}
	for id, log := range e.logs {
		v[id] = uint64(len(log))
	}
	return v
}

// ask sends the digest to a replica chosen by chance, again and again.
func (e *EventualStore) ask() {
	peers := e.node.Peers()
	for len(peers) > 0 {
		select {
		case <-e.node.Context().Done():
			return
		case <-time.After(e.opts.Gossip):
		}
		peer := peers[e.node.Rand().IntN(len(peers))]
		_ = labrpc.Send(e.node, peer, "Digest", digest{Version: e.Version()})
	}
}

func (e *EventualStore) asked(from labrpc.NodeID, d digest) {
	e.mu.Lock()
	var n news
	for _, id := range slices.Sorted(maps.Keys(e.logs)) {
		log := e.logs[id]
		have := min(d.Version[id], uint64(len(log)))
		fresh := log[have:]
		n.Updates = append(n.Updates, fresh[:min(len(fresh), mostUpdates-len(n.Updates))]...)
	}
	e.mu.Unlock()
	if len(n.Updates) > 0 {
		_ = labrpc.Send(e.node, from, "News", n)
	}
}

func (e *EventualStore) told(_ labrpc.NodeID, n news) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, u := range n.Updates {
		if e.append(u) != nil {
			return
		}
	}
}
