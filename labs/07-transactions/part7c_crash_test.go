package transactions_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/07-transactions"
)

// n2 crashes before or after each of its writes, and at the instant at which its vote leaves; sometimes it returns before Run ends, sometimes after.
// Its vote yes, with the work, and the outcome outlive the crash (rules 22 and 24).
func TestVoteSurvivesCrash7C(t *testing.T) {
	const crashed, doubt = "n2 crashed at a write", "n2 was in doubt when it returned"
	cfg := labtest.Config{Nodes: 4, Link: calmLink, Seeds: 6, MustCover: []string{crashed, doubt}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		c := newCommitCluster(s)
		c.startAll()
		for round := range 10 {
			tx := TxID([]string{"", "t-", "t/é ", "commit-t", "branch-t-"}[round/2] + fmt.Sprint(round)) // any strings
			c.add(tx, map[labrpc.NodeID]scriptedVote{3: {VoteYes, time.Duration(s.Seed%3) * 100 * time.Millisecond}})
			if round >= 2 {
				s.Net.CrashAtWrite(2, labrpc.CrashPoint{Write: s.Net.Writes(2) + round/2, After: round%2 == 1})
			}
			call := c.run(tx, 3*time.Second)
			if round < 2 {
				c.voted(tx, 2)
				s.Net.Crash(2)
			}
			s.Run(time.Duration(s.Seed%4) * 200 * time.Millisecond)
			s.Net.CrashAtWrite(2, labrpc.CrashPoint{})
			if !s.Net.Up(2) {
				if round >= 2 {
					s.Cover(crashed)
				}
				c.start(2)
				if len(c.participants[2].InDoubt()) > 0 {
					s.Cover(doubt)
				}
			}
			c.ends(call, tx, 4*time.Second)
			c.settles(2 * learnLimit)
		}

		// n2's reply is lost, and n2 restarts. To the next request it replies with the same vote.
		c.add("again", nil)
		s.Net.Cut(2, coordinatorNode)
		call := c.run("again", time.Minute)
		c.voted("again", 2, 3, 4)
		s.Run(20 * time.Millisecond)
		c.restart(2)
		s.Net.Heal()
		if !s.Until(10*time.Second, func() bool { _, _, done := call.result(); return done }) {
			s.Failf(ruleSameVote, "n2 voted yes in a transaction and restarted, but 10s after the coordinator can reach it again, Run has not returned")
		}
		c.returns(call, "again", 0, Committed)
		c.settles(learnLimit)
		c.restartsWithMany()
	})
}

// restartsWithMany: n2 votes yes in transactions whose IDs are nearly the same, in some seeds in many ways. In one of them its work is empty. It misses the
// decisions, and restarts; then the coordinator restarts. All these transactions are in doubt, and then they commit (rules 22 and 24).
func (c *commitCluster) restartsWithMany() {
	txs := []TxID{longID("1"), longID("2"), "name", "Name", "name ", "name\x00", "na/me", "na%2Fme", "é", "e\u0301"}
	if c.s.Seed%8 == 1 {
		txs = nearlyTheSame()
	}
	slices.Sort(txs)
	calls := map[TxID]*commitRun{}
	for i, tx := range txs {
		c.add(tx, map[labrpc.NodeID]scriptedVote{3: {VoteYes, 300 * time.Millisecond}}, 4)
		if i == 0 {
			c.doesNothing(tx, 2)
		}
		calls[tx] = c.run(tx, time.Minute)
	}
	c.missesDecisions(calls, time.Second, 2, 3)
	c.restart(coordinatorNode)
	c.s.Net.Heal()
	c.learnsAll(learnLimit, txs, Committed, 2)
	c.settles(learnLimit)
}

