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
		// Entries of different terms conflict, also if their commands are equal, or empty.
		twice := func(term int) []Entry { return []Entry{{Term: term}, {Term: term, Command: []byte("same")}} }
		p.append(5, AppendRequest{Term: 6, PrevLogIndex: 2, PrevLogTerm: 3, Entries: twice(6)}, true)
		p.append(4, AppendRequest{Term: 7, PrevLogIndex: 2, PrevLogTerm: 3, Entries: twice(7)}, true)
		p.expectTerms(3, 3, 7, 7)
		p.refusesInPeace(AppendRequest{Term: 7, PrevLogIndex: 9, PrevLogTerm: 7}, 4)
	})
}

// refusesInPeace lets the leader of n1's term send requests that do not fit n1's log, for longer than any election timeout: they too
// reset its election timer (rule 16).
func (p *scriptedCluster) refusesInPeace(req AppendRequest, leader labrpc.NodeID) {
	for range 4 {
		p.append(leader, req, false)
		p.runAfter(electionTimeout - 10*time.Millisecond)
		if st := p.status(); st.Term != req.Term {
			p.fail(ruleTimer, "n1 started an election at most %v after a request of its leader, which it had refused: it is in term %d", electionTimeout, st.Term)
		}
	}
}

// Entries of an old leader after those that a request has shown to be the same are not committed with them (figure 2,
// AppendEntries 5).
func TestCommitsNothingOfAnOldLeader5B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 5, Link: calmLink}, func(s *labtest.Sim) {
		p := newScriptedCluster(s)
		p.append(2, AppendRequest{Term: 1, Entries: entriesOf(1, 1, 1)}, true)
		// The next leader has the first entry alone, and four entries of its own.
		p.append(3, AppendRequest{Term: 2, PrevLogIndex: 1, PrevLogTerm: 1, Commit: 4}, true)
		p.expectCommit(1)
		p.append(3, AppendRequest{Term: 2, PrevLogIndex: 1, PrevLogTerm: 1, Entries: entriesOf(2, 2), Commit: 5}, true)
		p.expectCommit(3)
		p.append(3, AppendRequest{Term: 2, PrevLogIndex: 3, PrevLogTerm: 2, Entries: entriesOf(2, 2, 2), Commit: 4}, true)
		p.expectCommit(4)
		p.append(3, AppendRequest{Term: 2, PrevLogIndex: 6, PrevLogTerm: 2, Commit: 6}, true)
		p.expectCommit(6)
		p.expectTerms(1, 2, 2, 2, 2, 2)
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
		// A new leader may look first for where the logs agree: what it has not named does not conflict.
		p.append(3, AppendRequest{Term: 3, PrevLogIndex: 2, PrevLogTerm: 1}, true)
		p.expectTerms(1, 1, 2, 2, 2)
		p.append(4, AppendRequest{Term: 4, PrevLogIndex: 2, PrevLogTerm: 1, Entries: list[2:3]}, true)
		p.expectTerms(1, 1, 2, 2, 2)
	})
}

