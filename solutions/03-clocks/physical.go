// Package clocks tells what happened when, on machines that agree neither on
// the time nor on the order of things.
package clocks

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"distlabs/labrpc"
)

// How a SyncedClock asks its server.
const (
	PollInterval = 4 * time.Second // from one question to the next
	ReplyTimeout = time.Second     // how long it waits for an answer
	Window       = 8               // how many exchanges it remembers
)

// An Exchange is one question to a time server and its answer: the four
// timestamps of NTP (RFC 5905 §8).
type Exchange struct {
	Asked    time.Time // T1, client's clock: the question left
	Received time.Time // T2, server's clock: it arrived
	Answered time.Time // T3, server's clock: the answer left
	Returned time.Time // T4, client's clock: it arrived
}

// Offset returns by how much the server's clock is ahead of the client's; it
// is negative if the server is behind. It errs by at most half of Delay.
//
// The way out makes T2−T1 too large by as much as it takes, the way back makes
// T3−T4 too small. In the mean the two cancel, as far as they are equal.
func (e Exchange) Offset() time.Duration {
	return (e.Received.Sub(e.Asked) + e.Answered.Sub(e.Returned)) / 2
}

// Delay returns the time that the two messages were on the way, without what
// the server took in between.
func (e Exchange) Delay() time.Duration {
	return e.Returned.Sub(e.Asked) - e.Answered.Sub(e.Received)
}

type timeRequest struct{}

type timeReply struct{ Received, Answered time.Time }

// ServeTime makes a node answer the questions of SyncedClocks with its own wall
// clock.
func ServeTime(node *labrpc.Node) {
	labrpc.Handle(node, "time", func(labrpc.NodeID, timeRequest) timeReply {
		received := node.Clock().Now()
		return timeReply{Received: received, Answered: node.Clock().Now()}
	})
}

// A SyncedClock shows the time of a server, which it asks every PollInterval.
// All methods may be called by several goroutines at once.
type SyncedClock struct {
	node   *labrpc.Node
	server labrpc.NodeID

	mu      sync.Mutex
	window  []Exchange // the last ones, oldest first
	taken   int        // how many exchanges there were
	first   Exchange   // the best of the first Window: the drift is measured from here
	shown   time.Time  // what Now returned last
	shownAt time.Time  // and when: of package time, which nothing sets
}

// NewSyncedClock begins to ask the server, until the node's context ends.
func NewSyncedClock(node *labrpc.Node, server labrpc.NodeID) *SyncedClock {
	c := &SyncedClock{node: node, server: server}
	go c.poll()
	return c
}

// Now returns an estimate of the server's time; before the first exchange, the
// time of the node's wall clock. It never goes back, and advances by at least
// 0.3 s in every second, also when one of the two wall clocks is set back.
//
// A clock that is ahead runs at half speed until it is right. Do not write
//
//	return max(c.shown, wall.Add(offset))
//
// That never goes back either, but it stops: what is timed with it takes no
// time. Nor may the half speed be that of the wall clock, which may be set back.
func (c *SyncedClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	wall := c.node.Clock().Now()
	now := wall.Add(c.offset())
	if !c.shown.IsZero() {
		slowest := c.shown.Add(time.Since(c.shownAt) / 2)
		if now.Before(slowest) {
			now = slowest
		}
	}
	c.shown, c.shownAt = now, time.Now()
	return now
}

// Drift returns how much faster the node's wall clock runs than the server's,
// in parts per million; negative if it is slower, 0 if not known yet.
func (c *SyncedClock) Drift() float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.window) == 0 {
		return 0
	}
	last := best(c.window)
	elapsed := last.Returned.Sub(c.first.Returned)
	if elapsed <= 0 {
		return 0
	}
	return -float64(last.Offset()-c.first.Offset()) / float64(elapsed) * 1e6
}

func (c *SyncedClock) poll() {
	tick := time.NewTicker(PollInterval)
	defer tick.Stop()
	for {
		c.exchange()
		select {
		case <-tick.C:
		case <-c.node.Context().Done():
			return
		}
	}
}

// exchange asks once.
func (c *SyncedClock) exchange() {
	ctx, cancel := context.WithTimeout(c.node.Context(), ReplyTimeout)
	defer cancel()
	asked := c.node.Clock().Now()
	reply, err := labrpc.Call[timeReply](ctx, c.node, c.server, "time", timeRequest{})
	if err != nil {
		return
	}
	c.add(Exchange{
		Asked: asked, Received: reply.Received, Answered: reply.Answered, Returned: c.node.Clock().Now(),
	})
}

func (c *SyncedClock) add(e Exchange) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.window = append(c.window, e)
	if len(c.window) > Window {
		c.window = c.window[1:]
	}
	c.taken++
	if c.taken <= Window {
		c.first = best(c.window)
	}
}

// offset returns the best estimate. The caller holds c.mu.
func (c *SyncedClock) offset() time.Duration {
	if len(c.window) == 0 {
		return 0
	}
	return best(c.window).Offset()
}

// best returns the exchange with the shortest delay: the one that can err least
// (RFC 5905 §10).
func best(exchanges []Exchange) Exchange {
	return slices.MinFunc(exchanges, func(a, b Exchange) int { return cmp.Compare(a.Delay(), b.Delay()) })
}
