package election_test

import (
	"sync"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/04-election"
)

// Candidates that the test plays ask n1 for its vote: the first of a term gets it, and no other (rule 10).
func TestOneVotePerTerm4C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Link: steadyLink, Seeds: raftSeeds}, func(s *labtest.Sim) {
		c := newCluster(s)
		c.start(1)
		p := c.scriptedPeers(2, 3, 4)
		wantVote := func(i, term int, want bool, why string) {
			if got := p[i].askVote(1, term); got.Granted != want {
				s.Failf(ruleOneVote, "n1 replied to %v in term %d with Granted = %v, want %v: %s", p[i].node.ID(), term, got.Granted, want, why)
			}
		}
		wantVote(0, 10, true, "no other server has asked")
		wantVote(1, 10, false, "n1 has voted for n2")
		wantVote(0, 10, true, "n1 has voted for n2, which may not have received the reply")
		wantVote(1, 10, false, "n1 has voted for n2")
		wantVote(1, 11, true, "in a new term n1 has a new vote")
		wantVote(0, 10, false, "term 10 is past")
		wantVote(2, 11, false, "n1 has voted for n3")
		c.atOnce(p, 12)
		wantVote(1, 13, true, "in a new term n1 has a new vote")
		p[1].heartbeat(1, 13)
		wantVote(2, 13, false, "n1 has voted for n3, which is the leader")
		wantVote(0, 12, false, "term 12 is past")
		// n1 follows a leader, so it may ignore a candidate; but then it keeps its term.
		if got := p[2].askVote(1, 20); !got.Granted && got.Term >= 20 {
			s.Failf(ruleOneVote, "n1 replied to %v in term 20 with Granted = false and Term = %d, want Granted = true: it has adopted term 20, and has not voted in it", p[2].node.ID(), got.Term)
		}
	})
}

// atOnce lets all scripted peers ask for n1's vote at the same instant.
func (c *cluster) atOnce(ps []scriptedPeer, term int) {
	var mu sync.Mutex
	granted, answered := 0, 0
	for _, p := range ps {
		go func() {
			reply, err := tryToAsk[VoteReply](p.node, 1, "RequestVote", VoteRequest{Term: term, Candidate: p.node.ID()})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				answered++
			}
			if reply.Granted {
				granted++
			}
		}()
	}
	c.s.Until(time.Second, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return answered == len(ps)
	})
	mu.Lock()
	defer mu.Unlock()
	if answered != len(ps) || granted != 1 {
		c.s.Failf(ruleOneVote, "%d servers asked n1 for its vote in term %d at once: %d replies, %d of them granted, want 1", len(ps), term, answered, granted)
	}
}

// A vote outlives a crash of the voter, also one that comes when the reply has just been sent (rule 10).
func TestVoteSurvivesCrash4C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 4, Link: steadyLink, Seeds: raftSeeds}, func(s *labtest.Sim) {
		c := newCluster(s)
		c.start(1)
		p := c.scriptedPeers(2, 3, 4)
		// The vote was granted long before the crash.
		if !p[0].askVote(1, 10).Granted {
			s.Failf(ruleOneVote, "n1 denied its vote in term 10 to n2, although no other server has asked")
		}
		s.Run(20 * time.Millisecond)
		c.restart(1)
		c.denies(p[1], 10)
		if !p[0].askVote(1, 10).Granted {
			s.Failf(ruleOneVote, "after a restart n1 denied its vote in term 10 to n2, although it voted for n2 in this term")
		}
		// The reply is sent at the instant of the crash.
		go tryToAsk[VoteReply](p[1].node, 1, "RequestVote", VoteRequest{Term: 11, Candidate: 3})
		s.WaitFor(time.Second, *violation(ruleOneVote, "n1 denied its vote in term 11 to n3, although no other server has asked"),
			func() bool { return c.voteOf(1, 11) == 3 })
		c.restart(1)
		c.denies(p[0], 11)
		c.denies(p[2], 11)
		c.denies(p[1], 10)
	})
}

