package replication_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/05-replication"
)

// A server that was down knows its term and its vote: it gives no second vote (§5.6).
// The invariant checker compares each new incarnation with what the earlier ones have told others.
func TestVoteSurvives5C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: raftSeeds, Link: calmLink}, func(s *labtest.Sim) {
		p := newScriptedCluster(s)
		p.vote(VoteRequest{Term: 5, Candidate: 2}, true, "it has not voted in this term")
		p.restart()
		p.vote(VoteRequest{Term: 5, Candidate: 3}, false, "before the crash it voted for n2 in term 5")
		p.vote(VoteRequest{Term: 5, Candidate: 2}, true, "it has voted for n2, and n2 asks again")
		p.restart()
		p.vote(VoteRequest{Term: 4, Candidate: 3}, false, "before the crash it was in term 5")
	})
}

// A candidate that was down knows that it has voted for itself.
func TestOwnVoteSurvives5C(t *testing.T) {
	cfg := labtest.Config{Nodes: 5, Seeds: raftSeeds, Link: calmLink}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		p := newScriptedCluster(s)
		p.answerVotes(func(labrpc.NodeID, VoteRequest) bool { return false })
		p.waitUntil(electionBound, ruleLeader, "n1 received no heartbeat but did not start an election", func() bool { return p.status().Role == roleCandidate })
		s.Run(5 * time.Millisecond)
		term := p.status().Term
		p.restart()
		p.vote(VoteRequest{Term: term, Candidate: 3}, false, fmt.Sprintf("before the crash it was a candidate in term %d and voted for itself", term))
	})
}

// A term that a server has learnt is on its disk, whichever message it came in (§5.6).
func TestTermSurvives5C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: raftSeeds, Link: calmLink}, func(s *labtest.Sim) {
		p := newScriptedCluster(s)
		p.append(2, AppendRequest{Term: 3, Entries: entriesOf(1)}, true)
		p.restart()
		p.append(3, AppendRequest{Term: 2}, false)
		p.append(2, AppendRequest{Term: 3}, true)
		p.quiet()
		own := p.status().Term
		s.Until(longestTimeout, func() bool { return p.status().Term > own }) // n1 has just started an election, and starts no other soon
		term := p.status().Term + 3
		p.vote(VoteRequest{Term: term, Candidate: 4}, false, "its log is empty")
		p.restart()
		p.append(2, AppendRequest{Term: term - 1}, false)
		p.vote(VoteRequest{Term: term - 1, Candidate: 5, LastLogIndex: 9, LastLogTerm: 2}, false, "before the crash it was in the next term")
		p.vote(VoteRequest{Term: term, Candidate: 5, LastLogIndex: 9, LastLogTerm: 5}, true, "it has refused n4 in this term, and has voted for no server in it")
	})
}

// A term that a server has learnt from a reply is on its disk before the server tells others of it: a reply to RequestVote,
// AppendEntries or (in 5E) InstallSnapshot (§5.6).
func TestTermOfAReplySurvives5C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 10, Link: calmLink}, func(s *labtest.Sim) {
		p := newScriptedCluster(s)
		byVote := s.Seed%2 == 0
		p.replyToVotes(func(_ labrpc.NodeID, req VoteRequest) VoteReply {
			if byVote {
				return VoteReply{Term: max(req.Term, 9)}
			}
			return VoteReply{Term: req.Term, Granted: req.Term < 9}
		})
		for _, node := range p.peers {
			labrpc.Handle(node, "AppendEntries", func(_ labrpc.NodeID, req AppendRequest) AppendReply {
				return AppendReply{Term: max(req.Term, 9)}
			})
		}
		p.waitUntil(electionBound, ruleTerm, "n1 received term 9 in replies but is not in term 9", func() bool { return p.status().Term == 9 })
		p.append(2, AppendRequest{Term: 5}, false) // n1 tells n2 of term 9
		p.restart()
		if got := p.status().Term; got != 9 {
			p.fail(rulePromise, "n1 is in term %d after a crash, want 9: it has told n2 of term 9", got)
		}
	})
}

