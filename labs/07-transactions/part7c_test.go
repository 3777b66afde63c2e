package transactions_test

import (
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/07-transactions"
)

// calmLink is the calm network of these rules.
var calmLink = labrpc.Reliable()

// Two transactions with two to five participants, which all vote yes (rules 22, 29 and 31).
func TestCommits7C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 6, Link: calmLink, Seeds: 8}, func(s *labtest.Sim) {
		c := newCommitCluster(s)
		c.startAll()
		for round, tx := range []TxID{"t1", "t2"} {
			all := participantsOf(2 + int(s.Seed%4))
			c.add(tx, nil, participantsBut(s, all)...)
			writes, messages := c.writes(), c.messages()
			call := c.run(tx, time.Minute)
			c.votedWithin(askTime, tx, all...)
			c.returns(call, tx, calmRun, Committed)
			if n := c.writes()[coordinatorNode] - writes[coordinatorNode]; n > 1 {
				s.Failf(ruleCost, "the coordinator has written %d records when Run returns, want 1", n)
			}
			c.learns(learnLimit, tx, Committed, all...)
			s.Run(10 * time.Second)
			c.settles(0)
			c.costs(writes, messages, all, 4, 2, 2)
			if round == 1 {
				c.isSilent()
			}
		}
	})
}

// participantsOf returns the first n participants.
func participantsOf(n int) []labrpc.NodeID {
	var ids []labrpc.NodeID
	for i := range n {
		ids = append(ids, coordinatorNode+1+labrpc.NodeID(i))
	}
	return ids
}

// participantsBut returns the participants that are not among these.
func participantsBut(s *labtest.Sim, ids []labrpc.NodeID) []labrpc.NodeID {
	var others []labrpc.NodeID
	for _, id := range s.Net.Nodes() {
		if int(id) > 1+len(ids) {
			others = append(others, id)
		}
	}
	return others
}

// writes counts the disk writes of each node.
func (c *commitCluster) writes() map[labrpc.NodeID]int {
	n := map[labrpc.NodeID]int{}
	for _, id := range c.s.Net.Nodes() {
		n[id] = c.s.Net.Writes(id)
	}
	return n
}

// messages counts the messages that each node has sent or received.
func (c *commitCluster) messages() map[labrpc.NodeID]int {
	n := map[labrpc.NodeID]int{}
	for _, id := range c.s.Net.Nodes() {
		n[id] = c.s.Net.Stats(labrpc.Match{From: id}).Sent + c.s.Net.Stats(labrpc.Match{To: id}).Sent
	}
	return n
}

// costs checks what each participant has sent, received and written since, and what the coordinator has written.
func (c *commitCluster) costs(writes, messages map[labrpc.NodeID]int, ids []labrpc.NodeID, maxMessages, maxWrites, maxCoordinator int) {
	rule := ruleCost
	if maxMessages < 4 {
		rule = ruleReadOnly
	}
	for _, id := range ids {
		if n := c.messages()[id] - messages[id]; n > maxMessages {
			c.s.Failf(rule, "%v has sent and received %d messages for one transaction, want at most %d", id, n, maxMessages)
		}
		if n := c.writes()[id] - writes[id]; n > maxWrites {
			c.s.Failf(rule, "%v has written to its disk %d times for one transaction, want at most %d", id, n, maxWrites)
		}
	}
	if n := c.writes()[coordinatorNode] - writes[coordinatorNode]; n > maxCoordinator {
		c.s.Failf(rule, "the coordinator has written to its disk %d times for one transaction, want at most %d", n, maxCoordinator)
	}
}

// One participant votes no, before, between or after the others. In some seeds another has not voted by then (rules 23 and 31). Later a participant misses that a transaction
// aborts (rules 26 and 27), and Prepare returns votes in one that has aborted (rules 26 and 30).
func TestOneNoAborts7C(t *testing.T) {
	const yesFirst = "a participant voted yes before another voted no"
	cfg := labtest.Config{Nodes: 5, Link: calmLink, Seeds: 12, MustCover: []string{yesFirst}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		c := newCommitCluster(s)
		c.startAll()
		no := labrpc.NodeID(2 + s.Seed%4)
		takes := time.Duration(s.Seed/4%4) * 50 * time.Millisecond
		script := map[labrpc.NodeID]scriptedVote{no: {VoteNo, takes}}
		slow := labrpc.NodeID(2 + (s.Seed+1)%4)
		if s.Seed%3 == 0 {
			script[slow] = scriptedVote{VoteYes, 3 * time.Second}
		}
		if s.Seed%3 == 1 {
			script[slow] = scriptedVote{VoteReadOnly, 0}
		}
		c.add("t1", script)
		call := c.run("t1", time.Minute)
		c.voted("t1", no)
		c.mu.Lock()
		if len(c.txs["t1"].votes) > 1 {
			s.Cover(yesFirst)
		}
		c.mu.Unlock()
		c.returns(call, "t1", calmRun, Aborted)
		c.settles(6 * time.Second)
		c.has("t1", Aborted)
		c.missesAbort("no", true)
		c.votesTooLate()
		if s.Seed%2 == 0 { // n2 is down for good when n3 votes no
			s.Net.Crash(2)
			c.add("t2", map[labrpc.NodeID]scriptedVote{3: {VoteNo, takes}})
			call = c.run("t2", time.Minute)
			c.voted("t2", 3)
			c.returns(call, "t2", calmRun, Aborted)
		}
		c.fallsSilent()
	})
}

