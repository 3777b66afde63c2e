package transactions_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/07-transactions"
)

// Ten transactions run at once. In one of them n5 is slow, another needs n5 too, and the third of them has a vote no. In some seeds, n5 is then
// slow in 300 transactions (rule 32), or in doubt about 130 (rules 24 to 26).
func TestManyAtOnce7C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Link: calmLink, Seeds: 5}, func(s *labtest.Sim) {
		c := newCommitCluster(s)
		c.startAll()
		var calls []*commitRun
		var txs []TxID
		for i := range 10 {
			tx := TxID(rune('a' + i))
			script := map[labrpc.NodeID]scriptedVote{}
			switch i {
			case 0:
				script[5] = scriptedVote{VoteYes, 5 * time.Second}
			case 2:
				script[3] = scriptedVote{VoteNo, 0}
			}
			c.add(tx, script)
			txs, calls = append(txs, tx), append(calls, c.run(tx, time.Minute))
			s.Run(time.Duration(s.Rand().Int64N(int64(3 * time.Millisecond))))
		}
		for i, call := range calls[1:] {
			if !s.Until(calmRun, func() bool { _, _, done := call.result(); return done }) {
				s.Failf(ruleApart, "Run of transaction %s has not returned within %v of its call, while Prepare of transaction %s takes 5s at n5", txs[i+1], calmRun, txs[0])
			}
		}
		s.Run(learnLimit)
		for i, tx := range txs[1:] {
			want := Committed
			if i+1 == 2 {
				want = Aborted
			}
			c.has(tx, want)
		}
		c.returns(calls[0], txs[0], 6*time.Second, Committed)
		c.settles(learnLimit)
		c.has(txs[0], Committed)
		if s.Seed%3 == 0 {
			c.manySlow()
		}
		if s.Seed%8 == 4 {
			c.manyInDoubt()
		}
	})
}

// manySlow: n5 alone takes part in 300 transactions, in which Prepare takes long. Meanwhile another one commits (rule 32), and then all others do.
func (c *commitCluster) manySlow() {
	const slow = 2 * time.Second
	s := c.s
	calls := map[TxID]*commitRun{}
	for i := range 300 {
		tx := TxID(fmt.Sprintf("slow%03d", i))
		c.add(tx, map[labrpc.NodeID]scriptedVote{5: {VoteYes, slow + time.Duration(i)*10*time.Millisecond}}, 2, 3, 4)
		calls[tx] = c.run(tx, time.Minute)
	}
	txs := slices.Sorted(maps.Keys(calls))
	s.Run(200 * time.Millisecond)
	c.add("fast", nil)
	if fast := c.run("fast", time.Minute); !s.Until(calmRun, func() bool { _, _, done := fast.result(); return done }) {
		s.Failf(ruleApart, "Run of transaction fast has not returned within %v of its call, while Prepare of %d other transactions takes %v or more at n5", calmRun, len(txs), slow)
	}
	s.Run(slow + 3*time.Second)
	for _, tx := range txs {
		c.returns(calls[tx], tx, 0, Committed)
	}
	c.settles(learnLimit)
}

// manyInDoubt: n5 votes yes in 130 transactions, misses the decisions, and restarts. It is in doubt about all of them, and n4 alone can tell it that they have
// committed; it may ask for one after another.
func (c *commitCluster) manyInDoubt() {
	const slow = 300 * time.Millisecond
	calls := map[TxID]*commitRun{}
	for i := range 130 {
		tx := TxID(fmt.Sprintf("doubt%03d", i))
		c.add(tx, map[labrpc.NodeID]scriptedVote{4: {VoteYes, slow}}, 2, 3)
		calls[tx] = c.run(tx, time.Minute)
	}
	c.missesDecisions(calls, slow+calmRun, 5, 4)
	c.s.Net.HealBoth(5, 4)
	for _, tx := range slices.Sorted(maps.Keys(calls)) {
		c.learns(time.Minute, tx, Committed, 5)
	}
	c.s.Net.Heal()
	c.settles(learnLimit)
}

// Twenty participants. Run asks them all at once, and the vote no of one of them is enough (rule 31). In another transaction only one of them has the
// outcome, and the others are connected to it alone: each finds it (rule 26). In some seeds there are seventy later.
func TestManyParticipants7C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 71, Link: calmLink, Seeds: 4}, func(s *labtest.Sim) {
		c := newCommitCluster(s)
		all := participantsOf(20)
		for _, id := range append(all, coordinatorNode) {
			c.start(id)
		}
		script := map[labrpc.NodeID]scriptedVote{}
		for _, id := range all {
			script[id] = scriptedVote{VoteYes, 3 * time.Second}
		}
		no := all[s.Rand().IntN(len(all))]
		script[no] = scriptedVote{VoteNo, 100 * time.Millisecond}
		c.add("no", script, participantsBut(s, all)...)
		call := c.run("no", time.Minute)
		c.asked("no", all)
		c.voted("no", no)
		c.returns(call, "no", calmRun, Aborted)
		s.Run(3 * time.Second)
		c.settles(learnLimit)

		knows := all[[]int{19, 0, 10}[s.Seed%3]]
		others := slices.DeleteFunc(slices.Clone(all), func(id labrpc.NodeID) bool { return id == knows })
		c.add("yes", map[labrpc.NodeID]scriptedVote{knows: {VoteYes, 300 * time.Millisecond}}, participantsBut(s, all)...)
		call = c.run("yes", time.Minute)
		c.voted("yes", others...)
		s.Run(100 * time.Millisecond) // until the votes have arrived
		for _, id := range others {
			s.Net.Isolate(id)
		}
		c.mustNotEnd(ruleInDoubt, "no node that it can reach knows the outcome", others...)
		c.returns(call, "yes", time.Second, Committed)
		c.learns(learnLimit, "yes", Committed, knows)
		s.Net.Isolate(coordinatorNode)
		s.Run(3 * time.Second)
		c.mayEnd(others...)
		for _, id := range others {
			s.Net.HealBoth(id, knows)
		}
		c.learns(learnLimit, "yes", Committed, others...)
		s.Net.Heal()
		c.settles(learnLimit)
		if s.Seed%4 == 0 {
			for _, id := range participantsBut(s, all) {
				c.start(id)
			}
			c.seventyVote()
			c.seventyAcknowledge()
		}
	})
}

