// Package transactions is lab 07: transactions, in one store and over many.
package transactions

import "errors"

var (
	// ErrAborted: the store, or another participant, has aborted the transaction. It has no effect, and may be begun again
	// as a new transaction.
	ErrAborted = errors.New("transactions: aborted")
	// ErrOver: the transaction has been committed or aborted by its client before. The call has no effect.
	ErrOver = errors.New("transactions: the transaction is over")
)

// A Level is an isolation level of a store with versions (7B).
type Level int

// The levels.
const (
	SnapshotIsolation Level = iota
	Serializable
)

// String returns the level's name.
func (l Level) String() string {
	if l == SnapshotIsolation {
		return "snapshot isolation"
	}
	return "serializable"
}

// A Pair is a key with its value.
type Pair struct {
	Key, Value string
}

// A Tx is a transaction of a store of part 7A or 7B. Its methods are called one after another; different transactions
// are used by many goroutines at once.
//
// An error that wraps ErrAborted says that the store has aborted the transaction. Once the transaction is over, each
// further call returns an error that wraps ErrAborted or ErrOver, and has no effect. Any other error says that the node has crashed.
type Tx interface {
	// Get returns the value of a key. ok is false if the key has no value.
	Get(key string) (value string, ok bool, err error)
	// GetRange returns the keys from <= key < to that have a value, with their values, sorted by key. If to is "", no key is too high.
	// The slice belongs to the caller, who may change it.
	GetRange(from, to string) ([]Pair, error)
	// Put sets the value of a key.
	Put(key, value string) error
	// Append adds a suffix to the value of a key. A key without a value counts as "".
	Append(key, suffix string) error
	// Delete removes a key and its value. A key without a value may be deleted too.
	Delete(key string) error
	// Commit ends the transaction. If it returns nil, all writes of the transaction have taken effect.
	Commit() error
	// Abort ends the transaction without effect. It does nothing if the transaction is over.
	Abort()
}

// A Disk is the disk of a store of part 7A or 7B. It is the node's disk, except that Save and Delete take time.
// A write is durable when Save or Delete returns nil, and one write is atomic. An error says that the node has crashed.
//
// Do not hold a sync.Mutex while you call Save or Delete: virtual time stands still while another goroutine waits for the mutex.
// All methods may be called by several goroutines at once.
type Disk interface {
	// Save writes the record of that name. The record is labrpc.Marshal(v), at most MaxRecord bytes.
	Save(name string, v any) error
	// Load sets *v from the record that Save wrote under that name. It reports whether there is one.
	Load(name string, v any) (bool, error)
	// Delete removes the record of that name, if there is one.
	Delete(name string) error
	// Names returns the names of all records, sorted.
	Names() []string
}

// MaxRecord is the size of the largest record on a Disk, in bytes. A key and its value have at most a quarter of it together.
const MaxRecord = 1024
