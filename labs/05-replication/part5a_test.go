package replication_test

import (
	"fmt"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/05-replication"
)

const raftSeeds = 20

// Commands given to a leader one after the other are applied by all, each once, in
// the order of the log; one who does not lead takes none (§5.3). The watcher
// compares every log and every call of apply.
func TestAgreesInOrder5A(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 3, Seeds: raftSeeds}, func(s *labtest.Sim) {
		c := newRaftCluster(s, raftClusterOptions{})
		leader := c.waitForLeader()
		for _, id := range c.except(leader) {
			if index, term, ok := c.rafts[id].Submit([]byte("no")); ok {
				s.Failf("only a leader takes a command (rule 11)", "Submit on %v = %d, %d, true, want false: %v leads", id, index, term, leader)
			}
		}
		for range 5 {
			c.agree(c.servers...)
		}
		c.converge()
	})
}

// Many commands at once, over links that lose, duplicate and reorder (§5.3).
func TestManyAtOnce5A(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: raftSeeds, Link: labrpc.FairLoss(0.1)}, func(s *labtest.Sim) {
		c := newRaftCluster(s, raftClusterOptions{})
		leader := c.waitForLeader()
		for range 10 {
			for range 3 {
				c.submit(leader)
			}
			s.Run(time.Duration(s.Rand().IntN(40)) * time.Millisecond)
			leader = c.waitForLeaderOf(healBound)
		}
		c.converge()
	})
}

// With a minority dead the rest go on, as fast as before (§5.3: "slow or crashed
// followers").
func TestGoesOnWithoutAMinority5A(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: raftSeeds}, func(s *labtest.Sim) {
		c := newRaftCluster(s, raftClusterOptions{})
		c.agree(c.servers...)
		leader := c.waitForLeader()
		dead := c.except(leader)[:2]
		for _, id := range dead {
			s.Net.Isolate(id)
		}
		for range 4 {
			c.agree(c.except(dead...)...)
		}
		c.converge()
	})
}

// Two followers are very slow, one of them in hearing and one in answering. The
// others commit without waiting for them.
func TestSlowFollowersDelayNobody5A(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: raftSeeds}, func(s *labtest.Sim) {
		c := newRaftCluster(s, raftClusterOptions{})
		leader := c.waitForLeader()
		slow := c.except(leader)[:2]
		c.allowCandidates(c.except(slow...)...) // they hear too little to know better
		s.Net.SetLink(leader, slow[0], labrpc.Link{Latency: labrpc.Fixed(3 * time.Second)})
		s.Net.SetLink(slow[1], leader, labrpc.Link{Latency: labrpc.Fixed(3 * time.Second)})
		for range 5 {
			from := s.Net.Now()
			c.agree(c.except(slow...)...)
			s.Measure("agreement beside slow followers", float64((s.Net.Now() - from).Milliseconds()), "ms", "≤ 500")
		}
		c.converge()
	})
}

// Half of an even number is no majority: nothing is committed, and what the
// leader took meanwhile is committed or replaced after the heal (§5.3). The
// watcher counts the holders of each committed entry.
func TestNoAgreementWithoutAMajority5A(t *testing.T) {
	cfg := labtest.Config{Nodes: 4, Seeds: raftSeeds, MustCover: []string{"a leader took a command that it could not commit"}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		c := newRaftCluster(s, raftClusterOptions{})
		c.agree(c.servers...)
		leader := c.waitForLeader()
		friend := c.except(leader)[s.Rand().IntN(3)]
		s.Net.Partition([]labrpc.NodeID{leader, friend}, c.except(leader, friend))
		if c.rafts[leader].Status().Role == roleLeader {
			s.Cover("a leader took a command that it could not commit")
		}
		before := c.rafts[leader].Status().CommitIndex
		_, index := c.submit(leader)
		s.Run(3 * time.Second)
		for _, id := range c.servers {
			if st := c.rafts[id].Status(); st.CommitIndex > before {
				s.Failf(ruleQuorum, "%v has CommitIndex = %d at %v, want %d: entry %d is on 2 of 4 servers", id, st.CommitIndex, briefTime(s.Net.Now()), before, index)
			}
		}
		c.converge()
	})
}

