package replication_test

import (
	"context"
	"fmt"

	"distlabs/internal/harness/labtest"
	. "distlabs/labs/05-replication"
)

const (
	longHistory = 1500 // more than the 1000 of ServerOptions, and than 1024
	owners      = 20
	ownedEach   = 30
	manyChanges = 2 * owners * ownedEach // each key is created and deleted
)

// makeChanges makes so many changes: several sessions create keys and end.
func (c *testClient) makeChanges() {
	var all []*pendingCall[bool]
	for i := range owners {
		each := c.another()
		each.dial(nil)
		all = append(all, startCall(each, fmt.Sprintf("%d calls of CreateEphemeral, and then Close", ownedEach), func(ctx context.Context, client *Client) (bool, error) {
			for n := range ownedEach {
				if _, err := client.CreateEphemeral(ctx, fmt.Sprintf("%d/%03d", i, n), "1"); err != nil {
					return false, err
				}
			}
			return true, client.Close(ctx)
		}))
	}
	for _, call := range all {
		c.v.s.Until(ownedEach*commandLimit, call.returned)
		if _, err := call.wait(); err != "" {
			c.v.s.Failf(ruleReturns, "on %v, %s: a call returned %s, want no error", c.id, call.what, err)
		}
	}
}

// expectAll checks that a watch from the beginning reports all changes (rules 25 and 26).
func (c *testClient) expectAll(changes int, rule, when string) {
	w := c.watch("", 0)
	c.v.s.Until(watchLimit, func() bool { return len(w.seen()) >= changes || w.end.returned() })
	seen, how := w.seen(), "has not returned"
	if w.end.returned() {
		_, err := w.end.wait()
		how = "returned " + orNil(err)
	}
	if len(seen) != changes || seen[changes-1].Revision != changes {
		c.v.s.Failf(rule, "on %v, %s, a watch of all keys after revision 0 reported %d changes within %v and %s, want %d changes: History is %d",
			c.id, when, len(seen), watchLimit, how, changes, longHistory)
	}
	w.cancel()
}

// checkLongHistory: a watch is further behind than the default History, of a store that keeps more. It reports every change: no number of changes is too large for
// one reply (rule 25).
func checkLongHistory(s *labtest.Sim) {
	v := newStoreCluster(s, 2, ServerOptions{History: longHistory})
	a, b := v.connect(4, longLife), v.connect(5, longLife)
	a.makeChanges()
	b.expectAll(manyChanges, ruleWatch, "after the sessions of n4 had ended")
}

// checkLongHistoryInSnapshot: the same, after all servers have restarted from snapshots that hold these changes (rules 26 and 29).
func checkLongHistoryInSnapshot(s *labtest.Sim) {
	const every = 40
	v := newStoreCluster(s, 2, ServerOptions{History: longHistory, SnapshotEvery: every})
	a, b := v.connect(4, longLife), v.connect(5, longLife)
	a.makeChanges()
	st, _ := v.status(v.waitForLeader(0))
	b.writes(3*every, "x") // until a snapshot is due
	s.Run(healBound)       // until every server has applied them
	for _, id := range v.servers {
		if now, _ := v.status(id); now.SnapshotIndex < lastIndexOf(st) {
			s.Failf(ruleSnapshotDue, "%v has a snapshot up to index %d, want at least %d: the last entry has the index %d, and SnapshotEvery is %d",
				id, now.SnapshotIndex, lastIndexOf(st), lastIndexOf(now), every)
		}
	}
	v.restarts()
	b.writes(1, "x") // a leader commits older entries together with one of its own term
	b.expectAll(manyChanges+3*every+1, ruleWholeStore, "after all servers had restarted from snapshots")
}
