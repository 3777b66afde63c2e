package replication_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/05-replication"
)

// The consistency check: entries that do not continue the log are refused; those
// of a newer leader replace what conflicts with them, and all after it (§5.3,
// figure 7).
func TestConsistencyCheck5B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: raftSeeds, Link: calmLink}, func(s *labtest.Sim) {
		p := newScriptedCluster(s)
		p.append(2, AppendRequest{Term: 1, PrevLogIndex: 1, PrevLogTerm: 1, Entries: entriesOf(1)}, false)
		p.expectTerms()
		p.append(2, AppendRequest{Term: 1, Entries: entriesOf(1, 1, 1)}, true)
		p.append(3, AppendRequest{Term: 4, PrevLogIndex: 3, PrevLogTerm: 2}, false)
		p.append(3, AppendRequest{Term: 4, PrevLogIndex: 4, PrevLogTerm: 1}, false)
		p.append(3, AppendRequest{Term: 4, PrevLogIndex: 3, PrevLogTerm: 3, Entries: entriesOf(4)}, false)
		p.append(2, AppendRequest{Term: 3, PrevLogIndex: 3, PrevLogTerm: 1, Entries: entriesOf(3)}, false) // an older leader
		p.expectTerms(1, 1, 1)
		p.append(3, AppendRequest{Term: 4, PrevLogIndex: 3, PrevLogTerm: 1, Entries: entriesOf(4, 4, 4)}, true)
		p.append(4, AppendRequest{Term: 5, PrevLogIndex: 2, PrevLogTerm: 1, Entries: entriesOf(2, 5)}, true)
		p.expectTerms(1, 1, 2, 5)
		p.append(5, AppendRequest{Term: 6, Entries: entriesOf(3, 3)}, true)
		p.expectTerms(3, 3)
	})
}

// A request that a later one has overtaken must undo nothing: the server has said
// that it has the entries of the later one (figure 2, AppendEntries 3).
func TestStaleAppendUndoesNothing5B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: raftSeeds, Link: calmLink}, func(s *labtest.Sim) {
		p := newScriptedCluster(s)
		list := entriesOf(1, 1, 2, 2, 2)
		p.append(2, AppendRequest{Term: 2, Entries: list}, true)
		p.append(2, AppendRequest{Term: 2, Entries: list[:3]}, true)
		p.expectTerms(1, 1, 2, 2, 2)
		p.append(2, AppendRequest{Term: 2, PrevLogIndex: 2, PrevLogTerm: 1}, true)
		p.expectTerms(1, 1, 2, 2, 2)
		p.append(2, AppendRequest{Term: 2, PrevLogIndex: 4, PrevLogTerm: 2, Entries: list[4:]}, true)
		p.append(2, AppendRequest{Term: 2}, true)
		p.expectTerms(1, 1, 2, 2, 2)
	})
}

// A vote is for one candidate a term, whose log is no older: the later last term
// wins, and of equal terms the longer log (§5.4.1).
func TestVotesForTheNewerLog5B(t *testing.T) {
	tests := []struct {
		name        string
		term        int
		candidate   labrpc.NodeID
		last, lastT int
		want        bool
	}{
		{"a longer log with an older last term", 3, 2, 9, 1, false},
		{"a shorter log with the same last term", 3, 3, 4, 2, false},
		{"the same log", 3, 4, 5, 2, true},
		{"already voted for another in this term", 3, 5, 9, 3, false},
		{"the same candidate asks again", 3, 4, 5, 2, true},
		{"a longer log with the same last term", 4, 2, 6, 2, true},
		{"a term that is over", 3, 3, 9, 3, false},
		{"a shorter log with a later last term", 5, 5, 1, 3, true},
		{"an empty log", 6, 2, 0, 0, false},
	}
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: raftSeeds, Link: calmLink}, func(s *labtest.Sim) {
		p := newScriptedCluster(s)
		p.append(2, AppendRequest{Term: 2, Entries: entriesOf(1, 1, 2, 2, 2)}, true)
		for _, tt := range tests {
			p.vote(VoteRequest{Term: tt.term, Candidate: tt.candidate, LastLogIndex: tt.last, LastLogTerm: tt.lastT}, tt.want, tt.name)
		}
	})
}

