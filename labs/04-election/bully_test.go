package election_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/04-election"
)

const (
	ruleHighest = "from 30 delays after the last crash or return on, every node that is up reports the highest node that is up (rule 1)"
	ruleNoLower = "a node never reports a node lower than itself, and another node only if a message from that node has reached it (rule 2)"
	ruleStays   = "while no node crashes or returns, and when a lower node does, no node reports another leader (rule 3)"
	ruleAtRest  = "n nodes at rest send at most 2n messages per delay (rule 4)"
)

// delay bounds the time that a message takes in parts 4A and 4B.
const delay = 20 * time.Millisecond

// synchronousLink keeps that bound.
var synchronousLink = labrpc.Synchronous(delay - time.Millisecond)

// A bullyCluster is nodes that run Bully. It checks rule 2 at every step, and rule 3 when told to.
type bullyCluster struct {
	s *labtest.Sim

	mu      sync.Mutex
	bullies map[labrpc.NodeID]*Bully
	known   *knowledge
	reports map[labrpc.NodeID]labrpc.NodeID // the last of each node that were checked for rule 2
	stays   labrpc.NodeID                   // no node may report another; 0 for no such rule
	since   time.Duration                   // when that began
	known0  bool                            // a node may not report that it knows no leader either
}

func newBullyCluster(s *labtest.Sim) *bullyCluster {
	c := &bullyCluster{s: s, bullies: map[labrpc.NodeID]*Bully{}, known: newKnowledge(s), reports: map[labrpc.NodeID]labrpc.NodeID{}}
	s.Always(c.checkLeaders)
	s.Restarts(c.boot)
	return c
}

func (c *bullyCluster) start(ids ...labrpc.NodeID) {
	for _, id := range ids {
		c.boot(c.s.Start(id))
	}
}

// boot has a node that has just come up run Bully.
func (c *bullyCluster) boot(node *labrpc.Node) {
	b, id := NewBully(node, BullyOptions{Delay: delay}), node.ID()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bullies[id] = b
	c.known.forget(id)
	c.reports[id] = 0
}

func (c *bullyCluster) leader(id labrpc.NodeID) labrpc.NodeID {
	c.mu.Lock()
	b := c.bullies[id]
	c.mu.Unlock()
	return b.Leader()
}

func upOf(net *labrpc.Network) []labrpc.NodeID {
	return slices.DeleteFunc(net.Nodes(), func(id labrpc.NodeID) bool { return !net.Up(id) })
}

func (c *bullyCluster) checkLeaders() *labtest.Violation {
	c.mu.Lock()
	stays, since, known0 := c.stays, c.since, c.known0
	c.mu.Unlock()
	for _, id := range upOf(c.s.Net) {
		leader := c.leader(id)
		if leader != 0 && leader != c.reports[id] {
			c.known.update()
			c.reports[id] = leader
		}
		switch {
		case leader != 0 && leader < id:
			return violation(ruleNoLower, "%v reports the lower node %v as its leader at %s", id, leader, labtest.At(c.s.Net.Now()))
		case leader != 0 && !c.known.of[id][leader]:
			return violation(ruleNoLower, "%v reports %v as its leader at %s, but since %v started no message from %v has reached it",
				id, leader, labtest.At(c.s.Net.Now()), id, leader)
		case stays != 0 && leader != stays && (leader != 0 || known0):
			want := fmt.Sprintf("%v or no leader", stays)
			if known0 {
				want = stays.String()
			}
			return violation(ruleStays, "at %s, %v reports %s, want %s: all nodes reported %v at %s, and it has run since",
				labtest.At(c.s.Net.Now()), id, reported(leader), want, stays, labtest.At(since))
		}
	}
	return nil
}

// mustStay forbids every node to report another leader from now on, and if known also to report none; 0 ends that.
func (c *bullyCluster) mustStay(id labrpc.NodeID, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stays, c.since, c.known0 = id, c.s.Net.Now(), known
}

// agrees waits until all nodes that are up report the highest of them. It is called at once when one has crashed or returned.
func (c *bullyCluster) agrees() {
	mustAgree(c.s, 30*delay, ruleHighest, c.s.Net.Now(), c.leader)
}

