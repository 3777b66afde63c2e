package transactions_test

import (
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
)

// A crash at every write, also of the recovery, leaves each transaction whole or not at all (rules 9 and 10).
func TestCrashAtEveryWrite7A(t *testing.T) {
	cover := []string{coverInCommit, coverBetween, coverInRecovery}
	labtest.Run(t, labtest.Config{Nodes: 1, Seeds: 2, Limit: time.Hour, MustCover: cover}, func(s *labtest.Sim) {
		d := newLockDB(s)
		if s.Seed%2 == 1 {
			d.olderCommitsLast()
		}
		d.crashAtEveryWrite()
	})
}

// olderCommitsLast crashes the node when both of two transactions that wrote one key are in the log, of which the older committed last (rule 10).
func (d *db) olderCommitsLast() {
	older := d.beginTx()
	if !d.commits(crashChanges()[2]) { // so large that it is in the log for long
		d.s.Failf(ruleQuick7A, "Commit of a client that is alone has not returned nil")
	}
	older.put("w", "older")
	older.commit()
	d.crash()
	d.start()
	t := d.beginTx()
	read := t.now(d.rules.quick, t.goGet("w"))
	rule := ruleLast7A
	if !read.found { // what both wrote is lost
		rule = ruleDurable7A
	}
	t.hasValue(rule, read, "older")
	t.commit()
}

// No transaction reads a value that a crash then undoes (rule 11).
func TestShownIsDurable7A(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 1, Seeds: 2, MustCover: []string{coverShownEarly}}, func(s *labtest.Sim) {
		newLockDB(s).shownIsDurable()
	})
}

// The log does not grow forever, and no record is too large; a crash ends all calls (rule 12).
func TestDiskAndCrash7A(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 1, Seeds: 2}, func(s *labtest.Sim) {
		d := newLockDB(s)
		d.crashEndsCalls()
		d.spaceOnDisk()
	})
}