// A vote that was given for one term does not count in the next, however late it
// arrives (§5.2).
func TestLateVoteDoesNotCount5B(t *testing.T) {
	cfg := labtest.Config{Nodes: 5, Seeds: raftSeeds, Link: calmLink, MustCover: []string{"votes of an earlier term arrived while n1 stood"}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		p := newScriptedCluster(s)
		first := 0 // the term of the first election
		held := s.Net.Hold(labrpc.Match{To: 1, Method: "RequestVote", Kind: labrpc.Reply})
		p.answerVotes(func(_ labrpc.NodeID, req VoteRequest) bool { return req.Term == 1 })
		stands := func() bool { st := p.status(); return st.Role == roleCandidate && st.Term > first }
		p.expect(2*time.Second, ruleLeader, "n1 hears of no leader and does not stand for election", stands)
		first = p.status().Term
		p.expect(2*time.Second, ruleLeader, "n1 was not elected and does not stand again", stands)
		if held.Deliver(func(m labrpc.Message) bool { return m.Body.(VoteReply).Granted }) > 0 {
			s.Cover("votes of an earlier term arrived while n1 stood")
		}
		s.Run(10 * time.Millisecond)
		if st := p.status(); st.Role == roleLeader {
			p.fail(ruleElection, "n1 leads term %d at %v; all votes for it were for term %d", st.Term, briefTime(s.Net.Now()), first)
		}
	})
}

// With half of four votes nobody leads (§5.2): two servers of four can talk, and
// the watcher counts the votes of each leader.
func TestHalfTheVotesMakeNoLeader5B(t *testing.T) {
	cfg := labtest.Config{Nodes: 4, Seeds: raftSeeds, MustCover: []string{"a candidate had two votes of four"}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		s.Net.Partition([]labrpc.NodeID{1, 2}, []labrpc.NodeID{3, 4})
		c := newRaftCluster(s, raftClusterOptions{})
		s.Run(3 * time.Second)
		for _, id := range c.servers {
			st := c.rafts[id].Status()
			if st.Role == roleLeader {
				s.Failf(ruleElection, "%v leads term %d at %v, and can talk to one of three others", id, st.Term, briefTime(s.Net.Now()))
			}
			if o := st.VotedFor; o != 0 && o != id {
				s.Cover("a candidate had two votes of four")
			}
		}
		c.converge()
	})
}

// Whoever learns of a newer term is a follower in it, also by a reply, to entries
// to a or to the wish for a vote (§5.1).
func TestHigherTermDeposes5B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: raftSeeds, Link: calmLink}, func(s *labtest.Sim) {
		p := newScriptedCluster(s)
		newer := 0 // what the puppets answer with, if it is not 0
		var mu sync.Mutex
		term := func(asked int) int {
			mu.Lock()
			defer mu.Unlock()
			return max(asked, newer)
		}
		for _, node := range p.peers {
			labrpc.Handle(node, "RequestVote", func(_ labrpc.NodeID, req VoteRequest) VoteReply {
				return VoteReply{Term: term(req.Term), Granted: term(req.Term) == req.Term && req.Term > 9}
			})
			labrpc.Handle(node, "AppendEntries", func(_ labrpc.NodeID, req AppendRequest) AppendReply {
				return AppendReply{Term: term(req.Term)}
			})
		}
		answer := func(with int) {
			mu.Lock()
			defer mu.Unlock()
			newer = with
		}
		follows := func(want int) func() bool {
			return func() bool { st := p.status(); return st.Term == want && st.Role == roleFollower && st.Leader == 0 }
		}
		answer(9)
		p.expect(2*time.Second, ruleTerm, "all answer n1 with term 9, and it is no follower in that term", follows(9))
		answer(0)
		p.expect(2*time.Second, ruleLeader, "all vote for n1, and it does not lead", func() bool { return p.status().Role == roleLeader })
		answer(20)
		p.expect(2*heartbeat, ruleTerm, "all answer n1 with term 20, and it is no follower in that term", follows(20))
	})
}

