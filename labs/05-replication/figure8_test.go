package replication_test

import (
	"testing"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
)

// Figure 8, step by step, with cuts in place of crashes. An entry of an earlier
// term is on a majority, and its leader leads again; but it is not committed, for
// another server's log ends in a later term: that one may lead next, and overwrite
// it. No command may be submitted to the leader of step (c): with an entry of its
// own term on a majority, the older one is committed too, and there is nothing to
// see.
func TestFigure85B(t *testing.T) {
	cfg := labtest.Config{Nodes: 5, Seeds: raftSeeds, MustCover: []string{"two leaders' entries stood at one index"}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		c := newRaftCluster(s, raftClusterOptions{})
		c.agree(c.servers...)
		s1 := c.waitForLeader()
		rest := c.except(s1)
		s2, s3, s4, s5 := rest[0], rest[1], rest[2], rest[3]

		// (a) s1 leads and has an entry on s2, no further.
		s.Net.Partition([]labrpc.NodeID{s1, s2}, []labrpc.NodeID{s3, s4, s5})
		_, index := c.submit(s1)
		old := c.rafts[s1].Status().Term

		// (b) s5 leads the rest, and has another entry at that index, alone.
		c.elect(s5)
		for _, id := range []labrpc.NodeID{s3, s4} {
			s.Net.CutBoth(s5, id)
		}
		c.submit(s5)
		if holdsEntry(c.rafts[s2].Status(), index, old) && lastIndexOf(c.rafts[s5].Status()) >= index {
			s.Cover("two leaders' entries stood at one index")
		}

		// (c) s1 leads again, and brings its entry to s3: that is a majority.
		for _, id := range []labrpc.NodeID{s1, s2} {
			s.Net.HealBoth(id, s3)
		}
		c.allowWinners(s1)
		if !s.Until(healBound, func() bool {
			return c.leader() == s1 && c.rafts[s1].Status().Term > old && holdsEntry(c.rafts[s3].Status(), index, old)
		}) {
			c.converge() // s5's entry got out: a leader may add one of its own at once
			return
		}
		s.Run(3 * heartbeat)

		// (d) s5 leads again, with the votes of s2, s3 and s4, if it can.
		s.Net.Heal()
		s.Net.Isolate(s1)
		c.allowWinners(s5)
		if s.Until(healBound, func() bool { return c.leader() == s5 }) {
			_, index := c.submit(s5)
			c.waitApplied(agreeBound, ruleAgree, index, s5)
			c.waitApplied(healBound, ruleCatchUp, index, s2, s3, s4)
		}
		c.converge()
	})
}
