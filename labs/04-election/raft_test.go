package election_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/04-election"
)

// Five servers start together. They elect a leader (rule 17). Then the network is calm, and nothing changes (rule 16),
// although wall clocks jump.
func TestElectsALeader4C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: raftSeeds}, func(s *labtest.Sim) {
		c := startAll(s)
		leader, term := c.waitForLeader(electionLimit)
		s.Measure("time to the first leader", s.Net.Now().Seconds(), "s", "≤ 5")
		for i := range 16 {
			if i == 4 || i == 8 {
				jumpClocks(s)
			}
			s.Run(500 * time.Millisecond)
			if now, in := c.agreed(c.up()...); now != leader || in != term {
				s.Fail(labtest.Violation{
					What: fmt.Sprintf("at %s, %v is no longer the leader of term %d: a server has started an election, although no message was lost and no server crashed", labtest.At(s.Net.Now()), leader, term),
					Rule: ruleCalm,
					Seen: []string{fmt.Sprintf("%v is %s", leader, c.state(leader))},
				})
			}
		}
	})
}

// A server without peers is a majority by itself (rule 12).
func TestLeadsAlone4C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 1, Seeds: raftSeeds}, func(s *labtest.Sim) {
		c := startAll(s)
		c.waitForLeader(electionLimit)
	})
}

// n1 is elected by n2 and n3, which crash. n4 and n5, of which n1 has heard nothing before, return and depose n1; then they vote for it. n1 must lead
// again: that majority is connected (rule 17). Only a newer term deposes it: a late candidate of its own term does not (rule 16). It sends as few
// heartbeats when it has led many terms (rule 15). The test plays the voters.
func TestOtherVoters4C(t *testing.T) {
	const terms, intervals = 10, 40
	labtest.Run(t, labtest.Config{Nodes: 5, Link: steadyLink, Seeds: 4}, func(s *labtest.Sim) {
		c := newCluster(s)
		voter := func(id labrpc.NodeID) scriptedPeer {
			node := s.Start(id)
			labrpc.Handle(node, "RequestVote", func(from labrpc.NodeID, r VoteRequest) VoteReply {
				return VoteReply{Term: c.termFor(from, r), Granted: true}
			})
			labrpc.Handle(node, "AppendEntries", func(_ labrpc.NodeID, r AppendRequest) AppendReply { return AppendReply{Term: r.Term, Success: true} })
			return scriptedPeer{s, node}
		}
		leads := func(by string) {
			v := *violation(ruleProgress, "n1 has not become leader within %v, although %s grant their votes and start no election", electionLimit, by)
			s.WaitFor(electionLimit, v, func() bool { return c.state(1).Role == Leader })
		}
		voter(2)
		voter(3)
		c.start(1)
		if !s.Until(electionLimit, func() bool { return c.state(1).Role == Leader }) && c.lastRequest(1) == 0 && s.Net.Stats(labrpc.Match{From: 1}).Sent > 0 {
			return // it asks for pre-votes, of which the voters know nothing
		}
		leads("n2 and n3")
		s.Net.Crash(2)
		s.Net.Crash(3)
		voter(4)
		n5 := voter(5)
		for range terms {
			n5.heartbeat(1, c.state(1).Term+1)
			leads("n4 and n5")
		}
		s.Run(2 * raftTiming.Heartbeat)
		term := c.state(1).Term
		if voter(2).askVote(1, term).Granted {
			s.Failf(ruleOneVote, "n1, the leader of term %d, granted its vote in this term to n2", term)
		}
		if st := c.state(1); st.Role != Leader {
			s.Failf("a request for a vote of its own term does not depose a leader (rules 11 and 16; Raft §5.2)", "n1 was the leader of term %d, and is %v after n2 asked it for its vote in the same term, want it to stay the leader: n1 has voted for itself, and refuses", term, st)
		}
		sent := func() int {
			return s.Net.Stats(labrpc.Match{From: 1, To: 4, Method: "AppendEntries", Kind: labrpc.Request}).Sent
		}
		before := sent()
		s.Run(intervals * raftTiming.Heartbeat)
		if n := sent() - before; n > 2*intervals {
			s.Failf(ruleHeartbeats, "n1, which has led %d terms, sent %d heartbeats to n4 in the last %d heartbeat intervals of 50ms, want at most 2 per interval", terms, n, intervals)
		}
	})
}