// What a follower acknowledged in an earlier term says nothing of the log that it
// has in this one. n1 leads, is deposed and loses entries, and leads again; then
// the acknowledgements of the entries that it lost arrive.
func TestLateReplyDoesNotCount5B(t *testing.T) {
	cfg := labtest.Config{Nodes: 5, Seeds: raftSeeds, Link: calmLink, MustCover: []string{"acknowledgements of an earlier term arrived"}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		p := newScriptedCluster(s)
		p.answerVotes(func(labrpc.NodeID, VoteRequest) bool { return true })
		p.accept()
		leads := func() bool { return p.status().Role == roleLeader }
		p.expect(2*time.Second, ruleLeader, "all vote for n1, and it does not lead", leads)
		held := s.Net.Hold(labrpc.Match{To: 1, Method: "AppendEntries", Kind: labrpc.Reply})
		_, _, end := p.submit(), p.submit(), p.submit()
		term := p.status().Term
		late := func(m labrpc.Message) bool { r := m.Body.(AppendReply); return r.Term == term && r.Index >= end }
		p.expect(3*heartbeat, ruleAgree, "n1 leads and does not send what was submitted", func() bool { return slices.ContainsFunc(held.Messages(), late) })
		// Another leader of a later term has one entry, in the place of all those.
		p.append(2, AppendRequest{Term: term + 1, Entries: entriesOf(term + 1)}, true)
		p.expect(3*time.Second, ruleLeader, "n1 hears of no leader, all vote for it, and it does not lead", leads)
		for lastIndexOf(p.status()) < end {
			p.submit()
		}
		before := p.status().CommitIndex
		if held.Deliver(late) > 0 {
			s.Cover("acknowledgements of an earlier term arrived")
		}
		s.Run(5 * time.Millisecond)
		if got := p.status().CommitIndex; got > before {
			p.fail(ruleQuorum, "n1 has CommitIndex = %d in term %d at %v, want %d: what the others acknowledged up to index %d were entries of term %d", got, p.status().Term, briefTime(s.Net.Now()), before, end, term)
		}
	})
}

// What a follower has acknowledged in this term it has: an older, shorter
// acknowledgement that arrives later takes nothing back. f acknowledges five
// entries, then an older reply says three; with another's five that is a majority.
func TestOlderReplyTakesNothingBack5B(t *testing.T) {
	cfg := labtest.Config{Nodes: 5, Seeds: raftSeeds, MustCover: []string{"a reply was overtaken"}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		c := newRaftCluster(s, raftClusterOptions{})
		c.agree(c.servers...)
		leader := c.waitForLeader()
		f, g := c.except(leader)[0], c.except(leader)[1]
		replies := map[labrpc.NodeID]*labrpc.Held{}
		for _, id := range c.except(leader) { // they hear the leader; it does not hear them
			replies[id] = s.Net.Hold(labrpc.Match{From: id, To: leader, Method: "AppendEntries", Kind: labrpc.Reply})
		}
		acknowledges := func(index int) func(labrpc.Message) bool {
			return func(m labrpc.Message) bool { r := m.Body.(AppendReply); return r.Success && r.Index == index }
		}
		c.submit(leader)
		_, three := c.submit(leader)
		wait := func(id labrpc.NodeID, index int) {
			s.WaitFor(time.Second, labtest.Violation{
				What: fmt.Sprintf("%v has not acknowledged index %d at %v", id, index, briefTime(s.Net.Now())), Rule: ruleAgree, Nodes: []labrpc.NodeID{leader, id},
			}, func() bool { return slices.ContainsFunc(replies[id].Messages(), acknowledges(index)) })
		}
		wait(f, three)
		c.submit(leader)
		_, five := c.submit(leader)
		wait(f, five)
		replies[f].Deliver(acknowledges(five))
		s.Run(20 * time.Millisecond)
		if replies[f].Deliver(acknowledges(three)) > 0 {
			s.Cover("a reply was overtaken")
		}
		s.Run(20 * time.Millisecond)
		replies[g].Release()
		s.WaitFor(3*heartbeat, labtest.Violation{
			What: fmt.Sprintf("%v has not committed index %d: it has heard from %v and from %v, in this term, that they have it", leader, five, f, g),
			Rule: ruleQuorum, Nodes: []labrpc.NodeID{leader, f, g},
		}, func() bool { return c.rafts[leader].Status().CommitIndex >= five })
		for _, id := range c.except(leader) {
			replies[id].Release()
		}
		c.converge()
	})
}

