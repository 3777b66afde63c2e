package election_test

import (
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/04-election"
)

// A server hears of terms from servers that the test plays. It adopts the higher ones, says its own in
// every answer, and is not moved by what comes from a term that is over (rules 11 and 13).
func TestTermsSpread4C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 4, Link: steadyLink, Seeds: raftSeeds}, func(s *labtest.Sim) {
		c := newCluster(s)
		c.start(1)
		p := c.puppets(2, 3, 4)
		is := func(want State, after string) {
			if got := c.state(1); got != want {
				s.Failf(ruleTerms, "n1 is %v after %s, want %v", got, after, want)
			}
		}
		said := func(got, want int, in string) {
			if got != want {
				s.Failf(ruleTerms, "n1 says term %d in its answer to %s, want %d", got, in, want)
			}
		}
		said(p[0].askVote(1, 7).Term, 7, "a candidate of term 7")
		is(State{Term: 7}, "it has voted for n2 in term 7")
		if r := p[0].beat(1, 7); !r.Success || r.Term != 7 {
			s.Failf(ruleAnother, "n1 answers %+v to n2, the leader of its term 7, want {Term:7 Success:true}", r)
		}
		is(State{Term: 7, Leader: 2}, "a heartbeat of n2, the leader of term 7")
		if r := p[1].beat(1, 9); !r.Success || r.Term != 9 {
			s.Failf(ruleTerms, "n1 answers %+v to n3, the leader of term 9, want {Term:9 Success:true}", r)
		}
		is(State{Term: 9, Leader: 3}, "a heartbeat of n3, the leader of term 9")
		if r := p[0].beat(1, 7); r.Success || r.Term != 9 {
			s.Failf(ruleAnother, "n1, in term 9, answers %+v to n2, which led term 7, want {Term:9 Success:false}", r)
		}
		is(State{Term: 9, Leader: 3}, "a heartbeat of n2, which led term 7")
		said(p[2].askVote(1, 8).Term, 9, "a candidate of term 8")
		is(State{Term: 9, Leader: 3}, "n4 asked for its vote in term 8")
		for range 5 {
			said(p[1].beat(1, 9).Term, 9, "the leader of term 9")
		}
		is(State{Term: 9, Leader: 3}, "six heartbeats of term 9")
		said(p[2].askVote(1, 12).Term, 12, "a candidate of term 12")
		is(State{Term: 12}, "n4 asked for its vote in term 12")
		c.restart(1)
		if got := c.state(1).Term; got != 12 {
			s.Failf(ruleTerms, "n1 restarts in term %d, want 12, as it had said", got)
		}
		s.Run(time.Millisecond)
		p[1].beat(1, 20)
		c.restart(1)
		if got := c.state(1).Term; got != 20 {
			s.Failf(ruleTerms, "n1 restarts in term %d, want 20, as it had said", got)
		}
	})
}

// What a server waits for (rule 14): every vote that it gives, and every word from the leader, begins its
// patience anew.
func TestPatience4C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 3, Link: steadyLink, Seeds: raftSeeds}, func(s *labtest.Sim) {
		c := newCluster(s)
		c.start(1)
		p := c.puppets(2, 3)
		term := 10
		for i := range 25 {
			if !p[i%2].askVote(1, term+i).Granted {
				s.Failf(ruleOneVote, "n1 refuses %v its vote in term %d, in which nobody else has asked", p[i%2].node.ID(), term+i)
			}
			c.mustNotStand(1, rulePatience, "though it gave its vote less than 150ms ago")
			s.Run(140*time.Millisecond - 2*fixedLatency)
		}
		c.mustNotStand(0, "", "")
		term += 100
		for range 25 {
			p[0].beat(1, term)
			c.mustNotStand(1, rulePatience, "though it heard its leader, n2, less than 150ms ago")
			s.Run(140*time.Millisecond - 2*fixedLatency)
		}
		c.mustNotStand(0, "", "")
	})
}

