package election_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/04-election"
)

// Five servers start together. One comes to lead (rule 17), and while all hear it, nothing else happens (rule 16).
func TestElectsALeader4C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: raftSeeds}, func(s *labtest.Sim) {
		c := startAll(s)
		leader, term := c.waitForLeader(soon)
		s.Measure("time to the first leader", s.Net.Now().Seconds(), "s", "≤ 5")
		for range 16 {
			s.Run(500 * time.Millisecond)
			if now, in := c.agreed(c.up()...); now != leader || in != term {
				s.Fail(labtest.Violation{
					What: fmt.Sprintf("%v leads term %d, nothing fails, and at %s it does not any more", leader, term, stamp(s.Net.Now())),
					Rule: ruleCalm,
					Seen: []string{fmt.Sprintf("%v is %s", leader, c.state(leader))},
				})
			}
		}
	})
}

// A server without any peers is a majority (rule 12).
func TestLeadsAlone4C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 1, Seeds: raftSeeds}, func(s *labtest.Sim) {
		c := startAll(s)
		c.waitForLeader(soon)
	})
}

// A leader's heartbeats: the first comes at once, none is late, and there are not too many (rule 15). A follower sends
// nothing but answers.
func TestHeartbeats4C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 4, Seeds: raftSeeds}, func(s *labtest.Sim) {
		c := startAll(s)
		leader := labrpc.NodeID(0)
		s.WaitFor(soon, *violation(ruleProgress, "nobody leads after %v", soon), func() bool {
			for _, id := range c.up() {
				if c.state(id).Role == Leader {
					leader = id
				}
			}
			return leader != 0
		})
		to := c.others(leader)
		sent := func(peer labrpc.NodeID) int {
			return s.Net.Stats(labrpc.Match{From: leader, To: peer, Method: "AppendEntries", Kind: labrpc.Request}).Sent
		}
		s.Run(15 * time.Millisecond)
		for _, peer := range to {
			if sent(peer) == 0 {
				s.Failf(ruleBeats, "%v leads since 15ms, and %v has yet to hear from it", leader, peer)
			}
		}
		c.waitForLeader(soon)
		s.Run(time.Second)
		before, asked, last := map[labrpc.NodeID]int{}, map[labrpc.NodeID]int{}, map[labrpc.NodeID]int{}
		for _, peer := range to {
			before[peer], asked[peer], last[peer] = sent(peer), c.requests(peer), sent(peer)
		}
		const windows = 40
		for range windows {
			s.Run(raftTiming.Heartbeat * 3 / 2)
			for _, peer := range to {
				if sent(peer) == last[peer] {
					s.Failf(ruleBeats, "%v leads, and %v does not hear from it in the 75ms before %s", leader, peer, stamp(s.Net.Now()))
				}
				last[peer] = sent(peer)
			}
		}
		beats := windows * 3 / 2
		for _, peer := range to {
			n := sent(peer) - before[peer]
			s.Measure("heartbeats to a peer, for each that is due", float64(n)/float64(beats), "", "≤ 2")
			if n > 2*beats {
				s.Failf(ruleBeats, "%v sends %v %d heartbeats where %d are due, want at most twice as many", leader, peer, n, beats)
			}
			if n := c.requests(peer) - asked[peer]; n > 0 {
				s.Failf(ruleBeats, "%v follows %v and sends %d requests of its own, want none", peer, leader, n)
			}
		}
	})
}

// A leader crashes, and another, and comes back; a part of the cluster is cut off (rule 17). A minority elects nobody
// (rule 12): the cluster checks that at every step.
func TestNewLeader4C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: raftSeeds}, func(s *labtest.Sim) {
		c := startAll(s)
		first, term := c.waitForLeader(soon)
		s.Net.Crash(first)
		second, newer := c.waitForLeader(soon)
		if newer <= term {
			s.Failf(ruleOneLeader, "%v leads term %d after %v has led term %d", second, newer, first, term)
		}
		s.Net.Crash(second)
		c.waitForLeader(soon)
		c.start(first)
		third, _ := c.waitForLeader(soon)
		c.start(second)
		c.waitForLeader(soon)
		with := c.others(third)[s.Rand().IntN(4)]
		s.Net.Partition([]labrpc.NodeID{third, with})
		c.waitForLeader(soon, c.others(third, with)...)
		s.Net.Heal()
		c.waitForLeader(soon)
	})
}

