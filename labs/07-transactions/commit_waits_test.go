package transactions_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/07-transactions"
)

// returns waits for Run, and checks what it returns.
func (c *commitCluster) returns(call *commitRun, tx TxID, limit time.Duration, want Outcome) {
	c.ends(call, tx, limit)
	if got, err, _ := call.result(); got != want {
		c.s.Failf(c.ruleOfRun(limit), "Run of %s returned (%s, %v), want %s: %s", tx, outcomeName(got), err, outcomeName(want), c.votesIn(tx))
	}
}

// ends waits for Run, whatever it returns.
func (c *commitCluster) ends(call *commitRun, tx TxID, limit time.Duration) {
	if !c.s.Until(limit, func() bool { _, _, done := call.result(); return done }) {
		c.s.Failf(c.ruleOfRun(limit), "Run of %s has not returned within %v of its call: %s", tx, limit, c.votesIn(tx))
	}
}

// ruleOfRun is the rule that gives Run so much time.
func (c *commitCluster) ruleOfRun(limit time.Duration) string {
	if limit == lossyRun {
		return ruleLossy
	}
	return ruleRunReturns
}

// votesIn says how each participant has voted. Of very many it names only those that did not vote yes.
func (c *commitCluster) votesIn(tx TxID) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.txs[tx]
	var all []string
	yes := 0 // not named
	for _, b := range t.branches {
		text := "has not voted"
		if vote, voted := t.votes[b.Participant]; voted {
			text = "voted " + map[Vote]string{VoteNo: "no", VoteYes: "yes", VoteReadOnly: "read-only"}[vote]
			if vote == VoteYes && len(t.branches) > maxNames {
				yes++
				continue
			}
		}
		all = append(all, fmt.Sprintf("%v %s", b.Participant, text))
	}
	if yes > 0 {
		all = append(all, fmt.Sprintf("%d others voted yes", yes))
	}
	return strings.Join(all, ", ")
}

// hearsNothing cuts a participant off. Only what it sends to the coordinator arrives: it has voted, and misses the decision.
func (c *commitCluster) hearsNothing(id labrpc.NodeID) {
	c.s.Net.Isolate(id)
	c.s.Net.HealBoth(id, coordinatorNode)
	c.s.Net.Cut(coordinatorNode, id)
}

// voted waits until the participants have voted.
func (c *commitCluster) voted(tx TxID, ids ...labrpc.NodeID) {
	c.votedWithin(5*time.Second, tx, ids...)
}

func (c *commitCluster) votedWithin(limit time.Duration, tx TxID, ids ...labrpc.NodeID) {
	c.s.WaitFor(limit, *breach(ruleRunReturns, "in %s, %s have not voted within %v, although all nodes are up and connected", tx, commitNames(ids), limit), func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, id := range ids {
			if _, voted := c.txs[tx].votes[id]; !voted {
				return false
			}
		}
		return true
	})
}

// mustNotEnd says why the participants cannot know an outcome: they must wait.
func (c *commitCluster) mustNotEnd(rule, why string, ids ...labrpc.NodeID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range ids {
		c.mustWait[id] = labtest.Violation{Rule: rule, What: why}
	}
}

// mayEnd ends that.
func (c *commitCluster) mayEnd(ids ...labrpc.NodeID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range ids {
		delete(c.mustWait, id)
	}
}

// inDoubt checks that the participants are in doubt about tx, and about nothing else.
func (c *commitCluster) inDoubt(tx TxID, ids ...labrpc.NodeID) {
	for _, id := range ids {
		if got := c.participants[id].InDoubt(); !slices.Equal(got, []TxID{tx}) {
			c.s.Failf(ruleInDoubt, "InDoubt() = %v at %v, which has voted yes in %s and knows no outcome, want [%s]", got, id, tx, tx)
		}
	}
}