// A vote is for one candidate per term, whose log is at least as up-to-date: the later last term
// wins, and of equal terms the longer log (§5.4.1).
func TestVotesForTheNewerLog5B(t *testing.T) {
	const older, same, newer = -1, 0, 1 // than the term of the row before
	tests := []struct {
		name        string
		term        int
		candidate   labrpc.NodeID
		last, lastT int // lastT counts from the term before the first
		want        bool
	}{
		{"the candidate's log is longer, but its last term is older", newer, 2, 9, 1, false},
		{"a shorter log with the same last term", newer, 3, 4, 2, false},
		{"the same log", newer, 4, 5, 2, true},
		{"already voted for another candidate in this term", same, 5, 9, 3, false},
		{"the same candidate asks again", same, 4, 5, 2, true},
		{"an earlier term", older, 3, 9, 3, false},
		{"a longer log with the same last term", newer, 2, 6, 2, true},
		{"a shorter log with a later last term", newer, 5, 1, 3, true},
		{"an empty log", newer, 2, 0, 0, false},
		{"a much longer log with the same last term", newer, 3, 1<<15 + 1<<7, 2, true},
	}
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: raftSeeds, Link: calmLink}, func(s *labtest.Sim) {
		p := newScriptedCluster(s)
		base := highTerm(s)
		p.append(2, AppendRequest{Term: base + 2, Entries: entriesOf(base+1, base+1, base+2, base+2, base+2)}, true)
		term := 0
		for _, tt := range tests {
			if tt.term == newer {
				term = p.quiet()
			}
			asked := term + min(tt.term, 0)
			lastTerm := 0
			if tt.lastT > 0 {
				lastTerm = base + tt.lastT
			}
			p.vote(VoteRequest{Term: asked, Candidate: tt.candidate, LastLogIndex: tt.last, LastLogTerm: lastTerm}, tt.want, tt.name)
		}
		const far = 1<<41 + 1
		p.append(2, AppendRequest{Term: far}, true)
		p.append(3, AppendRequest{Term: 100}, false)
		p.vote(VoteRequest{Term: 100, Candidate: 3, LastLogIndex: 9, LastLogTerm: far}, false, "a term that is lower, but not in a narrow type")
	})
}

// wrapOf is after how many numbers a narrow integer begins again: by the seed that of a length.
func wrapOf(s *labtest.Sim) int { return []int{1 << 32, 1 << 16, 1 << 8}[s.Seed/2%3] }

// highTerm is a term to begin with: 0, or by the seed one that no narrow integer holds.
func highTerm(s *labtest.Sim) int {
	return []int{0, 1<<8 - 2, 1<<16 - 2, 1<<32 - 2, 1 << 40}[s.Seed%5]
}

// A vote that was given for one term does not count in the next, however late it
// arrives (§5.2).
func TestLateVoteDoesNotCount5B(t *testing.T) {
	cfg := labtest.Config{Nodes: 5, Seeds: raftSeeds, Link: calmLink, MustCover: []string{"votes of an earlier term arrived while n1 was a candidate"}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		p := newScriptedCluster(s)
		first := 0 // the term of the first election
		held := s.Net.HoldIf(labrpc.Match{To: 1, Method: "RequestVote", Kind: labrpc.Reply}, p.c.w.preVotes.Lacks)
		p.answerVotes(func(_ labrpc.NodeID, req VoteRequest) bool { return req.Term == 1 })
		stands := func() bool { st := p.status(); return st.Role == roleCandidate && st.Term > first }
		p.waitUntil(electionBound, ruleLeader, "n1 received no heartbeat but did not start an election", stands)
		first = p.status().Term
		if s.Seed%2 == 0 { // n1's next term is equal to the first in a narrow type
			p.tryVote(VoteRequest{Term: first + wrapOf(s) - 1, Candidate: 3})
		}
		p.waitUntil(electionBound, ruleLeader, "n1 was not elected but did not start another election", stands)
		granted := func(m labrpc.Message) bool {
			r, ok := bodyOf[VoteReply](&m, "RequestVote", labrpc.Reply)
			return ok && r.Granted
		}
		if held.Deliver(granted) > 0 {
			s.Cover("votes of an earlier term arrived while n1 was a candidate")
		}
		s.Run(10 * time.Millisecond)
		if st := p.status(); st.Role == roleLeader {
			p.fail(ruleElection, "n1 is the leader of term %d at %v, but all votes for it were for term %d", st.Term, labtest.At(s.Net.Now()), first)
		}
	})
}

