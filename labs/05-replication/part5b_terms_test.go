package replication_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
)

// Of three servers of five that make a connected majority, one has the longest log and the others have the higher term, and none of them has heard of the other's.
// They have a leader within 5s (rule 10): every reply has its sender's term, also a reply that refuses. The leader of the first term gets commands, sends them to one server, and is cut off
// with it. The leader of the next term is cut off before any of its messages arrives.
func TestLongerLogAndHigherTerm5B(t *testing.T) {
	const situation = "one server had the longest log and the others had a higher term"
	labtest.Run(t, labtest.Config{Nodes: 5, MustCover: []string{situation}}, func(s *labtest.Sim) {
		c := newRaftCluster(s, raftClusterOptions{})
		c.waitForLeader()
		c.agree(c.servers...)
		s.Run(time.Second)
		first := c.waitForLeader()
		long := c.except(first)[s.Rand().IntN(4)]
		others := c.except(first, long)
		s.Net.Partition([]labrpc.NodeID{first, long})
		for range 1 + s.Seed%3 {
			c.submit(first)
		}
		held := s.Net.HoldIf(labrpc.Match{Method: "AppendEntries"}, func(m labrpc.Message) bool { return slices.Contains(others, m.From) })
		second := c.firstToLead(others)
		s.Net.Partition([]labrpc.NodeID{first, long}, []labrpc.NodeID{second})
		held.Discard(nil)
		held.Release()
		s.Run(time.Duration(s.Rand().IntN(1000)) * time.Millisecond)
		s.Net.Heal()
		s.Net.Isolate(first)
		s.Net.Isolate(second)
		majority := c.except(first, second)
		if c.longestLogLowestTerm(long, majority) {
			s.Cover(situation)
		}
		c.waitForLeader()
		c.agree(majority...)
		c.converge()
	})
}

// longestLogLowestTerm reports whether a server has a longer log and a lower term than each other one.
func (c *raftCluster) longestLogLowestTerm(long labrpc.NodeID, ids []labrpc.NodeID) bool {
	has := c.rafts[long].Status()
	return !slices.ContainsFunc(ids, func(id labrpc.NodeID) bool {
		st := c.rafts[id].Status()
		return id != long && (st.Term <= has.Term || lastIndexOf(st) >= lastIndexOf(has))
	})
}

// firstToLead waits until one of the servers leads, and returns it.
func (c *raftCluster) firstToLead(ids []labrpc.NodeID) labrpc.NodeID {
	leads := func(id labrpc.NodeID) bool { return c.rafts[id].Status().Role == roleLeader }
	c.s.WaitFor(electionBound, labtest.Violation{What: fmt.Sprintf("none of %v became leader, although they are connected and a majority", ids), Rule: ruleLeader, Nodes: ids}, func() bool {
		return slices.ContainsFunc(ids, leads)
	})
	return ids[slices.IndexFunc(ids, leads)]
}
