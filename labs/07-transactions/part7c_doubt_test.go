package transactions_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/07-transactions"
)

// All participants have voted yes, and the coordinator is away: it has crashed before it had all votes (even seeds), or its
// decision to commit reaches no participant (odd seeds). Whatever the participants ask each other, they wait for a minute, also those that crash
// and return (rule 25); in some seeds they wait for minutes, or an hour. Then the coordinator is back, and they have the outcome (rules 26 and 27).
func TestWaitsInDoubt7C(t *testing.T) {
	const decided = "the coordinator had decided to commit, and no participant knew"
	cfg := labtest.Config{Nodes: 5, Link: calmLink, Seeds: 4, Limit: 2 * time.Hour, MustCover: []string{decided}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		c := newCommitCluster(s)
		c.startAll()
		all := participantsOf(4)
		want := Aborted
		c.add("t1", map[labrpc.NodeID]scriptedVote{2: {VoteYes, 500 * time.Millisecond}})
		call := c.run("t1", time.Minute)
		if s.Seed%2 == 0 {
			c.voted("t1", 3, 4, 5)
			s.Net.Crash(coordinatorNode)
			c.voted("t1", all...)
		} else {
			c.voted("t1", all...)
			wrote := s.Net.Writes(coordinatorNode)
			s.Until(calmRun, func() bool { return s.Net.Writes(coordinatorNode) > wrote }) // it decides, and no message of that has arrived
			for _, id := range all {
				s.Net.Cut(coordinatorNode, id)
			}
			c.returns(call, "t1", calmRun, Committed)
			s.Cover(decided)
			want = Committed
			if s.Seed%4 == 1 {
				s.Net.Crash(coordinatorNode)
			}
		}
		c.mustNotEnd(ruleInDoubt, "no node that it can reach knows the outcome", all...)
		s.Run(time.Second)
		c.inDoubt("t1", all...)
		c.restart(3)
		s.Run(30 * time.Second)
		c.restart(4)
		c.inDoubt("t1", all...)
		s.Run(30 * time.Second)
		if s.Seed%3 == 2 { // for long n2 alone is up, and asks
			for _, id := range all[1:] {
				s.Net.Crash(id)
			}
			s.Run(long(s, 2))
			for _, id := range all[1:] {
				c.start(id)
			}
		}
		c.inDoubt("t1", all...)
		c.mayEnd(all...)
		if !s.Net.Up(coordinatorNode) {
			c.start(coordinatorNode)
		}
		s.Net.Heal()
		aborted := func() bool { return c.outcome("t1", 2) == Aborted }
		if want == Aborted && !s.Until(learnLimit, aborted) {
			if s.Until(time.Minute, aborted) {
				s.Failf(ruleLearns, "n2 called Abort for t1 more than %v after the restart of the coordinator, which is connected to it", learnLimit)
			}
			s.Failf(rulePresumed, "the coordinator crashed before it had all votes, and a minute after its restart n2 is still in doubt")
		}
		c.learns(learnLimit, "t1", want, all...)
		c.settles(learnLimit)
	})
}

// long is an hour in the given seed and one of eight others, and some minutes elsewhere: participants in doubt ask all the time.
func long(s *labtest.Sim, seed uint64) time.Duration {
	if s.Seed%8 == seed {
		return time.Hour
	}
	return 7 * time.Minute
}

