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
		// A leader may wait for one reply before it sends the next entries: it gets those for less. What they acknowledge may be committed from now on.
		shared := 0
		early := func(m labrpc.Message) bool {
			if acknowledged(m) < end {
				shared = max(shared, acknowledged(m))
				return true
			}
			return false
		}
		for range 100 {
			held.Deliver(early)
			s.Run(5 * time.Millisecond)
			if slices.ContainsFunc(held.Messages(), late) {
				break
			}
		}
		if !slices.ContainsFunc(held.Messages(), late) {
			p.fail(ruleAgree, "n1 is the leader, but sent no follower the entry that was submitted %v ago", 500*time.Millisecond)
		}
		// Another leader of a later term has one entry, in the place of the first that n1 did not hear to be stored.
		st := p.status()
		later := st.Term + 1
		if s.Seed%2 == 0 {
			later = st.Term + wrapOf(s) - 1 // n1's next term is equal to its first in a narrow type
		}
		other := AppendRequest{Term: later, PrevLogIndex: max(shared, st.CommitIndex), Entries: entriesOf(later)}
		if other.PrevLogIndex > 0 {
			other.PrevLogTerm = entryAt(st, other.PrevLogIndex).Term
		}
		p.append(2, other, true)
		held.Deliver(early)
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
		s.Run(agreeBound + heartbeat) // until it has committed an entry of its own, if it has one
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

// What a follower has acknowledged in this term it has: an older, shorter
// acknowledgement that arrives later takes nothing back. f acknowledges five
// entries, then an older reply for three arrives; with another server's five that is a majority. Nor does silence take it back.
func TestOlderReplyTakesNothingBack5B(t *testing.T) {
	const overtaken = "a reply was overtaken, or the leader sends nothing before the reply has come"
	cfg := labtest.Config{Nodes: 5, Seeds: raftSeeds, MustCover: []string{overtaken}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		if s.Seed%4 == 0 {
			checkSilentFollowerCounts(s)
			return
		}
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
		if !s.Until(agreeBound, func() bool { return c.rafts[leader].Status().CommitIndex >= five }) && c.rafts[leader].Status().Role == roleLeader {
			s.Fail(labtest.Violation{
				What: fmt.Sprintf("%v did not commit index %d within %v, although %v and %v have acknowledged it in this term", leader, five, agreeBound, f, g),
				Rule: ruleKeepsAck, Nodes: []labrpc.NodeID{leader, f, g},
			})
		}
		release()
	})
}

// checkSilentFollowerCounts: n2 acknowledges an entry to n1, the leader, and is cut off for three seconds. Then n3 acknowledges it: three of five have it. A leader
// that has stepped down meanwhile, because it heard no majority, counts nothing.
func checkSilentFollowerCounts(s *labtest.Sim) {
	p := newScriptedCluster(s)
	p.grantVotes()
	p.accept()
	p.waitForLead()
	committed := func(index int) func() bool {
		return func() bool { return !p.leads() || p.status().CommitIndex >= index }
	}
	p.waitUntil(agreeBound, ruleAgree, "n1, the leader, did not commit its command, although every server acknowledged it", committed(p.submit()))
	replies := s.Net.Hold(labrpc.Match{From: 3, To: 1})
	for _, id := range []labrpc.NodeID{4, 5} {
		s.Net.Hold(labrpc.Match{From: id, To: 1})
	}
	index := p.submit()
	s.Run(agreeBound)
	s.Net.CutBoth(1, 2)
	s.Run(3 * time.Second)
	replies.Release()
	p.waitUntil(agreeBound, ruleKeepsAck, fmt.Sprintf("n1, the leader, did not commit index %d: n2 acknowledged it and was silent for 3s then, and now n3 has acknowledged it", index), committed(index))
}
