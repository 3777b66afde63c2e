package transactions

import (
	"errors"

	"distlabs/labrpc"
)

// A LockStore is a store of keys and values whose transactions lock what they use (7A).
type LockStore struct {
	node *labrpc.Node
	wal  *wal
}

// OpenLockStore returns the store that earlier incarnations of the node left on the disk; an empty disk is an empty store.
// Every goroutine that it starts ends when node.Context() does. An error says that the node has crashed meanwhile.
func OpenLockStore(node *labrpc.Node, disk Disk) (*LockStore, error) {
	// TODO(7A): recover the store from the log.
	log := &wal{disk: disk}
	if _, err := log.recover(); err != nil {
		return nil, err
	}
	return &LockStore{node: node, wal: log}, nil
}

// Begin begins a transaction. It may be called by several goroutines at once.
func (s *LockStore) Begin() Tx {
	return &lockTx{store: s}
}

// A lockTx is a transaction of a LockStore.
type lockTx struct {
	store *LockStore
}

var errNotWritten = errors.New("transactions: this method is not written yet")

// Get waits while another transaction that has written the key is not over.
func (tx *lockTx) Get(key string) (value string, ok bool, err error) {
	// TODO(7A): lock, then read. What has this transaction itself written?
	return "", false, errNotWritten
}

// GetRange waits while another transaction that has written a key of the range is not over, be the key new or deleted. Until this
// transaction is over, others that write a key of the range wait.
func (tx *lockTx) GetRange(from, to string) ([]Pair, error) {
	// TODO(7A): lock the range, and not only the keys that exist.
	return nil, errNotWritten
}

// Put waits while another transaction that has read or written the key is not over.
func (tx *lockTx) Put(key, value string) error {
	// TODO(7A): lock, and remember the write. Two transactions may wait for each other.
	return errNotWritten
}

// Append waits as Put does.
func (tx *lockTx) Append(key, suffix string) error {
	// TODO(7A): lock, and remember the write.
	return errNotWritten
}

// Delete waits as Put does.
func (tx *lockTx) Delete(key string) error {
	// TODO(7A): lock, and remember the write.
	return errNotWritten
}

// Commit returns nil only when no crash can undo the transaction any more. Others see its writes only then.
func (tx *lockTx) Commit() error {
	// TODO(7A): write the log; then unlock.
	return tx.store.wal.commit(nil)
}

// Abort unlocks everything that the transaction has locked.
func (tx *lockTx) Abort() {
	// TODO(7A): unlock.
}
