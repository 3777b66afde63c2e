package clocks

import (
	"time"

	"distlabs/labrpc"
)

// A Lease is valid for a length of time, whatever the node's wall clock does
// meanwhile. All methods may be called by several goroutines at once.
type Lease struct {
	// TODO(3B): what it remembers.
}

// NewLease begins a lease that is valid for length from now. When it ends
// without having been renewed or released, expired is called once, in a goroutine
// of its own, not before the end and at most 10 ms after it.
func NewLease(node *labrpc.Node, length time.Duration, expired func()) *Lease {
	// TODO(3B): begin.
	return &Lease{}
}

// Remaining returns how long the lease is still valid: 0 once it is over.
func (l *Lease) Remaining() time.Duration {
	// TODO(3B): how long?
	return 0
}

// Valid reports whether the lease is still valid. At its end it is not.
func (l *Lease) Valid() bool {
	// TODO(3B): is it?
	return false
}

// Renew makes the lease valid for length from now, and reports true. A lease
// that is over stays over: then it does nothing and reports false.
func (l *Lease) Renew(length time.Duration) bool {
	// TODO(3B): move the end.
	return false
}

// Release ends the lease now. After it, expired is not called any more.
func (l *Lease) Release() {
	// TODO(3B): end it.
}
