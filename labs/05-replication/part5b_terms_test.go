package replication_test

import (
	"slices"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
)

// Of two servers that make a connected majority, one has the longer log and the other the higher term, and each of them knows only its own. They have a leader
// within 5s (rule 10): every reply tells its sender's term, also one that refuses. The leader of the first term gets a command, sends it to no server, and crashes.
// The next leader crashes before it has sent anything. Then the first leader is back.
func TestLongerLogAndHigherTerm5B(t *testing.T) {
	const situation = "one server had the longer log and the other server the higher term"
	labtest.Run(t, labtest.Config{Nodes: 3, MustCover: []string{situation}}, func(s *labtest.Sim) {
		c := newRaftCluster(s, raftClusterOptions{})
		c.waitForLeader()
		c.agree(c.servers...)
		s.Run(time.Second)
		first := c.waitForLeader()
		s.Net.Isolate(first)
		for range 1 + s.Seed%3 {
			c.submit(first)
		}
		c.crash(first)
		held := s.Net.Hold(labrpc.Match{Method: "AppendEntries"})
		second := c.firstToLead(c.except(first))
		c.crash(second)
		held.Discard(nil)
		held.Release()
		third := c.except(first, second)[0]
		s.Run(time.Duration(s.Rand().IntN(2000)) * time.Millisecond)
		s.Net.Heal()
		c.start(first)
		s.Run(0)
		long, high := c.rafts[first].Status(), c.rafts[third].Status()
		if long.Term < high.Term && lastIndexOf(long) > lastIndexOf(high) {
			s.Cover(situation)
		}
		c.waitForLeader()
		c.agree(first, third)
		c.converge()
	})
}

// firstToLead waits until one of the servers leads, and returns it.
func (c *raftCluster) firstToLead(ids []labrpc.NodeID) labrpc.NodeID {
	leads := func(id labrpc.NodeID) bool { return c.rafts[id].Status().Role == roleLeader }
	c.s.WaitFor(electionBound, labtest.Violation{What: "two of three servers are connected, but neither became leader", Rule: ruleLeader, Nodes: ids}, func() bool {
		return slices.ContainsFunc(ids, leads)
	})
	return ids[slices.IndexFunc(ids, leads)]
}
