package election_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/04-election"
)

const (
	ruleHighest = "30 delays after the last crash or return, every node that is up names the highest that is up (rule 1)"
	ruleNoLower = "nobody names a node lower than itself (rule 2)"
	ruleStays   = "while nobody crashes or returns, and when a lower node returns, the leader stays (rule 3)"
	ruleAtRest  = "n nodes at rest send at most 2n messages in one delay (rule 4)"
)

// delay bounds the time that a message takes, in parts 4A and 4B.
const delay = 20 * time.Millisecond

// synchronousLink keeps that bound.
var synchronousLink = labrpc.Synchronous(delay - time.Millisecond)

// A court is nodes that run Bully. It checks rule 2 at every step, and rule 3 when told to.
type court struct {
	s *labtest.Sim

	mu      sync.Mutex
	bullies map[labrpc.NodeID]*Bully
	stays   labrpc.NodeID // nobody may name another; 0 for no such rule
	named   bool          // nor none
}

func newCourt(s *labtest.Sim) *court {
	c := &court{s: s, bullies: map[labrpc.NodeID]*Bully{}}
	s.Always(c.look)
	c.start(s.Net.Nodes()...)
	return c
}

func (c *court) start(ids ...labrpc.NodeID) {
	for _, id := range ids {
		b := NewBully(c.s.Start(id), BullyOptions{Delay: delay})
		c.mu.Lock()
		c.bullies[id] = b
		c.mu.Unlock()
	}
}

func (c *court) leader(id labrpc.NodeID) labrpc.NodeID {
	c.mu.Lock()
	b := c.bullies[id]
	c.mu.Unlock()
	return b.Leader()
}

func upOf(net *labrpc.Network) []labrpc.NodeID {
	return slices.DeleteFunc(net.Nodes(), func(id labrpc.NodeID) bool { return !net.Up(id) })
}

func (c *court) look() *labtest.Violation {
	c.mu.Lock()
	stays, named := c.stays, c.named
	c.mu.Unlock()
	for _, id := range upOf(c.s.Net) {
		switch leader := c.leader(id); {
		case leader != 0 && leader < id:
			return violation(ruleNoLower, "%v names %v as its leader at %s", id, leader, stamp(c.s.Net.Now()))
		case stays != 0 && leader != stays && (leader != 0 || named):
			return violation(ruleStays, "%v leads and is well, but %v names %v at %s", stays, id, leader, stamp(c.s.Net.Now()))
		}
	}
	return nil
}

// keep sets the leader that must stay from now on, also in the eyes of those that know of none, if named; 0 for no such rule.
func (c *court) keep(id labrpc.NodeID, named bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stays, c.named = id, named
}

// agrees waits until all that are up name the highest of them.
func (c *court) agrees() {
	up := upOf(c.s.Net)
	want, since := up[len(up)-1], c.s.Net.Now()
	ok := c.s.Until(30*delay, func() bool {
		return !slices.ContainsFunc(up, func(id labrpc.NodeID) bool { return c.leader(id) != want })
	})
	if !ok {
		c.s.Fail(disagreement(ruleHighest, up, want, since, c.leader))
	}
}

func disagreement(rule string, up []labrpc.NodeID, want labrpc.NodeID, since time.Duration, leader func(labrpc.NodeID) labrpc.NodeID) labtest.Violation {
	v := violation(rule, "%v is the highest of the nodes that are up since %s, and not all of them name it", want, stamp(since))
	for _, id := range up {
		v.Seen = append(v.Seen, fmt.Sprintf("%v names %v", id, leader(id)))
	}
	return *v
}

// Nodes start together and agree (rule 1); then nothing changes (rule 3), and little is said (rule 4).
func TestHighestWins4A(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Link: synchronousLink}, func(s *labtest.Sim) {
		c := newCourt(s)
		c.agrees()
		s.Run(30 * delay)
		c.keep(5, true)
		const rest = 100
		before := s.Net.Stats(labrpc.Match{}).Sent
		s.Run(rest * delay)
		n := s.Net.Stats(labrpc.Match{}).Sent - before
		s.Measure("messages of 5 nodes at rest, in one delay", float64(n)/rest, "", "≤ 10")
		if n > 10*rest {
			s.Failf(ruleAtRest, "5 nodes at rest send %d messages in %d delays, want at most %d", n, rest, 10*rest)
		}
	})
}

// The leader crashes, and at any moment of the election that follows, so does the node that would win it (rule 1).
func TestWinnerCrashes4A(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Link: synchronousLink, Seeds: 20}, func(s *labtest.Sim) {
		c := newCourt(s)
		for range 5 {
			c.agrees()
			s.Net.Crash(5)
			s.Run(time.Duration(s.Rand().Int64N(int64(15 * delay))))
			s.Net.Crash(4)
			c.agrees()
			s.Net.Crash(3)
			s.Net.Crash(1)
			c.agrees() // n2 is alone
			c.start(1, 3, 4, 5)
		}
	})
}

// A higher node that returns takes over (rule 1); a lower one does not (rule 3).
func TestHigherReturns4A(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Link: synchronousLink, Seeds: 20}, func(s *labtest.Sim) {
		c := newCourt(s)
		c.agrees()
		s.Net.Crash(5)
		c.agrees()
		s.Run(time.Duration(s.Rand().Int64N(int64(10 * delay))))
		c.start(5)
		c.agrees()
		s.Run(30 * delay)
		c.keep(5, false)
		for range 3 {
			low := labrpc.NodeID(1 + s.Rand().IntN(4))
			s.Net.Crash(low)
			s.Run(time.Duration(s.Rand().Int64N(int64(20 * delay))))
			c.start(low)
			c.agrees()
			s.Run(30 * delay)
		}
	})
}
