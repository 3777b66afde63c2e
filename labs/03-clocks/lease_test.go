package clocks_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	clocks "distlabs/labs/03-clocks"
)

const (
	ruleLeaseEnds = "rule 7: a lease is valid for exactly its length, and expired is called at most 10 ms later, whatever the wall clock shows"
	ruleRenew     = "rule 8: Renew and Release count from now; what is over stays over; expired is called once, and never after Release"

	slack = 10 * time.Millisecond
)

// A tenant is a lease on n1 and what the test knows of it.
type tenant struct {
	s     *labtest.Sim
	lease *clocks.Lease
	end   time.Duration

	mu      sync.Mutex
	expired []time.Duration // when expired was called
}

func newTenant(s *labtest.Sim, node *labrpc.Node, length time.Duration) *tenant {
	tn := &tenant{s: s, end: s.Net.Now() + length}
	tn.lease = clocks.NewLease(node, length, func() {
		_ = labrpc.Tell(node, struct{}{}, tn.take) // fails only when the node is down
	})
	return tn
}

func (tn *tenant) take(at time.Duration, _ struct{}) {
	tn.mu.Lock()
	defer tn.mu.Unlock()
	tn.expired = append(tn.expired, at)
}

func (tn *tenant) calls() []time.Duration {
	tn.mu.Lock()
	defer tn.mu.Unlock()
	return tn.expired
}

// check compares what the lease says with what is true now.
func (tn *tenant) check() {
	now := tn.s.Net.Now()
	left := max(0, tn.end-now)
	if got := tn.lease.Valid(); got != (left > 0) {
		tn.s.Failf(ruleLeaseEnds, "Valid() = %t at %v, want %t: the lease ends at %v", got, now, left > 0, tn.end)
	}
	if got := tn.lease.Remaining(); (got - left).Abs() > time.Millisecond {
		tn.s.Failf(ruleLeaseEnds, "Remaining() = %v at %v, want %v", got, now, left)
	}
	calls := tn.calls()
	if len(calls) > 0 && calls[0] < tn.end {
		tn.s.Failf(ruleLeaseEnds, "expired was called at %v, before the lease ends at %v", calls[0], tn.end)
	}
	if len(calls) == 0 && now > tn.end+slack {
		tn.s.Failf(ruleLeaseEnds, "expired has not been called at %v: the lease ended at %v", now, tn.end)
	}
	if len(calls) > 1 {
		tn.s.Failf(ruleRenew, "expired was called %d times: at %v", len(calls), calls)
	}
}

// watchTo checks all the time until then, and at the very instant.
func (tn *tenant) watchTo(then time.Duration, meanwhile func()) {
	for now := tn.s.Net.Now(); now < then; now = tn.s.Net.Now() {
		tn.s.Run(min(10*time.Millisecond, then-now))
		tn.check()
		meanwhile()
	}
}

// The wall clock is set forward and back by up to an hour, ten times a second,
// and runs too fast or too slow. The lease does not notice.
func TestLeaseEndsOnTime3B(t *testing.T) {
	const forward, back = "the wall clock was set forward", "the wall clock was set back"
	labtest.Run(t, labtest.Config{Nodes: 1, MustCover: []string{forward, back}}, func(s *labtest.Sim) {
		node := s.Start(1)
		s.Net.SetClock(1, time.Hour, 200_000*s.Rand().Float64()-100_000)
		for range 3 {
			length := 500*time.Millisecond + time.Duration(s.Rand().Int64N(int64(3*time.Second)))
			tn := newTenant(s, node, length)
			tn.check()
			jump := func() {
				if s.Rand().IntN(10) > 0 {
					return
				}
				by := time.Duration(s.Rand().Int64N(int64(2*time.Hour))) - time.Hour
				s.Net.JumpClock(1, by)
				s.Cover(map[bool]string{true: forward, false: back}[by > 0])
				tn.check()
			}
			tn.watchTo(tn.end, jump)
			tn.watchTo(tn.end+time.Second, jump)
		}
	})
}

// A lease that is renewed in time goes on; it may also be made shorter. One
// that is over cannot be renewed.
func TestLeaseRenewed3B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 1}, func(s *labtest.Sim) {
		tn := newTenant(s, s.Start(1), time.Second)
		jump := func() {
			if s.Rand().IntN(20) == 0 {
				s.Net.JumpClock(1, time.Duration(s.Rand().Int64N(int64(time.Minute)))-30*time.Second)
			}
		}
		for _, length := range []time.Duration{time.Second, 3 * time.Second, 500 * time.Millisecond, time.Second} {
			tn.watchTo(s.Net.Now()+time.Duration(s.Rand().Int64N(int64(450*time.Millisecond))), jump)
			if !tn.lease.Renew(length) {
				s.Failf(ruleRenew, "Renew = false at %v: the lease is valid until %v", s.Net.Now(), tn.end)
			}
			tn.end = s.Net.Now() + length
			tn.check()
		}
		tn.watchTo(tn.end, jump)
		for range 3 {
			if tn.lease.Renew(time.Second) {
				s.Failf(ruleRenew, "Renew = true at %v: the lease was over at %v", s.Net.Now(), tn.end)
			}
			tn.watchTo(s.Net.Now()+1100*time.Millisecond, jump)
		}
	})
}

// A lease that is released ends at once and in silence, and no other with it.
func TestLeaseReleased3B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 1}, func(s *labtest.Sim) {
		node := s.Start(1)
		length := time.Second + time.Duration(s.Rand().Int64N(int64(time.Second)))
		kept, released := newTenant(s, node, length), newTenant(s, node, length)
		kept.watchTo(kept.end-time.Duration(1+s.Rand().Int64N(int64(500*time.Millisecond))), released.check)
		released.lease.Release()
		silent := func() {
			if l := released.lease; l.Valid() || l.Remaining() != 0 || l.Renew(time.Minute) {
				s.Failf(ruleRenew, "a lease was released and is still valid, or can be renewed")
			}
			if calls := released.calls(); len(calls) > 0 {
				s.Fail(labtest.Violation{
					What: fmt.Sprintf("expired was called at %v for a lease that had been released", calls[0]), Rule: ruleRenew,
				})
			}
		}
		silent()
		kept.watchTo(kept.end+5*time.Second, silent)
	})
}