// What a server does not wait for (rule 14): candidates that it refuses, and leaders of terms that
// are over. With these it stands as soon as without.
func TestImpatience4C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 4, Link: steadyLink, Seeds: raftSeeds}, func(s *labtest.Sim) {
		c := newCluster(s)
		c.start(1)
		p := c.puppets(2, 3, 4)
		noise := []struct {
			name string
			make func(term int)
		}{
			{"n3 asks for the vote that n2 has", func(term int) { p[1].askVote(1, term) }},
			{"n3 asks for a vote in a term that is over", func(term int) { p[1].askVote(1, term-1) }},
			{"n4 sends heartbeats of a term that is over", func(term int) { p[2].beat(1, term-1) }},
		}
		for i, n := range noise {
			term := c.state(1).Term + 10*(i+1)
			p[0].askVote(1, term)
			p[0].beat(1, term)
			began, asked := s.Net.Now(), c.requests(1)
			for c.requests(1) == asked {
				if s.Net.Now()-began > longestWait+10*fixedLatency {
					s.Failf(rulePatience, "n1 last heard its leader at %s; only that %s, and at %s it has yet to stand, want %v at most",
						stamp(began), n.name, stamp(s.Net.Now()), longestWait)
				}
				n.make(term)
				s.Run(30 * time.Millisecond)
			}
			if waited := s.Net.Now() - began; waited < raftTiming.ElectionTimeout-10*fixedLatency {
				s.Failf(rulePatience, "n1 stands %v after it heard its leader, want at least %v", waited, raftTiming.ElectionTimeout)
			}
		}
	})
}

// A leader is cut off, and another elected. When the old one hears of it, in whatever
// way, it follows (rule 11). Each seed leaves one of three ways open.
func TestStaleLeaderStepsDown4C(t *testing.T) {
	ways := []string{
		"a leader heard of a new term in an answer to its heartbeats",
		"a leader heard of a new term from its leader",
		"a leader heard of a new term from a candidate",
	}
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: raftSeeds + 4, MustCover: ways}, func(s *labtest.Sim) {
		c := startAll(s)
		old, term := c.waitForLeader(soon)
		s.Net.Isolate(old)
		fresh, newer := c.waitForLeader(soon, c.others(old)...)
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
			limit = soon
		}
		healed := s.Net.Now()
		v := *violation(ruleTerms, "%v led term %d, %v leads term %d; %s since %s, and after %v the old leader has yet to follow",
			old, term, fresh, newer, ways[s.Seed%3], stamp(healed), limit)
		s.WaitFor(limit, v, func() bool {
			st := c.state(old)
			return st.Term >= newer && st.Role != Leader
		})
	})
}

// A server that was away for long stands in an old term. The answers tell it (rule 11).
func TestLateServerLearnsTheTerm4C(t *testing.T) {
	const term = 40
	labtest.Run(t, labtest.Config{Nodes: 4, Link: steadyLink, Seeds: raftSeeds}, func(s *labtest.Sim) {
		c := newCluster(s)
		c.start(2, 3)
		lonely := c.puppets(4)[0] // stood again and again while it was cut off
		for _, id := range []labrpc.NodeID{2, 3} {
			if got := lonely.askVote(id, term).Term; got != term {
				s.Failf(ruleTerms, "%v says term %d in its answer to a candidate of term %d, want %d", id, got, term, term)
			}
		}
		// Requests to n1 are lost: it hears nothing but answers.
		s.Net.Hold(labrpc.Match{To: 1, Kind: labrpc.Request})
		s.Net.Isolate(4)
		c.start(1)
		v := *violation(ruleTerms, "n1 asks servers of term %d and above for their votes, hears their answers, and is not in such a term after 1s", term)
		s.WaitFor(time.Second, v, func() bool { return c.state(1).Term >= term })
	})
}