// missesDecisions: id has voted yes in these transactions, in each of which another participant, which knows the outcome later, is slow. The transactions commit
// within the limit while id is isolated. It restarts, and is in doubt about all of them.
func (c *commitCluster) missesDecisions(calls map[TxID]*commitRun, limit time.Duration, id, knows labrpc.NodeID) {
	txs := slices.Sorted(maps.Keys(calls))
	for _, tx := range txs {
		c.voted(tx, id)
	}
	c.s.Run(100 * time.Millisecond) // until the votes have arrived
	c.s.Net.Isolate(id)
	for _, tx := range txs {
		c.returns(calls[tx], tx, limit, Committed)
	}
	c.learnsAll(learnLimit, txs, Committed, knows)
	c.restart(id)
	got := c.participants[id].InDoubt()
	for _, tx := range txs {
		if !slices.Contains(got, tx) {
			c.s.Failf(ruleInDoubt, "InDoubt() at %v after its restart does not list %s, want that: %v voted yes in it and knows no outcome", id, idText(tx), id)
		}
	}
	if !slices.Equal(got, txs) {
		c.s.Failf(ruleInDoubt, "InDoubt() at %v after its restart lists %d transactions, want the %d in which it has voted yes and knows no outcome, each once, sorted", id, len(got), len(txs))
	}
}

// n2 has acknowledged the commit, and crashes at that instant. The coordinator has forgotten the transaction, so n2 must know it (rules 22 and 28).
func TestAcknowledgedIsDurable7C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 3, Link: calmLink, Seeds: 4}, func(s *labtest.Sim) {
		c := newCommitCluster(s)
		c.startAll()
		for round := range 4 {
			tx := TxID(fmt.Sprint("t", round))
			c.add(tx, nil)
			call := c.run(tx, time.Minute)
			c.voted(tx, 2, 3)
			sent := s.Net.Stats(labrpc.Match{From: 2}).Sent
			s.Until(calmRun, func() bool { return s.Net.Stats(labrpc.Match{From: 2}).Sent > sent })
			s.Net.Isolate(3) // it cannot help
			s.Net.Crash(2)
			s.Run(time.Second)
			s.Net.HealBoth(3, coordinatorNode)
			s.Run(2 * time.Second)
			c.start(2)
			c.ends(call, tx, time.Second)
			c.settles(learnLimit)
			s.Net.Heal()
		}
	})
}

// The coordinator crashes before or after each of its writes, when all have voted, or when Run has returned. In some rounds n3 misses what the coordinator
// sent before. It returns, and all have one outcome (rules 22, 26 and 27).
func TestCoordinatorCrashes7C(t *testing.T) {
	const committed, aborted = "a transaction committed although the coordinator crashed", "a transaction aborted because the coordinator crashed"
	cfg := labtest.Config{Nodes: 4, Link: calmLink, Seeds: 6, MustCover: []string{committed, aborted}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		c := newCommitCluster(s)
		c.startAll()
		for round := range 12 {
			tx := TxID(fmt.Sprint("t", round))
			var script map[labrpc.NodeID]scriptedVote
			if round == 3 && s.Seed%2 == 0 { // the decision is about n3 alone
				script = map[labrpc.NodeID]scriptedVote{2: {vote: VoteReadOnly}, 4: {vote: VoteReadOnly}}
			}
			c.add(tx, script)
			if round/2 >= 2 {
				s.Net.CrashAtWrite(coordinatorNode, labrpc.CrashPoint{Write: s.Net.Writes(coordinatorNode) + 1 + round/2%2, After: round/4%2 == 0})
			}
			call := c.run(tx, 3*time.Second)
			c.voted(tx, 2, 3, 4)
			if round%2 == 1 {
				s.Net.Cut(coordinatorNode, 3)
			}
			switch round / 2 {
			case 0:
				s.Net.Crash(coordinatorNode)
			case 1:
				c.returns(call, tx, calmRun, Committed)
				s.Net.Crash(coordinatorNode)
			}
			returned := false // before the crash
			s.Until(200*time.Millisecond, func() bool {
				_, _, done := call.result()
				up := s.Net.Up(coordinatorNode)
				returned = returned || done && up
				return !up
			})
			if !s.Net.Up(coordinatorNode) {
				if round/2 >= 2 && !returned {
					c.failsWithNode(call, "at a write")
				}
				if s.Seed%2 == 0 {
					s.Net.CutBoth(2, 3)
					s.Net.CutBoth(3, 4)
				}
				s.Run(time.Second)
				c.start(coordinatorNode)
			}
			s.Net.CrashAtWrite(coordinatorNode, labrpc.CrashPoint{})
			s.Net.HealBoth(coordinatorNode, 3)
			c.ends(call, tx, 4*time.Second)
			c.settles(2 * learnLimit)
			s.Net.Heal()
			s.Cover(map[Outcome]string{Committed: committed, Aborted: aborted}[c.outcome(tx, 3)])
		}
		c.crashesBetweenTwo()
	})
}

