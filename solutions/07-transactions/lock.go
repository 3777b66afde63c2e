package transactions

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"distlabs/labrpc"
)

// A LockStore is a store of keys and values whose transactions lock what they use (7A): strict two-phase locking. Writes change
// the data at once; an abort undoes them.
type LockStore struct {
	ctx context.Context
	wal *wal

	mu    sync.Mutex        // guards the rest, and the fields of all transactions
	data  map[string]string // with the writes of running transactions
	locks lockTable
	begun int // how many transactions
}

// OpenLockStore returns the store that earlier incarnations of the node left on the disk; an empty disk is an empty store.
// Every goroutine that it starts ends when node.Context() does. An error says that the node has crashed meanwhile.
func OpenLockStore(node *labrpc.Node, disk Disk) (*LockStore, error) {
	w, items, err := openWAL(node.Context(), disk)
	if err != nil {
		return nil, err
	}
	s := &LockStore{ctx: node.Context(), wal: w, data: map[string]string{}}
	for key, item := range items {
		s.data[key] = item.Value
	}
	return s, nil
}

// Begin begins a transaction. It may be called by several goroutines at once.
func (s *LockStore) Begin() Tx {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun++
	return &lockTx{store: s, age: s.begun, undo: map[string]*string{}}
}

// A lockTx is a transaction of a LockStore.
type lockTx struct {
	store *LockStore
	age   int                // 1 is the oldest
	undo  map[string]*string // the keys that it has written, with the values before; nil is none
	over  error              // not nil once it is over
}

// Get waits while another transaction that has written the key is not over.
func (tx *lockTx) Get(key string) (value string, ok bool, err error) {
	err = tx.locked(keySpan(key), false, func() { value, ok = tx.store.data[key] })
	return value, ok, err
}

// GetRange waits while another transaction that has written a key of the range is not over, be the key new or deleted. Until this
// transaction is over, others that write a key of the range wait.
func (tx *lockTx) GetRange(from, to string) (pairs []Pair, err error) {
	err = tx.locked(span{from: from, to: to, open: to == ""}, false, func() {
		for key, value := range tx.store.data {
			if key >= from && (to == "" || key < to) {
				pairs = append(pairs, Pair{Key: key, Value: value})
			}
		}
	})
	slices.SortFunc(pairs, func(a, b Pair) int { return strings.Compare(a.Key, b.Key) })
	return pairs, err
}

// Put waits while another transaction that has read or written the key is not over.
func (tx *lockTx) Put(key, value string) error {
	return tx.locked(keySpan(key), true, func() { tx.set(key, &value) })
}

// Append waits as Put does.
func (tx *lockTx) Append(key, suffix string) error {
	return tx.locked(keySpan(key), true, func() {
		value := tx.store.data[key] + suffix
		tx.set(key, &value)
	})
}

// Delete waits as Put does.
func (tx *lockTx) Delete(key string) error {
	return tx.locked(keySpan(key), true, func() { tx.set(key, nil) })
}