// seventyVote: the last of seventy participants votes no when all others have voted yes (rule 23). 64 bits are not enough to note who has voted.
func (c *commitCluster) seventyVote() {
	const last = labrpc.NodeID(71)
	c.add("seventy-no", map[labrpc.NodeID]scriptedVote{last: {VoteNo, 100 * time.Millisecond}})
	call := c.run("seventy-no", time.Minute)
	c.voted("seventy-no", last)
	c.returns(call, "seventy-no", calmRun, Aborted)
	c.settles(learnLimit)
}

// seventyAcknowledge: the last of seventy participants misses a decision to commit, which all others acknowledge. Then the coordinator restarts. It has kept the
// decision for the last participant, and forgets it later (rule 28). Another decision the first participant can learn from the last one alone (rule 26).
func (c *commitCluster) seventyAcknowledge() {
	const first, last = labrpc.NodeID(2), labrpc.NodeID(71)
	s := c.s
	before := c.diskBytes(coordinatorNode)
	c.add("seventy-yes", nil)
	call := c.run("seventy-yes", time.Minute)
	c.voted("seventy-yes", participantsOf(70)...)
	c.hearsNothing(last)
	c.returns(call, "seventy-yes", calmRun, Committed)
	s.Run(learnLimit) // the others acknowledge
	c.restart(coordinatorNode)
	c.oneOutcome = ruleForgets
	s.Net.HealBoth(last, coordinatorNode)
	c.learns(learnLimit, "seventy-yes", Committed, last)
	c.oneOutcome = ruleOneOutcome
	s.Net.Heal()
	s.Run(learnLimit)
	if after := c.diskBytes(coordinatorNode); after > before+100 {
		s.Failf(ruleForgets, "the coordinator's disk holds %d bytes, want some %d as before a transaction of 70 participants, which all have known its outcome for %v", after, before, learnLimit)
	}

	c.add("seventy-ask", map[labrpc.NodeID]scriptedVote{last: {VoteYes, 200 * time.Millisecond}})
	call = c.run("seventy-ask", time.Minute)
	c.voted("seventy-ask", first)
	s.Run(100 * time.Millisecond) // until the vote has arrived
	s.Net.Isolate(first)
	c.returns(call, "seventy-ask", 100*time.Millisecond+calmRun, Committed)
	s.Run(time.Second)
	s.Net.HealBoth(first, last)
	c.learns(learnLimit, "seventy-ask", Committed, first)
	s.Net.Heal()
	c.settles(learnLimit)
}

// asked checks that Run, which has just been called, has asked all these participants.
func (c *commitCluster) asked(tx TxID, ids []labrpc.NodeID) {
	var missing []labrpc.NodeID
	all := c.s.Until(askTime, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		missing = slices.DeleteFunc(slices.Clone(ids), func(id labrpc.NodeID) bool {
			_, voted := c.txs[tx].votes[id]
			return voted || c.resources[id].asked[tx]
		})
		return len(missing) == 0
	})
	if !all {
		c.s.Failf(ruleRunReturns, "Run of %s has been called for %v, but %s have not called Prepare, although all nodes are up and connected", tx, askTime, commitNames(missing))
	}
}

// longID returns an ID of some 300 bytes, which differs only at its end from others.
func longID(end string) TxID { return TxID(strings.Repeat("long-", 60) + end) }

// nearlyTheSame returns IDs that differ little: long ones in one byte, at the beginning, at the end or anywhere between, and short ones in what a name
// may be spelt without.
func nearlyTheSame() []TxID {
	txs := []TxID{"name", "Name", "name ", "name\x00", "é", "e\u0301", ".", "..", "na%2Fme", "na%2fme", "na%252Fme"}
	for _, separator := range []string{"/", "//", "\\", "%", "%%", "-", "--", "_", ".", ":", "|", "+", " ", ",", "\n"} {
		txs = append(txs, TxID("na"+separator+"me"))
	}
	long := []byte(longID(""))
	for at := 0; at <= len(long); at += 10 {
		other := append(slices.Clone(long), '.')
		other[at] = '#'
		txs = append(txs, TxID(other))
	}
	return txs
}

// idText is the ID in a failure. Of a long one it has the beginning, and the byte in which nearlyTheSame has changed it.
func idText(tx TxID) string {
	if at := strings.IndexByte(string(tx), '#'); len(tx) > 100 && at >= 0 {
		return fmt.Sprintf("%.10q… (%d bytes, of which byte %d is '#' and in others not)", tx, len(tx), at+1)
	}
	return fmt.Sprintf("%q", tx)
}