// crashesBetweenTwo: when the coordinator crashes, it has decided to commit one transaction, of which n3 does not know, and a vote of another one
// is missing. After its restart it says at once that the other one has aborted.
func (c *commitCluster) crashesBetweenTwo() {
	const open, decided = TxID("open"), TxID("decided")
	c.add(open, map[labrpc.NodeID]scriptedVote{4: {VoteYes, 20 * time.Second}})
	waits := c.run(open, time.Minute)
	c.voted(open, 2, 3)
	c.add(decided, nil)
	call := c.run(decided, time.Minute)
	c.voted(decided, 2, 3, 4)
	c.s.Net.Cut(coordinatorNode, 3)
	c.returns(call, decided, calmRun, Committed)
	c.s.Net.Crash(coordinatorNode)
	c.failsWithNode(waits, "when a vote was missing")
	c.s.Run(time.Second)
	c.start(coordinatorNode)
	c.learns(learnLimit, open, Aborted, 2)
	c.s.Net.HealBoth(coordinatorNode, 3)
	c.learns(learnLimit, open, Aborted, 3)
	c.learns(learnLimit, decided, Committed, 3)
	c.s.Run(20 * time.Second) // until n4 has voted
	c.settles(learnLimit)
}

// failsWithNode checks that Run, which was under way when its node crashed, returns an error in time.
func (c *commitCluster) failsWithNode(call *commitRun, how string) {
	c.s.Run(runReturn)
	if outcome, err, done := call.result(); !done || err == nil || outcome != Undecided {
		got := "had not returned"
		if done {
			got = fmt.Sprintf("had returned the outcome %s and the error %v", outcomeName(outcome), err)
		}
		c.s.Failf(ruleRunReturns, "%v after the coordinator crashed %s, Run %s, want a return with an error and without an outcome", runReturn, how, got)
	}
}

// Links duplicate and delay messages. When all has ended, in some seeds for an hour, every message is sent once more, in any order, in some seeds to nodes that
// have restarted. A resource that is asked again would vote otherwise (rules 22 and 24).
func TestDuplicates7C(t *testing.T) {
	const duplicated = "messages arrived twice"
	link := labrpc.Link{Latency: labrpc.Uniform(time.Millisecond, 120*time.Millisecond), Duplicate: 0.7}
	cfg := labtest.Config{Nodes: 4, Link: link, Limit: 2 * time.Hour, MustCover: []string{duplicated}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		var seen []labrpc.Message
		s.Net.Intercept(func(m *labrpc.Message) labrpc.Verdict {
			seen = append(seen, *m)
			return labrpc.Pass
		})
		c := newCommitCluster(s)
		c.startAll()
		for i := range 6 {
			tx := TxID(fmt.Sprint("t", i))
			script := map[labrpc.NodeID]scriptedVote{}
			if i%3 > 0 {
				id := s.Rand().IntN(3)
				script[labrpc.NodeID(2+id)] = scriptedVote{Vote([]Vote{VoteNo, VoteReadOnly}[i%3-1]), time.Duration(i) * 20 * time.Millisecond}
				if i%3 == 1 { // a vote read-only comes when the transaction has aborted, also if old messages arrive at a new incarnation
					script[labrpc.NodeID(2+(id+1)%3)] = scriptedVote{VoteReadOnly, 500 * time.Millisecond}
				}
			}
			c.add(tx, script)
			call := c.run(tx, 10*time.Second)
			if i%2 == 0 {
				c.ends(call, tx, 11*time.Second)
			}
		}
		s.Run(12 * time.Second)
		c.settles(0)
		old := requestsOf(seen)
		s.Net.SetLinks(calmLink)
		if s.Seed%3 == 0 {
			s.Run(time.Hour)
			c.commitMany(120, "other")
		}
		if s.Seed%2 == 0 {
			for _, id := range s.Net.Nodes() {
				c.restart(id)
			}
		}
		s.Rand().Shuffle(len(old), func(i, j int) { old[i], old[j] = old[j], old[i] })
		for _, m := range old {
			_ = s.Net.Inject(m)
		}
		s.Run(time.Second)
		c.settles(2 * learnLimit)
		if s.Net.Stats(labrpc.Match{}).Duplicated > 0 {
			s.Cover(duplicated)
		}
	})
}