// With half of four votes no server becomes leader (§5.2): n1 gets the vote of one of three scripted peers, in
// each of its elections.
func TestHalfTheVotesMakeNoLeader5B(t *testing.T) {
	cfg := labtest.Config{Nodes: 4, Seeds: raftSeeds, Link: calmLink, MustCover: []string{"a candidate had two votes of four"}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		p := newScriptedCluster(s)
		friend := labrpc.NodeID(2 + s.Seed%3)
		p.answerVotes(func(voter labrpc.NodeID, _ VoteRequest) bool { return voter == friend })
		granted := labrpc.Match{From: friend, To: 1, Method: "RequestVote", Kind: labrpc.Reply}
		for range 300 {
			s.Run(10 * time.Millisecond)
			if st := p.status(); st.Role == roleLeader {
				p.fail(ruleElection, "n1 is the leader of term %d at %v with two votes of four servers, its own and that of %v, which are no majority", st.Term, labtest.At(s.Net.Now()), friend)
			}
			if s.Net.Stats(granted).Delivered > 0 {
				s.Cover("a candidate had two votes of four")
			}
		}
		if s.Net.Stats(labrpc.Match{From: 1, Method: "RequestVote", Kind: labrpc.Request}).Sent == 0 {
			p.fail(ruleTimer, "n1 received no heartbeat for 3s but asked no server for its vote")
		}
	})
}

// A server that learns of a newer term is a follower in it, also if it learns from a reply: to AppendEntries
// or to RequestVote (§5.1). It has an election timer again.
func TestHigherTermDeposes5B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 10, Link: calmLink}, func(s *labtest.Sim) {
		p := newScriptedCluster(s)
		var mu sync.Mutex
		newer := 0 // the term of the replies, if it is higher than that of the request
		term := func(asked int) int {
			mu.Lock()
			defer mu.Unlock()
			return max(asked, newer)
		}
		p.replyToVotes(func(_ labrpc.NodeID, req VoteRequest) VoteReply {
			return VoteReply{Term: term(req.Term), Granted: term(req.Term) == req.Term && req.Term > 9}
		})
		for _, node := range p.peers {
			labrpc.Handle(node, "AppendEntries", func(_ labrpc.NodeID, req AppendRequest) AppendReply {
				return AppendReply{Term: term(req.Term), Success: term(req.Term) == req.Term, Index: req.PrevLogIndex + len(req.Entries)}
			})
		}
		reply := func(with int) {
			mu.Lock()
			defer mu.Unlock()
			newer = with
		}
		follows := func(want int) func() bool {
			return func() bool { st := p.status(); return st.Term == want && st.Role == roleFollower && st.Leader == 0 }
		}
		reply(9)
		p.waitUntil(electionBound, ruleTerm, "n1 received term 9 in every reply to RequestVote but did not become a follower in term 9", follows(9))
		reply(0)
		p.waitForLead()
		reply(20)
		p.waitUntil(2*heartbeat, ruleTerm, "n1 received term 20 in every reply to AppendEntries but did not become a follower in term 20", follows(20))
		reply(0)
		p.waitForElection(instant(s.Net.Now()), "it was deposed as leader")
		p.waitUntil(electionBound, ruleTimer, "n1 was deposed and received every vote, but did not become leader again", p.leads)
	})
}

// What a follower acknowledged in an earlier term says nothing about its log
// in this term. n1 leads, is deposed and loses entries, and leads again; then
// the acknowledgements of the entries that it lost arrive.
func TestLateReplyDoesNotCount5B(t *testing.T) {
	cfg := labtest.Config{Nodes: 5, Seeds: raftSeeds, Link: calmLink, MustCover: []string{"acknowledgements of an earlier term arrived"}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		p := newScriptedCluster(s)
		p.grantVotes()
		p.accept()
		p.waitForLead()
		held := s.Net.Hold(labrpc.Match{To: 1, Method: "AppendEntries", Kind: labrpc.Reply})
		_, _, end := p.submit(), p.submit(), p.submit()
		term := p.status().Term
		acknowledged := func(m labrpc.Message) int {
			r, _ := bodyOf[AppendReply](&m, "AppendEntries", labrpc.Reply)
			return r.Index
		}
		late := func(m labrpc.Message) bool { return acknowledged(m) >= end }
		// A leader may wait for one reply before it sends the next entries: it gets those for less.
		for range 100 {
			held.Deliver(func(m labrpc.Message) bool { return acknowledged(m) < end })
			s.Run(5 * time.Millisecond)
			if slices.ContainsFunc(held.Messages(), late) {
				break
			}
		}
		if !slices.ContainsFunc(held.Messages(), late) {
			p.fail(ruleAgree, "n1 is the leader, but sent no follower the entry that was submitted %v ago", 500*time.Millisecond)
		}
		// Another leader of a later term has one entry, in the place of those that are not committed.
		st := p.status()
		later := st.Term + 1
		if s.Seed%2 == 0 {
			later = st.Term + wrapOf(s) - 1 // n1's next term is equal to its first in a narrow type
		}
		other := AppendRequest{Term: later, PrevLogIndex: st.CommitIndex, Entries: entriesOf(later)}
		if st.CommitIndex > 0 {
			other.PrevLogTerm = entryAt(st, st.CommitIndex).Term
		}
		p.append(2, other, true)
		held.Deliver(func(m labrpc.Message) bool { return acknowledged(m) < end })
		p.waitForLead()
		for lastIndexOf(p.status()) < end {
			p.submit()
		}
		before := p.status().CommitIndex
		if held.Deliver(late) > 0 {
			s.Cover("acknowledgements of an earlier term arrived")
		}
		s.Run(5 * time.Millisecond)
		if got := p.status().CommitIndex; got > before {
			p.fail(ruleCounting, "n1 has CommitIndex = %d in term %d at %v, want %d: the entries that the others acknowledged up to index %d were of term %d", got, p.status().Term, labtest.At(s.Net.Now()), before, end, term)
		}
	})
}