// Entries that a server has accepted are on its disk, and those that it removed are not (§5.6). A request that an earlier incarnation
// has had already undoes nothing.
func TestLogSurvives5C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: raftSeeds, Link: calmLink}, func(s *labtest.Sim) {
		p := newScriptedCluster(s)
		p.append(2, AppendRequest{Term: 1, Entries: entriesOf(1, 1, 1, 1)}, true)
		p.restart()
		p.expectAfterCrash(1, 1, 1, 1)
		p.append(3, AppendRequest{Term: 2, PrevLogIndex: 1, PrevLogTerm: 1, Entries: entriesOf(2)}, true)
		p.restart()
		p.expectAfterCrash(1, 2)
		p.append(3, AppendRequest{Term: 2, PrevLogIndex: 2, PrevLogTerm: 2, Entries: entriesOf(2, 2), Commit: 3}, true)
		p.append(3, AppendRequest{Term: 2, PrevLogIndex: 4, PrevLogTerm: 2, Entries: entriesOf(2), Commit: 5}, true)
		p.restart()
		p.expectAfterCrash(1, 2, 2, 2, 2)
		p.append(3, AppendRequest{Term: 2, PrevLogIndex: 2, PrevLogTerm: 2, Entries: entriesOf(2), Commit: 2}, true) // an old one, which was late
		p.expectTerms(1, 2, 2, 2, 2)
		if s.Seed == 1 {
			p.longLogSurvives()
		}
	})
}

// longLogSurvives: so does a log of more than ten thousand entries, in its order.
func (p *scriptedCluster) longLogSurvives() {
	const last = 10_010
	terms := slices.Repeat([]int{3}, last-5)
	p.append(4, AppendRequest{Term: 3, PrevLogIndex: 5, PrevLogTerm: 2, Entries: entriesOf(terms...)}, true)
	want := p.status().Log
	p.c.crash(1)
	p.s.Run(time.Millisecond)
	p.c.start(1)
	got := p.status().Log
	for i := range min(len(got), len(want)) {
		if got[i].Term != want[i].Term || !bytes.Equal(got[i].Command, want[i].Command) {
			p.fail(rulePromise, "after a restart, entry %d of n1's log of %d entries is %q of term %d, want %q of term %d, which n1 has acknowledged",
				i+1, len(want), got[i].Command, got[i].Term, want[i].Command, want[i].Term)
		}
	}
	if len(got) != len(want) {
		p.fail(rulePromise, "after a restart the log of n1 has %d entries, want %d, which n1 has acknowledged", len(got), len(want))
	}
}

// A crash comes while several entries are written. A part of them may be on the disk, but entries that are behind a gap
// must not come back when later entries fill the gap.
func TestCrashLeavesNoGap5C(t *testing.T) {
	cfg := labtest.Config{Nodes: 5, Seeds: raftSeeds, Link: calmLink, MustCover: []string{"n1 crashed while it wrote entries"}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		p := newScriptedCluster(s)
		p.tryVote(VoteRequest{Term: 1, Candidate: 2}) // the term is on the disk
		seed := int((s.Seed - 1) % 24)
		s.Net.CrashAtWrite(1, labrpc.CrashPoint{Write: s.Net.Writes(1) + 1 + seed%4, After: seed/4%2 == 0})
		if p.tryAppend(AppendRequest{Term: 1, Leader: 2, Entries: entriesOf(1, 1, 1, 1)}) {
			s.Net.CrashAtWrite(1, labrpc.CrashPoint{}) // all in one write
		} else {
			s.Cover("n1 crashed while it wrote entries")
			p.restart()
			if st := p.status(); lastIndexOf(st) > 4 {
				p.fail(rulePromise, "the log of n1 ends at index %d after a crash, want at most 4", lastIndexOf(st))
			}
		}
		next := []int{2, 2, 2}[:1+seed%3]
		p.append(3, AppendRequest{Term: 2, Entries: entriesOf(next...)}, true)
		before := termsOf(p.status())
		p.restart()
		p.expectAfterCrash(before...)
	})
}