// Two of four is no majority (rule 12).
func TestHalfIsNoMajority4C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 4, Seeds: raftSeeds}, func(s *labtest.Sim) {
		c := newCluster(s)
		s.Net.Partition([]labrpc.NodeID{1, 2})
		c.start(1, 2, 3, 4)
		s.Run(3 * time.Second) // the cluster checks that nobody leads
		s.Net.Heal()
		c.waitForLeader(soon)
	})
}

// Everything arrives twice, and two of five are up: two voters are no majority, however often they say so (rule 12).
func TestCountsEachVoterOnce4C(t *testing.T) {
	const twice = "an answer arrived twice"
	cfg := labtest.Config{Nodes: 5, Seeds: raftSeeds, MustCover: []string{twice}}
	cfg.Link = labrpc.Reliable()
	cfg.Link.Duplicate = 1
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		c := newCluster(s)
		c.start(1, 2)
		s.Run(3 * time.Second)
		if s.Net.Stats(labrpc.Match{Kind: labrpc.Reply}).Duplicated > 0 {
			s.Cover(twice)
		}
		c.start(3)
		c.waitForLeader(soon)
	})
}

// A candidate's votes are held up until it stands in a later term. They are worth
// nothing there (rule 12).
func TestOldVotesDoNotCount4C(t *testing.T) {
	const late = "a candidate of a later term received the votes of an earlier one"
	cfg := labtest.Config{Nodes: 3, Link: steadyLink, Seeds: raftSeeds, MustCover: []string{late}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		c := newCluster(s)
		votes := s.Net.Hold(labrpc.Match{To: 1, Method: "RequestVote", Kind: labrpc.Reply})
		fromOthers := s.Net.Hold(labrpc.Match{To: 1, Method: "RequestVote", Kind: labrpc.Request})
		c.start(1)
		s.Run(raftTiming.ElectionTimeout - 10*time.Millisecond) // n1 stands first
		c.start(2, 3)
		granted := func(m labrpc.Message) bool {
			b, ok := m.Body.(VoteReply)
			return ok && b.Granted
		}
		count := func() (n int) {
			for _, m := range votes.Messages() {
				if granted(m) {
					n++
				}
			}
			return n
		}
		if s.Until(soon, func() bool { return count() > 0 }) {
			asked := s.Net.Hold(labrpc.Match{From: 1, Method: "RequestVote", Kind: labrpc.Request})
			term := c.state(1).Term
			s.Until(time.Second, func() bool { st := c.state(1); return st.Term > term && st.Role == Candidate })
			if st := c.state(1); st.Term > term && st.Role == Candidate && votes.Deliver(granted) > 0 {
				s.Cover(late)
			}
			s.Run(100 * time.Millisecond) // the cluster counts the votes
			asked.Release()
		}
		votes.Release()
		fromOthers.Release()
		c.waitForLeader(soon)
	})
}

