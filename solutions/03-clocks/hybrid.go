package clocks

import (
	"sync"
	"time"
)

// A HybridTime is the stamp of an event: a wall clock's time, and a counter that
// orders the events to which that time is common.
type HybridTime struct {
	Wall    int64 // nanoseconds since 1970, as time.Time's UnixNano gives them
	Logical int
}

// Before reports whether t comes before o: by wall time, and within one wall
// time by the counter.
func (t HybridTime) Before(o HybridTime) bool {
	if t.Wall != o.Wall {
		return t.Wall < o.Wall
	}
	return t.Logical < o.Logical
}

// A HybridClock stamps the events of one node (Kulkarni et al. 2014). All
// methods may be called by several goroutines at once.
type HybridClock struct {
	wall func() time.Time

	mu   sync.Mutex
	last HybridTime // of the last event
}

// NewHybridClock returns the clock of a node whose wall clock is read by wall.
func NewHybridClock(wall func() time.Time) *HybridClock { return &HybridClock{wall: wall} }

// Tick returns the stamp of an event on this node: something done, or a message
// sent. The message carries the stamp.
func (c *HybridClock) Tick() HybridTime { return c.next(HybridTime{}) }

// Receive returns the stamp of the receipt of a message that carries sent.
func (c *HybridClock) Receive(sent HybridTime) HybridTime { return c.next(sent) }

// next stamps an event that comes after the last one here and after heard.
//
// The counter is needed only while the wall clock is behind what was heard:
// as soon as it shows more, it alone tells the order, and the counter is 0 again.
func (c *HybridClock) next(heard HybridTime) HybridTime {
	c.mu.Lock()
	defer c.mu.Unlock()
	latest := c.last
	if latest.Before(heard) {
		latest = heard
	}
	c.last = HybridTime{Wall: c.wall().UnixNano()}
	if c.last.Wall <= latest.Wall {
		c.last = HybridTime{Wall: latest.Wall, Logical: latest.Logical + 1}
	}
	return c.last
}
