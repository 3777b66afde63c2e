package election_test

import (
	"fmt"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/04-election"
)

// n1 receives terms from servers that the test plays. It adopts higher ones, states its own in every reply, and does
// nothing for messages of older terms (rules 11 and 13).
func TestTermsSpread4C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 4, Link: steadyLink, Seeds: raftSeeds}, func(s *labtest.Sim) {
		c := newCluster(s)
		c.start(1)
		p := c.scriptedPeers(2, 3, 4)
		is := func(rule string, want State, after string) {
			if got := c.state(1); got != want {
				s.Failf(rule, "after %s n1 is %v, want %v", after, got, want)
			}
		}
		states := func(got, want int, in string) {
			if got != want {
				s.Failf(ruleTerms, "n1 states term %d in its reply to %s, want %d", got, in, want)
			}
		}
		states(p[0].askVote(1, 7).Term, 7, "a candidate of term 7")
		is(ruleTerms, State{Term: 7}, "it voted for n2 in term 7,")
		if r := p[0].heartbeat(1, 7); !r.Success || r.Term != 7 {
			s.Failf(ruleAnother, "n1 replied %+v to n2, the leader of its term 7, want {Term:7 Success:true}", r)
		}
		is(ruleAnother, State{Term: 7, Leader: 2}, "a heartbeat from n2, the leader of term 7,")
		if r := p[1].heartbeat(1, 9); !r.Success || r.Term != 9 {
			s.Failf(ruleTerms, "n1 replied %+v to n3, the leader of term 9, want {Term:9 Success:true}", r)
		}
		is(ruleTerms, State{Term: 9, Leader: 3}, "a heartbeat from n3, the leader of term 9,")
		if r := p[0].heartbeat(1, 7); r.Success || r.Term != 9 {
			s.Failf(ruleAnother, "n1, in term 9, replied %+v to n2, the leader of term 7, want {Term:9 Success:false}", r)
		}
		is(ruleAnother, State{Term: 9, Leader: 3}, "a heartbeat from n2, the leader of term 7,")
		states(p[2].askVote(1, 8).Term, 9, "a candidate of term 8")
		is(ruleTerms, State{Term: 9, Leader: 3}, "n4 asked for its vote in term 8,")
		for range 5 {
			states(p[1].heartbeat(1, 9).Term, 9, "the leader of term 9")
		}
		is(ruleTerms, State{Term: 9, Leader: 3}, "six heartbeats of term 9")
		// A server that follows a leader may ignore candidates (rule 10): so n1 first times out.
		c.waitForCampaign(1, "it receives no message")
		c.waitForAnother(1, "it receives no message")
		s.Run(20 * time.Millisecond) // until the replies to its requests have arrived; it starts no further election so soon
		candidate := c.state(1)
		if r := p[1].heartbeat(1, candidate.Term-1); r.Success || r.Term != candidate.Term {
			s.Failf(ruleAnother, "n1, in term %d, replied %+v to n3, the leader of term %d, want {Term:%[1]d Success:false}", candidate.Term, r, candidate.Term-1)
		}
		is(ruleAnother, candidate, "a heartbeat from n3, the leader of an older term,")
		p[1].heartbeat(1, 50)
		is(ruleTerms, State{Term: 50, Leader: 3}, "a heartbeat from n3, the leader of term 50,")
		c.waitForCampaign(1, "it receives no message")
		last := 50
		for _, term := range []int{100, 1<<8 + 1, 1<<16 + 2, 1<<32 + 3} {
			states(p[2].askVote(1, term).Term, term, "a candidate of a newer term")
			is(ruleTerms, State{Term: term}, "n4 asked for its vote in a newer term,")
			states(p[1].heartbeat(1, last).Term, term, "the leader of an older term")
			states(p[1].askVote(1, last).Term, term, "a candidate of an older term")
			states(p[2].askVote(1, last).Term, term, "a candidate of an older term, which has n1's vote in its own")
			is(ruleTerms, State{Term: term}, "messages of an older term")
			last = term
		}
		c.restart(1)
		if got := c.state(1).Term; got != last {
			s.Failf(ruleTerms, "after a restart n1 is in term %d, want %d, the term that it stated before", got, last)
		}
		s.Run(time.Millisecond)
		states(p[1].heartbeat(1, last+8).Term, last+8, "the leader of a newer term")
		c.restart(1)
		if got := c.state(1).Term; got != last+8 {
			s.Failf(ruleTerms, "after a restart n1 is in term %d, want %d, the term that it stated before", got, last+8)
		}
		c.waitForCampaign(1, "it receives no message")
		if asked := c.lastRequest(1); asked != 0 && asked != c.state(1).Term { // 0: it has sent only pre-votes
			s.Failf(ruleTerms, "n1 asked for votes in term %d, although it is in term %d", asked, c.state(1).Term)
		}
	})
}

