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
			if got := c.state(1); got.Term != want.Term || got.Role != want.Role || got.Leader != want.Leader {
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
		var reset time.Duration
		for range 5 {
			reset = s.Net.Now()
			states(p[1].heartbeat(1, 9).Term, 9, "the leader of term 9")
		}
		is(ruleTerms, State{Term: 9, Leader: 3}, "six heartbeats of term 9")
		// A server that follows a leader may ignore candidates (rule 10): so n1 first times out.
		c.waitForCampaign(1, reset, "it receives no message")
		c.waitForAnother(1, "it receives no message")
		s.Run(100 * time.Millisecond) // until the replies to its requests have arrived, which it may send one after another; it starts no further election so soon
		candidate := c.state(1)
		if r := p[1].heartbeat(1, candidate.Term-1); r.Success || r.Term != candidate.Term {
			s.Failf(ruleAnother, "n1, in term %d, replied %+v to n3, the leader of term %d, want {Term:%[1]d Success:false}", candidate.Term, r, candidate.Term-1)
		}
		is(ruleAnother, candidate, "a heartbeat from n3, the leader of an older term,")
		reset = s.Net.Now()
		p[1].heartbeat(1, 50)
		is(ruleTerms, State{Term: 50, Leader: 3}, "a heartbeat from n3, the leader of term 50,")
		c.waitForCampaign(1, reset, "it receives no message")
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
		c.waitForCampaign(1, s.Net.Now(), "it receives no message")
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
		asks := labrpc.Match{To: old, Method: "RequestVote", Kind: labrpc.Request}
		arrived, sent := s.Net.Stats(asks).Delivered, c.votesAskedOf(old)
		if !s.Until(limit, func() bool {
			st := c.state(old)
			return st.Term >= newer && st.Role != Leader
		}) {
			if s.Seed%3 == 2 && (s.Net.Stats(asks).Delivered == arrived || c.votesAskedOf(old) == sent) {
				return // no candidate has asked it: one may ask a majority only, or only those that gave it a pre-vote
			}
			s.Fail(v)
		}
		c.restart(old) // the cluster checks that its term does not decrease
		s.Run(20 * time.Millisecond)
	})
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
