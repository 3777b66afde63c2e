package clocks_test

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	clocks "distlabs/labs/03-clocks"
)

const (
	ruleLeaseEnds = "a lease is valid until just before its end, whatever the wall clock shows; expired is called at the end or at most 10 ms later (rule 7)"
	ruleNewEnd    = "after Renew, a lease is valid until just before its new end, which is the given length from that instant; expired is called at that end or at most 10 ms later (rules 7 and 8)"
	ruleRenew     = "Renew and Release take effect immediately; a lease that expired or was released stays invalid (rule 8)"
	ruleExpired   = "expired is called exactly once for a lease that expires, and never for a lease that was released (rule 8)"

	slack = 10 * time.Millisecond
)

// A leaseUnderTest is a lease on n1 and what the test knows of it.
type leaseUnderTest struct {
	s     *labtest.Sim
	lease *clocks.Lease
	end   time.Duration
	ends  string // the rule for its end

	released time.Duration // when checkReleased saw it first, after Release had returned

	mu      sync.Mutex
	expired []time.Duration // when expired was called
	logged  int             // how many of them are in the record
}

func newLease(s *labtest.Sim, node *labrpc.Node, length time.Duration) *leaseUnderTest {
	l := &leaseUnderTest{s: s, end: s.Net.Now() + length, ends: ruleLeaseEnds}
	l.lease = clocks.NewLease(node, length, func() {
		_ = labrpc.Tell(node, struct{}{}, l.take) // fails only when the node is down
	})
	s.Logf("n1 has a new lease of %v", length)
	return l
}

func (l *leaseUnderTest) take(at time.Duration, _ struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.expired = append(l.expired, at)
}

func (l *leaseUnderTest) calls() []time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.expired
}

// ending says when the lease ends or ended, also if that is now or less than a millisecond away.
func (l *leaseUnderTest) ending() string {
	switch left := l.end - l.s.Net.Now(); {
	case left > 0:
		return fmt.Sprintf("the lease ends at %v, %v later", labtest.At(l.end), left)
	case left < 0:
		return fmt.Sprintf("the lease ended at %v, %v earlier", labtest.At(l.end), -left)
	}
	return "the lease ends at this very instant, and is invalid already"
}

// check compares the results of the lease's methods with the true values.
func (l *leaseUnderTest) check() {
	now := l.s.Net.Now()
	left := max(0, l.end-now)
	if got := l.lease.Valid(); got != (left > 0) {
		l.s.Failf(l.ends, "on n1, Valid() = %t at %v, want %t: %s", got, labtest.At(now), left > 0, l.ending())
	}
	if got := l.lease.Remaining(); (got - left).Abs() > time.Millisecond {
		l.s.Failf(l.ends, "on n1, Remaining() = %v at %v, want %v: %s", got, labtest.At(now), left, l.ending())
	}
	calls := l.calls()
	for _, at := range calls[l.logged:] {
		l.s.Logf("n1 called expired at %v", labtest.At(at))
	}
	l.logged = len(calls)
	if len(calls) > 0 && calls[0] < l.end {
		l.s.Failf(l.ends, "n1 called expired at %v, want the call at the end of the lease, %v later", labtest.At(calls[0]), l.end-calls[0])
	}
	if len(calls) == 0 && now > l.end+slack {
		l.s.Failf(l.ends, "n1 has not called expired at %v, want the call by %v: %s", labtest.At(now), labtest.At(l.end+slack), l.ending())
	}
	if len(calls) > 1 {
		l.s.Failf(ruleExpired, "n1 called expired %d times for its one lease, the second time at %v, want one call: the lease expired at %v", len(calls), labtest.At(calls[1]), labtest.At(l.end))
	}
}

// watchTo checks every 10 ms until then, and at that instant.
func (l *leaseUnderTest) watchTo(then time.Duration, meanwhile func()) {
	for now := l.s.Net.Now(); now < then; now = l.s.Net.Now() {
		l.s.Run(min(10*time.Millisecond, then-now))
		l.check()
		meanwhile()
	}
}