// learns waits until the participants have the outcome.
func (c *commitCluster) learns(limit time.Duration, tx TxID, want Outcome, ids ...labrpc.NodeID) {
	c.learnsAll(limit, []TxID{tx}, want, ids...)
}

// learnsAll waits until the participants have the outcomes of all these transactions, all within the limit.
func (c *commitCluster) learnsAll(limit time.Duration, txs []TxID, want Outcome, ids ...labrpc.NodeID) {
	end := c.s.Net.Now() + limit
	for _, tx := range txs {
		for _, id := range ids {
			c.s.WaitFor(max(0, end-c.s.Net.Now()), *breach(ruleLearns, "%v has not called %s for %s within %v, although a node that knows the outcome is connected to it",
				id, outcomeCall(want), tx, limit), func() bool { return c.outcome(tx, id) == want })
		}
	}
}

// outcome is the outcome that a participant has given to its resource.
func (c *commitCluster) outcome(tx TxID, id labrpc.NodeID) Outcome {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.txs[tx].outcome[id]
}

// settles waits until no participant is in doubt or holds a lock. All nodes are up and connected.
func (c *commitCluster) settles(limit time.Duration) {
	if c.s.Until(limit, func() bool { return c.unsettled() == nil }) {
		return
	}
	v := c.unsettled()
	v.What += fmt.Sprintf(", %v after all nodes were up and connected", limit)
	c.s.Fail(*v)
}

func (c *commitCluster) unsettled() *labtest.Violation {
	for _, id := range slices.Sorted(maps.Keys(c.participants)) {
		if doubt := c.participants[id].InDoubt(); len(doubt) > 0 {
			return breach(ruleLearns, "%v is in doubt about %s", id, doubt[0])
		}
		if v := c.keepsLock(id); v != nil {
			return v
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, tx := range slices.Sorted(maps.Keys(c.txs)) {
		t := c.txs[tx]
		for _, b := range t.branches {
			if t.votes[b.Participant] == VoteYes && t.outcome[b.Participant] == Undecided {
				return breach(ruleLearns, "%v voted yes in %s, but has called neither Commit nor Abort", b.Participant, tx)
			}
		}
	}
	return nil
}

func (c *commitCluster) keepsLock(id labrpc.NodeID) *labtest.Violation {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.resources[id]
	keys := slices.Sorted(maps.Keys(r.locks))
	if len(keys) == 0 {
		return nil
	}
	holder := r.locks[keys[0]]
	if r.prepared[holder] == VoteReadOnly {
		return breach(ruleReadOnly, "at %s, %v has voted read-only in %s, but still holds the locks of %[3]s", labtest.At(c.s.Net.Now()), id, holder)
	}
	return breach(ruleLearns, "at %s, %v still holds the locks of %s", labtest.At(c.s.Net.Now()), id, holder)
}

// has checks the outcome at every participant that voted yes.
func (c *commitCluster) has(tx TxID, want Outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.txs[tx]
	for _, b := range t.branches {
		if t.votes[b.Participant] == VoteYes && t.outcome[b.Participant] != want {
			c.s.Failf(ruleOneOutcome, "%s has %s at %v, want %s", tx, outcomeName(t.outcome[b.Participant]), b.Participant, outcomeName(want))
		}
	}
}

// fallsSilent checks that no node sends 5 s after every transaction has ended (rule 29). A participant in doubt may still learn until then (rule 26), and the
// coordinator may still have its decisions (rule 28).
func (c *commitCluster) fallsSilent() {
	c.s.Run(learnLimit + 5*time.Second)
	c.isSilent()
}

// isSilent checks that no node sends when nothing is left to do.
func (c *commitCluster) isSilent() {
	before := c.s.Net.Stats(labrpc.Match{}).Sent
	c.s.Run(time.Minute)
	if n := c.s.Net.Stats(labrpc.Match{}).Sent - before; n > 0 {
		c.s.Failf(ruleSilent, "the nodes sent %d messages in a minute, although every transaction has ended", n)
	}
}