// What a leader knew of a follower in an earlier term says nothing in this one (figure 2: "reinitialized after
// election"). n2 acknowledged three entries of n1 that n1 has lost since; in the new term n1 receives
// nothing from n2. Three servers have stored entry 1, of the later entries only n4 has acknowledged any.
func TestOldMatchDoesNotCount5B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 10, Link: calmLink}, func(s *labtest.Sim) {
		p := newScriptedCluster(s)
		p.grantVotes()
		p.accept()
		p.waitForLead()
		s.Run(2 * heartbeat)
		for _, id := range []labrpc.NodeID{3, 4, 5} {
			s.Net.CutBoth(1, id)
		}
		base, end := p.status().CommitIndex, 0
		for range 3 {
			end = p.submit()
		}
		s.Run(3 * heartbeat) // n2 acknowledges them
		s.Net.CutBoth(1, 2)
		for _, id := range []labrpc.NodeID{3, 4, 5} {
			s.Net.HealBoth(1, id)
		}
		term := p.status().Term + 1
		other := AppendRequest{Term: term, Entries: entriesOf(term)}
		if base > 0 { // a leader may have added an entry of its own at first
			other.PrevLogIndex, other.PrevLogTerm = base, entryAt(p.status(), base).Term
		}
		p.append(3, other, true)
		p.waitForLead()
		for _, id := range []labrpc.NodeID{3, 5} {
			s.Net.CutBoth(1, id)
		}
		lead := lastIndexOf(p.status())
		for lastIndexOf(p.status()) < end {
			p.submit()
		}
		s.Run(5 * heartbeat)
		if st := p.status(); st.CommitIndex > lead {
			p.fail(ruleCounting, "n1 has CommitIndex = %d in term %d at %v, want at most %d: only n4 has acknowledged later entries in this term", st.CommitIndex, st.Term, labtest.At(s.Net.Now()), lead)
		}
	})
}

// n1 leads with an entry of an earlier term, which two followers acknowledge, and one of its own term, which none has. The
// older entry is on a majority, but is not committed (figure 8).
func TestOwnTermMustBeStored5B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 10, Link: calmLink}, func(s *labtest.Sim) {
		p := newScriptedCluster(s)
		p.append(2, AppendRequest{Term: 1, Entries: entriesOf(1)}, true)
		p.grantVotes()
		for id, node := range p.peers {
			labrpc.Handle(node, "AppendEntries", func(_ labrpc.NodeID, req AppendRequest) AppendReply {
				end := req.PrevLogIndex + len(req.Entries)
				switch {
				case req.PrevLogIndex > 1 || id > 3 && end > 0:
					return AppendReply{Term: req.Term, Index: 1} // n2 and n3 have entry 1 at most, n4 and n5 have none
				case end > 1:
					<-node.Context().Done() // lost on the way
				}
				return AppendReply{Term: req.Term, Success: true, Index: end}
			})
		}
		p.waitForLead()
		if lastIndexOf(p.status()) == 1 {
			p.submit()
		}
		s.Run(3 * heartbeat)
		if got := p.status().CommitIndex; got != 0 {
			p.fail(ruleCounting, "n1 has CommitIndex = %d in term %d, want 0: entry 1 is of term 1, and no follower has stored an entry of n1's term", got, p.status().Term)
		}
	})
}

