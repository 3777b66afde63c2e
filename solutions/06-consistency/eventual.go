package consistency

import (
	"cmp"
	"context"
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
	for id, n := range o {
		if v[id] < n {
			return false
		}
	}
	return true
}

// Merge returns a new vector of all updates that v or o has. It changes neither of the two.
func (v VersionVector) Merge(o VersionVector) VersionVector {
	merged := VersionVector{}
	for _, from := range []VersionVector{v, o} {
		for id, n := range from {
			merged[id] = max(merged[id], n)
		}
	}
	return merged
}

// An EventualStore is one replica of a store that accepts writes at every replica, whatever
// other replicas can be reached. All methods may be called by several goroutines at
// once; no method waits for a message.
type EventualStore struct {
	node *labrpc.Node
	opts EventualOptions

	mu       sync.Mutex
	version  VersionVector
	clock    hybridTime // not before the time of any register
	register map[string]register
	counter  map[string]map[labrpc.NodeID]share
}

// A hybridTime orders writes as their wall clocks do, except that a write is
// after all writes that its replica had when it was made, however slow its clock is.
type hybridTime struct {
	Wall    int64
	Logical int
	Node    labrpc.NodeID // makes the time unique
}

func (t hybridTime) compare(o hybridTime) int {
	return cmp.Or(cmp.Compare(t.Wall, o.Wall), cmp.Compare(t.Logical, o.Logical), cmp.Compare(t.Node, o.Node))
}

// A register is the last write of a key. A delete is a write too: without its
// tombstone, a replica that lacks the delete would bring the value back.
type register struct {
	Value   string
	Deleted bool
	Time    hybridTime
	Number  uint64 // which update of Time.Node it was
}

// A share is the part of a counter that one replica has added and subtracted: only that
// replica changes it, and both sums only grow, so of two copies the larger is newer.
type share struct {
	Plus, Minus uint64
	Number      uint64 // which update of the replica was the last
}

// NewEventualStore makes the node a replica, with the state that an earlier incarnation left on
// the disk. It returns at once. All goroutines that it starts end when node.Context() ends.
func NewEventualStore(node *labrpc.Node, opts EventualOptions) *EventualStore {
	e := &EventualStore{
		node: node, opts: opts, clock: hybridTime{Wall: math.MinInt64},
		register: map[string]register{}, counter: map[string]map[labrpc.NodeID]share{},
	}
	e.recover()
	labrpc.Handle(node, "Pull", e.pulled)
	go e.gossip()
	return e
}

const (
	registerRecord = "register/"
	counterRecord  = "counter/"
	versionRecord  = "version"
)

// recover reads the disk. The records are written before the version vector that
// counts them, so this replica's own updates may be ahead of the vector. An update that is found there counts from
// now on, so the vector must be saved: another replica's newer write may replace the record.
func (e *EventualStore) recover() {
	disk := e.node.Disk()
	_, _ = disk.Load(versionRecord, &e.version)
	me := e.node.ID()
	last := e.version[me]
	for _, name := range disk.Names() {
		if key, ok := strings.CutPrefix(name, registerRecord); ok {
			var r register
			_, _ = disk.Load(name, &r)
			e.register[key] = r
			e.hear(r.Time)
			if r.Time.Node == me {
				last = max(last, r.Number)
			}
		}
		if key, ok := strings.CutPrefix(name, counterRecord); ok {
			var shares map[labrpc.NodeID]share
			_, _ = disk.Load(name, &shares)
			e.counter[key] = shares
			last = max(last, shares[me].Number)
		}
	}
	if last > e.version[me] {
		_ = e.keepVersion(VersionVector{me: last}) // fails only when the node is down again
	}
}

// Put writes a key. It returns nil when a crash of this replica cannot undo the write any more.
// After an error (labrpc.ErrDown) the write may have happened or not.
func (e *EventualStore) Put(key, value string) error {
	return e.write(key, register{Value: value})
}

// Delete removes a key. It is a write, like Put, also if the key has no value.
func (e *EventualStore) Delete(key string) error {
	return e.write(key, register{Deleted: true})
}

func (e *EventualStore) write(key string, r register) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	me := e.node.ID()
	r.Number = e.version[me] + 1
	r.Time = e.tick()
	if err := e.keepRegister(key, r); err != nil {
		return err
	}
	return e.keepVersion(VersionVector{me: r.Number})
}

// Get returns the value of a key, and whether the key has one.
func (e *EventualStore) Get(key string) (string, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r, ok := e.register[key]
	return r.Value, ok && !r.Deleted
}

// Add adds n, which may be negative, to a counter. It returns nil when a crash
// of this replica cannot undo that any more; for an error see Put.
func (e *EventualStore) Add(counter string, n int) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	me := e.node.ID()
	mine := e.counter[counter][me]
	mine.Number = e.version[me] + 1
	if n >= 0 {
		mine.Plus += uint64(n)
	} else {
		mine.Minus += uint64(-n)
	}
	if err := e.keepShare(counter, me, mine); err != nil {
		return err
	}
	return e.keepVersion(VersionVector{me: mine.Number})
}

// Count returns the value of a counter: the sum of all adds that this replica
// has.
func (e *EventualStore) Count(counter string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	sum := 0
	for _, s := range e.counter[counter] {
		sum += int(s.Plus) - int(s.Minus)
	}
	return sum
}