// The three outcomes of an election (Raft §5.2): time passes and nobody wins; another wins, and the candidate follows it
// (rule 13); one wins (rule 17).
func TestThreeOutcomes4C(t *testing.T) {
	const (
		nobody  = "time passed in candidacies and nobody won"
		another = "a candidate heard from the leader of its own term"
	)
	cfg := labtest.Config{Nodes: 5, Seeds: raftSeeds, MustCover: []string{nobody, another}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		c := newCluster(s)
		// n1 stands first, and nobody hears it: so another wins.
		deaf := s.Net.Hold(labrpc.Match{From: 1, Method: "RequestVote", Kind: labrpc.Request})
		c.start(1)
		s.Run(raftTiming.ElectionTimeout - 50*time.Millisecond)
		c.start(2, 3, 4, 5)
		var before State
		heard := labrpc.Match{To: 1, Method: "AppendEntries", Kind: labrpc.Request}
		s.WaitFor(soon, *violation(ruleProgress, "n1 has not heard from a leader after %v", soon), func() bool {
			if s.Net.Stats(heard).Delivered > 0 {
				return true
			}
			before = c.state(1)
			return false
		})
		after := c.state(1)
		if before.Role == Candidate && c.leaderOf(before.Term) != 0 {
			s.Cover(another)
			if after.Term == before.Term && (after.Role != Follower || after.Leader != c.leaderOf(after.Term)) {
				s.Failf(ruleAnother, "n1 stands in term %d, hears from %v, which leads this term, and is %v", before.Term, c.leaderOf(before.Term), after)
			}
		}
		deaf.Discard(nil)
		deaf.Release()
		leader, term := c.waitForLeader(soon)
		// The leader crashes, and no candidate is heard.
		s.Net.Crash(leader)
		requests := s.Net.Hold(labrpc.Match{Method: "RequestVote", Kind: labrpc.Request})
		v := *violation(rulePatience, "nobody leads since term %v, nobody is heard, and in %v not all servers stand three times", term, soon)
		s.WaitFor(soon, v, func() bool { return c.lowest() >= term+3 })
		s.Cover(nobody)
		requests.Discard(nil)
		requests.Release()
		c.waitForLeader(soon)
	})
}

// leaderOf is who was seen to lead the term.
func (c *cluster) leaderOf(term int) labrpc.NodeID {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.leaders[term].by
}

// lowest is the lowest term that a server which is up reports.
func (c *cluster) lowest() int {
	lowest := math.MaxInt
	for _, id := range c.up() {
		lowest = min(lowest, c.state(id).Term)
	}
	return lowest
}

// Everything at once: lost, doubled and late messages, cuts, pauses and crashes, some in the middle of a write. The cluster
// checks rules 9 to 12 at every step; when the trouble is over, somebody leads (rule 17).
func TestOneLeaderPerTerm4C(t *testing.T) {
	const (
		crashed = "a server crashed"
		deposed = "a leader was cut off"
	)
	cfg := labtest.Config{Nodes: 5, Link: labrpc.FairLoss(0.1), Seeds: raftSeeds, MustCover: []string{crashed, deposed}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		c := startAll(s)
		for range 25 {
			id := labrpc.NodeID(1 + s.Rand().IntN(5))
			switch s.Rand().IntN(6) {
			case 0:
				s.Net.CrashAtWrite(id, labrpc.CrashPoint{Write: s.Net.Writes(id) + 1, After: s.Rand().IntN(2) == 0})
			case 1:
				s.Net.Crash(id)
			case 2:
				s.Net.Isolate(id)
				if c.state(id).Role == Leader {
					s.Cover(deposed)
				}
			case 3:
				s.Net.Cut(id, id%5+1)
			case 4:
				s.Net.Pause(id, time.Duration(100+s.Rand().IntN(400))*time.Millisecond)
			case 5:
				s.Net.Heal()
			}
			s.Run(time.Duration(s.Rand().IntN(400)) * time.Millisecond)
			for _, id := range s.Net.Nodes() {
				if !s.Net.Up(id) && s.Rand().IntN(2) == 0 {
					c.start(id)
					s.Cover(crashed)
				}
			}
		}
		s.Net.Heal()
		for _, id := range s.Net.Nodes() {
			s.Net.CrashAtWrite(id, labrpc.CrashPoint{})
			if !s.Net.Up(id) {
				c.start(id)
			}
		}
		c.waitForLeader(soonDespite)
	})
}
