package election_test

import (
	"sync"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/04-election"
)

// A server is asked by candidates that the test plays: the first of a term has its vote, and
// nobody else (rule 10).
func TestOneVotePerTerm4C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Link: steadyLink, Seeds: raftSeeds}, func(s *labtest.Sim) {
		c := newCluster(s)
		c.start(1)
		p := c.puppets(2, 3, 4)
		wantVote := func(i, term int, want bool, why string) {
			if got := p[i].askVote(1, term); got.Granted != want {
				s.Failf(ruleOneVote, "n1 answers %v in term %d with Granted = %v, want %v: %s", p[i].node.ID(), term, got.Granted, want, why)
			}
		}
		wantVote(0, 10, true, "nobody else has asked")
		wantVote(1, 10, false, "n2 has the vote")
		wantVote(0, 10, true, "n2 has the vote, and may not have had the answer")
		wantVote(1, 10, false, "n2 has the vote")
		wantVote(1, 11, true, "a new term, a new vote")
		wantVote(0, 10, false, "term 10 is over")
		wantVote(2, 11, false, "n3 has the vote")
		p[1].beat(1, 11)
		wantVote(2, 11, false, "n3 had the vote, and leads by now")
		c.atOnce(p, 12)
	})
}

// atOnce lets all puppets ask for n1's vote in the same moment.
func (c *cluster) atOnce(ps []puppet, term int) {
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
	c.s.Run(time.Second)
	mu.Lock()
	defer mu.Unlock()
	if answered != len(ps) || granted != 1 {
		c.s.Failf(ruleOneVote, "%d servers ask n1 for its vote in term %d at once: %d answers, %d votes, want one vote", len(ps), term, answered, granted)
	}
}

// A vote outlives a crash that comes when it is given (rule 10).
func TestVoteSurvivesCrash4C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 4, Link: steadyLink, Seeds: raftSeeds}, func(s *labtest.Sim) {
		c := newCluster(s)
		c.start(1)
		p := c.puppets(2, 3, 4)
		// The vote was given long ago.
		if !p[0].askVote(1, 10).Granted {
			s.Failf(ruleOneVote, "n1 refuses n2 its vote in term 10, in which nobody else has asked")
		}
		s.Run(20 * time.Millisecond)
		c.restart(1)
		c.refuses(p[1], 10)
		if !p[0].askVote(1, 10).Granted {
			s.Failf(ruleOneVote, "n1 restarts, and then refuses its vote to n2, whom it gave it to in this very term")
		}
		// The answer has left in this very moment.
		go tryToAsk[VoteReply](p[1].node, 1, "RequestVote", VoteRequest{Term: 11, Candidate: 3})
		s.WaitFor(time.Second, *violation(ruleOneVote, "n1 refuses n3 its vote in term 11, in which nobody else has asked"),
			func() bool { return c.voteOf(1, 11) == 3 })
		c.restart(1)
		c.refuses(p[0], 11)
		c.refuses(p[2], 11)
		c.refuses(p[1], 10)
	})
}

func (c *cluster) refuses(p puppet, term int) {
	if p.askVote(1, term).Granted {
		c.s.Failf(ruleOneVote, "n1 restarts, and then gives its vote in term %d to %v; it had voted for %v", term, p.node.ID(), c.voteOf(1, term))
	}
}

// A server crashes before and after each write that it makes for a vote. Then everybody asks again, in the old term and in
// the new one: there is one vote in each (rule 10), and no term goes back (rule 11).
func TestVoteAtEveryCrashPoint4C(t *testing.T) {
	const (
		before = "n1 crashed before a write"
		after  = "n1 crashed after a write"
	)
	cfg := labtest.Config{Nodes: 4, Link: steadyLink, Seeds: raftSeeds, MustCover: []string{before, after}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		c := newCluster(s)
		c.start(1)
		p := c.puppets(2, 3, 4)
		term := 10
		for write := 1; write <= 4; write++ {
			for _, late := range []bool{false, true} {
				old, young := p[s.Rand().IntN(3)], p[s.Rand().IntN(3)]
				if !old.askVote(1, term).Granted {
					s.Failf(ruleOneVote, "n1 refuses %v its vote in term %d, in which nobody else has asked", old.node.ID(), term)
				}
				s.Net.CrashAtWrite(1, labrpc.CrashPoint{Write: s.Net.Writes(1) + write, After: late})
				go tryToAsk[VoteReply](young.node, 1, "RequestVote", VoteRequest{Term: term + 1, Candidate: young.node.ID()})
				s.Run(20 * time.Millisecond)
				if !s.Net.Up(1) {
					s.Cover(map[bool]string{false: before, true: after}[late])
				}
				c.restart(1)
				for _, q := range p {
					q.askVote(1, term) // the cluster counts the votes
				}
				for _, q := range p {
					q.askVote(1, term+1)
				}
				term += 10
			}
		}
	})
}

// Two servers stand in one term. One of them crashes and comes back, and is asked by
// the other: it has voted, for itself (rule 10).
func TestCandidateKeepsItsVote4C(t *testing.T) {
	const asked = "a candidate that had crashed was asked by its rival"
	cfg := labtest.Config{Nodes: 3, Seeds: raftSeeds, MustCover: []string{asked}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		c := startAll(s)
		held := s.Net.Hold(labrpc.Match{Method: "RequestVote", Kind: labrpc.Request})
		var one, other labrpc.NodeID // one stood last
		s.WaitFor(soon, *violation(rulePatience, "nobody is heard for %v, and no two servers stand in one term", soon), func() bool {
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
		c.waitForLeader(soon)
	})
}

// rivals returns two servers that stand in the same term, the later one first.
func (c *cluster) rivals() (one, other labrpc.NodeID) {
	for _, a := range c.up() {
		for _, b := range c.up() {
			sa, sb := c.state(a), c.state(b)
			if a != b && sa.Role == Candidate && sb.Role == Candidate && sa.Term == sb.Term &&
				c.stoodAt(a, sa.Term) > c.stoodAt(b, sb.Term) {
				return a, b
			}
		}
	}
	return 0, 0
}

// stoodAt is when a server was first seen as a candidate of the term.
func (c *cluster) stoodAt(id labrpc.NodeID, term int) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.votes[term][id].at
}