// settles waits until all nodes agree, and then until rule 1 says that they do from now on.
func (c *bullyCluster) settles() {
	since := c.s.Net.Now()
	c.agrees()
	c.s.Run(30 * delay)
	mustAgree(c.s, 0, ruleHighest, since, c.leader)
}

// mustAgree waits until all nodes that are up report the highest of them, and fails the test under a rule if they do not within the limit.
// Nothing that the rule speaks of has happened since.
func mustAgree(s *labtest.Sim, limit time.Duration, rule string, since time.Duration, leader func(labrpc.NodeID) labrpc.NodeID) {
	up := upOf(s.Net)
	want := up[len(up)-1]
	if s.Until(limit, func() bool {
		return !slices.ContainsFunc(up, func(id labrpc.NodeID) bool { return leader(id) != want })
	}) {
		return
	}
	v := violation(rule, "%[1]v has been the highest node that is up since %[2]s, but at %[3]s not every node reports %[1]v as the leader", want, labtest.At(since), labtest.At(s.Net.Now()))
	for _, id := range up {
		v.Seen = append(v.Seen, fmt.Sprintf("%v reports %s", id, reported(leader(id))))
	}
	s.Fail(*v)
}

// reported says what a node reports.
func reported(leader labrpc.NodeID) string {
	if leader == 0 {
		return "no leader"
	}
	return fmt.Sprintf("%v as the leader", leader)
}

// atRest checks that the nodes send few messages. The history, if it matters, is part of the message.
func (c *bullyCluster) atRest(history string) {
	const rest = 100
	n := len(c.s.Net.Nodes())
	before := map[labrpc.NodeID]int{}
	for _, id := range c.s.Net.Nodes() {
		before[id] = c.s.Net.Stats(labrpc.Match{From: id}).Sent
	}
	c.s.Run(rest * delay)
	sent, each := 0, []string{}
	for _, id := range c.s.Net.Nodes() {
		of := c.s.Net.Stats(labrpc.Match{From: id}).Sent - before[id]
		sent, each = sent+of, append(each, fmt.Sprintf("%v: %d", id, of))
	}
	c.s.Measure("messages of 5 nodes at rest, per delay", float64(sent)/rest, "", "≤ 10")
	if sent > 2*n*rest {
		if history != "" {
			history = "; " + history
		}
		c.s.Failf(ruleAtRest, "%d nodes at rest sent %d messages in %d delays of %v (%s), want at most %d%s", n, sent, rest, delay, strings.Join(each, ", "), 2*n*rest, history)
	}
}

// often is how often nodes crash and return, where one message per time and delay would be too many for rule 4.
const often = 25

// comeAndGo has nodes crash and return that often. Each time, the nodes that are up agree on a leader.
func (c *bullyCluster) comeAndGo(ids ...labrpc.NodeID) {
	for range often {
		for _, id := range ids {
			c.s.Net.Crash(id)
		}
		c.agrees()
		c.s.Run(time.Duration(c.s.Rand().Int64N(int64(5 * delay))))
		c.start(ids...)
		c.agrees()
	}
}

// restsAfterMany checks rule 4 when a low node has returned to one leader many times, and when one node has won many times, because
// the nodes above it have crashed and returned.
func (c *bullyCluster) restsAfterMany(winner, low labrpc.NodeID) {
	c.comeAndGo(low)
	c.settles()
	c.atRest(fmt.Sprintf("n5 has led since all nodes started, and %v has crashed and returned %d times", low, often))
	higher := c.s.Net.Nodes()[winner:]
	c.comeAndGo(higher...)
	c.settles()
	c.atRest(fmt.Sprintf("n5 leads, and %v has won %d elections before", winner, often))
	for _, id := range higher {
		c.s.Net.Crash(id)
	}
	c.settles()
	c.atRest(fmt.Sprintf("%v leads, and has won %d elections before", winner, often))
	c.start(higher...)
	c.settles()
}