// n3 and n4 are in doubt, and cut off from the coordinator and from each other. n2 knows the outcome: it has committed, or has voted no. n3 learns it from
// n2, and n4 from n3: also after an hour, and after many other transactions of n2 (rule 26).
func TestLearnsFromAnother7C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 4, Link: calmLink, Seeds: 8, Limit: 3 * time.Hour}, func(s *labtest.Sim) {
		c := newCommitCluster(s)
		c.startAll()
		want := Committed
		if s.Seed%2 == 0 {
			want = Aborted
			c.add("t1", map[labrpc.NodeID]scriptedVote{2: {VoteNo, 300 * time.Millisecond}})
		} else {
			c.add("t1", nil)
		}
		call := c.run("t1", time.Minute)
		c.voted("t1", 3, 4)
		s.Net.Partition([]labrpc.NodeID{3}, []labrpc.NodeID{4})
		s.Net.Cut(coordinatorNode, 3)
		if want == Committed {
			s.Net.HealBoth(coordinatorNode, 3) // the votes must arrive
			s.Net.HealBoth(coordinatorNode, 4)
			c.voted("t1", 2)
			s.Net.Cut(coordinatorNode, 3)
			s.Net.Cut(coordinatorNode, 4)
		}
		c.mustNotEnd(ruleInDoubt, "no node that it can reach knows the outcome", 3, 4)
		c.returns(call, "t1", 2*time.Second, want)
		if want == Committed {
			c.learns(learnLimit, "t1", Committed, 2)
		}
		s.Net.Isolate(coordinatorNode)
		if s.Seed%4 < 2 {
			s.Net.Crash(coordinatorNode)
		}
		s.Run(10 * time.Second)
		if want == Committed && s.Seed%3 == 0 {
			c.restart(2) // the outcome is on its disk
		}
		if s.Seed/2%2 == 1 { // which nodes to ask is on the disk, too
			c.restart(3)
			c.restart(4)
		}
		s.Run(20 * time.Second)
		c.inDoubt("t1", 3)
		c.inDoubt("t1", 4)
		if s.Seed%3 > 0 {
			c.muchLater(s.Seed%3 == 1, 2, 3, 4)
		}
		c.mayEnd(3)
		s.Net.HealBoth(2, 3)
		c.learns(learnLimit, "t1", want, 3)
		s.Net.Isolate(2)
		if s.Seed%3 == 1 {
			c.restart(3)
		}
		s.Run(20 * time.Second)
		c.inDoubt("t1", 4)
		if s.Seed%3 > 0 {
			c.muchLater(s.Seed%3 == 2, 3, 4)
		}
		c.mayEnd(4)
		s.Net.HealBoth(3, 4)
		c.learns(learnLimit, "t1", want, 4)
		c.learnsOfANo()
		if s.Seed == 1 {
			c.learnsAfterHundreds()
		}
	})
}

// learnsOfANo: n2's vote no does not reach the coordinator, whose Run is under way. n3 and n4, which reach both, learn it from n2 (rule 26).
func (c *commitCluster) learnsOfANo() {
	s := c.s
	s.Net.Heal()
	if !s.Net.Up(coordinatorNode) {
		c.start(coordinatorNode)
	}
	c.settles(2 * learnLimit)
	s.Net.Cut(2, coordinatorNode)
	c.add("no", map[labrpc.NodeID]scriptedVote{2: {vote: VoteNo}})
	call := c.run("no", time.Minute)
	c.voted("no", 2, 3, 4)
	c.learns(learnLimit, "no", Aborted, 3, 4)
	s.Net.Heal()
	c.returns(call, "no", 2*learnLimit, Aborted)
}

// learnsAfterHundreds: n3 misses the decision to commit. It learns it from n2, although that has committed 600 other transactions since (rule 26).
func (c *commitCluster) learnsAfterHundreds() {
	const tx, slow = "early", 300 * time.Millisecond
	s := c.s
	c.add(tx, map[labrpc.NodeID]scriptedVote{2: {VoteYes, slow}}, 4)
	call := c.run(tx, time.Minute)
	c.voted(tx, 3)
	s.Run(100 * time.Millisecond) // until the vote has arrived
	s.Net.Isolate(3)
	c.returns(call, tx, slow+calmRun, Committed)
	c.learns(learnLimit, tx, Committed, 2)
	c.commitMany(600, "after", 3, 4) // more cost a design with one record twenty seconds
	s.Net.Isolate(coordinatorNode)
	c.inDoubt(tx, 3)
	s.Net.HealBoth(2, 3)
	c.learns(learnLimit, tx, Committed, 3)
}

// muchLater lets an hour pass, in which the coordinator and the nodes in doubt are down, so that they do not send all the time. Then, if
// many is true, many transactions commit in which only one node takes part. The nodes in doubt start again. The coordinator is up, and cut off.
func (c *commitCluster) muchLater(many bool, knows labrpc.NodeID, inDoubt ...labrpc.NodeID) {
	s := c.s
	for _, id := range append(inDoubt, coordinatorNode) {
		s.Net.Crash(id)
	}
	s.Run(time.Hour)
	c.start(coordinatorNode)
	if many {
		s.Net.HealBoth(coordinatorNode, knows)
		others := slices.DeleteFunc(s.Net.Nodes(), func(id labrpc.NodeID) bool { return id == knows })
		c.commitMany(120, fmt.Sprintf("alone-%v", knows), others...)
		s.Net.CutBoth(coordinatorNode, knows)
	}
	for _, id := range inDoubt {
		c.start(id)
		c.inDoubt("t1", id)
	}
}