// requestsOf leaves out replies, which the network does not take from a test.
func requestsOf(all []labrpc.Message) []labrpc.Message {
	var some []labrpc.Message
	for _, m := range all {
		if m.Kind != labrpc.Reply {
			some = append(some, m)
		}
	}
	return some
}

// Transactions with all kinds of votes, while nodes crash, also at writes, and links lose messages. Every call of a resource is checked
// (rules 22 to 25); after the last fault, all have their outcomes (rule 26).
func TestSafeInAStorm7C(t *testing.T) {
	const crashed, doubt = "a node crashed", "a participant was in doubt when it returned"
	cfg := labtest.Config{Nodes: 5, Link: labrpc.FairLoss(0.1), Seeds: 15, MustCover: []string{crashed, doubt}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		c := newCommitCluster(s)
		c.startAll()
		for i := range 25 {
			switch id := labrpc.NodeID(1 + s.Rand().IntN(5)); s.Rand().IntN(6) {
			case 0:
				s.Net.Crash(id)
			case 1:
				s.Net.CrashAtWrite(id, labrpc.CrashPoint{Write: s.Net.Writes(id) + 1 + s.Rand().IntN(2), After: s.Rand().IntN(2) == 0})
			case 2:
				s.Net.Pause(id, time.Duration(50+s.Rand().IntN(300))*time.Millisecond)
			default:
				if s.Net.Up(coordinatorNode) {
					tx := TxID(fmt.Sprint("t", i))
					c.add(tx, randomScript(s.Rand()), labrpc.NodeID(2+s.Rand().IntN(5)))
					c.run(tx, time.Duration(100+s.Rand().IntN(900))*time.Millisecond)
				}
			}
			s.Run(time.Duration(1 + s.Rand().Int64N(int64(150*time.Millisecond))))
			for _, id := range s.Net.Nodes() {
				if !s.Net.Up(id) && s.Rand().IntN(3) == 0 {
					s.Cover(crashed)
					c.start(id)
					if p := c.participants[id]; p != nil && len(p.InDoubt()) > 0 {
						s.Cover(doubt)
					}
				}
			}
		}
		s.Net.SetLinks(calmLink)
		for _, id := range s.Net.Nodes() {
			s.Net.CrashAtWrite(id, labrpc.CrashPoint{})
			if !s.Net.Up(id) {
				c.start(id)
			}
		}
		s.Run(2 * time.Second) // the last calls of Run end
		c.settles(2 * learnLimit)
		c.fallsSilent()
	})
}

// randomScript makes some participants of a transaction slow, or vote otherwise than yes.
func randomScript(r *rand.Rand) map[labrpc.NodeID]scriptedVote {
	script := map[labrpc.NodeID]scriptedVote{}
	for id := labrpc.NodeID(2); id <= 5; id++ {
		switch r.IntN(12) {
		case 0:
			script[id] = scriptedVote{VoteNo, time.Duration(r.IntN(50)) * time.Millisecond}
		case 1:
			script[id] = scriptedVote{VoteReadOnly, time.Duration(r.IntN(50)) * time.Millisecond}
		case 2:
			script[id] = scriptedVote{VoteYes, time.Duration(r.IntN(300)) * time.Millisecond}
		}
	}
	return script
}