// Nodes start together or one after another, and agree (rule 1). Then nothing changes (rule 3), although wall clocks jump, and
// they send few messages (rule 4), also when some are down, and after many returns and many elections.
func TestHighestWins4A(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Link: synchronousLink}, func(s *labtest.Sim) {
		c := newBullyCluster(s)
		for _, i := range s.Rand().Perm(5) {
			c.start(labrpc.NodeID(i + 1))
			if s.Seed%2 == 0 {
				s.Run(time.Duration(s.Rand().Int64N(int64(10 * delay))))
			}
		}
		c.settles()
		c.mustStay(5, true)
		jumpClocks(s)
		c.atRest("")
		c.mustStay(0, false)
		if s.Seed%5 == 1 {
			c.restsAfterMany(labrpc.NodeID(3+s.Seed%2), labrpc.NodeID(1+s.Rand().IntN(2)))
		}
		s.Net.Crash(labrpc.NodeID(1 + s.Rand().IntN(4)))
		s.Net.Crash(5)
		c.settles()
		c.atRest("")
	})
}

// The leader crashes, and at any time of the election that follows, so does the node that would win it (rule 1).
func TestWinnerCrashes4A(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Link: synchronousLink, Seeds: 20}, func(s *labtest.Sim) {
		c := newBullyCluster(s)
		c.start(s.Net.Nodes()...)
		for range 5 {
			c.agrees()
			jumpClocks(s)
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

// wins waits until a node, the highest that is up since this instant, reports itself. What it tells the others then is under way.
func (c *bullyCluster) wins(id labrpc.NodeID) {
	since := c.s.Net.Now()
	if !c.s.Until(30*delay, func() bool { return c.leader(id) == id }) {
		mustAgree(c.s, 0, ruleHighest, since, c.leader)
	}
}

// overtakes has what one node sends from now on overtake what another has just sent.
func overtakes(net *labrpc.Network, first, last labrpc.NodeID) {
	for _, id := range net.Nodes() {
		if id != first {
			net.SetLink(first, id, labrpc.Link{Latency: labrpc.Uniform(time.Millisecond/2, time.Millisecond)})
		}
		if id != last {
			net.SetLink(last, id, labrpc.Link{Latency: labrpc.Uniform(delay-2*time.Millisecond, delay-time.Millisecond)})
		}
	}
}

// A higher node that returns takes over (rule 1); a lower one does not (rule 3). In every other seed it returns just
// when the next one has won, so that what it sends overtakes what that one has sent.
func TestHigherReturns4A(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Link: synchronousLink, Seeds: 20}, func(s *labtest.Sim) {
		c := newBullyCluster(s)
		c.start(s.Net.Nodes()...)
		c.agrees()
		s.Net.Crash(5)
		if s.Seed%2 == 0 {
			c.agrees()
			s.Run(time.Duration(s.Rand().Int64N(int64(10 * delay))))
		} else {
			overtakes(s.Net, 5, 4)
			c.wins(4)
		}
		c.start(5)
		c.settles()
		s.Net.SetLinks(synchronousLink)
		c.mustStay(5, false)
		for range 3 {
			low := labrpc.NodeID(1 + s.Rand().IntN(4))
			s.Net.Crash(low)
			s.Run(time.Duration(s.Rand().Int64N(int64(20 * delay))))
			c.start(low)
			c.settles()
		}
	})
}

// A node starts while it is isolated: no message passes between it and the others. So neither may report the other (rule 2). Then it
// crashes and returns, connected, and all agree (rule 1).
func TestLearnsFromMessages4A(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 10, Link: synchronousLink}, func(s *labtest.Sim) {
		c := newBullyCluster(s)
		late := labrpc.NodeID(1 + s.Rand().IntN(len(s.Net.Nodes())))
		for _, id := range s.Net.Nodes() {
			if id != late {
				c.start(id)
			}
		}
		c.agrees()
		s.Net.Isolate(late)
		c.start(late)
		s.Run(30 * delay) // the cluster checks the reports
		s.Net.Crash(late)
		s.Net.Heal()
		c.start(late)
		c.agrees()
	})
}