// commitMany commits n transactions, ten at a time, so that a node which remembers only the last of them has forgotten the earlier ones.
func (c *commitCluster) commitMany(n int, name string, leftOut ...labrpc.NodeID) {
	for first := 0; first < n; first += 10 {
		calls := map[TxID]*commitRun{}
		for i := range 10 {
			tx := TxID(fmt.Sprintf("%s-%d", name, first+i))
			c.add(tx, nil, leftOut...)
			calls[tx] = c.run(tx, time.Minute)
		}
		for _, tx := range slices.Sorted(maps.Keys(calls)) {
			c.returns(calls[tx], tx, calmRun, Committed)
		}
	}
}

// n3 is in doubt, and can reach only n2, which knows no outcome: it voted read-only and restarted, it is still without a request
// to prepare, or its Prepare is under way. If n2 says to n3 that the transaction has aborted, it has to keep to that (rules 22 and 25).
func TestAsksOneWhoDoesNotKnow7C(t *testing.T) {
	const readOnly, unasked = "n2 had voted read-only and restarted", "n2 was without a request to prepare"
	cfg := labtest.Config{Nodes: 4, Link: calmLink, Seeds: 6, MustCover: []string{readOnly, unasked}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		c := newCommitCluster(s)
		c.startAll()
		var call *commitRun
		if s.Seed%2 == 0 {
			c.add("t1", map[labrpc.NodeID]scriptedVote{2: {vote: VoteReadOnly}, 4: {VoteYes, 100 * time.Millisecond}})
			call = c.run("t1", time.Minute)
			c.voted("t1", 2, 3, 4)
			s.Net.Cut(coordinatorNode, 3)
			s.Net.CutBoth(3, 4)
			c.returns(call, "t1", calmRun, Committed)
			c.restart(2)
			s.Cover(readOnly)
			s.Run(30 * time.Second)
		} else {
			s.Net.CutBoth(coordinatorNode, 2)
			c.add("t1", nil)
			call = c.run("t1", time.Minute)
			c.voted("t1", 3, 4)
			s.Net.CutBoth(3, 4)
			s.Net.Run(50 * time.Millisecond)
			s.Net.Cut(coordinatorNode, 3)
			s.Run(10 * time.Second)
			s.Net.CutBoth(2, 3)
			c.restart(2)
			s.Cover(unasked)
			s.Net.HealBoth(coordinatorNode, 2)
		}
		s.Run(2 * time.Second)
		c.ends(call, "t1", time.Minute)
		s.Net.Heal()
		c.settles(learnLimit)
		c.asksOneWhoPrepares()
	})
}

// asksOneWhoPrepares: n3 is in doubt, cannot reach the coordinator, and asks n2, whose Prepare is under way. Then n2 restarts, and votes yes in the Prepare
// of its new incarnation. If n2 has said to n3 that the transaction has aborted, n2 has to keep to that, also after the crash (rules 22 and 25).
func (c *commitCluster) asksOneWhoPrepares() {
	const slow = 4 * time.Second
	s := c.s
	c.add("slow", map[labrpc.NodeID]scriptedVote{2: {VoteYes, slow}})
	call := c.run("slow", time.Minute)
	c.voted("slow", 3, 4)
	s.Run(100 * time.Millisecond) // until the votes have arrived
	s.Net.CutBoth(coordinatorNode, 3)
	s.Net.CutBoth(3, 4)
	s.Run(slow - time.Second)
	s.Net.CutBoth(2, 3) // the new incarnation is not asked
	c.restart(2)
	c.ends(call, "slow", time.Minute)
	s.Net.Heal()
	c.settles(learnLimit)
}