// Version returns which updates this replica has, in a map of the caller's own. Every Put,
// Delete and Add is one update of the replica at which it was called.
func (e *EventualStore) Version() VersionVector {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.version.Merge(nil) // a copy
}

// tick returns the time of a new write; keepRegister moves the clock on to it. The caller holds e.mu.
func (e *EventualStore) tick() hybridTime {
	now := hybridTime{Wall: e.node.Clock().Now().UnixNano(), Node: e.node.ID()}
	if now.Wall <= e.clock.Wall {
		now.Wall, now.Logical = e.clock.Wall, e.clock.Logical+1
	}
	return now
}

// hear moves the clock to a time that was received, if that is later. The caller holds e.mu.
func (e *EventualStore) hear(t hybridTime) {
	if e.clock.compare(t) < 0 {
		e.clock = t
	}
}

// keepRegister writes to the disk and then to memory. The caller holds e.mu.
func (e *EventualStore) keepRegister(key string, r register) error {
	if err := e.node.Disk().Save(registerRecord+key, r); err != nil {
		return err
	}
	e.register[key] = r
	e.hear(r.Time)
	return nil
}

// keepShare does the same. The caller holds e.mu.
func (e *EventualStore) keepShare(counter string, id labrpc.NodeID, s share) error {
	shares := maps.Clone(e.counter[counter])
	if shares == nil {
		shares = map[labrpc.NodeID]share{}
	}
	shares[id] = s
	if err := e.node.Disk().Save(counterRecord+counter, shares); err != nil {
		return err
	}
	e.counter[counter] = shares
	return nil
}

// keepVersion adds to the version vector. The updates that it counts are on the disk
// already: in the other order, a crash in between would leave a replica that
// never asks for the updates that it lacks. The caller holds e.mu.
func (e *EventualStore) keepVersion(more VersionVector) error {
	merged := e.version.Merge(more)
	if err := e.node.Disk().Save(versionRecord, merged); err != nil {
		return err
	}
	e.version = merged
	return nil
}

// A pullRequest is the digest: the version vector of the replica that asks.
type pullRequest struct {
	Version VersionVector
}

// A pullReply has the updates that the asking replica lacks, and the vector of the updates that it has with them.
type pullReply struct {
	Version   VersionVector
	Registers map[string]register
	Shares    map[string]map[labrpc.NodeID]share
}

// gossip asks one replica after another, each of them once per round.
func (e *EventualStore) gossip() {
	ticker := time.NewTicker(e.opts.Gossip)
	defer ticker.Stop()
	var round []labrpc.NodeID
	for {
		select {
		case <-e.node.Context().Done():
			return
		case <-ticker.C:
		}
		if len(round) == 0 {
			peers := e.node.Peers()
			for _, i := range e.node.Rand().Perm(len(peers)) {
				round = append(round, peers[i])
			}
		}
		if len(round) > 0 {
			e.pull(round[0])
			round = round[1:]
		}
	}
}

// pull asks a replica for new updates. It gives up after one gossip period.
func (e *EventualStore) pull(peer labrpc.NodeID) {
	ctx, cancel := context.WithTimeout(e.node.Context(), e.opts.Gossip)
	defer cancel()
	reply, _ := labrpc.Call[pullReply](ctx, e.node, peer, "Pull", pullRequest{Version: e.Version()})
	e.mu.Lock()
	defer e.mu.Unlock()
	e.merge(reply) // if none came: nothing
}

func (e *EventualStore) pulled(_ labrpc.NodeID, req pullRequest) pullReply {
	e.mu.Lock()
	defer e.mu.Unlock()
	reply := pullReply{Version: e.version} // which is replaced, but never changed
	for key, r := range e.register {
		if r.Number > req.Version[r.Time.Node] {
			if reply.Registers == nil {
				reply.Registers = map[string]register{}
			}
			reply.Registers[key] = r
		}
	}
	for counter, shares := range e.counter {
		for id, s := range shares {
			if s.Number <= req.Version[id] {
				continue
			}
			if reply.Shares == nil {
				reply.Shares = map[string]map[labrpc.NodeID]share{}
			}
			if reply.Shares[counter] == nil {
				reply.Shares[counter] = map[labrpc.NodeID]share{}
			}
			reply.Shares[counter][id] = s
		}
	}
	return reply
}

// merge accepts the updates that are newer. It may be called for the same reply again, and
// for replies in any order. The caller holds e.mu.
func (e *EventualStore) merge(reply pullReply) {
	if e.version.Includes(reply.Version) {
		return
	}
	for _, key := range sortedKeys(reply.Registers) {
		r := reply.Registers[key]
		if mine, ok := e.register[key]; ok && mine.Time.compare(r.Time) >= 0 {
			continue
		}
		if e.keepRegister(key, r) != nil {
			return
		}
	}
	for _, counter := range sortedKeys(reply.Shares) {
		for _, id := range sortedKeys(reply.Shares[counter]) {
			s := reply.Shares[counter][id]
			if s.Number > e.counter[counter][id].Number && e.keepShare(counter, id, s) != nil {
				return
			}
		}
	}
	_ = e.keepVersion(reply.Version) // fails only when the node is down
}

// sortedKeys fixes the order of the disk writes, so that each run can be replayed.
func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	return slices.Sorted(maps.Keys(m))
}
