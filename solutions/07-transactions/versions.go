package transactions

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"distlabs/labrpc"
)

// A VersionStore is a store of keys and values that keeps several versions of a key (7B). Writes stay with their transaction until it commits. Then
// it is compared with all that was committed since its snapshot was taken.
type VersionStore struct {
	ctx        context.Context
	wal        *wal
	level      Level
	committing chan struct{} // has room for one: the transaction that commits

	mu       sync.Mutex // guards the rest
	versions map[string][]version
	last     uint64          // the number of the last transaction that has committed
	running  map[uint64]int  // how many transactions read each snapshot
	several  map[string]bool // keys of which not only the last version is there
}

// A version is a value that a key had from a transaction on. The versions of a key are in the order of their numbers.
type version struct {
	number  uint64 // of the transaction that wrote it
	value   string
	deleted bool
}

// OpenVersionStore returns the store that earlier incarnations of the node left on the disk; an empty disk is an empty store.
// All its transactions have the given level. Every goroutine that it starts ends when node.Context() does. An error says that
// the node has crashed meanwhile.
func OpenVersionStore(node *labrpc.Node, disk Disk, level Level) (*VersionStore, error) {
	w, items, err := openWAL(node.Context(), disk)
	if err != nil {
		return nil, err
	}
	s := &VersionStore{
		ctx: node.Context(), wal: w, level: level, committing: make(chan struct{}, 1),
		versions: map[string][]version{}, running: map[uint64]int{}, several: map[string]bool{},
	}
	for key, item := range items {
		s.versions[key] = []version{{number: item.Number, value: item.Value}}
		s.last = max(s.last, item.Number)
	}
	return s, nil
}

// Begin begins a transaction, and takes its snapshot. It may be called by several goroutines at once.
func (s *VersionStore) Begin() Tx {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running[s.last]++
	return &versionTx{store: s, snapshot: s.last, writes: map[string]*string{}}
}

// A versionTx is a transaction of a VersionStore.
type versionTx struct {
	store    *VersionStore
	snapshot uint64 // it sees the versions up to this number
	writes   map[string]*string
	reads    []span // what it has read from its snapshot
	over     error  // not nil once it is over
}

// Get returns the value that the key has in the transaction's snapshot, or what the transaction has written itself. It never waits.
func (tx *versionTx) Get(key string) (value string, ok bool, err error) {
	s := tx.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := tx.usable(); err != nil {
		return "", false, err
	}
	value, ok = tx.get(key)
	return value, ok, nil
}

// get is Get of a transaction that is not over. The caller holds store.mu.
func (tx *versionTx) get(key string) (string, bool) {
	if value, mine := tx.writes[key]; mine {
		if value == nil {
			return "", false
		}
		return *value, true
	}
	tx.reads = append(tx.reads, keySpan(key))
	return tx.store.at(key, tx.snapshot)
}

// GetRange returns what Get would return for each key of the range. It never waits.
func (tx *versionTx) GetRange(from, to string) ([]Pair, error) {
	s := tx.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := tx.usable(); err != nil {
		return nil, err
	}
	keys := span{from: from, to: to, open: to == ""}
	tx.reads = append(tx.reads, keys)
	var pairs []Pair
	for key := range s.versions {
		if _, mine := tx.writes[key]; mine || !keys.overlaps(keySpan(key)) {
			continue
		}
		if value, ok := s.at(key, tx.snapshot); ok {
			pairs = append(pairs, Pair{Key: key, Value: value})
		}
	}
	for key, value := range tx.writes {
		if value != nil && keys.overlaps(keySpan(key)) {
			pairs = append(pairs, Pair{Key: key, Value: *value})
		}
	}
	slices.SortFunc(pairs, func(a, b Pair) int { return strings.Compare(a.Key, b.Key) })
	return pairs, nil
}

// Put sets the value of a key.
func (tx *versionTx) Put(key, value string) error {
	return tx.write(key, func() *string { return &value })
}

// Append adds a suffix to what Get would return.
func (tx *versionTx) Append(key, suffix string) error {
	return tx.write(key, func() *string {
		value, _ := tx.get(key)
		value += suffix
		return &value
	})
}

// Delete removes a key and its value.
func (tx *versionTx) Delete(key string) error {
	return tx.write(key, func() *string { return nil })
}

// write remembers a write for the commit.
func (tx *versionTx) write(key string, value func() *string) error {
	tx.store.mu.Lock()
	defer tx.store.mu.Unlock()
	if err := tx.usable(); err != nil {
		return err
	}
	tx.writes[key] = value()
	return nil
}