// n2 takes long, and the others are in doubt and ask. While Run is under way, no participant learns an outcome (rule 27).
func TestAsksTooEarly7C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 4, Link: calmLink, Seeds: 4}, func(s *labtest.Sim) {
		c := newCommitCluster(s)
		c.startAll()
		c.add("t1", map[labrpc.NodeID]scriptedVote{2: {VoteYes, 10 * time.Second}})
		c.mustNotEnd(rulePresumed, "Run is under way and n2 has not voted", 3, 4)
		call := c.run("t1", time.Minute)
		c.voted("t1", 3, 4)
		s.Run(3 * time.Second)
		c.restart(3)
		s.Run(3 * time.Second)
		c.inDoubt("t1", 3, 4)
		s.Net.Cut(2, coordinatorNode)
		s.Run(5 * time.Second)
		c.mayEnd(3, 4)
		s.Net.Heal()
		c.returns(call, "t1", 10*time.Second, Committed) // no rule says how soon the coordinator asks n2 again
		c.settles(learnLimit)
		c.has("t1", Committed)
		c.twoCoordinators()
	})
}

// twoCoordinators: n4 becomes a coordinator, too. n2 and n3 are in doubt in a transaction of n1, which cannot reach them, when they commit one
// of n4. What n4 does not know of the other transaction is no outcome (rules 22 and 25).
func (c *commitCluster) twoCoordinators() {
	s := c.s
	s.Net.Crash(4)
	c.mu.Lock()
	delete(c.participants, 4)
	delete(c.resources, 4)
	first := c.coordinator
	c.mu.Unlock()
	node := s.Start(4)
	for _, name := range node.Disk().Names() { // the records of a participant are no coordinator's
		_ = node.Disk().Delete(name)
	}
	second := StartCoordinator(node)
	c.add("one", nil, 4)
	call := c.run("one", time.Minute)
	c.voted("one", 2, 3)
	s.Net.Cut(coordinatorNode, 2)
	s.Net.Cut(coordinatorNode, 3)
	c.returns(call, "one", calmRun, Committed)

	c.add("two", nil, 4)
	c.mu.Lock()
	c.coordinator = second
	c.mu.Unlock()
	c.returns(c.run("two", time.Minute), "two", calmRun, Committed)
	c.mu.Lock()
	c.coordinator = first
	c.mu.Unlock()
	s.Run(learnLimit)
	c.inDoubt("one", 2, 3)
	s.Net.Heal()
	c.learns(learnLimit, "one", Committed, 2, 3)
	c.settles(learnLimit)
	c.has("two", Committed)
}

// n3 misses the decision to commit, and is isolated for long; the others have it. The coordinator restarts twice. It keeps the decision
// until n3 has it, and then forgets it: its disk does not grow (rule 28).
func TestForgetsWhenAllKnow7C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 4, Link: calmLink, Seeds: 4, Limit: 2 * time.Hour}, func(s *labtest.Sim) {
		c := newCommitCluster(s)
		c.startAll()
		c.add("t0", nil)
		c.returns(c.run("t0", time.Minute), "t0", calmRun, Committed)
		s.Run(5 * time.Second)
		before := c.diskBytes(coordinatorNode)
		c.add("t1", nil)
		call := c.run("t1", time.Minute)
		c.voted("t1", 2, 3, 4)
		c.hearsNothing(3)
		c.returns(call, "t1", calmRun, Committed)
		c.learns(learnLimit, "t1", Committed, 2, 4)
		for range 2 {
			s.Run(10 * time.Second)
			c.restart(coordinatorNode)
		}
		s.Run(10 * time.Second)
		c.inDoubt("t1", 3)
		if s.Seed%2 == 0 {
			c.restart(3)
		}
		c.oneOutcome = ruleForgets
		s.Net.HealBoth(3, coordinatorNode)
		if !s.Until(learnLimit, func() bool { return c.outcome("t1", 3) == Committed }) {
			s.Failf(ruleForgets, "n3 voted yes in t1, which committed, but %v after it could reach the coordinator again it has %s", learnLimit, outcomeName(c.outcome("t1", 3)))
		}
		s.Net.Heal()
		for i := range 20 {
			tx := TxID("u" + string(rune('a'+i)))
			c.add(tx, nil)
			c.returns(c.run(tx, time.Minute), tx, calmRun, Committed)
		}
		s.Run(learnLimit)
		c.hasForgotten(before)
		c.forgetsLate()
		c.hasForgotten(before)
		c.knowsAnother()
		c.settles(0)
		c.fallsSilent()
	})
}