// What a follower has acknowledged in this term it has: an older, shorter
// acknowledgement that arrives later takes nothing back. f acknowledges five
// entries, then an older reply for three arrives; with another server's five that is a majority.
func TestOlderReplyTakesNothingBack5B(t *testing.T) {
	const overtaken = "a reply was overtaken, or the leader sends nothing before the reply has come"
	cfg := labtest.Config{Nodes: 5, Seeds: raftSeeds, MustCover: []string{overtaken}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		c := newRaftCluster(s, raftClusterOptions{})
		c.agree(c.servers...)
		leader := c.waitForLeader()
		f, g := c.except(leader)[0], c.except(leader)[1]
		replies := map[labrpc.NodeID]*labrpc.Held{}
		for _, id := range c.except(leader) { // they receive what the leader sends; it does not receive what they reply
			replies[id] = s.Net.Hold(labrpc.Match{From: id, To: leader, Method: "AppendEntries", Kind: labrpc.Reply})
		}
		release := func() {
			for _, id := range c.except(leader) {
				replies[id].Release()
			}
			c.converge()
		}
		acknowledges := func(index int) func(labrpc.Message) bool {
			return func(m labrpc.Message) bool {
				r, _ := bodyOf[AppendReply](&m, "AppendEntries", labrpc.Reply)
				return r.Success && r.Index == index
			}
		}
		// A leader may wait for a reply before it sends more entries. Then no reply of f's can be overtaken.
		sent := func(id labrpc.NodeID, index int) bool {
			return s.Until(5*heartbeat/2, func() bool { return slices.ContainsFunc(replies[id].Messages(), acknowledges(index)) })
		}
		c.submit(leader)
		_, three := c.submit(leader)
		ok := sent(f, three)
		c.submit(leader)
		_, five := c.submit(leader)
		if !ok || !sent(f, five) {
			s.Cover(overtaken)
			release()
			return
		}
		replies[f].Deliver(acknowledges(five))
		s.Run(20 * time.Millisecond)
		if replies[f].Deliver(acknowledges(three)) > 0 {
			s.Cover(overtaken)
		}
		s.Run(20 * time.Millisecond)
		replies[g].Release()
		if !s.Until(3*heartbeat, func() bool { return c.rafts[leader].Status().CommitIndex >= five }) && c.rafts[leader].Status().Role == roleLeader {
			s.Fail(labtest.Violation{
				What: fmt.Sprintf("%v did not commit index %d within %v, although %v and %v have acknowledged it in this term", leader, five, 3*heartbeat, f, g),
				Rule: ruleKeepsAck, Nodes: []labrpc.NodeID{leader, f, g},
			})
		}
		release()
	})
}

// A leader is isolated with entries of its own and another leader takes its place,
// several times over: all logs become identical (§5.3).
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

// twoHistories gives n1 entries of the odd terms and n2 of the even terms, each of that many terms, and lets n2 win. Both logs have
// the same entries of term 1 before.
func twoHistories(p *scriptedCluster, common, terms, each int) {
	s := p.s
	last := 0 // the last term of the same entries
	if common > 0 {
		same := AppendRequest{Leader: 3}
		for i := range common {
			same.Entries = append(same.Entries, Entry{Term: 1 + i/each, Command: []byte("common")})
		}
		last = same.Entries[common-1].Term
		same.Term = last
		p.appendToBoth(same, same)
	}
	for i := range terms {
		var next [2]AppendRequest
		for k := range next {
			term, before := last+2*i+k+1, last
			if i > 0 {
				before = term - 2
			}
			next[k] = AppendRequest{Term: term, Leader: labrpc.NodeID(3 + k), PrevLogIndex: common + i*each, PrevLogTerm: before, Entries: entriesOf(slices.Repeat([]int{term}, each)...)}
		}
		p.appendToBoth(next[0], next[1])
	}
	for id := labrpc.NodeID(1); id <= 2; id++ {
		if n := lastIndexOf(p.c.rafts[id].Status()); n != common+terms*each {
			s.Failf(rulePromise, "%v acknowledged %d entries, but its log ends at index %d at %v", id, common+terms*each, n, labtest.At(s.Net.Now()))
		}
	}
	p.letN2Win()
}