// missesAbort: n3 votes yes, and misses that the transaction aborts: n2 votes no, or the context of Run ends. The vote of n4 is missing all the time: its Prepare takes
// long, or it is down. Run has returned, so the coordinator gives n3 the outcome as soon as the two are connected (rules 26 and 27).
func (c *commitCluster) missesAbort(tx TxID, no bool) {
	const end, slow = 300 * time.Millisecond, 20 * time.Second
	s := c.s
	limit, script := end, map[labrpc.NodeID]scriptedVote{4: {VoteYes, slow}}
	if no {
		limit, script[2] = time.Minute, scriptedVote{VoteNo, end}
	}
	if s.Seed%2 == 0 {
		s.Net.Crash(4)
	}
	c.add(tx, script)
	call := c.run(tx, limit)
	c.voted(tx, 3)
	c.hearsNothing(3)
	c.returns(call, tx, end+calmRun, Aborted)
	returned := s.Net.Now()
	s.Run(50 * time.Millisecond) // the coordinator may tell the participants once
	s.Net.HealBoth(3, coordinatorNode)
	if !s.Until(learnLimit, func() bool { return c.outcome(tx, 3) == Aborted }) {
		s.Failf(ruleLearns, "n3 voted yes in transaction %s and has not called Abort, although Run returned Aborted at %s, and the coordinator has been connected to n3 for %v; n4 has not voted",
			tx, labtest.At(returned), learnLimit)
	}
	s.Run(slow) // until n4 has voted
	if !s.Net.Up(4) {
		c.start(4)
	}
	s.Net.Heal()
	c.settles(learnLimit)
}

// votesTooLate: the transaction aborts, because n2 votes no or the context of Run ends. When all know it, Prepare returns yes at n3, read-only at n4 and no at n5:
// n3 calls Abort (rule 26), and n4 calls Release (rule 30).
func (c *commitCluster) votesTooLate() {
	const tx, end, slow = TxID("late"), 200 * time.Millisecond, 500 * time.Millisecond
	s := c.s
	limit, script := end, map[labrpc.NodeID]scriptedVote{3: {VoteYes, slow}, 4: {VoteReadOnly, slow}, 5: {VoteNo, slow}}
	if s.Seed%4 < 2 {
		limit, script[2] = time.Minute, scriptedVote{VoteNo, end}
	}
	c.add(tx, script)
	c.returns(c.run(tx, limit), tx, end+calmRun, Aborted)
	c.voted(tx, 3, 4, 5)
	s.Run(askTime)
	if c.keepsLock(4) != nil {
		s.Failf(ruleReadOnly, "Prepare returned VoteReadOnly at n4 for transaction %s, which had aborted before, but %v later n4 has not called Release", tx, askTime)
	}
	c.settles(learnLimit)
	c.has(tx, Aborted)
}

// Some participants, or all, vote read-only (rules 29 and 30).
func TestReadOnly7C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Link: calmLink, Seeds: 8}, func(s *labtest.Sim) {
		c := newCommitCluster(s)
		c.startAll()
		readers := participantsOf(1 + int(s.Seed%4))
		script := map[labrpc.NodeID]scriptedVote{}
		for _, id := range readers {
			script[id] = scriptedVote{vote: VoteReadOnly}
		}
		c.add("t1", script)
		writes, messages := c.writes(), c.messages()
		call := c.run("t1", time.Minute)
		c.returns(call, "t1", calmRun, Committed)
		for _, id := range readers {
			if v := c.keepsLock(id); v != nil {
				s.Fail(*v)
			}
		}
		s.Run(5 * time.Second)
		c.settles(0)
		c.has("t1", Committed)
		coordinator := 2
		if len(readers) == 4 {
			coordinator = 0 // nothing was changed: there is nothing to remember
		}
		c.costs(writes, messages, readers, 2, 0, coordinator)
		c.costs(writes, messages, participantsOf(4), 4, 2, coordinator)

		// n3 votes no when n2's vote read-only has arrived.
		c.add("t2", map[labrpc.NodeID]scriptedVote{2: {vote: VoteReadOnly}, 3: {VoteNo, askTime + calmRun}})
		between := func() int {
			return s.Net.Stats(labrpc.Match{From: coordinatorNode, To: 2}).Sent + s.Net.Stats(labrpc.Match{From: 2, To: coordinatorNode}).Sent
		}
		wrote, before := c.writes()[2], between()
		c.returns(c.run("t2", time.Minute), "t2", askTime+2*calmRun, Aborted)
		s.Run(5 * time.Second)
		if n := between() - before; n > 2 {
			s.Failf(ruleReadOnly, "the coordinator and n2, which voted read-only, have exchanged %d messages for transaction t2, want at most 2: n3's vote no arrived after n2's vote", n)
		}
		if n := c.writes()[2] - wrote; n > 0 {
			s.Failf(ruleReadOnly, "n2, which voted read-only, has written to its disk %d times for transaction t2, want 0", n)
		}
	})
}

