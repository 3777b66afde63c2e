package replication_test

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/05-replication"
)

const raftSeeds = 20

// In part 5A only the first leader is ever a candidate again, so logs never diverge and no vote needs a comparison of logs.

// firstLeader starts the servers and waits for a leader; from then on no other server can win an election.
func firstLeader(s *labtest.Sim, options raftClusterOptions) (*raftCluster, labrpc.NodeID) {
	c := newRaftCluster(s, options)
	leader := c.waitForLeaderOf(healBound)
	c.allowCandidates(leader)
	return c, leader
}

// Commands given to a leader one after the other are applied by all servers, each once, in
// the order of the log; other servers reject commands (§5.3). The invariant checker
// compares every log and every call of apply.
func TestAgreesInOrder5A(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 3, Seeds: raftSeeds}, func(s *labtest.Sim) {
		c := newRaftCluster(s, raftClusterOptions{})
		leader := c.waitForLeader()
		c.allowCandidates(leader)
		for _, id := range c.except(leader) {
			if index, term, ok := c.rafts[id].Submit([]byte("no")); ok {
				s.Failf(ruleSubmit, "Submit on %v = %d, %d, true, want false: %v is the leader", id, index, term, leader)
			}
		}
		for range 4 {
			c.agree(c.servers...)
		}
		for _, special := range []string{"", strings.Repeat("long", 1<<15)} { // entries as any other
			_, index := c.submitText(leader, special)
			c.waitApplied(healBound, ruleCatchUp, index, c.servers...)
			if s.Seed > 1 {
				break
			}
		}
		c.agree(c.servers...)
		c.convergeUnder()
	})
}

// Many commands at once, over links that lose, duplicate and reorder (§5.3).
func TestManyAtOnce5A(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: raftSeeds, Link: labrpc.FairLoss(0.1)}, func(s *labtest.Sim) {
		c, leader := firstLeader(s, raftClusterOptions{})
		for range 10 {
			for range 3 {
				c.submit(leader)
			}
			s.Run(time.Duration(s.Rand().IntN(40)) * time.Millisecond)
			leader = c.waitForLeaderOf(healBound)
		}
		c.convergeUnder()
	})
}

// With a minority isolated the others continue, as fast as before (§5.3: "slow or crashed
// followers").
func TestGoesOnWithoutAMinority5A(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: raftSeeds}, func(s *labtest.Sim) {
		c, leader := firstLeader(s, raftClusterOptions{})
		c.agree(c.servers...)
		dead := c.except(leader)[:2]
		for _, id := range dead {
			s.Net.Isolate(id)
		}
		for range 4 {
			c.agree(c.except(dead...)...)
		}
		c.convergeUnder()
	})
}

// Two followers are very slow: one in receiving and one in replying. The
// others commit without waiting for them.
func TestSlowFollowersDelayNobody5A(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: raftSeeds}, func(s *labtest.Sim) {
		c, leader := firstLeader(s, raftClusterOptions{})
		slow := c.except(leader)[:2]
		s.Net.SetLink(leader, slow[0], labrpc.Link{Latency: labrpc.Fixed(3 * time.Second)})
		s.Net.SetLink(slow[1], leader, labrpc.Link{Latency: labrpc.Fixed(3 * time.Second)})
		for range 5 {
			c.agree(c.except(slow...)...) // a slow follower may depose the leader, which it hears too late
		}
		c.convergeUnder()
	})
}

// Half of an even number is no majority: nothing is committed, and the command that the
// leader accepted meanwhile is committed after the heal (§5.3). The
// invariant checker counts the servers that have stored each committed entry.
func TestNoAgreementWithoutAMajority5A(t *testing.T) {
	cfg := labtest.Config{Nodes: 4, Seeds: raftSeeds, MustCover: []string{"a leader accepted a command that it could not commit"}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		c, leader := firstLeader(s, raftClusterOptions{})
		c.agree(c.servers...)
		friend := c.except(leader)[s.Rand().IntN(3)]
		s.Net.Partition([]labrpc.NodeID{leader, friend}, c.except(leader, friend))
		leads := c.rafts[leader].Status().Role == roleLeader
		if leads {
			s.Cover("a leader accepted a command that it could not commit")
		}
		_, index := c.submit(leader)
		s.Run(3 * time.Second)
		for _, id := range c.servers {
			if st := c.rafts[id].Status(); leads && st.CommitIndex >= index {
				s.Failf(ruleQuorum, "%v has CommitIndex = %d at %v, want less than %d: entry %d is stored on at most 2 of 4 servers", id, st.CommitIndex, labtest.At(s.Net.Now()), index, index)
			}
		}
		c.convergeUnder()
	})
}

