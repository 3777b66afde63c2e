package election_test

import (
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/04-election"
)

const (
	ruleRing     = "10n delays after an election is called, every node of the ring that is up names the highest that is up (rule 5)"
	ruleRingSafe = "nobody names any node but the highest that is up, or the last winner (rule 6)"
	ruleRingCost = "a name goes no further than to the next higher node, and the winner's goes round twice (rule 7)"
	ruleRingRest = "after the election nothing goes round any more (rule 8)"
)

const ringNodes = 8

// A circle is nodes in a ring. It checks rule 6 at every step.
type circle struct {
	s     *labtest.Sim
	order []labrpc.NodeID
	rings map[labrpc.NodeID]*Ring

	mu         sync.Mutex
	lastWinner labrpc.NodeID
}

// newCircle starts all nodes, in a random order round the ring.
func newCircle(s *labtest.Sim) *circle {
	c := &circle{s: s, order: s.Net.Nodes(), rings: map[labrpc.NodeID]*Ring{}}
	s.Rand().Shuffle(len(c.order), func(i, j int) { c.order[i], c.order[j] = c.order[j], c.order[i] })
	s.Logf("the ring is %v", c.order)
	s.StartAll(func(n *labrpc.Node) {
		c.rings[n.ID()] = NewRing(n, RingOptions{Order: slices.Clone(c.order), Delay: delay})
	})
	s.Always(c.look)
	return c
}

func (c *circle) leader(id labrpc.NodeID) labrpc.NodeID { return c.rings[id].Leader() }

func (c *circle) look() *labtest.Violation {
	c.mu.Lock()
	defer c.mu.Unlock()
	up := upOf(c.s.Net)
	highest := up[len(up)-1]
	for _, id := range up {
		if leader := c.leader(id); leader != 0 && leader != highest && leader != c.lastWinner {
			return violation(ruleRingSafe, "%v names %v as its leader at %s; %v is up", id, leader, stamp(c.s.Net.Now()), highest)
		}
	}
	return nil
}

// crash ends nodes, between elections.
func (c *circle) crash(ids ...labrpc.NodeID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range ids {
		if id == upOf(c.s.Net)[len(upOf(c.s.Net))-1] {
			c.lastWinner = id
		}
		c.s.Net.Crash(id)
	}
}

// elects calls an election at these nodes and waits until all agree; then there must be silence.
func (c *circle) elects(at ...labrpc.NodeID) {
	c.s.Logf("an election is called at %v", at)
	for _, id := range at {
		c.rings[id].Elect()
	}
	up := upOf(c.s.Net)
	want, since := up[len(up)-1], c.s.Net.Now()
	ok := c.s.Until(10*ringNodes*delay, func() bool {
		return !slices.ContainsFunc(up, func(id labrpc.NodeID) bool { return c.leader(id) != want })
	})
	if !ok {
		c.s.Fail(disagreement(ruleRing, up, want, since, c.leader))
	}
	c.s.Run(10 * ringNodes * delay)
	before := c.messages()
	c.s.Run(time.Second)
	if n := c.messages() - before; n > 0 {
		c.s.Failf(ruleRingRest, "the election was over long ago, and in one second the nodes send %d messages, want none", n)
	}
}

// messages is how many were sent; answers do not count.
func (c *circle) messages() int {
	return c.s.Net.Stats(labrpc.Match{Kind: labrpc.Request}).Sent + c.s.Net.Stats(labrpc.Match{Kind: labrpc.OneWay}).Sent
}

// budget is what Chang and Roberts's algorithm may send if all nodes are up: each name travels to the next higher node, the
// highest once round; then the winner's name goes round again.
func (c *circle) budget() (sum int) {
	n := len(c.order)
	for i, id := range c.order {
		hops := 1
		for hops < n && c.order[(i+hops)%n] < id {
			hops++
		}
		sum += hops
	}
	return sum + n
}

// Random rings, at which some nodes or all call an election at once: they agree (rule 5), for the price of
// Chang and Roberts (rule 7).
func TestRandomRings4B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: ringNodes, Link: synchronousLink, Seeds: 20}, func(s *labtest.Sim) {
		c := newCircle(s)
		at := slices.Clone(c.order)
		if s.Seed%2 == 0 {
			at = at[:1+s.Rand().IntN(ringNodes)]
		}
		c.elects(at...)
		n := c.messages()
		s.Measure("messages of an election of 8, for each of n ln n", float64(n)/(ringNodes*math.Log(ringNodes)), "", "≤ 2.7")
		if n > c.budget() {
			s.Failf(ruleRingCost, "the election costs %d messages on the ring %v, want at most %d", n, c.order, c.budget())
		}
	})
}

// The best case: only the highest node calls, so that its name goes round twice and no other at all (rule 7).
func TestBestRing4B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: ringNodes, Link: synchronousLink}, func(s *labtest.Sim) {
		c := newCircle(s)
		c.elects(ringNodes)
		if n := c.messages(); n > 2*ringNodes {
			s.Failf(ruleRingCost, "n%d alone calls an election on the ring %v, and it costs %d messages, want at most %d",
				ringNodes, c.order, n, 2*ringNodes)
		}
	})
}

// Some nodes are dead, neighbours among them, when the election is called (rule 5).
func TestSkipsTheDead4B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: ringNodes, Link: synchronousLink, Seeds: 20}, func(s *labtest.Sim) {
		c := newCircle(s)
		dead := 2 + s.Rand().IntN(ringNodes-2) // in a row
		c.crash(c.order[:dead]...)
		alive := c.order[dead:]
		c.elects(alive[s.Rand().IntN(len(alive))])
	})
}

// A winner dies, and another election is called, and another (rule 5).
func TestElectsAgain4B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: ringNodes, Link: synchronousLink}, func(s *labtest.Sim) {
		c := newCircle(s)
		for left := ringNodes; left > 1; left-- {
			a, b := labrpc.NodeID(1+s.Rand().IntN(left)), labrpc.NodeID(1+s.Rand().IntN(left))
			c.elects(a, b)
			c.crash(labrpc.NodeID(left))
		}
	})
}
