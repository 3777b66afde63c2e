package labrpc

import (
	"fmt"
	"math"
	"sync/atomic"
	"time"
)

// A Clock is a node's wall clock. It may be wrong (skew), run too fast or too slow (drift)
// and be set forward or back (a jump). Package time's own clock and timers are the truth, which no
// real node knows; a node that needs the time of day asks its Clock.
type Clock struct {
	state atomic.Pointer[clockState]
}

// clockState: the clock showed shows at the true time since, and has run at rate from then.
type clockState struct {
	since time.Time
	shows time.Time
	drift float64 // in parts per million
}

func newClock() *Clock {
	c := new(Clock)
	now := time.Now()
	c.state.Store(&clockState{since: now, shows: now.Round(0)})
	return c
}

// Now returns what the node's wall clock shows. It carries no monotonic reading.
func (c *Clock) Now() time.Time { return c.state.Load().at(time.Now()) }

func (s *clockState) at(now time.Time) time.Time {
	run := now.Sub(s.since)
	return s.shows.Add(run + time.Duration(float64(run)*s.drift/1e6))
}

// SetClock sets how far a node's wall clock is from the truth now (skew, positive if it is ahead),
// and how fast that grows: drift in parts per million, positive if it runs fast. A quartz clock drifts
// by up to 50, a bad one by 200.
func (net *Network) SetClock(id NodeID, skew time.Duration, drift float64) {
	net.lock()
	defer net.mu.Unlock()
	h := net.host(id)
	if h.inc > 0 && net.spares(FaultClock, id) { // before the first start it is how the machine is, not a fault
		return
	}
	now := time.Now()
	h.clock.state.Store(&clockState{since: now, shows: now.Round(0).Add(skew), drift: drift})
	net.emit(Event{Kind: EventClock, Node: id, Value: fmt.Sprintf("skew %v, drift %g ppm", skew.Round(time.Microsecond), math.Round(drift*100)/100)})
}

// JumpClock sets a node's wall clock forward by d, or back if d is negative, as an administrator or a bad time server does.
func (net *Network) JumpClock(id NodeID, d time.Duration) {
	net.lock()
	defer net.mu.Unlock()
	c := net.host(id).clock
	if net.spares(FaultClock, id) {
		return
	}
	now, old := time.Now(), c.state.Load()
	c.state.Store(&clockState{since: now, shows: old.at(now).Add(d), drift: old.drift})
	net.emit(Event{Kind: EventClock, Node: id, Value: fmt.Sprintf("jumps by %v", d)})
}

// ReadClock returns what a node's wall clock shows, for a test.
func (net *Network) ReadClock(id NodeID) time.Time { return net.host(id).clock.Now() }