// A cluster of one server is a majority by itself. Several goroutines call its Submit at the same time: each call gets an
// index of its own. (The commands are equal, so that the run does not depend on the scheduler.)
func TestOneServerAlone5A(t *testing.T) {
	const goroutines, each = 8, 15
	labtest.Run(t, labtest.Config{Nodes: 2, Seeds: 5}, func(s *labtest.Sim) {
		defer labtest.Threads(1)()
		c := &raftCluster{s: s, servers: []labrpc.NodeID{1}, rafts: map[labrpc.NodeID]*Raft{}}
		c.w = checkInvariants(s, 1)
		c.start(1)
		for range 3 {
			c.agree(1)
		}
		raft, begin := c.rafts[1], make(chan struct{})
		results := make(chan logPlace, goroutines*each)
		for range goroutines {
			go func() {
				<-begin
				for range each {
					if index, term, ok := raft.Submit([]byte("same")); ok {
						results <- logPlace{index, term}
					} else {
						results <- logPlace{}
					}
				}
			}()
		}
		close(begin)
		last := 0
		for range goroutines * each {
			at := <-results
			if at == (logPlace{}) {
				s.Failf(ruleSubmit, "Submit on n1 returned false, want true: n1 is the leader")
			}
			c.w.submitted(1, at, "same")
			last = max(last, at.index)
		}
		c.waitApplied(agreeBound, ruleAgree, last, 1)
		st := raft.Status()
		for len(st.Log) > 0 && len(st.Log[len(st.Log)-1].Command) == 0 {
			st.Log = st.Log[:len(st.Log)-1] // an entry of the leader's own
		}
		if got, want := lastIndexOf(st), last; got != want {
			s.Failf(ruleSubmit, "the last command in the log of n1 is at index %d, want %d, the highest index that Submit returned", got, want)
		}
	})
}

// The servers' list belongs to the caller of StartRaft, which may use it again.
func TestServersListIsTheCallers5A(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 3, Seeds: 3}, func(s *labtest.Sim) {
		c := &raftCluster{s: s, servers: s.Net.Nodes(), rafts: map[labrpc.NodeID]*Raft{}}
		c.w = checkInvariants(s, 3)
		s.Net.Intercept(c.filterElections)
		list := slices.Clone(c.servers)
		for _, id := range c.servers {
			c.bootWith(s.Start(id), list)
		}
		clear(list)
		for range 3 {
			c.agree(c.servers...)
		}
	})
}

// An application may call every method of its Raft while it applies an entry, so no lock may be held then. And it may be slow: that delays nothing but itself.
func TestApplyHoldsNoLock5A(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 3, Seeds: 3}, func(s *labtest.Sim) {
		c := &raftCluster{s: s, servers: s.Net.Nodes(), rafts: map[labrpc.NodeID]*Raft{}}
		c.w = checkInvariants(s, 3)
		var slow atomic.Int64 // how long the application on each server needs for an entry; the leader's one is 0 until it is slow too
		var lead atomic.Int64 // its number
		for _, id := range c.servers {
			node := s.Start(id)
			inc, ready := s.Net.Incarnation(id), make(chan struct{})
			var raft *Raft
			raft = StartRaft(node, c.servers, func(a Applied) {
				<-ready
				labrpc.Tell(node, a, func(at time.Duration, a Applied) { c.w.apply(id, inc, at, a) })
				c.mustReturn(id, a.Index, "Status", func() { raft.Status() })
				if string(a.Command) == "and one more" {
					sleep(node.Context(), snapshotTime) // Submit comes at an instant of its own
					c.mustReturn(id, a.Index, "Submit", func() { raft.Submit([]byte("one more")) })
				}
				if d := time.Duration(slow.Load()); d > 0 && lead.Load() != int64(id) {
					sleep(node.Context(), d)
				}
			})
			close(ready)
			c.rafts[id] = raft
			c.w.started(id, raft)
		}
		c.agree(c.servers...)
		leader := c.waitForLeader()
		last := 0
		for range 300 { // they are committed together, and more than a queue between two goroutines may have room for
			_, last = c.submit(leader)
		}
		c.waitApplied(healBound, ruleCatchUp, last, c.servers...)
		_, last = c.submitText(leader, "and one more")
		c.waitApplied(healBound, ruleCatchUp, last+1, c.servers...)
		c.slowApplications(leader, &slow, &lead)
	})
}