// forgetsLate: n3 misses twenty decisions to commit, for half a minute (odd seeds), or until the coordinator has restarted. Then it learns them all, and 2s later
// the coordinator has forgotten them, although n4 is down and misses the decisions of earlier transactions: of one, or of 150. When n4 is back, in some seeds after
// minutes or an hour, the coordinator forgets those, too (rule 28). Their IDs are long: the disk shows whether they are there.
func (c *commitCluster) forgetsLate() {
	s := c.s
	n := 1
	if s.Seed == 1 {
		n = 150
	}
	var downs, txs []TxID
	for i := range n {
		downs = append(downs, "down-"+longID(fmt.Sprint(i))) // before the others in the alphabet
	}
	c.commitUnheard(4, downs)
	s.Net.Crash(4)
	c.learnsAll(learnLimit, downs, Committed, 2, 3)
	kept := c.diskBytes(coordinatorNode) // with the decisions of these transactions

	for i := range 20 {
		txs = append(txs, TxID(fmt.Sprint("late", i)))
	}
	c.commitUnheard(3, txs, 4)
	if s.Seed%2 == 0 {
		s.Run(time.Second)
		c.restart(coordinatorNode)
	} else {
		s.Run(30 * time.Second)
	}
	s.Net.HealBoth(3, coordinatorNode)
	c.learnsAll(learnLimit, txs, Committed, 2, 3)
	s.Run(learnLimit)
	c.hasForgotten(kept)
	s.Net.Heal()
	if s.Seed%3 == 0 {
		s.Run(long(s, 3))
	}
	c.start(4)
	c.learnsAll(learnLimit, downs, Committed, 4)
	s.Run(learnLimit)
}

// commitUnheard commits transactions in which n2 votes later than the others. Before it does, id stops hearing anything.
func (c *commitCluster) commitUnheard(id labrpc.NodeID, txs []TxID, leftOut ...labrpc.NodeID) {
	const slow = 300 * time.Millisecond
	calls := map[TxID]*commitRun{}
	for _, tx := range txs {
		c.add(tx, map[labrpc.NodeID]scriptedVote{2: {VoteYes, slow}}, leftOut...)
		calls[tx] = c.run(tx, time.Minute)
	}
	for _, tx := range txs {
		c.voted(tx, id)
	}
	c.hearsNothing(id)
	for _, tx := range txs {
		c.returns(calls[tx], tx, slow+calmRun, Committed)
	}
}

// knowsAnother: n3 misses a decision to commit, and acknowledges that of another transaction. Then the coordinator restarts: it has the first one
// still (rule 28).
func (c *commitCluster) knowsAnother() {
	s := c.s
	for i := range 3 {
		missed, known := TxID(fmt.Sprint("missed", i)), TxID(fmt.Sprint("known", i))
		c.add(missed, nil)
		call := c.run(missed, time.Minute)
		c.voted(missed, 2, 3, 4)
		c.hearsNothing(3)
		c.returns(call, missed, calmRun, Committed)
		s.Run(5 * time.Second)
		s.Net.HealBoth(3, coordinatorNode)
		c.add(known, nil)
		c.returns(c.run(known, time.Minute), known, calmRun, Committed)
		s.Run(20 * time.Millisecond)
		c.restart(coordinatorNode)
		s.Net.Heal()
		c.learns(learnLimit, missed, Committed, 2, 3, 4)
		c.learns(learnLimit, known, Committed, 2, 3, 4)
	}
}

// hasForgotten checks that the coordinator's disk has not grown.
func (c *commitCluster) hasForgotten(before int) {
	if after := c.diskBytes(coordinatorNode); after > before+100 {
		c.s.Failf(ruleForgets, "the coordinator's disk holds %d bytes, although 20 transactions before it held %d and all participants have known the outcomes for %v", after, before, learnLimit)
	}
}

func (c *commitCluster) diskBytes(id labrpc.NodeID) int {
	disk := c.s.Net.Disk(id)
	n := 0
	for _, name := range disk.Names() {
		data, _ := disk.Read(name)
		n += len(name) + len(data)
	}
	return n
}