// Between any two writes: n1 crashes before or after its k-th write since it was
// last started, for each k, while it votes, accepts, accepts again with one more, and replaces entries. The request
// during which it crashed is repeated. The invariant checker compares each new incarnation with what the earlier ones have acknowledged.
func TestCrashBetweenAnyTwoWrites5C(t *testing.T) {
	cfg := labtest.Config{Nodes: 5, Seeds: raftSeeds, Link: calmLink, MustCover: []string{"n1 crashed at a write"}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		p := newScriptedCluster(s)
		for write := 1; write <= 12; write++ {
			for _, after := range []bool{false, true} {
				when := "before"
				if after {
					when = "after"
				}
				s.Net.Mark("a crash %s write %d", when, write)
				base := p.status().Term
				crash := func() { s.Net.CrashAtWrite(1, labrpc.CrashPoint{Write: s.Net.Writes(1) + write, After: after}) }
				crash()
				for i, step := range []AppendRequest{
					{Term: base + 1, Leader: 2, Entries: entriesOf(base+1, base+1, base+1)},
					{Term: base + 1, Leader: 2, Entries: entriesOf(base+1, base+1, base+1, base+1)}, // the first three again
					{Term: base + 2, Leader: 3, PrevLogIndex: 1, PrevLogTerm: base + 1, Entries: entriesOf(base+2, base+2)},
					{Term: base + 3, Leader: 4, Entries: entriesOf(base+3, base+3, base+3, base+3)},
				} {
					if i == 1 && s.Seed%2 == 0 {
						continue // else the crashes come at other writes of what follows
					}
					if p.askAgain(func() bool { return p.tryAppend(step) }) {
						s.Cover("n1 crashed at a write")
						crash()
					}
					p.askAgain(func() bool {
						return p.tryVote(VoteRequest{Term: step.Term, Candidate: step.Leader, LastLogIndex: 9, LastLogTerm: step.Term})
					})
				}
				p.expectTerms(base+3, base+3, base+3, base+3)
				s.Net.CrashAtWrite(1, labrpc.CrashPoint{})
				p.restart()
				p.expectAfterCrash(base+3, base+3, base+3, base+3)
			}
		}
	})
}

// What a reply tells must be on the disk when the reply leaves: n1 crashes at the instant
// at which it has sent a reply.
func TestDiskBeforeAnswer5C(t *testing.T) {
	cfg := labtest.Config{Nodes: 5, Seeds: raftSeeds, Link: calmLink, MustCover: []string{"n1 crashed just after it replied"}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		p := newScriptedCluster(s)
		replies := func(method string) labrpc.Match {
			return labrpc.Match{From: 1, Method: method, Kind: labrpc.Reply}
		}
		crashAfter := func(method string) {
			before := s.Net.Stats(replies(method)).Sent
			s.WaitFor(replyBound+oneWay, labtest.Violation{What: fmt.Sprintf("n1 did not reply to %s within %v", method, replyBound), Rule: ruleReply},
				func() bool { return s.Net.Stats(replies(method)).Sent > before })
			s.Cover("n1 crashed just after it replied")
			p.restart()
		}
		startRequest[AppendReply](p, 2, 1, "AppendEntries", AppendRequest{Term: 1, Leader: 2, Entries: entriesOf(1, 1)})
		crashAfter("AppendEntries")
		p.expectAfterCrash(1, 1)
		startRequest[AppendReply](p, 2, 1, "AppendEntries", AppendRequest{Term: 1, Leader: 2, PrevLogIndex: 2, PrevLogTerm: 1, Entries: entriesOf(1)})
		crashAfter("AppendEntries")
		p.expectAfterCrash(1, 1, 1)
		startRequest[VoteReply](p, 3, 1, "RequestVote", VoteRequest{Term: 2, Candidate: 3, LastLogIndex: 3, LastLogTerm: 1})
		crashAfter("RequestVote")
		p.vote(VoteRequest{Term: 2, Candidate: 4, LastLogIndex: 3, LastLogTerm: 1}, false, "it has voted for n3 in term 2")
	})
}