// mustReturn calls a method of the server while the server calls apply.
func (c *raftCluster) mustReturn(id labrpc.NodeID, index int, method string, call func()) {
	returned := make(chan struct{})
	go func() {
		call()
		close(returned)
	}()
	if !realTimeWait(returned) {
		c.s.Failf(ruleNoLock, "on %v, %s did not return while apply was called for index %d: it waits for a lock", id, method, index)
	}
}

// slowApplications: the followers' applications need three election timeouts for an entry: the leader applies its commands in time all the same,
// because followers reply at once (rules 11 and 13). Then the leader's application is as slow: it stays leader (rule 10).
func (c *raftCluster) slowApplications(leader labrpc.NodeID, slow, lead *atomic.Int64) {
	s, term := c.s, c.rafts[leader].Status().Term
	lead.Store(int64(leader))
	slow.Store(int64(3 * electionTimeout))
	last := 0
	for range 3 {
		_, last = c.submit(leader)
		c.waitApplied(agreeBound, "the handlers reply at once, and the leader of a connected majority applies a command within 500ms (rules 11 and 13)", last, leader)
	}
	lead.Store(0)
	c.submit(leader)
	s.Run(time.Millisecond)
	_, last = c.submit(leader)
	s.Run(5 * electionTimeout)
	if st := c.rafts[leader].Status(); st.Term != term || st.Role != roleLeader {
		s.Failf(ruleStable, "%v, the leader of term %d, is %v in term %d at %v: every server has been connected to it, and only apply was slow", leader, term, st.Role, st.Term, labtest.At(s.Net.Now()))
	}
	c.waitApplied(healBound, ruleCatchUp, last, c.servers...)
}

// A follower commits the entries that the leader has committed and that the request has shown to be in its log; other
// entries at the end of its log may be of an old leader (figure 2, AppendEntries 5).
func TestFollowerCommitsWhatItShares5A(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: raftSeeds, Link: calmLink}, func(s *labtest.Sim) {
		p := newScriptedCluster(s)
		// The leader of term 1 leaves three entries, of which one is committed.
		p.append(2, AppendRequest{Term: 1, Entries: entriesOf(1, 1, 1)}, true)
		p.expectCommit(0)
		p.append(2, AppendRequest{Term: 1, PrevLogIndex: 1, PrevLogTerm: 1, Commit: 4}, true)
		p.expectCommit(1)
		p.append(2, AppendRequest{Term: 1, PrevLogIndex: 3, PrevLogTerm: 1, Entries: entriesOf(1, 1), Commit: 2}, true)
		p.expectCommit(2)
		// A request that a later one has overtaken knows less, and changes nothing.
		p.append(2, AppendRequest{Term: 1, PrevLogIndex: 1, PrevLogTerm: 1, Commit: 1}, true)
		p.expectCommit(2)
		p.append(2, AppendRequest{Term: 1, PrevLogIndex: 4, PrevLogTerm: 1, Commit: 9}, true)
		p.expectCommit(4)
		p.append(2, AppendRequest{Term: 1, PrevLogIndex: 5, PrevLogTerm: 1, Entries: entriesOf(1), Commit: 6}, true)
		p.expectCommit(6)
		p.expectTerms(1, 1, 1, 1, 1, 1)
	})
}

// Commands come all the time, faster than heartbeats, and what is sent to one follower is lost for 150ms. The followers' timers must not
// fire, the servers stay in one term, and every command is applied in time.
func TestSteadyTraffic5A(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 3, Seeds: 5}, func(s *labtest.Sim) {
		c := newRaftCluster(s, raftClusterOptions{})
		c.waitForLeader()
		s.Run(time.Second)
		leader := c.waitForLeader()
		term := c.rafts[leader].Status().Term
		f := c.except(leader)[0]
		for i := range 120 {
			switch i {
			case 40: // for a time that is too short for an election
				s.Net.CutBoth(leader, f)
			case 45:
				s.Net.HealBoth(leader, f)
			}
			if st := c.rafts[leader].Status(); st.Term != term || st.Role != roleLeader {
				s.Failf(ruleStable, "a server has started an election: %v, the leader of term %d, is %v in term %d at %v, although every server has been connected to %[1]v, except %[6]v for 150ms, which is too short for an election", leader, term, st.Role, st.Term, labtest.At(s.Net.Now()), f)
			}
			_, index := c.submit(leader)
			s.Run(30 * time.Millisecond)
			c.waitApplied(agreeBound, ruleAgree, index-20, leader)
		}
		if s.Seed == 1 {
			c.denseTraffic(leader)
		}
		c.agree(c.servers...)
	})
}

