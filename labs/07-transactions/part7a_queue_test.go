package transactions_test

import (
	"fmt"
	"slices"
	"time"

	"distlabs/internal/harness/labtest"
)

// oneEach has calls, one of each transaction.
type oneEach = []func(t *txn) *call

// A queue is what transactions do that ask for a key one after another while another one has it.
type queue struct {
	has      func(t *txn) *call // what the one has used that is there before all others
	firstHas func(t *txn) *call // what the first one that asks has used before; nil for nothing
	asks     oneEach
}

// queuesInEachOrder has transactions ask for a key one after another, in each order of their ages and the age of the one that has used the key.
// Each call returns soon after those are over that had used or asked for the key before, whatever ages and whichever ask later: they stay
// open for as long as it waits (rule 8).
func (d *db) queuesInEachOrder(q queue) {
	for _, ages := range permutations(1 + len(q.asks)) {
		all := make([]*txn, len(ages))
		for _, i := range ages {
			all[i] = d.beginTx()
		}
		holder, askers := all[0], all[1:]
		holder.now(ruleQuick7A, q.has(holder))
		if q.firstHas != nil {
			askers[0].now(ruleQuick7A, q.firstHas(askers[0]))
		}
		for i, t := range askers {
			q.asks[i](t)
			d.run(time.Millisecond)
		}
		for i, t := range all { // in the order in which they have asked
			if i > 0 {
				d.gotTurn(t, all[i+1:])
			}
			if !t.ended() { // if an older one has asked since, the store may have aborted it, and says so now
				d.wait(ruleQuick7A, d.disk.commitTime(t), t.goCommit())
			}
		}
	}
}

// gotTurn waits for a call of a transaction: all transactions that had used or asked for its key before are over.
func (d *db) gotTurn(t *txn, later []*txn) {
	since := d.s.Net.Now()
	if d.s.Until(soon, t.busy.over) {
		d.observe()
		return
	}
	seen := []string{t.describe()}
	for _, other := range later {
		seen = append(seen, fmt.Sprintf("asked later: %s", other.describe()))
	}
	d.s.Fail(labtest.Violation{
		What: fmt.Sprintf("%s of %s, called at %v, had not returned at %v, although all transactions that had used or asked for its keys before were over at %v",
			t.busy.what, t.name, labtest.At(t.busy.began), labtest.At(d.s.Net.Now()), labtest.At(since)),
		Rule: ruleStarve7A, Seen: seen,
	})
}

// permutations returns all orders of the numbers from 0 to n-1.
func permutations(n int) (all [][]int) {
	if n == 0 {
		return [][]int{nil}
	}
	for _, p := range permutations(n - 1) {
		for i := range n {
			all = append(all, slices.Insert(slices.Clone(p), i, n-1))
		}
	}
	return all
}
