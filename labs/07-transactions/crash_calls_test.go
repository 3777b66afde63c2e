package transactions_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
)

// shownIsDurable lets a transaction commit to a slow disk while others want to read what it wrote, and crashes the node at each write of the
// Commit. A client that has read the new value before the crash is right after it.
func (d *db) shownIsDurable() {
	s := d.s
	for n := range 8 {
		d.clear(map[string]string{"x": "1", "y": "1"})
		d.disk.setLatency(200 * time.Millisecond)
		writer := d.beginTx()
		writer.put("x", "2")
		writer.put("y", "2")
		get, scan := d.beginTx().goGet("x"), d.beginTx().goScan("y", "z")
		d.run(time.Millisecond)
		s.Net.CrashAtWrite(1, labrpc.CrashPoint{Write: s.Net.Writes(1) + 1 + n/2, After: n%2 == 1})
		commit := writer.goCommit()
		var late []*call
		for s.Net.Up(1) && s.Net.Now() < commit.began+3*time.Second {
			if len(late) < 20 { // those that come while the Commit is under way
				late = append(late, d.beginTx().goGet("y"))
			}
			d.run(50 * time.Millisecond)
		}
		crashed := s.Net.Now()
		if !s.Net.Up(1) {
			d.crashed()
			if writer.outcome == unknown {
				s.Cover(coverShownEarly)
			}
		}
		crashed -= 50 * time.Millisecond // it came after that
		s.Net.CrashAtWrite(1, labrpc.CrashPoint{})
		d.restart()
		t := d.beginTx()
		now := t.now(d.rules.quick, t.goGet("x"))
		t.commit()
		for _, c := range append(late, get, scan) {
			if c.ended >= crashed || c.err != nil || now.value == "2" {
				continue
			}
			if c.value == "2" || pairText(c.pairs) == "[y=2]" {
				s.Fail(labtest.Violation{
					What: fmt.Sprintf("%s of %s returned %s at %v, but the node crashed in the Commit of %s, and after the restart x=%s",
						c.what, c.txn.name, c.result(), labtest.At(c.ended), writer.name, now.value),
					Rule: d.rules.shown, Seen: d.describe(),
				})
			}
		}
	}
}

// spaceOnDisk checks that the disk has little more than the data, a while after transactions of all kinds, and crashes.
func (d *db) spaceOnDisk() {
	r := d.s.Rand()
	for round := range 4 {
		for i := range 30 {
			t := d.beginTx()
			for range 1 + r.IntN(20) {
				key := fmt.Sprintf("key %02d", r.IntN(40))
				switch r.IntN(4) {
				case 0:
					t.delete(key)
				default:
					t.put(key, strings.Repeat("v", r.IntN(200)))
				}
			}
			if i%5 == 0 {
				t.abort()
			} else {
				t.commit()
			}
		}
		for range 6 * (round % 2) { // crash in the middle of a large transaction
			t := d.beginTx()
			for i := range 40 {
				t.put(fmt.Sprintf("key %02d", i), strings.Repeat("w", 200))
			}
			d.s.Net.CrashAtWrite(1, labrpc.CrashPoint{Write: d.s.Net.Writes(1) + 9})
			t.goCommit()
			d.s.Until(time.Second, func() bool { return !d.s.Net.Up(1) })
			if !d.s.Net.Up(1) {
				d.crashed()
			}
			d.restart()
		}
		d.checkSpace()
	}
	d.clear(nil)
	for _, write := range []bool{true, false} { // keys much longer than their values, none of which stays
		t := d.beginTx()
		for i := range 40 {
			if key := fmt.Sprintf("%0230d", i); write {
				t.put(key, "1")
			} else {
				t.delete(key)
			}
		}
		t.commit()
		d.checkSpace()
	}
}

