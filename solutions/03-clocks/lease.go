package clocks

import (
	"sync"
	"time"

	"distlabs/labrpc"
)

// A Lease is valid for a length of time, whatever the node's wall clock does
// meanwhile. All methods may be called by several goroutines at once.
type Lease struct {
	expired func()

	mu    sync.Mutex
	end   time.Time // of package time, which carries a monotonic reading
	timer *time.Timer
	over  bool // expired or released
}

// NewLease begins a lease that is valid for length from now. When it ends
// without having been renewed or released, expired is called once, in a goroutine
// of its own, not before the end and at most 10 ms after it.
//
// Of the node it needs nothing, least of all the Clock: package time's timers and
// time.Until go by the monotonic clock, which nothing sets.
func NewLease(_ *labrpc.Node, length time.Duration, expired func()) *Lease {
	l := &Lease{expired: expired, end: time.Now().Add(length)}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.timer = time.AfterFunc(length, l.expire)
	return l
}

// Remaining returns how long the lease is still valid: 0 once it is over.
func (l *Lease) Remaining() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.remaining()
}

// Valid reports whether the lease is still valid. At its end it is not.
func (l *Lease) Valid() bool { return l.Remaining() > 0 }

// Renew makes the lease valid for length from now, and reports true. A lease
// that is over stays over: then it does nothing and reports false.
func (l *Lease) Renew(length time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.remaining() == 0 {
		return false
	}
	l.end = time.Now().Add(length)
	l.timer.Reset(length)
	return true
}

// Release ends the lease now. After it, expired is not called any more.
func (l *Lease) Release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	l.timer.Stop()
}

// remaining is Remaining. The caller holds l.mu.
func (l *Lease) remaining() time.Duration {
	if l.over {
		return 0
	}
	return max(0, time.Until(l.end))
}

// expire runs when the timer fires. The timer may have fired just before Renew
// or Release stopped it, so it looks again.
func (l *Lease) expire() {
	l.mu.Lock()
	now := !l.over && l.remaining() == 0
	if now {
		l.over = true
	}
	l.mu.Unlock()
	if now {
		l.expired()
	}
}