// letN2Win makes the scripted peers vote for n2 only, and waits until it leads.
func (p *scriptedCluster) letN2Win() {
	p.answerVotes(func(_ labrpc.NodeID, req VoteRequest) bool { return req.Candidate == 2 })
	p.s.WaitFor(healBound, labtest.Violation{What: "n2 has the most up-to-date log and every scripted peer votes for it, but it is not leader", Rule: ruleLeader},
		func() bool { return p.c.rafts[2].Status().Role == roleLeader })
}

// Rule 14: a leader finds where a follower's log departs from its own with
// one request per conflicting term, and a few. n1 has entries of the odd terms, n2
// of the even terms; n2 leads. Or n1 has one term that conflicts, and n2 has twelve.
func TestBackUpSkipsTerms5B(t *testing.T) {
	const terms = 6
	cfg := labtest.Config{Nodes: 5, Seeds: raftSeeds, Link: calmLink, MustCover: []string{"n2 led"}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		each := 10
		if s.Seed%10 == 1 {
			each = 30
		}
		p, terms := newScriptedServers(s, 2), terms
		if s.Seed%10 == 2 {
			terms = 1
			p.appendToBoth(AppendRequest{Term: 1, Leader: 3, Entries: entriesOf(slices.Repeat([]int{1}, 12)...)},
				AppendRequest{Term: 13, Leader: 4, Entries: entriesOf(2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13)})
			p.letN2Win()
		} else {
			twoHistories(p, 0, terms, each)
		}
		s.Cover("n2 led")
		toN1 := labrpc.Match{From: 2, To: 1, Method: "AppendEntries", Kind: labrpc.Request}
		before := s.Net.Stats(toN1).Sent
		p.waitForSameLog()
		used := s.Net.Stats(toN1).Sent - before + 1
		p.c.budget(fmt.Sprintf("requests of the leader that it took to repair a follower's log with entries of %d other terms", terms), float64(used), float64(terms+4))
	})
}

// waitForSameLog waits until n1 has the log of n2, which leads.
func (p *scriptedCluster) waitForSameLog() {
	p.s.WaitFor(healBound, labtest.Violation{What: fmt.Sprintf("after %v, n1's log still differs from the log of the leader, n2", healBound), Rule: ruleConverge}, func() bool {
		a, b := p.c.rafts[1].Status(), p.c.rafts[2].Status()
		return slices.EqualFunc(a.Log, b.Log, func(x, y Entry) bool { return x.Term == y.Term })
	})
}

// Rule 14: the repair of the end of a long log does not send the log from its beginning.
func TestBackUpSendsOnlyTheEnd5B(t *testing.T) {
	const common, each = 200, 10
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 5, Link: calmLink}, func(s *labtest.Sim) {
		p := newScriptedServers(s, 2)
		var mu sync.Mutex
		first := common + 1 // the lowest index that n1 was sent an entry for
		s.Net.Intercept(func(m *labrpc.Message) labrpc.Verdict {
			if req, ok := bodyOf[AppendRequest](m, "AppendEntries", labrpc.Request); ok && m.From == 2 && m.To == 1 && len(req.Entries) > 0 {
				mu.Lock()
				defer mu.Unlock()
				first = min(first, req.PrevLogIndex+1)
			}
			return labrpc.Pass
		})
		twoHistories(p, common, 1, each)
		p.waitForSameLog()
		mu.Lock()
		defer mu.Unlock()
		if least := common - 2*each; first <= least {
			s.Failf(ruleBudget, "n2 sent n1 entries from index %d on, want none up to %d: both logs have the same first %d entries, in terms of %d each", first, least, common, each)
		}
	})
}