// A follower commits what the leader has committed and it has in common with the
// leader; what else stands in its log may be of nobody (figure 2, AppendEntries 5).
func TestFollowerCommitsWhatItShares5A(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: raftSeeds, Link: calmLink}, func(s *labtest.Sim) {
		p := newScriptedCluster(s)
		// The leader of term 1 leaves three entries, of which one is committed.
		p.append(2, AppendRequest{Term: 1, Entries: entriesOf(1, 1, 1)}, true)
		p.expectCommit(0)
		// The next leader has the first alone, and four entries of its own.
		p.append(3, AppendRequest{Term: 2, PrevLogIndex: 1, PrevLogTerm: 1, Commit: 4}, true)
		p.expectCommit(1)
		p.append(3, AppendRequest{Term: 2, PrevLogIndex: 1, PrevLogTerm: 1, Entries: entriesOf(2, 2), Commit: 5}, true)
		p.expectCommit(3)
		p.append(3, AppendRequest{Term: 2, PrevLogIndex: 3, PrevLogTerm: 2, Entries: entriesOf(2, 2, 2), Commit: 4}, true)
		p.expectCommit(4)
		// A request that was overtaken knows less, and changes nothing.
		p.append(3, AppendRequest{Term: 2, PrevLogIndex: 1, PrevLogTerm: 1, Commit: 1}, true)
		p.expectCommit(4)
		p.append(3, AppendRequest{Term: 2, PrevLogIndex: 6, PrevLogTerm: 2, Commit: 6}, true)
		p.expectCommit(6)
		p.expectTerms(1, 2, 2, 2, 2, 2)
	})
}

// Rule 14: in a calm network, every entry goes to each follower once, and a command
// costs few messages. Commands come one at a time, then many at once.
func TestMessageBudget5A(t *testing.T) {
	const single, burst, size = 20, 100, 1000
	cfg := labtest.Config{Nodes: 5, Seeds: raftSeeds, CountBytes: true}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		c := newRaftCluster(s, raftClusterOptions{})
		leader := c.waitForLeader()
		s.Run(time.Second)

		idle, from := s.Net.Stats(labrpc.Match{}), s.Net.Now()
		s.Run(5 * time.Second)
		beats := float64(s.Net.Stats(labrpc.Match{}).Sub(idle).Sent) / 8 / (float64(s.Net.Now()-from) / float64(heartbeat))
		c.budget("requests of an idle leader to a follower a heartbeat", beats, 1.2)

		before := s.Net.Stats(labrpc.Match{})
		for i := range single {
			_, index := c.submitText(leader, fmt.Sprintf("%0*d", size, i))
			c.waitApplied(agreeBound, ruleAgree, index, c.servers...)
		}
		used := s.Net.Stats(labrpc.Match{}).Sub(before)
		c.budget("messages a command, one at a time, to a follower", float64(used.Sent)/single/4, 8)
		c.budget("bytes sent for a byte of commands, one at a time, to a follower", float64(used.Bytes)/(single*size)/4, 1.75)

		before = s.Net.Stats(labrpc.Match{})
		index := 0
		for i := range burst {
			_, index = c.submitText(leader, fmt.Sprintf("%0*d", size, single+i))
		}
		c.waitApplied(agreeBound, ruleAgree, index, c.servers...)
		used = s.Net.Stats(labrpc.Match{}).Sub(before)
		c.budget("messages a command, 100 at once, to a follower", float64(used.Sent)/burst/4, 2.2)
		c.budget("bytes sent for a byte of commands, 100 at once, to a follower", float64(used.Bytes)/(burst*size)/4, 2.2)
	})
}

// budget checks a number of the README's rule 14.
func (c *raftCluster) budget(what string, used, most float64) {
	c.s.Measure(what, used, "", fmt.Sprintf("≤ %g", most))
	if used > most {
		c.s.Failf("the budget of messages and bytes (rule 14)", "%s: %.2f, want at most %g", what, used, most)
	}
}
