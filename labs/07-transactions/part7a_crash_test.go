package transactions_test

import (
	"fmt"
	"sync/atomic"
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

// A client has run ten thousand transactions, all of the same key, the last 250 of them without a pause. After a crash the last one counts, however the log numbers
// transactions or records (rules 9 and 10).
func TestLongLog7A(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 1, Seeds: 1, Limit: time.Hour}, func(s *labtest.Sim) {
		d := newLockDB(s)
		from := 0
		for _, to := range []int{1_030, 3_360, 5_030, 10_030} { // a log may number three records of each, or two, or one
			d.commitsUpTo(from, to)
			d.crash()
			d.start()
			t := d.beginTx()
			t.sees(ruleLast7A, "x", fmt.Sprint(to))
			t.commit()
			from = to
		}
	})
}

// commitsUpTo has a client write the numbers after from, up to to, to one key, each in a transaction of its own. After each 300 it pauses, so that the store can empty
// its log (rule 12).
func (d *db) commitsUpTo(from, to int) {
	var failed atomic.Value
	var over atomic.Bool
	go func() {
		defer over.Store(true)
		for i := from + 1; i <= to; i++ {
			if (to-i)%300 == 250 {
				time.Sleep(3 * time.Second)
			}
			tx := d.store.Begin()
			err := tx.Put("x", fmt.Sprint(i))
			if err == nil {
				err = tx.Commit()
			}
			if err != nil {
				failed.Store(fmt.Errorf("transaction %d returned the error %w", i, err))
				return
			}
		}
	}()
	for limit := d.s.Net.Now() + 20*time.Minute; !over.Load() && d.s.Net.Now() < limit; {
		d.s.Run(quickly) // not longer: the store empties the log meanwhile
	}
	if !over.Load() {
		d.s.Failf(d.rules.quick, "a client that is alone had not committed %d transactions by %v", to-from, labtest.At(d.s.Net.Now()))
	}
	if err := failed.Load(); err != nil {
		d.s.Failf(d.rules.quick, "of a client that is alone, %v at %v, want nil", err, labtest.At(d.s.Net.Now()))
	}
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
