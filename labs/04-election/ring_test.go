package election_test

import (
	"cmp"
	"fmt"
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
	ruleRing     = "from 10n delays after the last call of Elect on, every node that is up reports the highest node that is up (rule 5)"
	ruleRingSafe = "a node reports only the highest node that is up, after messages have told it of every node that is up, or the last winner (rule 6)"
	ruleRingCost = "a node's ID travels no further than to the next higher node, and the winner's ID travels round twice (rule 7)"
	ruleRingRest = "after the election no more messages are sent (rule 8)"
)

const ringNodes = 8

// A ringCluster is nodes in a ring. It checks rule 6 at every step.
type ringCluster struct {
	s     *labtest.Sim
	order []labrpc.NodeID
	rings map[labrpc.NodeID]*Ring

	mu         sync.Mutex
	known      *knowledge
	reported   map[labrpc.NodeID]labrpc.NodeID // the last report of each node, of the last election or checked
	lastWinner labrpc.NodeID
}

// newRingCluster starts all nodes, in a random order round the ring.
func newRingCluster(s *labtest.Sim) *ringCluster {
	c := &ringCluster{s: s, order: s.Net.Nodes(), rings: map[labrpc.NodeID]*Ring{}, known: newKnowledge(s), reported: map[labrpc.NodeID]labrpc.NodeID{}}
	s.Rand().Shuffle(len(c.order), func(i, j int) { c.order[i], c.order[j] = c.order[j], c.order[i] })
	s.Logf("the ring is %v", c.order)
	s.StartAll(func(n *labrpc.Node) {
		c.rings[n.ID()] = NewRing(n, RingOptions{Order: slices.Clone(c.order), Delay: delay})
	})
	s.Always(c.checkLeaders)
	return c
}

func (c *ringCluster) leader(id labrpc.NodeID) labrpc.NodeID { return c.rings[id].Leader() }

func (c *ringCluster) checkLeaders() *labtest.Violation {
	c.mu.Lock()
	defer c.mu.Unlock()
	up := upOf(c.s.Net)
	highest := up[len(up)-1]
	for _, id := range up {
		leader := c.leader(id)
		if leader != 0 && leader != highest && leader != c.lastWinner {
			return violation(ruleRingSafe, "%v reports %v as its leader at %s, although %v is up", id, leader, labtest.At(c.s.Net.Now()), highest)
		}
		if leader == c.reported[id] {
			continue
		}
		c.reported[id] = leader
		c.known.update()
		for _, other := range up {
			if !c.known.of[id][other] {
				return violation(ruleRingSafe, "%v reports %v as the winner at %s, but no message has told it of %v, which is up", id, leader, labtest.At(c.s.Net.Now()), other)
			}
		}
	}
	return nil
}

// crash crashes nodes, between elections.
func (c *ringCluster) crash(ids ...labrpc.NodeID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range ids {
		if up := upOf(c.s.Net); id == up[len(up)-1] {
			c.lastWinner = id
		}
		c.s.Net.Crash(id)
	}
}

// begins prepares for an election: every node must learn again which nodes are up.
func (c *ringCluster) begins() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known.forget(c.order...)
	for _, id := range upOf(c.s.Net) {
		c.reported[id] = c.leader(id)
	}
}

// elects calls Elect at these nodes at one instant and waits until all agree.
func (c *ringCluster) elects(at ...labrpc.NodeID) {
	c.begins()
	c.s.Logf("Elect is called at %v", at)
	for _, id := range at {
		c.rings[id].Elect()
	}
	c.agrees()
}

// agrees waits until all nodes agree after the last call of Elect; from then on they agree, and no more messages may be sent.
func (c *ringCluster) agrees() {
	since := c.s.Net.Now()
	n := time.Duration(len(c.order))
	mustAgree(c.s, 10*n*delay, ruleRing, since, c.leader)
	c.s.Run(since + 20*n*delay - c.s.Net.Now()) // rule 8
	mustAgree(c.s, 0, ruleRing, since, c.leader)
	before := c.messages()
	c.s.Run(time.Second)
	if n := c.messages() - before; n > 0 {
		c.s.Failf(ruleRingRest, "the election ended long ago, but in 1s the nodes sent %d messages, want 0", n)
	}
}

// messages is the number of messages that were sent, without replies.
func (c *ringCluster) messages() int { return c.sentBy(0) }

// sentBy is the number of those of one node.
func (c *ringCluster) sentBy(id labrpc.NodeID) int {
	return c.s.Net.Stats(labrpc.Match{From: id, Kind: labrpc.Request}).Sent + c.s.Net.Stats(labrpc.Match{From: id, Kind: labrpc.OneWay}).Sent
}

// budget is what Chang and Roberts's algorithm may send if all nodes are up: the IDs that each node sends to its neighbor, which travel to the next higher
// node, the highest once round. The winner's ID then goes round again.
func (c *ringCluster) budget() map[labrpc.NodeID][]labrpc.NodeID {
	pass := map[labrpc.NodeID][]labrpc.NodeID{}
	n := len(c.order)
	for i, id := range c.order {
		for hops := 0; hops == 0 || hops < n && c.order[(i+hops)%n] < id; hops++ {
			at := c.order[(i+hops)%n]
			pass[at] = append(pass[at], id)
		}
	}
	return pass
}