// A leader that was cut off with its own entries, and one that took its place, each
// several times over: all logs become one (§5.3).
func TestRejoiningLeaderConverges5B(t *testing.T) {
	cfg := labtest.Config{Nodes: 5, Seeds: raftSeeds, MustCover: []string{"a deposed leader lost entries"}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		c := newRaftCluster(s, raftClusterOptions{})
		c.agree(c.servers...)
		for range 3 {
			old := c.waitForLeader()
			s.Net.Isolate(old)
			for range 1 + s.Rand().IntN(8) {
				c.submit(old)
			}
			lost := lastIndexOf(c.rafts[old].Status())
			leader := c.waitForLeader()
			for range 1 + s.Rand().IntN(4) {
				c.submit(leader)
			}
			s.Run(200 * time.Millisecond)
			if lastIndexOf(c.rafts[leader].Status()) < lost {
				s.Cover("a deposed leader lost entries")
			}
			s.Net.Heal()
		}
		c.converge()
	})
}

// Rule 14: a leader finds where a follower's log departs from its own in
// one request a term that conflicts, and two. n1 has entries of the odd terms, n2
// of the even ones; n2 leads.
func TestBackUpSkipsTerms5B(t *testing.T) {
	const terms, each = 6, 10
	cfg := labtest.Config{Nodes: 5, Seeds: raftSeeds, Link: calmLink, MustCover: []string{"n2 led"}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		p := newScriptedServers(s, 2)
		for i := range terms {
			for id := labrpc.NodeID(1); id <= 2; id++ {
				term := 2*i + int(id)
				req := AppendRequest{Term: term, Leader: 2 + id, PrevLogIndex: i * each, Entries: entriesOf(slices.Repeat([]int{term}, each)...)}
				if i > 0 {
					req.PrevLogTerm = term - 2
				}
				if !sendRequest[AppendReply](p, 2+id, id, "AppendEntries", req).Success {
					s.Failf(ruleAppend, "%v refuses entries that continue its log, at %v", id, briefTime(s.Net.Now()))
				}
			}
		}
		for id := labrpc.NodeID(1); id <= 2; id++ {
			if n := lastIndexOf(p.c.rafts[id].Status()); n != terms*each {
				s.Failf(rulePromise, "%v said that it has taken %d entries, and its log ends at %d, at %v", id, terms*each, n, briefTime(s.Net.Now()))
			}
		}
		p.answerVotes(func(_ labrpc.NodeID, req VoteRequest) bool { return req.Candidate == 2 })
		toN1 := labrpc.Match{From: 2, To: 1, Method: "AppendEntries", Kind: labrpc.Request}
		s.WaitFor(healBound, labtest.Violation{What: "n2 has the newest log, and does not lead", Rule: ruleLeader},
			func() bool { return p.c.rafts[2].Status().Role == roleLeader })
		s.Cover("n2 led")
		before := s.Net.Stats(toN1).Sent
		s.WaitFor(healBound, labtest.Violation{What: fmt.Sprintf("n1 has not the log of n2 that leads, %v later", healBound), Rule: ruleConverge}, func() bool {
			a, b := p.c.rafts[1].Status(), p.c.rafts[2].Status()
			return slices.EqualFunc(a.Log, b.Log, func(x, y Entry) bool { return x.Term == y.Term })
		})
		used := s.Net.Stats(toN1).Sent - before + 1
		p.c.budget(fmt.Sprintf("requests to repair a log with %d conflicting terms", terms), float64(used), terms+4)
	})
}

// Cuts that come and go, between any two and around leaders, with loss: whatever
// happens, figure 3 holds, and in the end all logs are one.
func TestPartitionsComeAndGo5B(t *testing.T) {
	cfg := labtest.Config{Nodes: 5, Seeds: raftSeeds, Link: labrpc.FairLoss(0.05), MustCover: []string{"the lead changed"}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		c := newRaftCluster(s, raftClusterOptions{})
		before := c.waitForLeaderOf(healBound)
		for range 12 {
			s.Step("commands", c.submitToLeaders)
			switch s.Rand().IntN(4) {
			case 0:
				if leader := c.leader(); leader != 0 {
					s.Net.Isolate(leader)
				}
			case 1:
				two := s.Rand().Perm(5)
				s.Net.Partition([]labrpc.NodeID{c.servers[two[0]], c.servers[two[1]]})
			case 2:
				two := s.Rand().Perm(5)
				s.Net.Cut(c.servers[two[0]], c.servers[two[1]])
			case 3:
				s.Net.Heal()
			}
			s.Run(time.Duration(s.Rand().IntN(900)) * time.Millisecond)
			s.Step("commands", c.submitToLeaders)
			if leader := c.leader(); leader != 0 && leader != before {
				s.Cover("the lead changed")
			}
		}
		c.converge()
	})
}