// A command waits for a follower whose log must be repaired first: n1 has twelve terms that conflict, n3 accepts all, n4 and n5
// do not reply. n2 applies the command within 500ms all the same (rule 11). In every second seed a follower refuses without advice.
func TestCommandWaitsForRepair5B(t *testing.T) {
	const terms = 12
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 5, Link: calmLink}, func(s *labtest.Sim) {
		if s.Seed%2 == 0 {
			checkNoAdvice(s)
			return
		}
		p := newScriptedServers(s, 2)
		labrpc.Handle(p.peers[3], "AppendEntries", func(_ labrpc.NodeID, req AppendRequest) AppendReply {
			return AppendReply{Term: req.Term, Success: true, Index: req.PrevLogIndex + len(req.Entries)}
		})
		twoHistories(p, 0, terms, 1)
		_, index := p.c.submit(2)
		p.c.waitApplied(agreeBound, ruleAgree, index, 2)
	})
}

// checkNoAdvice: n1 leads with six entries. n4 has none, and refuses what does not continue its log without advice (Index 0). n1 finds what n4 lacks all
// the same (rule 12).
func checkNoAdvice(s *labtest.Sim) {
	p := newScriptedCluster(s)
	p.append(2, AppendRequest{Term: 1, Entries: entriesOf(1, 1, 1, 1, 1, 1)}, true)
	p.grantVotes()
	f := &farFollower{terms: map[int]int{}, silent: true}
	for id, node := range p.peers {
		if id == 4 {
			f.serve(node)
			continue
		}
		(&farFollower{terms: map[int]int{}}).serve(node)
	}
	p.waitForLead()
	index, term := p.submit(), p.status().Term
	const late = "n1 did not bring n4 to its log: n4 has no entry, and refuses requests without advice"
	p.waitUntil(healBound, ruleCatchUp, late, func() bool { return f.has(index, term) })
}

// A follower that was isolated for minutes, or that was started a minute late, is brought up to date as soon as one that was
// away for a second: a leader's pauses between two attempts do not grow without limit.
func TestLongAbsence5B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 3, Seeds: 2}, func(s *labtest.Sim) {
		c := newRaftCluster(s, raftClusterOptions{})
		c.startLate(1, time.Minute)
		c.agree(c.servers...)
		leader := c.waitForLeader()
		away := c.except(leader)[s.Rand().IntN(2)]
		s.Net.Isolate(away)
		c.agree(c.except(away)...)
		s.Run(2 * time.Minute)
		c.agree(c.except(away)...)
		c.converge()
	})
}

// startLate starts one server after the others, which have agreed on so many commands. The leader must send to it before its election timer fires,
// so no server starts an election (rule 10).
func (c *raftCluster) startLate(commands int, late time.Duration) {
	s, id := c.s, c.any()
	c.crash(id) // before it has said anything
	for range commands {
		c.agree(c.except(id)...)
	}
	s.Run(late + time.Duration(s.Rand().IntN(2000))*time.Millisecond)
	leader := c.waitForLeader()
	term := c.rafts[leader].Status().Term
	c.start(id)
	from := s.Net.Now()
	s.Run(2 * time.Second)
	if st := c.rafts[leader].Status(); st.Term != term || st.Role != roleLeader {
		s.Failf(ruleStable, "%v, the leader of term %d, is %v in term %d at %v: %v was started at %v, and since then every server has been connected to the leader",
			leader, term, st.Role, st.Term, labtest.At(s.Net.Now()), id, labtest.At(from))
	}
}

// Partitions come and go, between any two servers and around leaders, with loss: figure 3
// holds all the time, and eventually all logs are identical.
func TestPartitionsComeAndGo5B(t *testing.T) {
	cfg := labtest.Config{Nodes: 5, Seeds: raftSeeds, Link: labrpc.FairLoss(0.05), MustCover: []string{"the leader changed"}}
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
				s.Cover("the leader changed")
			}
		}
		c.converge()
	})
}