// The wall clock is set forward or back by up to an hour, ten times per second, and runs too fast or too slow. The
// lease is not affected.
func TestLeaseEndsOnTime3B(t *testing.T) {
	const forward, back = "the wall clock was set forward", "the wall clock was set back"
	labtest.Run(t, labtest.Config{Nodes: 1, MustCover: []string{forward, back}}, func(s *labtest.Sim) {
		node := s.Start(1)
		s.Net.SetClock(1, time.Hour, 200_000*s.Rand().Float64()-100_000)
		for i := range 3 {
			length := 500*time.Millisecond + time.Duration(s.Rand().Int64N(int64(3*time.Second)))
			if i == 1 {
				length = 0
			}
			l := newLease(s, node, length)
			l.check()
			jump := func() {
				if s.Rand().IntN(10) > 0 {
					return
				}
				by := time.Duration(s.Rand().Int64N(int64(2*time.Hour))) - time.Hour
				s.Net.JumpClock(1, by)
				s.Cover(map[bool]string{true: forward, false: back}[by > 0])
				l.check()
			}
			l.watchTo(l.end-time.Nanosecond, jump)
			l.watchTo(l.end, jump)
			l.watchTo(l.end+time.Second, jump)
		}
	})
}

// A lease that is renewed in time continues; Renew may also make it shorter. A lease that has expired cannot be
// renewed.
func TestLeaseRenewed3B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 1}, func(s *labtest.Sim) {
		l := newLease(s, s.Start(1), time.Second)
		jump := func() {
			if s.Rand().IntN(20) == 0 {
				s.Net.JumpClock(1, time.Duration(s.Rand().Int64N(int64(time.Minute)))-30*time.Second)
			}
		}
		for _, length := range []time.Duration{time.Second, 3 * time.Second, 500 * time.Millisecond, time.Second, 0} {
			l.watchTo(s.Net.Now()+time.Duration(s.Rand().Int64N(int64(450*time.Millisecond))), jump)
			if !l.lease.Renew(length) {
				s.Failf(ruleRenew, "on n1, Renew(%v) = false at %v, want true: %s", length, labtest.At(s.Net.Now()), l.ending())
			}
			l.end, l.ends = s.Net.Now()+length, ruleNewEnd
			s.Logf("Renew(%v) = true: the lease ends at %v", length, labtest.At(l.end))
			l.check()
		}
		l.watchTo(l.end, jump)
		for range 3 {
			if l.lease.Renew(time.Second) {
				s.Failf(ruleRenew, "on n1, Renew(1s) = true at %v, want false: %s", labtest.At(s.Net.Now()), l.ending())
			}
			l.watchTo(s.Net.Now()+1100*time.Millisecond, jump)
		}
	})
}

// A lease that is released ends immediately, expired is not called, and other leases are not affected.
func TestLeaseReleased3B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 1}, func(s *labtest.Sim) {
		node := s.Start(1)
		length := time.Second + time.Duration(s.Rand().Int64N(int64(time.Second)))
		kept, released := newLease(s, node, length), newLease(s, node, length)
		kept.watchTo(kept.end-time.Duration(1+s.Rand().Int64N(int64(500*time.Millisecond))), released.check)
		released.lease.Release()
		s.Logf("n1 has released the second lease")
		over := func() { checkReleased(s, released) }
		over()
		kept.watchTo(kept.end+2*time.Second, over)
		released.lease.Release() // again
		kept.lease.Release()     // after it has expired
		kept.watchTo(kept.end+5*time.Second, over)
	})
}

// checkReleased checks a lease after Release has returned.
func checkReleased(s *labtest.Sim, l *leaseUnderTest) {
	if l.released == 0 {
		l.released = s.Net.Now()
	}
	for _, length := range []time.Duration{time.Minute, 0} {
		if l.lease.Renew(length) {
			s.Failf(ruleRenew, "on n1, Renew(%v) = true after Release, want false", length)
		}
	}
	if l.lease.Valid() || l.lease.Remaining() != 0 {
		s.Failf(ruleRenew, "on n1, after Release, Valid() = %t and Remaining() = %v, want false and 0s", l.lease.Valid(), l.lease.Remaining())
	}
	if calls := l.calls(); len(calls) > 0 {
		s.Failf(ruleExpired, "n1 called expired at %v for a lease that it had released by %v", labtest.At(calls[0]), labtest.At(l.released))
	}
}

