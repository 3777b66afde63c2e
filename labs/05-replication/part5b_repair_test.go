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
		before, from := s.Net.Stats(toN1).Sent, s.Net.Now()
		p.waitForSameLog()
		used := s.Net.Stats(toN1).Sent - before + 1 - int(1.2*float64(s.Net.Now()-from)/float64(heartbeat))
		p.c.budget(fmt.Sprintf("requests of the leader, besides heartbeats, that it took to repair a follower's log with entries of %d other terms", terms), float64(used), float64(terms+4))
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