// Commit returns an error that wraps ErrAborted if the level forbids the transaction to commit. A transaction that has only read has
// seen the store at one instant, and commits.
//
// One transaction at a time commits: between the comparison and the instant at which others see the new versions, no other may
// commit. And a snapshot can be a number only if versions appear in the order of their numbers.
func (tx *versionTx) Commit() error {
	s := tx.store
	s.mu.Lock()
	err := tx.usable()
	if err != nil || len(tx.writes) == 0 {
		tx.end(ErrOver)
		s.mu.Unlock()
		return err
	}
	s.mu.Unlock()
	select {
	case s.committing <- struct{}{}:
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
	defer func() { <-s.committing }()

	s.mu.Lock()
	if key, at := tx.conflict(); at != 0 {
		defer s.mu.Unlock()
		err := fmt.Errorf("%w: %q was changed by transaction %d, after the snapshot of transaction %d", ErrAborted, key, at, tx.snapshot)
		tx.end(err)
		return err
	}
	s.mu.Unlock()
	number, err := s.wal.commit(tx.writes)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.install(tx.writes, number)
	tx.end(ErrOver)
	return nil
}

// Abort forgets the writes of the transaction.
func (tx *versionTx) Abort() {
	tx.store.mu.Lock()
	defer tx.store.mu.Unlock()
	tx.end(ErrOver)
}

// usable returns an error if the transaction is over, or the node has crashed. The caller holds store.mu.
func (tx *versionTx) usable() error {
	if tx.over != nil {
		return tx.over
	}
	return tx.store.ctx.Err()
}

// end ends the transaction, and drops the versions that only it could see. The caller holds store.mu.
func (tx *versionTx) end(why error) {
	if tx.over != nil {
		return
	}
	tx.over, tx.writes, tx.reads = why, nil, nil
	s := tx.store
	s.running[tx.snapshot]--
	if s.running[tx.snapshot] == 0 {
		delete(s.running, tx.snapshot)
	}
	s.prune()
}

// conflict returns a key that was changed since the snapshot although the level forbids it, and the number of the transaction that
// did; 0 if there is none. At either level no two concurrent transactions write one key: the first committer wins. At Serializable, all that the
// transaction has read must be as it was, too: then it might as well have done everything now. The caller holds store.mu.
func (tx *versionTx) conflict() (string, uint64) {
	s := tx.store
	for key := range tx.writes {
		if at := s.changed(key); at > tx.snapshot {
			return key, at
		}
	}
	if s.level == SnapshotIsolation {
		return "", 0
	}
	for key := range s.versions {
		at := s.changed(key)
		if at > tx.snapshot && slices.ContainsFunc(tx.reads, keySpan(key).overlaps) {
			return key, at
		}
	}
	return "", 0
}

// changed returns the number of the last transaction that wrote a key, 0 if none did. The caller holds s.mu.
func (s *VersionStore) changed(key string) uint64 {
	all := s.versions[key]
	if len(all) == 0 {
		return 0
	}
	return all[len(all)-1].number
}

// at returns the value that a key has in a snapshot. The caller holds s.mu.
func (s *VersionStore) at(key string, snapshot uint64) (string, bool) {
	for _, v := range slices.Backward(s.versions[key]) {
		if v.number <= snapshot {
			return v.value, !v.deleted
		}
	}
	return "", false
}

// install makes the writes of a transaction visible to the snapshots taken from now on. The caller holds s.mu.
func (s *VersionStore) install(writes map[string]*string, number uint64) {
	for key, value := range writes {
		v := version{number: number, deleted: value == nil}
		if value != nil {
			v.value = *value
		}
		s.versions[key] = append(s.versions[key], v)
		s.several[key] = true
	}
	s.last = number
}

// prune drops the versions that no running transaction sees, and no later one will: of each key, those that were overwritten before the oldest snapshot. The
// caller holds s.mu.
func (s *VersionStore) prune() {
	oldest := s.last
	for snapshot := range s.running {
		oldest = min(oldest, snapshot)
	}
	for key := range s.several {
		all := s.versions[key]
		keep := len(all) - 1
		for keep > 0 && all[keep].number > oldest {
			keep--
		}
		all = slices.Clone(all[keep:])
		s.versions[key] = all
		if len(all) > 1 || all[0].number > oldest {
			continue
		}
		delete(s.several, key)
		if all[0].deleted {
			delete(s.versions, key)
		}
	}
}