// A leader is isolated, and the others elect another. When the old leader receives the newer term, in a message of any kind, it
// becomes a follower in that term, also after a crash (rule 11). Each seed leaves one of three ways open.
func TestStaleLeaderStepsDown4C(t *testing.T) {
	ways := []string{
		"the old leader received the newer term in a reply to its heartbeat",
		"the old leader received the newer term from the new leader",
		"the old leader received the newer term from a candidate",
	}
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: raftSeeds + 4, MustCover: ways}, func(s *labtest.Sim) {
		c := startAll(s)
		old, term := c.waitForLeader(electionLimit)
		s.Net.Isolate(old)
		fresh, newer := c.waitForLeader(electionLimit, c.others(old)...)
		s.Cover(ways[s.Seed%3])
		limit := 500 * time.Millisecond
		switch s.Seed % 3 {
		case 0:
			s.Net.Hold(labrpc.Match{To: old, Kind: labrpc.Request})
			s.Net.Heal()
		case 1:
			s.Net.Hold(labrpc.Match{From: old})
			s.Net.Heal()
		case 2:
			s.Net.Hold(labrpc.Match{From: old})
			s.Net.Hold(labrpc.Match{To: old, Method: "AppendEntries"})
			s.Net.Heal()
			s.Net.Crash(fresh)
			limit = electionLimit
		}
		healed := s.Net.Now()
		v := *violation(ruleTerms, "%v, the leader of term %d, has not become a follower in term %d by %s",
			old, term, newer, labtest.At(healed+limit))
		v.Seen = []string{fmt.Sprintf("%v was elected in term %d; messages reach %v again since %s", fresh, newer, old, labtest.At(healed)), ways[s.Seed%3]}
		s.WaitFor(limit, v, func() bool {
			st := c.state(old)
			return st.Term >= newer && st.Role != Leader
		})
		c.restart(old) // the cluster checks that its term does not decrease
		s.Run(20 * time.Millisecond)
	})
}

// A request of n1 reaches n2 only when n1 has left the role in which it sent the request, and when n2 is in a much higher term. n2's reply
// states that term. If n1's call has not ended before, n1 receives the reply: it adopts the term, also for after a crash (rule 11). n2 sends
// no requests that arrive, so that it cannot lead; the test plays n3.
func TestLateRepliesTellTheTerm4C(t *testing.T) {
	ways := []string{
		"n1 had asked n2 for its vote in its term, and then followed n3, the leader of the same term",
		"n1 had asked n2 for its vote in an earlier term, and then was a candidate in a later term",
		"n1 had asked n2 for its vote in an earlier term, and then led a later term",
		"n1 had led an earlier term, and then followed n3, the leader of a later term",
		"n1 had led an earlier term, and then was a candidate in a later term",
		"n1 had led an earlier term, and then led a later term",
	}
	labtest.Run(t, labtest.Config{Nodes: 3, Link: steadyLink, Seeds: raftSeeds + 4, MustCover: ways}, func(s *labtest.Sim) {
		c := newCluster(s)
		requests := lateRequests{c, s.Net.HoldIf(labrpc.Match{From: 1, To: 2, Kind: labrpc.Request}, func(m labrpc.Message) bool {
			return m.Method == "AppendEntries" || m.Method == "RequestVote" && c.preVotes.Lacks(m)
		})}
		s.Net.Hold(labrpc.Match{From: 2, Kind: labrpc.Request})
		c.start(1, 2)
		n3 := c.scriptedPeers(3)[0]
		n3.heartbeat(1, 10) // n2 is in a lower term, and can vote for n1
		way := s.Seed % uint64(len(ways))
		method, term := "RequestVote", 0
		if way < 3 {
			term = requests.next(method, 0)
		} else {
			requests.elect(0)
			method = "AppendEntries"
			term = requests.next(method, 0)
			n3.heartbeat(1, term+50)
		}
		switch way {
		case 0:
			n3.heartbeat(1, term)
		case 1, 4:
			requests.next("RequestVote", c.state(1).Term)
		case 2, 5:
			requests.elect(c.state(1).Term)
		}
		high := c.state(1).Term + 100
		n3.heartbeat(2, high)
		replies := labrpc.Match{From: 2, To: 1, Method: method, Kind: labrpc.Reply}
		received := s.Net.Stats(replies).Delivered
		if requests.deliver(method, term) > 0 {
			s.Cover(ways[way])
		}
		s.Run(30 * time.Millisecond)
		if s.Net.Stats(replies).Delivered == received {
			return // n1 had ended its call
		}
		if st := c.state(1); st.Term < high {
			s.Failf(ruleTerms, "n1 received n2's late reply to its %s of term %d, and the reply states term %d, but n1 is %v; %s", method, term, high, st, ways[way])
		}
		c.restart(1) // the cluster checks that its term does not decrease
		s.Run(20 * time.Millisecond)
	})
}

