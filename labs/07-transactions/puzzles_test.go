package transactions_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/07-transactions"
)

// What a person may try to bring about who plays the network of part C ("grade play 7C"). n1 is the coordinator. It runs a transaction each
// time that it starts, and when the person says so.

// showOutcomes records what each participant knows of the transactions, where that has changed: the page shows it.
func (c *commitCluster) showOutcomes() func() bool {
	known := map[labrpc.NodeID]string{}
	return func() bool {
		if !c.s.Recording() {
			return false
		}
		for _, id := range c.s.Net.Nodes()[1:] {
			if now := c.knowledgeOf(id); now != known[id] {
				known[id] = now
				c.s.Seen(id, "transactions", now)
			}
		}
		return false
	}
}

// knowledgeOf describes the transactions in which a participant has voted.
func (c *commitCluster) knowledgeOf(id labrpc.NodeID) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []string
	for _, tx := range slices.Sorted(maps.Keys(c.txs)) {
		vote, voted := c.txs[tx].votes[id]
		switch outcome := c.txs[tx].outcome[id]; {
		case !voted:
		case outcome != Undecided:
			all = append(all, fmt.Sprintf("%s %s", tx, outcomeName(outcome)))
		case vote == VoteYes:
			all = append(all, fmt.Sprintf("%s in doubt", tx))
		}
	}
	return strings.Join(all, ", ")
}

// count returns in how many of its transactions a participant that is up is in doubt, and how many it has committed and aborted.
func (c *commitCluster) count(tx TxID) (doubt, committed, aborted int) {
	for _, id := range c.s.Net.Nodes()[1:] {
		c.mu.Lock()
		p, outcome := c.participants[id], c.txs[tx].outcome[id]
		c.mu.Unlock()
		switch {
		case outcome == Committed:
			committed++
		case outcome == Aborted:
			aborted++
		case p != nil && c.s.Net.Up(id) && slices.Contains(p.InDoubt(), tx):
			doubt++
		}
	}
	return doubt, committed, aborted
}

// some reports whether there is a transaction for which the condition holds.
func (c *commitCluster) some(holds func(doubt, committed, aborted int) bool) bool {
	c.mu.Lock()
	txs := slices.Sorted(maps.Keys(c.txs))
	c.mu.Unlock()
	return slices.ContainsFunc(txs, func(tx TxID) bool { return holds(c.count(tx)) })
}

// commitPuzzles are those of part C.
func commitPuzzles(c *commitCluster) []labtest.Puzzle {
	yes := map[TxID]bool{} // in these, both participants have been in doubt at one time
	return []labtest.Puzzle{
		{
			ID: "commit", Title: "A calm commit",
			Goal: "Have both participants commit a transaction.",
			Hints: []string{
				"The coordinator n1 asks both participants to prepare. It commits when both have voted yes.",
				"Deliver both requests, both replies, and both messages with the decision.",
			},
			Reached:  func() bool { return c.some(func(_, committed, _ int) bool { return committed == 2 }) },
			Solution: "d0.d0.d0.d0.d0.d0",
		},
		{
			ID: "apart", Title: "Committed here, in doubt there",
			Goal: "Bring about a time at which one participant has committed a transaction and the other is in doubt about it.",
			Hints: []string{
				"The decision travels to each participant in a message of its own.",
			},
			Reached:  func() bool { return c.some(func(doubt, committed, _ int) bool { return doubt == 1 && committed == 1 }) },
			Solution: "d0.d1.d0.d0.d0",
		},
		{
			ID: "block", Title: "A crash that blocks everyone",
			Goal: "Bring about a time at which n1 is down and both participants are in doubt about one transaction. They must wait until n1 is up again.",
			Hints: []string{
				"A participant is in doubt from its vote yes until it learns the outcome.",
				"Deliver both requests to prepare, and crash n1 before it sends a decision that arrives.",
			},
			Reached: func() bool {
				return !c.s.Net.Up(coordinatorNode) && c.some(func(doubt, _, _ int) bool { return doubt == 2 })
			},
			Solution: "d1.d0.k1",
		},
		{
			ID: "aborted", Title: "All said yes, and it aborts",
			Goal: "Have both participants vote yes in one transaction, and then both abort it.",
			Hints: []string{
				"The coordinator commits only when it has received both votes. What does it decide when it does not receive one of them?",
				"A coordinator that crashes before its decision is on the disk has decided to abort. Or its context ends: let time pass.",
			},
			Reached: func() bool {
				c.mu.Lock()
				txs := slices.Sorted(maps.Keys(c.txs))
				c.mu.Unlock()
				for _, tx := range txs {
					doubt, _, aborted := c.count(tx)
					yes[tx] = yes[tx] || doubt == 2
					if yes[tx] && aborted == 2 {
						return true
					}
				}
				return false
			},
			Solution: "w.d1.d0.w.w.w.w.d16.d18.d21.d4.d19",
		},
		{
			ID: "impatient", Title: "Tired of waiting",
			Goal: "Have a participant that has voted yes abort by itself: no node with which it is connected knows the outcome, and it has waited for long.",
			Hints: []string{
				"What may have happened at the other participant meanwhile?",
			},
			Rules: []string{
				"A transaction commits only if every participant has voted yes or read-only (rule 23)",
				"A participant in doubt calls neither Commit nor Abort until it learns the outcome from a node that knows it (rule 25)",
				"A coordinator which has no decision to commit on its disk says that the transaction has aborted (rule 27)",
				"A coordinator keeps a decision to commit until every participant that voted yes has the outcome on its disk (rule 28)",
			},
			Forbid: 1,
		},
	}
}
