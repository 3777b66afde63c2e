package transactions_test

import (
	"fmt"
	"testing"
	"time"

	"distlabs/internal/harness/check/isolation"
	"distlabs/internal/harness/labtest"
)

// Random clients at SnapshotIsolation: nothing worse than write skew, and that happens (rules 13 and 15).
func TestSnapshotIsolation7B(t *testing.T) {
	const skewed = "the history of a seed was not serializable"
	cover := []string{coverAborted, coverCommits, coverCrash, skewed}
	labtest.Run(t, labtest.Config{Nodes: 1, Seeds: 12, MustCover: cover}, func(s *labtest.Sim) {
		d := newVersionDB(s, si)
		d.random(workload{sessions: 6, steps: 600, lists: 6, registers: 2, ops: 5, crash: int(s.Seed%2) * 60}, ruleCallsEnd7B)
		if report := d.check(ruleIsolated7B, isolation.SnapshotIsolation); report.Level == isolation.SnapshotIsolation {
			s.Cover(skewed)
		}
	})
}

// Random clients at Serializable: what they see is strictly serializable (rule 17), also if the node crashes now and then.
func TestSerializable7B(t *testing.T) {
	cover := []string{coverAborted, coverCommits, coverCrash}
	labtest.Run(t, labtest.Config{Nodes: 1, Seeds: 12, MustCover: cover}, func(s *labtest.Sim) {
		d := newVersionDB(s, serializable)
		d.random(workload{sessions: 6, steps: 600, lists: 6, registers: 2, ops: 5, crash: int(s.Seed%2) * 60}, ruleCallsEnd7B)
		d.check(ruleSerial7B, strict)
	})
}

// Many goroutines at once, each with transactions of its own: all of them commit, some at a second attempt (rules 13, 15 and 17).
func TestManyAtOnce7B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 1, Seeds: 4}, func(s *labtest.Sim) {
		defer labtest.Threads(1)()
		level := bothLevels(s)
		d := newVersionDB(s, level)
		for _, txns := range d.many(8, 10, time.Minute, ruleFirst7B) {
			d.txns = append(d.txns, txns...)
		}
		if level == serializable {
			d.check(ruleSerial7B, strict)
		} else {
			d.check(ruleIsolated7B, isolation.SnapshotIsolation)
		}
	})
}

// A crash at every write, also of the recovery, leaves each transaction whole or not at all (rule 21).
func TestCrashAtEveryWrite7B(t *testing.T) {
	cover := []string{coverInCommit, coverBetween, coverInRecovery}
	labtest.Run(t, labtest.Config{Nodes: 1, Seeds: 2, Limit: time.Hour, MustCover: cover}, func(s *labtest.Sim) {
		newVersionDB(s, bothLevels(s)).crashAtEveryWrite()
	})
}

// No transaction reads a value that a crash then undoes; the log does not grow forever; a crash ends all calls (rule 21).
func TestDiskAndCrash7B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 1, Seeds: 2, MustCover: []string{coverShownEarly}}, func(s *labtest.Sim) {
		d := newVersionDB(s, bothLevels(s))
		d.crashEndsCalls()
		d.spaceOnDisk()
		d.shownIsDurable()
	})
}

// After a restart, snapshots have what was committed before, and new commits come after that (rule 21).
func TestVersionsAfterRestart7B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 1, Seeds: 2}, func(s *labtest.Sim) {
		d := newVersionDB(s, bothLevels(s))
		for i := range 20 {
			d.load(fmt.Sprintf("x=%d y%d=%d", i, i%3, i))
		}
		for _, c := range []struct {
			rest time.Duration // with a log to be replayed, and without
			jump time.Duration // of the wall clock, while the node is down and again while it is up
		}{{0, 0}, {10 * time.Second, 0}, {0, -time.Hour}, {10 * time.Second, -24 * time.Hour}} {
			d.run(c.rest)
			d.crash()
			d.jumpClock(c.jump)
			d.start()
			d.holds(ruleRestarted7B, "x=19 y0=18 y1=19 y2=17")
			reader := d.beginTx()
			reader.sees(ruleRestarted7B, "y0", "18")
			w := d.beginTx()
			w.sees(ruleRestarted7B, "x", "19")
			d.jumpClock(c.jump)
			w.put("x", "20")
			w.put("y0", "20")
			w.commit()
			reader.finds(ruleRestarted7B, "", "", "x=19 y0=18 y1=19 y2=17")
			d.holds(ruleRestarted7B, "x=20 y0=20 y1=19 y2=17")
			a, b := d.beginTx(), d.beginTx()
			a.sees(ruleRestarted7B, "x", "20")
			b.sees(ruleRestarted7B, "x", "20")
			a.try(func() *call { return a.goPut("x", "19") })
			b.try(func() *call { return b.goPut("x", "21") })
			if n := d.commitAll(a, b); n != 1 {
				s.Failf(ruleRestarted7B, "%d of two concurrent transactions that wrote x after a restart committed by %v, want exactly one", n, labtest.At(s.Net.Now()))
			}
			d.load("x=19 y0=18")
		}
	})
}

// jumpClock sets the wall clock of the node, if the jump is not 0.
func (d *db) jumpClock(jump time.Duration) {
	if jump != 0 {
		d.s.Net.JumpClock(1, jump)
	}
}