// Commit returns nil only when no crash can undo the transaction any more. Others see its writes only then: the locks
// are kept until the log is on the disk.
func (tx *lockTx) Commit() error {
	s := tx.store
	s.mu.Lock()
	if err := tx.usable(); err != nil {
		s.mu.Unlock()
		return err
	}
	tx.over = ErrOver
	writes := map[string]*string{}
	for key := range tx.undo {
		writes[key] = nil
		if value, ok := s.data[key]; ok {
			writes[key] = &value
		}
	}
	s.mu.Unlock()
	if _, err := s.wal.commit(writes); err != nil {
		return err // whether the transaction has committed is known only to the disk: it keeps its locks
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.locks.release(tx)
	return nil
}

// Abort undoes the writes and unlocks everything that the transaction has locked.
func (tx *lockTx) Abort() {
	tx.store.mu.Lock()
	defer tx.store.mu.Unlock()
	if tx.over == nil {
		tx.abort(ErrOver)
	}
}

// abort undoes the transaction. The caller holds store.mu.
func (tx *lockTx) abort(why error) {
	tx.over = why
	for key, value := range tx.undo {
		if value == nil {
			delete(tx.store.data, key)
		} else {
			tx.store.data[key] = *value
		}
	}
	tx.store.locks.release(tx)
}

// usable returns an error if the transaction is over, or the node has crashed. The caller holds store.mu.
func (tx *lockTx) usable() error {
	if tx.over != nil {
		return tx.over
	}
	return tx.store.ctx.Err()
}

// set writes a key in memory, and keeps what was there before the first write. The caller holds store.mu.
func (tx *lockTx) set(key string, value *string) {
	data := tx.store.data
	if _, again := tx.undo[key]; !again {
		tx.undo[key] = nil
		if old, ok := data[key]; ok {
			tx.undo[key] = &old
		}
	}
	if value == nil {
		delete(data, key)
	} else {
		data[key] = *value
	}
}

// locked runs f, under store.mu, when the transaction has the lock.
func (tx *lockTx) locked(keys span, write bool, f func()) error {
	s := tx.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := tx.usable(); err != nil {
		return err
	}
	r := &lockRequest{tx: tx, keys: keys, write: write, done: make(chan struct{})}
	s.locks.request(r)
	s.resolve(tx)
	s.mu.Unlock()
	select {
	case <-r.done:
	case <-s.ctx.Done():
	}
	s.mu.Lock()
	if err := tx.usable(); err != nil {
		return err
	}
	f()
	return nil
}

// resolve aborts transactions until the given one is part of no cycle of transactions that wait for each other. Only a new request closes a
// cycle. The victim is the youngest, which has probably done the least. The caller holds s.mu.
func (s *LockStore) resolve(tx *lockTx) {
	for tx.over == nil {
		cycle := s.locks.cycle(tx)
		if cycle == nil {
			return
		}
		victim := slices.MaxFunc(cycle, func(a, b *lockTx) int { return a.age - b.age })
		victim.abort(fmt.Errorf("%w to resolve a deadlock of %d transactions", ErrAborted, len(cycle)))
	}
}

// A span is a range of keys: from <= key < to, without an upper bound if it is open. A range may have keys that do not exist yet: who locks it
// locks those, too.
type span struct {
	from, to string
	open     bool
}

// keySpan is the range that has one key.
func keySpan(key string) span { return span{from: key, to: key + "\x00"} }

func (a span) overlaps(b span) bool {
	return (a.open || b.from < a.to) && (b.open || a.from < b.to)
}

// A lockRequest asks for a lock, or is one that was granted.
type lockRequest struct {
	tx    *lockTx
	keys  span
	write bool
	done  chan struct{} // closed when the lock is granted, or the transaction aborted
}

// conflicts reports whether two transactions cannot have these locks at once.
func (r *lockRequest) conflicts(o *lockRequest) bool {
	return r.tx != o.tx && (r.write || o.write) && r.keys.overlaps(o.keys)
}

// A lockTable has the locks of all running transactions. LockStore.mu guards it.
type lockTable struct {
	granted []*lockRequest
	waiting []*lockRequest // in the order of the calls
}

// request grants a lock, or puts the request into the queue.
func (t *lockTable) request(r *lockRequest) {
	t.waiting = append(t.waiting, r)
	t.grant()
}

// release removes the locks and the request of a transaction that is over, and grants locks to those that waited for it.
func (t *lockTable) release(tx *lockTx) {
	mine := func(r *lockRequest) bool { return r.tx == tx }
	t.granted = slices.DeleteFunc(t.granted, mine)
	for _, r := range t.waiting {
		if mine(r) {
			close(r.done)
		}
	}
	t.waiting = slices.DeleteFunc(t.waiting, mine)
	t.grant()
}

// grant grants all locks that can be granted.
func (t *lockTable) grant() {
	var still []*lockRequest
	for _, r := range t.waiting {
		if len(t.blockers(r)) > 0 {
			still = append(still, r)
			continue
		}
		t.granted = append(t.granted, r)
		close(r.done)
	}
	t.waiting = still
}

// blockers lists the transactions for which a request waits: those that have a lock which conflicts with it, and those that wait for such
// a lock since earlier. Without the latter, a writer would wait as long as readers come. But a transaction does not queue behind one that waits for
// it: it could never go on.
func (t *lockTable) blockers(r *lockRequest) (list []*lockTx) {
	for _, has := range t.granted {
		if r.conflicts(has) {
			list = append(list, has.tx)
		}
	}
	for _, earlier := range t.waiting {
		if earlier == r {
			break
		}
		if r.conflicts(earlier) && !slices.ContainsFunc(t.granted, func(has *lockRequest) bool { return has.tx == r.tx && has.conflicts(earlier) }) {
			list = append(list, earlier.tx)
		}
	}
	return list
}

// cycle returns transactions each of which waits for the next, and the last for the first, which is the given one; nil if there are none.
func (t *lockTable) cycle(tx *lockTx) []*lockTx {
	seen := map[*lockTx]bool{}
	var search func(at *lockTx) []*lockTx
	search = func(at *lockTx) []*lockTx {
		i := slices.IndexFunc(t.waiting, func(r *lockRequest) bool { return r.tx == at })
		if i < 0 || seen[at] {
			return nil
		}
		seen[at] = true
		for _, next := range t.blockers(t.waiting[i]) {
			if next == tx {
				return []*lockTx{at}
			}
			if rest := search(next); rest != nil {
				return append(rest, at)
			}
		}
		return nil
	}
	return search(tx)
}