// A leader's heartbeats: the first is sent at once, none is late, and there are not too many. A follower whose replies are lost gets them
// too, and so does one that is down, in one seed of 20 each for a minute. When it returns, it follows this leader. A follower sends no
// requests (rule 15).
func TestHeartbeats4C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 4, Seeds: raftSeeds}, func(s *labtest.Sim) {
		c := startAll(s)
		leader := labrpc.NodeID(0)
		s.WaitFor(electionLimit, *violation(ruleProgress, "no server leads within %v", electionLimit), func() bool {
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
		s.Run(32 * time.Millisecond)
		for _, peer := range to {
			if sent(peer) == 0 {
				s.Failf(ruleHeartbeats, "%v has been leader for 30ms but has not sent AppendEntries to %v", leader, peer)
			}
		}
		c.waitForLeader(electionLimit)
		s.Run(time.Second)
		before, last, began := map[labrpc.NodeID]int{}, map[labrpc.NodeID]int{}, s.Net.Now()
		for _, peer := range to {
			before[peer], last[peer] = sent(peer), sent(peer)
		}
		windows := 40
		if s.Seed%raftSeeds == 1 {
			windows = 1600 // two minutes
		}
		for i := range windows {
			switch i {
			case windows / 10:
				s.Net.Cut(to[1], leader)
			case windows/2 - 4: // a leader that counts replies has one of to[1] before those of to[0] end
				s.Net.HealLink(to[1], leader)
			case windows / 2:
				s.Net.Crash(to[0])
			}
			s.Run(raftTiming.Heartbeat * 3 / 2)
			for _, peer := range to {
				if sent(peer) == last[peer] {
					s.Failf(ruleHeartbeats, "%v leads, but sent %v no AppendEntries in the 75ms before %s", leader, peer, labtest.At(s.Net.Now()))
				}
				last[peer] = sent(peer)
			}
			if (i+1)%40 > 0 {
				continue
			}
			due := (i + 1) * 3 / 2
			for _, peer := range to {
				n := sent(peer) - before[peer]
				s.Measure("heartbeats to a peer, for each that is due", float64(n)/float64(due), "", "≤ 2")
				down := ""
				if !s.Net.Up(peer) {
					down = ", which is down,"
				}
				if n > 2*due {
					s.Failf(ruleHeartbeats, "%v sent %d heartbeats to %v%s in the last %d heartbeat intervals of 50ms, want at most 2 per interval", leader, n, peer, down, due)
				}
				if n := len(c.requestsOf(peer, began)); n > 0 {
					s.Failf(ruleHeartbeats, "%v follows %v but has sent %d requests of its own since %v, want 0", peer, leader, n, labtest.At(began))
				}
			}
		}
		term := c.state(leader).Term
		c.start(to[0])
		s.Run(time.Second)
		if now, in := c.agreed(c.up()...); now != leader || in != term {
			s.Fail(labtest.Violation{
				What: fmt.Sprintf("%v was down for %v and has run again for 1s, but now %v is %v and %v is %v, want %v to follow %v, which led term %d all the time",
					to[0], time.Duration(windows-windows/2)*raftTiming.Heartbeat*3/2, to[0], c.state(to[0]), leader, c.state(leader), to[0], leader, term),
				Rule: "a server that returns receives the leader's heartbeats before its election timer fires, and follows this leader (rules 14 and 15; Raft §5.2)",
			})
		}
	})
}

// A leader crashes, then its successor; both return; then two servers are cut off from the others, the leader among them. The
// majority always elects a leader (rule 17), and the minority elects none (rule 12): the cluster checks that at every step.
func TestNewLeader4C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: raftSeeds}, func(s *labtest.Sim) {
		c := startAll(s)
		first, term := c.waitForLeader(electionLimit)
		jumpClocks(s)
		s.Net.Crash(first)
		second, newer := c.waitForLeader(electionLimit)
		if newer <= term {
			s.Failf(ruleOneLeader, "%v leads term %d, although %v led term %d before", second, newer, first, term)
		}
		s.Net.Crash(second)
		c.waitForLeader(electionLimit)
		c.start(first)
		third, _ := c.waitForLeader(electionLimit)
		c.start(second)
		c.waitForLeader(electionLimit)
		with := c.others(third)[s.Rand().IntN(4)]
		s.Net.Partition([]labrpc.NodeID{third, with})
		c.waitForLeader(electionLimit, c.others(third, with)...)
		s.Net.Heal()
		c.waitForLeader(electionLimit)
	})
}

// Two of four servers are no majority (rule 12), in one seed of 20 for a minute. Connected, all four elect a leader (rule 17).
func TestHalfIsNoMajority4C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 4, Seeds: raftSeeds}, func(s *labtest.Sim) {
		c := newCluster(s)
		s.Net.Partition([]labrpc.NodeID{1, 2})
		c.start(1, 2, 3, 4)
		s.Run(3 * time.Second) // the cluster checks that no server leads
		if s.Seed%raftSeeds == 1 {
			s.Run(time.Minute) // hundreds of elections, in which the requests to two servers get no reply
		}
		s.Net.Heal()
		c.waitForLeader(electionLimit)
	})
}

// Every message arrives twice, and two of five servers are up: two voters are no majority, however often their votes
// arrive (rule 12).
func TestCountsEachVoterOnce4C(t *testing.T) {
	const twice = "a reply arrived twice"
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
		c.waitForLeader(electionLimit)
	})
}

