package transactions

import "distlabs/labrpc"

// A VersionStore is a store of keys and values that keeps several versions of a key (7B).
type VersionStore struct {
	node  *labrpc.Node
	level Level
	wal   *wal
}

// OpenVersionStore returns the store that earlier incarnations of the node left on the disk; an empty disk is an empty store.
// All its transactions have the given level. Every goroutine that it starts ends when node.Context() does. An error says that
// the node has crashed meanwhile.
func OpenVersionStore(node *labrpc.Node, disk Disk, level Level) (*VersionStore, error) {
	// TODO(7B): recover the store, with its last version.
	return &VersionStore{node: node, level: level, wal: &wal{disk: disk}}, nil
}

// Begin begins a transaction. It may be called by several goroutines at once.
func (s *VersionStore) Begin() Tx {
	return &versionTx{store: s}
}

// A versionTx is a transaction of a VersionStore.
type versionTx struct {
	store *VersionStore
}

// Get returns the value that the key has in the transaction's snapshot, or what the transaction has written itself. It never waits.
func (tx *versionTx) Get(key string) (value string, ok bool, err error) {
	// TODO(7B): find the version.
	return "", false, errNotWritten
}

// GetRange returns what Get would return for each key of the range. It never waits.
func (tx *versionTx) GetRange(from, to string) ([]Pair, error) {
	// TODO(7B): find the versions.
	return nil, errNotWritten
}

// Put sets the value of a key.
func (tx *versionTx) Put(key, value string) error {
	// TODO(7B): remember the write.
	return errNotWritten
}

// Append adds a suffix to what Get would return.
func (tx *versionTx) Append(key, suffix string) error {
	// TODO(7B): remember the write.
	return errNotWritten
}

// Delete removes a key and its value.
func (tx *versionTx) Delete(key string) error {
	// TODO(7B): remember the write.
	return errNotWritten
}

// Commit returns an error that wraps ErrAborted if the level forbids the transaction to commit.
func (tx *versionTx) Commit() error {
	// TODO(7B): compare with what was committed since the snapshot was taken.
	return errNotWritten
}

// Abort forgets the writes of the transaction.
func (tx *versionTx) Abort() {
	// TODO(7B): which versions does nobody need any more?
}