func (c *cluster) denies(p scriptedPeer, term int) {
	if p.askVote(1, term).Granted {
		c.s.Failf(ruleOneVote, "after a restart n1 granted its vote in term %d to %v, although it voted for %v", term, p.node.ID(), c.voteOf(1, term))
	}
}

// n1 crashes before and after each write that it makes for a vote. Then all servers ask in the old term: there is one vote in it (rule
// 10), and no term decreases (rule 11). The candidate has no reply and asks again: as no other server has asked in its
// term, it gets the vote.
func TestVoteAtEveryCrashPoint4C(t *testing.T) {
	const (
		before = "n1 crashed before a write"
		after  = "n1 crashed after a write"
	)
	cfg := labtest.Config{Nodes: 4, Link: steadyLink, Seeds: raftSeeds, MustCover: []string{before, after}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		c := newCluster(s)
		c.start(1)
		p := c.scriptedPeers(2, 3, 4)
		term := 10
		for write := 1; write <= 4; write++ {
			for _, late := range []bool{false, true} {
				old, young := p[s.Rand().IntN(3)], p[s.Rand().IntN(3)]
				if !old.askVote(1, term).Granted {
					s.Failf(ruleOneVote, "n1 denied its vote in term %d to %v, although no other server has asked", term, old.node.ID())
				}
				s.Net.CrashAtWrite(1, labrpc.CrashPoint{Write: s.Net.Writes(1) + write, After: late})
				go tryToAsk[VoteReply](young.node, 1, "RequestVote", VoteRequest{Term: term + 1, Candidate: young.node.ID()})
				s.Run(100 * time.Millisecond) // n1 may handle the request a little later, but starts no election so soon
				if !s.Net.Up(1) {
					s.Cover(map[bool]string{false: before, true: after}[late])
				}
				c.restart(1)
				for _, q := range p {
					q.askVote(1, term) // the cluster counts the votes
				}
				if !young.askVote(1, term+1).Granted {
					s.Failf(ruleOneVote, "n1 crashed while it handled the first request for its vote in term %d, and denied the vote when the same server, %v, asked again",
						term+1, young.node.ID())
				}
				for _, q := range p {
					q.askVote(1, term+1)
				}
				term += 10
			}
		}
	})
}

// Two servers are candidates in one term. The later one crashes and returns, and the other asks for its vote: it has voted for
// itself (rule 10).
func TestCandidateKeepsItsVote4C(t *testing.T) {
	const asked = "a candidate that had crashed was asked by its rival"
	cfg := labtest.Config{Nodes: 3, Seeds: raftSeeds, MustCover: []string{asked}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		c := startAll(s)
		held := c.holdVotes(labrpc.Match{Kind: labrpc.Request})
		var one, other labrpc.NodeID // one became a candidate last
		v := *violation(ruleElectionTimeout, "no request for a vote arrives for %v, but no two servers become candidates in the same term", electionLimit)
		s.WaitFor(electionLimit, v, func() bool {
			one, other = c.rivals()
			return one != 0
		})
		term := c.state(one).Term
		c.restart(one)
		toEachOther := func(m labrpc.Message) bool {
			b, ok := m.Body.(VoteRequest)
			return ok && b.Term == term && (m.From == one && m.To == other || m.From == other && m.To == one)
		}
		if held.Deliver(toEachOther) > 0 {
			s.Cover(asked)
		}
		s.Run(100 * time.Millisecond) // the cluster counts the votes
		held.Release()
		c.waitForLeader(electionLimit)
	})
}

// rivals returns two servers that are candidates in the same term, the later one first.
func (c *cluster) rivals() (one, other labrpc.NodeID) {
	for _, a := range c.up() {
		for _, b := range c.up() {
			sa, sb := c.state(a), c.state(b)
			if a != b && sa.Role == Candidate && sb.Role == Candidate && sa.Term == sb.Term &&
				c.candidateSince(a, sa.Term) > c.candidateSince(b, sb.Term) {
				return a, b
			}
		}
	}
	return 0, 0
}

// candidateSince is the time at which a server was first seen as a candidate of the term.
func (c *cluster) candidateSince(id labrpc.NodeID, term int) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.votes[term][id].at
}