// denseTraffic: a command comes every 2ms, so the last entry is never on a majority. Those before it are committed meanwhile (rule 11).
func (c *raftCluster) denseTraffic(leader labrpc.NodeID) {
	const every = 2 * time.Millisecond
	const within = int(agreeBound / every)
	for i := range within + 50 {
		_, index := c.submit(leader)
		c.s.Run(every)
		if want := index - within; i >= within && c.appliedBy(leader) < want {
			c.s.Failf(ruleAgree, "at %v, %v has applied entries up to index %d, want %d: a command came every %v, and the leader is connected to all servers", briefTime(c.s.Net.Now()), leader, c.appliedBy(leader), want, every)
		}
	}
}

// In a calm network with nothing to do, servers stay in one term.
func TestQuietClusterKeepsItsLeader5A(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 3, Seeds: 5}, func(s *labtest.Sim) {
		c := newRaftCluster(s, raftClusterOptions{})
		c.waitForLeader()
		s.Run(time.Second)
		leader := c.waitForLeader()
		term := c.rafts[leader].Status().Term
		for i := range 20 {
			s.Run(time.Second)
			s.Net.JumpClock(c.servers[i%3], time.Duration(1-2*(i%2))*time.Hour) // election timers do not ask it
			if st := c.rafts[leader].Status(); st.Term != term || st.Role != roleLeader {
				s.Failf(ruleStable, "%v, the leader of term %d, is %v in term %d at %v: every server has been connected to it", leader, term, st.Role, st.Term, labtest.At(s.Net.Now()))
			}
		}
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

		requests := labrpc.Match{From: leader, Method: "AppendEntries", Kind: labrpc.Request}
		idle, before, from := s.Net.Stats(requests), s.Net.Stats(labrpc.Match{}), s.Net.Now()
		s.Run(5 * time.Second)
		beats := float64(s.Net.Stats(requests).Sub(idle).Sent) / 4 / (float64(s.Net.Now()-from) / float64(heartbeat))
		c.budget("requests of an idle leader, per follower and heartbeat", beats, 1.2)
		idleBytes := float64(s.Net.Stats(labrpc.Match{}).Sub(before).Bytes) / float64(s.Net.Now()-from) // per ns
		// beside returns what was sent since before and from, per follower, besides the heartbeats of an idle leader.
		beside := func() (messages, bytes float64) {
			used, took := s.Net.Stats(labrpc.Match{}).Sub(before), float64(s.Net.Now()-from)
			return max(0, float64(used.Sent)/4-2*1.2*took/float64(heartbeat)), max(0, float64(used.Bytes)-idleBytes*took) / 4
		}

		before, from = s.Net.Stats(labrpc.Match{}), s.Net.Now()
		for i := range single {
			_, index := c.submitText(leader, fmt.Sprintf("%0*d", size, i))
			c.waitApplied(agreeBound, ruleAgree, index, leader)
			c.waitApplied(healBound, ruleCatchUp, index, c.servers...)
			s.Run(30 * time.Millisecond) // until the leader has every reply, so that the next Submit may send at once
		}
		messages, bytes := beside()
		c.budget("messages per command and follower beside heartbeats, with one command at a time", messages/single, 8)
		c.budget("bytes sent per byte of command and follower beside heartbeats, with one command at a time", bytes/(single*size), 1.75)

		before, from = s.Net.Stats(labrpc.Match{}), s.Net.Now()
		index := 0
		for i := range burst {
			_, index = c.submitText(leader, fmt.Sprintf("%0*d", size, single+i))
		}
		c.waitApplied(agreeBound, ruleAgree, index, leader)
		c.waitApplied(healBound, ruleCatchUp, index, c.servers...)
		messages, bytes = beside()
		c.budget("messages per command and follower beside heartbeats, 100 at once", messages/burst, 2.2)
		c.budget("bytes sent per byte of command and follower beside heartbeats, 100 at once", bytes/(burst*size), 2.2)
	})
}

// budget checks a number of the README's rule 14.
func (c *raftCluster) budget(what string, used, most float64) {
	c.s.Measure(what, used, "", fmt.Sprintf("≤ %g", most))
	if used > most {
		at := labtest.At(c.s.Net.Now())
		for _, id := range c.servers {
			if r := c.rafts[id]; r != nil && c.s.Net.Up(id) && r.Status().Role == roleLeader {
				c.s.Failf(ruleBudget, "%s = %.3g at %v, want at most %g: the leader is %v", what, used, at, most, id)
			}
		}
		c.s.Failf(ruleBudget, "%s = %.3g at %v, want at most %g", what, used, at, most)
	}
}