// checkSpace checks what the disk has 10s later.
func (d *db) checkSpace() {
	d.run(10 * time.Second)
	t := d.beginTx()
	c := t.now(d.rules.quick, t.goScan("", ""))
	t.commit()
	limit := 4096
	for _, p := range c.pairs {
		limit += 200 + 2*(len(p.Key)+len(p.Value))
	}
	used, disk := 0, d.s.Net.Disk(1)
	names := disk.Names()
	for _, name := range names {
		b, _ := disk.Read(name)
		used += len(name) + len(b)
	}
	if used > limit {
		d.s.Fail(labtest.Violation{
			What: fmt.Sprintf("the disk has %d bytes in %d records at %v, 10s after the last transaction, want at most %d for %d keys",
				used, len(names), labtest.At(d.s.Net.Now()), limit, len(c.pairs)),
			Rule: d.rules.space, Seen: []string{"the first records: " + strings.Join(names[:min(len(names), 12)], " ")},
		})
	}
}

// callsAfterCrash calls a transaction of a store whose node has crashed. commitFirst says whether the first call is Commit.
func (d *db) callsAfterCrash(t *txn, what string, commitFirst bool) {
	tx := t.tx
	type lateCall struct {
		name string
		call func() error
	}
	calls := []lateCall{
		{"Get", func() error { _, _, err := tx.Get("y"); return err }},
		{"GetRange", func() error { _, err := tx.GetRange("y", "z"); return err }},
		{"Put", func() error { return tx.Put("y", "3") }},
		{"Append", func() error { return tx.Append("y", "3") }},
		{"Delete", func() error { return tx.Delete("y") }},
		{"Commit", tx.Commit},
		{"Abort", func() error { tx.Abort(); return nil }},
	}
	if commitFirst {
		calls = append([]lateCall{{"Commit", tx.Commit}}, calls...)
	}
	for _, late := range calls {
		c := d.async(t, late.name, func(*call) error { return late.call() })
		d.wait(d.rules.ends, soon, c)
		if c.err == nil && late.name != "Abort" {
			d.s.Failf(d.rules.ends, "%s of %s, which %s, returned nil at %v, want an error: the node had crashed before", late.name, t.name, what, labtest.At(c.ended))
		}
	}
}

// beginCrashed begins a transaction of a store whose node has crashed.
func (d *db) beginCrashed(old store) *txn {
	d.store = old
	t := d.beginTx()
	d.store = nil
	t.outcome, t.ret = cutShort, d.s.Net.Now()
	return t
}

// crashEndsCalls crashes the node while calls wait for each other, and for the disk. None of them may return nil then.
func (d *db) crashEndsCalls() {
	d.load("c=1") // a scan below it does not use the keys above it
	for round := range 3 {
		writer, reader, second, idle := d.beginTx(), d.beginTx(), d.beginTx(), d.beginTx()
		hasRead, hasScanned, unused := d.beginTx(), d.beginTx(), d.beginTx()
		writer.put("x", "2")
		idle.put("y", "2")
		hasRead.sees(d.rules.whole, "c", "1")
		hasScanned.finds(d.rules.whole, "a", "b", "")
		calls := []*call{reader.goGet("x")}
		d.run(time.Microsecond)
		calls = append(calls, second.goPut("x", "3"))
		d.run(time.Millisecond)
		d.disk.setLatency(time.Minute)
		calls = append(calls, writer.goCommit())
		d.run(time.Second)
		calls = slices.DeleteFunc(calls, (*call).over) // under wait-die, and in stores with versions
		store := d.store
		d.crash()
		d.callsAfterCrash(idle, "has written", round == 1)
		d.callsAfterCrash(hasRead, "has only read", round != 1)
		d.callsAfterCrash(hasScanned, "has only read", round != 1)
		d.callsAfterCrash(unused, "has made no call before", round != 1)
		d.callsAfterCrash(d.beginCrashed(store), "began after the crash", round != 1)
		d.start()
		for _, c := range calls {
			if c.err == nil {
				d.s.Failf(d.rules.ends, "%s of %s was under way when the node crashed, and returned %s at %v, want an error", c.what, c.txn.name, c.result(), labtest.At(c.ended))
			}
		}
		d.holds(d.rules.whole, "c=1")
	}
}
