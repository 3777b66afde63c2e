package clocks

import "time"

// A HybridTime is the stamp of an event: a wall clock's time, and a counter that
// orders the events to which that time is common.
type HybridTime struct {
	Wall    int64 // nanoseconds since 1970, as time.Time's UnixNano gives them
	Logical int
}

// Before reports whether t comes before o: by wall time, and within one wall
// time by the counter.
func (t HybridTime) Before(o HybridTime) bool {
	// TODO(3E): compare.
	return false
}

// A HybridClock stamps the events of one node (Kulkarni et al. 2014). All
// methods may be called by several goroutines at once.
type HybridClock struct {
	// TODO(3E): what it remembers.
}

// NewHybridClock returns the clock of a node whose wall clock is read by wall.
func NewHybridClock(wall func() time.Time) *HybridClock {
	return &HybridClock{}
}

// Tick returns the stamp of an event on this node: something done, or a message
// sent. The message carries the stamp.
func (c *HybridClock) Tick() HybridTime {
	// TODO(3E): the wall clock, or the counter.
	return HybridTime{}
}

// Receive returns the stamp of the receipt of a message that carries sent.
func (c *HybridClock) Receive(sent HybridTime) HybridTime {
	// TODO(3E): after what happened here, and after sent.
	return HybridTime{}
}