// lateRequests are the requests of n1 to n2 that the test delivers when it likes.
type lateRequests struct {
	c *cluster
	*labrpc.Held
}

// termOf is the term of a request.
func termOf(m labrpc.Message) int {
	switch b := m.Body.(type) {
	case VoteRequest:
		return b.Term
	case AppendRequest:
		return b.Term
	}
	return 0
}

// next waits until n1 has sent a request of this method in a term later than this one, and returns its term.
func (r lateRequests) next(method string, later int) (term int) {
	v := *violation(ruleElectionTimeout, "n1 receives no message from a leader, but has not asked n2 for its vote in a term after %d within %v", later, electionLimit)
	if method == "AppendEntries" {
		v = *violation(ruleHeartbeats, "n1 leads, but has sent n2 no AppendEntries within %v", electionLimit)
	}
	r.c.s.WaitFor(electionLimit, v, func() bool {
		for _, m := range r.Messages() {
			if m.Method == method && termOf(m) > later {
				term = termOf(m)
			}
		}
		return term > 0
	})
	return term
}

// deliver delivers the requests of a method and a term, and returns how many there are.
func (r lateRequests) deliver(method string, term int) int {
	return r.Deliver(func(m labrpc.Message) bool { return m.Method == method && termOf(m) == term })
}

// elect delivers n1's requests for n2's vote in terms later than this one, until n1 leads.
func (r lateRequests) elect(later int) {
	for began := r.c.s.Net.Now(); ; {
		later = r.next("RequestVote", later)
		r.deliver("RequestVote", later)
		r.c.s.Run(30 * time.Millisecond)
		if r.c.state(1).Role == Leader {
			return
		}
		if r.c.s.Net.Now()-began > electionLimit {
			r.c.s.Failf(ruleProgress, "n1 asks n2 for its vote again and again, no other server starts an election, but n1 does not lead within %v", electionLimit)
		}
	}
}

// n1 starts an election in an old term, and learns the newer one from the replies: requests to it are held. It adopts that
// term, also for after a crash (rule 11). Then n1, n2 and n3 elect a leader of a later term (rule 17), also if terms are large.
func TestLateServerLearnsTheTerm4C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 4, Link: steadyLink, Seeds: raftSeeds}, func(s *labtest.Sim) {
		term := []int{40, 1<<8 + 1, 1<<16 + 2, 1<<32 + 3}[s.Seed%4]
		c := newCluster(s)
		c.start(2, 3)
		lonely := c.scriptedPeers(4)[0] // it was isolated, and has started many elections
		for _, id := range []labrpc.NodeID{2, 3} {
			if got := lonely.askVote(id, term).Term; got != term {
				s.Failf(ruleTerms, "%v states term %d in its reply to a candidate of term %d, want %d", id, got, term, term)
			}
		}
		held := s.Net.Hold(labrpc.Match{To: 1, Kind: labrpc.Request})
		s.Net.Isolate(4)
		c.start(1)
		v := *violation(ruleTerms, "n1 has asked n2 and n3 for their votes, and their replies state term %d or higher, but after 1s n1 is in a lower term", term)
		s.WaitFor(time.Second, v, func() bool { return c.state(1).Term >= term })
		c.restart(1) // the cluster checks that its term does not decrease
		s.Run(20 * time.Millisecond)
		held.Discard(nil)
		held.Release()
		c.waitForLeader(electionLimit, 1, 2, 3)
	})
}