// n1 wins its election in an early term, but n2's vote arrives only when n1 is a candidate of a later term. There it does not
// count (rule 12), also if a heartbeat has taken n1 to a term which is much later. n2 only votes: its own requests are held, so that it
// cannot lead. The test plays n3, which grants no votes.
func TestOldVotesDoNotCount4C(t *testing.T) {
	const late = "a candidate of a later term received the votes of an earlier one"
	cfg := labtest.Config{Nodes: 3, Link: steadyLink, Seeds: raftSeeds, MustCover: []string{late}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		c := newCluster(s)
		votes := c.holdVotes(labrpc.Match{To: 1, Kind: labrpc.Reply})
		held := []*labrpc.Held{votes, s.Net.Hold(labrpc.Match{From: 2, Kind: labrpc.Request})}
		c.start(1, 2)
		n3 := c.scriptedPeers(3)[0]
		n3.heartbeat(1, 10) // so that n2 does not have n1's term already when n1 asks for its vote
		newest := 0         // of the terms in which n1 has been granted a vote
		granted := func(m labrpc.Message) bool {
			b, ok := m.Body.(VoteReply)
			return ok && b.Granted && b.Term <= newest
		}
		v := *violation(ruleProgress, "n1 asks n2 for its vote, but does not get it within %v", electionLimit)
		s.WaitFor(electionLimit, v, func() bool {
			for _, m := range votes.Messages() {
				if b, ok := m.Body.(VoteReply); ok && b.Granted {
					newest = max(newest, b.Term)
				}
			}
			return newest > 0
		})
		held = append(held, c.holdVotes(labrpc.Match{From: 1, Kind: labrpc.Request}))
		if s.Seed%2 == 0 {
			n3.heartbeat(1, newest+1<<16-1)
		}
		later := func() bool { st := c.state(1); return st.Term > newest && st.Role == Candidate }
		s.WaitFor(electionLimit, *violation(ruleElectionTimeout, "n1 was a candidate in term %d, receives no vote, and starts no election in a later term within %v",
			newest, electionLimit), later)
		if votes.Deliver(granted) > 0 {
			s.Cover(late)
		}
		s.Run(100 * time.Millisecond) // the cluster counts the votes
		for _, h := range held {
			h.Release()
		}
		c.waitForLeader(electionLimit)
	})
}

// The three outcomes of an election (Raft §5.2). Another server wins: n5, which the test plays, leads the term of the first
// candidate (rule 13). Time passes without a winner: no request for a vote arrives (rule 14). One wins (rule 17).
func TestThreeOutcomes4C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Link: steadyLink, Seeds: raftSeeds}, func(s *labtest.Sim) {
		c := newCluster(s)
		requests := c.holdVotes(labrpc.Match{Kind: labrpc.Request})
		c.start(1, 2, 3, 4)
		n5 := c.scriptedPeers(5)[0]
		candidate := labrpc.NodeID(0)
		v := *violation(ruleElectionTimeout, "no server receives a heartbeat, but within %v no server has become a candidate", electionLimit)
		s.WaitFor(electionLimit, v, func() bool {
			for _, id := range c.up() {
				if c.state(id).Role == Candidate {
					candidate = id
				}
			}
			return candidate != 0
		})
		term := c.state(candidate).Term
		n5.heartbeat(candidate, term)
		if st := c.state(candidate); st.Term == term && (st.Role != Follower || st.Leader != 5) {
			s.Failf(ruleAnother, "%v was a candidate in term %d and received a heartbeat from n5, the leader of this term, but %v is %v", candidate, term, candidate, st)
		}
		s.Net.Crash(5)
		if !s.Until(electionLimit, func() bool { return c.lowestTerm() >= term+3 }) {
			s.Fail(*violation(ruleElectionTimeout, "%s at %s, want at least term %d on each: for %v no server has led and no request for a vote has arrived, so each server starts election after election, each in a new term",
				c.termsBelow(term+3), labtest.At(s.Net.Now()), term+3, electionLimit))
		}
		requests.Discard(nil)
		requests.Release()
		c.waitForLeader(electionLimit)
	})
}

// termsBelow names the servers whose term is lower: "n1 is in term 2, n3 is in term 1".
func (c *cluster) termsBelow(term int) string {
	var low []string
	for _, id := range c.up() {
		if t := c.state(id).Term; t < term {
			low = append(low, fmt.Sprintf("%v is in term %d", id, t))
		}
	}
	return strings.Join(low, ", ")
}

// lowestTerm is the lowest term that a server which is up reports.
func (c *cluster) lowestTerm() int {
	lowest := math.MaxInt
	for _, id := range c.up() {
		lowest = min(lowest, c.state(id).Term)
	}
	return lowest
}

// All faults at once: lost, duplicated and late messages, cuts, pauses, clocks that jump, and crashes, some in the middle of a
// write. The cluster checks rules 9 to 12 at every step; after the last fault, some server leads (rule 17).
func TestOneLeaderPerTerm4C(t *testing.T) {
	const (
		crashed = "a server crashed"
		deposed = "a leader was isolated"
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
		jumpClocks(s)
		for _, id := range s.Net.Nodes() {
			s.Net.CrashAtWrite(id, labrpc.CrashPoint{})
			if !s.Net.Up(id) {
				c.start(id)
			}
		}
		c.waitForLeader(lossyElectionLimit)
	})
}
