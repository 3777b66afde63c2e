// Package clocks tells what happened when, on machines that agree neither on
// the time nor on the order of things.
package clocks

import (
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
func (e Exchange) Offset() time.Duration {
	// TODO(3A): from the four timestamps.
	return 0
}

// Delay returns the time that the two messages were on the way, without what
// the server took in between.
func (e Exchange) Delay() time.Duration {
	// TODO(3A): from the four timestamps.
	return 0
}

// ServeTime makes a node answer the questions of SyncedClocks with its own wall
// clock (node.Clock). What the messages are like is up to you.
func ServeTime(node *labrpc.Node) {
	// TODO(3A): register a handler.
}

// A SyncedClock shows the time of a server, which it asks every PollInterval.
// All methods may be called by several goroutines at once.
type SyncedClock struct {
	node *labrpc.Node
	// TODO(3A): what it remembers.
}

// NewSyncedClock begins to ask the server, until the node's context ends.
func NewSyncedClock(node *labrpc.Node, server labrpc.NodeID) *SyncedClock {
	// TODO(3A): begin.
	return &SyncedClock{node: node}
}

// Now returns the server's time, as well as it is known; before the first
// exchange, what the node's wall clock shows. It never goes back, and never
// stands still for long.
func (c *SyncedClock) Now() time.Time {
	// TODO(3A): correct it.
	return c.node.Clock().Now()
}

// Drift returns how much faster the node's wall clock runs than the server's,
// in parts per million; negative if it is slower, 0 if not known yet.
func (c *SyncedClock) Drift() float64 {
	// TODO(3A): from exchanges that are far apart.
	return 0
}