// checkCost checks how many messages an election has cost in which each node may send on these IDs, and that of the winner once more.
func (c *ringCluster) checkCost(pass map[labrpc.NodeID][]labrpc.NodeID, callers []labrpc.NodeID) {
	most := 0
	for _, id := range c.order {
		most += len(pass[id]) + 1
	}
	sent := c.messages()
	if sent <= most {
		return
	}
	over := func(id labrpc.NodeID) int { return c.sentBy(id) - len(pass[id]) - 1 }
	worst := slices.MaxFunc(c.order, func(a, b labrpc.NodeID) int { return cmp.Compare(over(a), over(b)) })
	c.s.Fail(labtest.Violation{
		What: fmt.Sprintf("%v sent %d messages in the election, want at most %d: the IDs that it must send on are %v, and that of the winner once more",
			worst, c.sentBy(worst), len(pass[worst])+1, pass[worst]),
		Rule: ruleRingCost,
		Seen: []string{
			fmt.Sprintf("the order on the ring is %v, and Elect was called at %v", c.order, callers),
			fmt.Sprintf("all nodes sent %d messages, want at most %d", sent, most),
		},
		Nodes: []labrpc.NodeID{worst},
	})
}

// Some nodes or all of a random ring call an election at one instant. They agree (rule 5), and send no more messages than Chang
// and Roberts's algorithm (rule 7).
func TestRandomRings4B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: ringNodes, Link: synchronousLink, Seeds: 20}, func(s *labtest.Sim) {
		c := newRingCluster(s)
		at := slices.Clone(c.order)
		if s.Seed%2 == 0 {
			at = at[:1+s.Rand().IntN(ringNodes)]
		}
		c.elects(at...)
		n := c.messages()
		s.Measure("messages of an election of 8, divided by n ln n", float64(n)/(ringNodes*math.Log(ringNodes)), "", "≤ 2.7")
		c.checkCost(c.budget(), at)
	})
}

// The best case: only the highest node calls, so that its name travels round twice and no other name at all (rule 7). Several calls
// at one instant are one election.
func TestBestRing4B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: ringNodes, Link: synchronousLink}, func(s *labtest.Sim) {
		c := newRingCluster(s)
		c.begins()
		if s.Seed%2 == 0 {
			c.rings[ringNodes].Elect()
		} else {
			defer labtest.Threads(1)()
			begin := make(chan struct{})
			for range 32 {
				go func() {
					<-begin
					c.rings[ringNodes].Elect()
				}()
			}
			s.Run(time.Millisecond)
			close(begin)
		}
		c.agrees()
		pass := map[labrpc.NodeID][]labrpc.NodeID{} // only the highest node has called Elect
		for _, id := range c.order {
			pass[id] = []labrpc.NodeID{ringNodes}
		}
		c.checkCost(pass, []labrpc.NodeID{ringNodes})
	})
}

// Some nodes are down, neighbours among them, when the election is called (rule 5).
func TestSkipsTheDead4B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: ringNodes, Link: synchronousLink, Seeds: 20}, func(s *labtest.Sim) {
		c := newRingCluster(s)
		down := 2 + s.Rand().IntN(ringNodes-2) // in a row
		c.crash(c.order[:down]...)
		alive := c.order[down:]
		jumpClocks(s)
		c.elects(alive[s.Rand().IntN(len(alive))])
	})
}

// The winner crashes, and another election is called, and so on (rule 5).
func TestElectsAgain4B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: ringNodes, Link: synchronousLink}, func(s *labtest.Sim) {
		c := newRingCluster(s)
		for left := ringNodes; left > 1; left-- {
			a, b := labrpc.NodeID(1+s.Rand().IntN(left)), labrpc.NodeID(1+s.Rand().IntN(left))
			c.elects(a, b)
			c.crash(labrpc.NodeID(left))
		}
	})
}

// After more elections than a byte can number, the winner crashes and the next election is as good as the first (rule 5). One node makes all the calls,
// or all nodes in turn.
func TestManyElections4B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 3, Link: synchronousLink, Seeds: 2, Limit: time.Hour}, func(s *labtest.Sim) {
		c := newRingCluster(s)
		const nodes, pause = 3, 20 * 3 * delay
		c.begins()
		for i := range 260 {
			caller := labrpc.NodeID(1)
			if s.Seed%2 == 0 {
				caller = labrpc.NodeID(1 + i%nodes)
			}
			c.rings[caller].Elect()
			s.Run(pause)
			mustAgree(s, 0, ruleRing, s.Net.Now()-pause, c.leader)
		}
		c.crash(nodes)
		c.elects(1)
		c.elects(2)
	})
}

// Elect is called while an election is under way, or just ends. All agree (rule 5), and no node is left in a state in which it takes
// no part in the next election: the winner crashes, and one of the callers calls again.
func TestStaggeredCalls4B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: ringNodes, Link: synchronousLink, Seeds: 40}, func(s *labtest.Sim) {
		c := newRingCluster(s)
		for left := ringNodes; left > ringNodes-3; left-- {
			c.begins()
			caller := labrpc.NodeID(1)
			for range 1 + s.Rand().IntN(3) {
				caller = labrpc.NodeID(1 + s.Rand().IntN(left))
				c.rings[caller].Elect()
				s.Run(time.Duration(s.Rand().Int64N(int64(20 * delay))))
			}
			c.rings[caller].Elect()
			c.agrees()
			c.crash(labrpc.NodeID(left))
			if caller != labrpc.NodeID(left) {
				c.elects(caller)
			}
		}
		// The test ends during an election, and the harness checks that no goroutine outlives its node.
		c.begins()
		c.rings[1].Elect()
		s.Run(time.Duration(s.Rand().Int64N(int64(8 * delay))))
	})
}