// At the instant of its end a lease is invalid already, whether its own timer has fired or not: goroutines whose
// timers were started before and after the lease's ask at that very instant. So does expired itself.
func TestLeaseAtItsEnd3B(t *testing.T) {
	const length = time.Second
	type answers struct {
		Asker          string
		Valid, Renewed bool
		Remaining      time.Duration
	}
	labtest.Run(t, labtest.Config{Nodes: 1, Seeds: 5}, func(s *labtest.Sim) {
		node := s.Start(1)
		var mu sync.Mutex
		var all []answers
		take := func(_ time.Duration, a answers) {
			mu.Lock()
			defer mu.Unlock()
			all = append(all, a)
		}
		lease := make(chan *clocks.Lease, 4)
		ask := func(asker string) {
			l := <-lease
			lease <- l
			_ = labrpc.Tell(node, answers{asker, l.Valid(), l.Renew(time.Second), l.Remaining()}, take) // fails only when the node is down
		}
		askers := []string{"a timer that was started before the lease", "a timer that was started after the lease", "expired", "expired, which had called Release"}
		time.AfterFunc(length, func() { ask(askers[0]) })
		lease <- clocks.NewLease(node, length, func() {
			ask(askers[2])
			l := <-lease
			lease <- l
			l.Release()
			ask(askers[3])
		})
		time.AfterFunc(length, func() { ask(askers[1]) })
		s.Run(length + slack + time.Millisecond)
		mu.Lock()
		defer mu.Unlock()
		for _, a := range all {
			if a.Valid || a.Renewed || a.Remaining != 0 {
				s.Failf(ruleRenew, "%s found at the end of the lease Valid() = %t, Renew(1s) = %t and Remaining() = %v, want false, false and 0s",
					a.Asker, a.Valid, a.Renewed, a.Remaining)
			}
		}
		for _, asker := range askers {
			if !slices.ContainsFunc(all, func(a answers) bool { return a.Asker == asker }) {
				s.Failf("expired may call the lease's methods, and all methods may be called by several goroutines at once (rule 20)",
					"on n1, %v after the end of the lease, Valid, Renew and Remaining had not all returned to %s, want each call to return at once", slack, asker)
			}
		}
	})
}

// Leases may be long, longer than 32 bits count in any unit from nanoseconds to milliseconds, and so long that 64 bits do not
// count the nanoseconds from 1970 to their end.
func TestLongLease3B(t *testing.T) {
	const longest = math.MaxInt64 - time.Hour // an hour less, because the test adds the time since the start
	labtest.Run(t, labtest.Config{Nodes: 1, Seeds: 2, Limit: time.Hour}, func(s *labtest.Sim) {
		node := s.Start(1)
		var all []*leaseUnderTest
		for _, length := range []time.Duration{5 * time.Second, 72 * time.Minute, 25 * 24 * time.Hour, 50 * 24 * time.Hour, longest} {
			l := newLease(s, node, time.Second)
			if !l.lease.Renew(length) {
				s.Failf(ruleRenew, "on n1, Renew(%v) = false, want true: the lease is valid", length)
			}
			l.end, l.ends = s.Net.Now()+length, ruleNewEnd
			all = append(all, newLease(s, node, length), l)
		}
		check := func() {
			for _, l := range all {
				l.check()
			}
		}
		check()
		all[0].watchTo(all[0].end+time.Second, check)
		for _, l := range all[2:] {
			l.lease.Release()
			checkReleased(s, l)
		}
	})
}

// Goroutines renew and ask while another releases: the lease is over, and stays so.
func TestLeaseManyGoroutines3B(t *testing.T) {
	const goroutines, rounds, each = 3, 10, 60
	labtest.Run(t, labtest.Config{Nodes: 1, Seeds: 1}, func(s *labtest.Sim) {
		node := s.Start(1)
		all := make([]*leaseUnderTest, rounds*each)
		for i := range all {
			all[i] = newLease(s, node, time.Minute)
			all[i].check()
		}
		inParallel(s, goroutines, rounds, each, func(g, i int) {
			l := all[i].lease
			switch g {
			case 0:
				l.Release()
			case 1:
				l.Renew(time.Minute)
				l.Valid()
			default:
				l.Remaining()
				l.Renew(time.Hour)
			}
		})
		for _, l := range all {
			checkReleased(s, l)
		}
		s.Run(3 * time.Minute)
		for _, l := range all {
			checkReleased(s, l)
		}
	})
}