// Run returns when its context ends, also for a participant that misses it (rules 26 and 27), and when its node crashes. As long as its context has not ended, it waits for a vote, in some seeds for an hour (rule 31), and
// in those seeds a participant that misses a decision learns it an hour after the start as soon as ever (rule 26).
func TestRunReturns7C(t *testing.T) {
	const limit = 1500 * time.Millisecond
	labtest.Run(t, labtest.Config{Nodes: 4, Link: calmLink, Seeds: 6, Limit: 2 * time.Hour}, func(s *labtest.Sim) {
		c := newCommitCluster(s)
		c.startAll()
		down := labrpc.NodeID(2 + s.Seed%3)
		s.Net.Crash(down)
		c.add("t1", nil)
		call := c.run("t1", limit)
		s.Run(limit - time.Millisecond)
		if outcome, err, done := call.result(); done {
			s.Failf(ruleRunReturns, "Run returned (%s, %v), although its context has not ended and %v has not voted", outcomeName(outcome), err, down)
		}
		c.returns(call, "t1", time.Millisecond+runReturn, Aborted)
		c.start(down)
		c.settles(learnLimit)
		c.has("t1", Aborted)

		c.add("t2", map[labrpc.NodeID]scriptedVote{down: {VoteYes, 500 * time.Millisecond}})
		call = c.run("t2", time.Minute)
		s.Run(200 * time.Millisecond)
		s.Net.Crash(coordinatorNode)
		c.failsWithNode(call, "while votes were missing")
		s.Run(time.Second)
		c.start(coordinatorNode)
		c.settles(learnLimit)
		c.missesAbort("missed", false)

		if s.Seed%3 == 0 { // n2 alone takes part
			c.add("t3", map[labrpc.NodeID]scriptedVote{2: {VoteYes, time.Hour}}, 3, 4)
			call = c.run("t3", 2*time.Hour)
			s.Run(time.Hour - time.Second)
			c.returns(call, "t3", time.Second+calmRun, Committed)
			c.settles(learnLimit)

			c.add("t4", nil) // what has been up for an hour is no slower
			call = c.run("t4", time.Minute)
			c.voted("t4", 2, 3, 4)
			c.hearsNothing(3)
			c.returns(call, "t4", calmRun, Committed)
			s.Net.Heal()
			c.learns(learnLimit, "t4", Committed, 2, 3, 4)
			c.settles(learnLimit)
		}
	})
}

// Links lose a fifth of the messages, and duplicate some (rule 31).
func TestCommitsUnderLoss7C(t *testing.T) {
	const lost = "a message was lost"
	cfg := labtest.Config{Nodes: 5, Link: labrpc.FairLoss(0.2), MustCover: []string{lost}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		c := newCommitCluster(s)
		c.startAll()
		for _, tx := range []TxID{"t1", "t2", "t3"} {
			c.add(tx, nil)
			c.returns(c.run(tx, lossyRun), tx, lossyRun, Committed)
		}
		s.Net.SetLinks(calmLink)
		c.settles(2 * learnLimit)
		for _, tx := range []TxID{"t1", "t2", "t3"} {
			c.has(tx, Committed)
		}
		c.fallsSilent()
		if s.Net.Stats(labrpc.Match{}).Lost > 0 {
			s.Cover(lost)
		}
	})
}

// n2's vote yes in t1 is on the way for 600ms; meanwhile t1 aborts, because n3 votes no, and t2 begins, in which n2 votes no later (rule 23).
func TestLateVote7C(t *testing.T) {
	const late = "a vote arrived after its transaction had ended"
	cfg := labtest.Config{Nodes: 4, Link: calmLink, Seeds: 4, MustCover: []string{late}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		c := newCommitCluster(s)
		c.startAll()
		s.Net.SetLink(2, coordinatorNode, labrpc.Link{Latency: labrpc.Fixed(600 * time.Millisecond)})
		c.add("t1", map[labrpc.NodeID]scriptedVote{3: {VoteNo, 100 * time.Millisecond}})
		c.add("t2", map[labrpc.NodeID]scriptedVote{2: {VoteNo, 2 * time.Second}})
		first := c.run("t1", time.Minute)
		c.returns(first, "t1", 2*calmRun, Aborted)
		second := c.run("t2", time.Minute)
		s.Run(1500 * time.Millisecond) // until the vote has arrived, also in the reply to a request that was repeated
		if _, _, done := second.result(); !done {
			s.Cover(late)
		}
		s.Net.SetLinks(calmLink)
		c.returns(second, "t2", 2*time.Second, Aborted)
		c.settles(2 * learnLimit)
		c.has("t1", Aborted)
		c.has("t2", Aborted)
	})
}