// All servers crash at once, in the middle of work, several times. What was
// committed stays committed, and is applied again from the first entry on.
func TestAllCrash5C(t *testing.T) {
	cfg := labtest.Config{Nodes: 5, Seeds: raftSeeds, MustCover: []string{"entries were not yet committed at the crash"}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		c := newRaftCluster(s, raftClusterOptions{})
		for range 4 {
			index := c.agree(c.servers...)
			leader := c.waitForLeader()
			for range 5 {
				c.submit(leader)
			}
			s.Run(time.Duration(s.Rand().IntN(40)) * time.Millisecond)
			if c.rafts[leader].Status().CommitIndex < lastIndexOf(c.rafts[leader].Status()) {
				s.Cover("entries were not yet committed at the crash")
			}
			c.crash(c.servers...)
			s.Run(100 * time.Millisecond)
			c.startAll()
			c.waitForLeader()
			s.Run(100 * time.Millisecond)
			c.agree(c.servers...)
			c.waitApplied(healBound, ruleCatchUp, index, c.servers...)
		}
		c.converge()
	})
}

// A bare majority has an entry that is committed: the leader and two of five. They
// crash as soon as it is, and are started again; the entry is still on three.
func TestBareMajorityCrashes5C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: raftSeeds}, func(s *labtest.Sim) {
		c := newRaftCluster(s, raftClusterOptions{})
		c.agree(c.servers...)
		for range 3 {
			leader := c.waitForLeader()
			away := c.except(leader)[:2]
			c.allowCandidates(c.except(away...)...)
			for _, id := range away {
				s.Net.Isolate(id)
			}
			_, index := c.submit(leader)
			c.waitApplied(agreeBound, ruleAgree, index, leader)
			c.crash(leader)
			c.crash(c.except(append(away, leader)...)[s.Rand().IntN(2)])
			s.Run(50 * time.Millisecond)
			c.startAll()
			s.Run(50 * time.Millisecond)
			s.Net.Heal()
			c.waitForLeaderOf(healBound)
			c.agree(c.servers...)
		}
		c.converge()
	})
}

// Servers crash at chosen writes and start again, one and two at a time, with loss
// and partitions: figure 3 holds at every step, over all incarnations.
func TestCrashesComeAndGo5C(t *testing.T) {
	cfg := labtest.Config{Nodes: 5, Seeds: raftSeeds, Link: labrpc.FairLoss(0.05), MustCover: []string{"a server crashed at a write"}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		c := newRaftCluster(s, raftClusterOptions{})
		c.waitForLeaderOf(healBound)
		c.injectFaults(15)
		c.converge()
	})
}

// shake lets servers crash at writes, links break and both come back, while
// commands are submitted.
func (c *raftCluster) injectFaults(rounds int) {
	s := c.s
	for range rounds {
		for range 1 + s.Rand().IntN(2) {
			id := c.any()
			if leader := c.leader(); leader != 0 && s.Rand().IntN(3) == 0 {
				id = leader
			}
			if s.Net.Up(id) {
				at := labrpc.CrashPoint{Write: s.Net.Writes(id) + 1 + s.Rand().IntN(4), After: s.Rand().IntN(2) == 0}
				s.Net.CrashAtWrite(id, at)
			}
		}
		if s.Rand().IntN(3) == 0 {
			s.Net.Isolate(c.any())
		}
		for range 3 {
			s.Step("commands", c.submitToLeaders)
			s.Run(time.Duration(s.Rand().IntN(200)) * time.Millisecond)
		}
		for _, id := range c.servers {
			if !s.Net.Up(id) {
				s.Cover("a server crashed at a write")
				if s.Rand().IntN(2) == 0 {
					c.start(id)
				}
			}
		}
		if s.Rand().IntN(2) == 0 {
			s.Net.Heal()
			c.startAll()
		}
	}
}
