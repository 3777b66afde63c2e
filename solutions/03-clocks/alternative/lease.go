package clocks

import (
	"sync/atomic"
	"time"

	"distlabs/labrpc"
)

// A Lease looks at the monotonic clock every few milliseconds.
type Lease struct {
	origin time.Time
	end    atomic.Int64 // nanoseconds after origin, or ended
}

const ended = -1 // the lease was released or has expired

// NewLease starts the goroutine that looks.
func NewLease(node *labrpc.Node, length time.Duration, expired func()) *Lease {
	l := &Lease{origin: time.Now()}
	l.end.Store(int64(length))
	go func() {
		tick := time.NewTicker(7 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-node.Context().Done():
				return
			case <-tick.C:
			}
			end := l.end.Load()
			switch {
			case end == ended:
				return
			case time.Since(l.origin) >= time.Duration(end) && l.end.CompareAndSwap(end, ended):
				expired()
				return
			}
		}
	}()
	return l
}

// Remaining returns how long the lease is still valid.
func (l *Lease) Remaining() time.Duration {
	return max(0, time.Duration(l.end.Load())-time.Since(l.origin))
}

// Valid reports whether it is valid.
func (l *Lease) Valid() bool { return l.Remaining() > 0 }

// Renew moves the end, if it has not come.
func (l *Lease) Renew(length time.Duration) bool {
	for {
		end, now := l.end.Load(), time.Since(l.origin)
		if time.Duration(end) <= now {
			return false
		}
		if l.end.CompareAndSwap(end, int64(now+length)) {
			return true
		}
	}
}

// Release ends the lease.
func (l *Lease) Release() { l.end.Store(ended) }
