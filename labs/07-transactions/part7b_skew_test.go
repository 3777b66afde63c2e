package transactions_test

import (
	"fmt"
	"testing"
	"time"

	"distlabs/internal/harness/check/isolation"
	"distlabs/internal/harness/labtest"
)

// A skew is a scenario of transactions none of which writes what another writes. Level SnapshotIsolation must let all of them
// commit, and Serializable must not.
type skew struct {
	name string
	run  func(d *db) []*txn // all calls but the Commits that are left
	kind isolation.Kind     // what the checker calls it
}

// skews are scenarios from the literature.
func skews() []skew {
	return []skew{
		{"two read both keys, and each writes one of them", func(d *db) []*txn {
			a, b := d.beginTx(), d.beginTx()
			for _, t := range []*txn{a, b} {
				t.try(func() *call { return t.goGet("l1") })
				t.try(func() *call { return t.goGet("l2") })
			}
			a.try(func() *call { return a.goAppendNew("l1") })
			b.try(func() *call { return b.goAppendNew("l2") })
			return []*txn{a, b}
		}, isolation.G2Item},
		{"two look for a key that does not exist, and each makes the other's", func(d *db) []*txn {
			a, b := d.beginTx(), d.beginTx()
			a.try(func() *call { return a.goGet("l8") })
			b.try(func() *call { return b.goGet("l9") })
			a.try(func() *call { return a.goAppendNew("l9") })
			b.try(func() *call { return b.goAppendNew("l8") })
			return []*txn{a, b}
		}, isolation.G2Item},
		{"two scan a range without keys, and each puts a key into it", func(d *db) []*txn {
			a, b := d.beginTx(), d.beginTx()
			for _, t := range []*txn{a, b} {
				t.try(func() *call { return t.goScan("l5", "l7") })
			}
			a.try(func() *call { return a.goAppendNew("l5") })
			b.try(func() *call { return b.goAppendNew("l6") })
			return []*txn{a, b}
		}, isolation.G2},
		{"three, each of which reads what the next one writes", func(d *db) []*txn {
			var all []*txn
			for range 3 {
				all = append(all, d.beginTx())
			}
			for i, t := range all {
				t.try(func() *call { return t.goGet(fmt.Sprintf("l%d", 1+(i+1)%3)) })
			}
			for i, t := range all {
				t.try(func() *call { return t.goAppendNew(fmt.Sprintf("l%d", 1+i)) })
			}
			return all
		}, isolation.G2Item},
		{"one that only reads sees the later of two writers alone (Fekete, O'Neil, O'Neil 2004)", func(d *db) []*txn {
			// The balance of a savings and a checking account: a withdrawal that reads both, a deposit, a report.
			withdraw, deposit := d.beginTx(), d.beginTx()
			withdraw.try(func() *call { return withdraw.goGet("l1") })
			withdraw.try(func() *call { return withdraw.goGet("l2") })
			deposit.try(func() *call { return deposit.goAppendNew("l1") })
			deposit.try(deposit.goCommit)
			d.run(soon)
			report := d.beginTx()
			report.sees(ruleSnapshot7B, "l2", "2,")
			report.now(ruleReadOnly7B, report.goGet("l1"))
			report.now(ruleReadOnly7B, report.goCommit())
			withdraw.try(func() *call { return withdraw.goAppendNew("l2") })
			return []*txn{withdraw, deposit, report}
		}, isolation.G2Item},
		{"as before, and the withdrawal commits before the report has read", func(d *db) []*txn {
			withdraw, deposit := d.beginTx(), d.beginTx()
			withdraw.try(func() *call { return withdraw.goGet("l1") })
			deposit.try(func() *call { return deposit.goAppendNew("l1") })
			deposit.try(deposit.goCommit)
			d.run(soon)
			report := d.beginTx()
			report.now(ruleReadOnly7B, report.goGet("l1"))
			withdraw.try(func() *call { return withdraw.goAppendNew("l2") })
			withdraw.try(withdraw.goCommit)
			d.run(soon)
			report.now(ruleReadOnly7B, report.goGet("l2"))
			report.now(ruleReadOnly7B, report.goCommit())
			return []*txn{withdraw, deposit, report}
		}, isolation.G2Item},
		{"as before, and the report comes and goes while the withdrawal is in Commit", func(d *db) []*txn {
			withdraw, deposit := d.beginTx(), d.beginTx()
			withdraw.try(func() *call { return withdraw.goGet("l1") })
			withdraw.try(func() *call { return withdraw.goAppendNew("l2") })
			deposit.try(func() *call { return deposit.goAppendNew("l1") })
			deposit.try(deposit.goCommit)
			d.run(soon)
			d.disk.setLatency(100 * time.Millisecond) // longer than the report takes (rule 18)
			withdraw.try(withdraw.goCommit)
			d.run(10 * time.Millisecond)
			report := d.beginTx()
			report.now(ruleReadOnly7B, report.goGet("l2"))
			report.now(ruleReadOnly7B, report.goGet("l1"))
			report.now(ruleReadOnly7B, report.goCommit())
			d.disk.setLatency(0)
			return []*txn{withdraw, deposit, report}
		}, isolation.G2Item},
	}
}

// prepareSkew makes the lists l1, l2 and l3.
func (d *db) prepareSkew() {
	d.clear(nil)
	d.txns, d.value = nil, 0
	t := d.beginTx()
	for i := range 3 {
		t.now(ruleCallsEnd7B, t.goAppendNew(fmt.Sprintf("l%d", 1+i)))
	}
	t.commit()
}

// At SnapshotIsolation write skew and its like must happen: nothing but a conflict of writes aborts a transaction. The checker finds and names
// each, and finds nothing worse (rules 13, 15 and 16).
func TestWriteSkewHappens7B(t *testing.T) {
	var cover []string
	for _, c := range skews() {
		cover = append(cover, c.name)
	}
	labtest.Run(t, labtest.Config{Nodes: 1, Seeds: 2, MustCover: cover}, func(s *labtest.Sim) {
		d := newVersionDB(s, si)
		for _, c := range skews() {
			d.prepareSkew()
			all := c.run(d)
			if n := d.commitAll(all...); n != len(all) {
				s.Fail(labtest.Violation{
					What: fmt.Sprintf("only %d of %d transactions committed at SnapshotIsolation (%s), although no two of them write one key", n, len(all), c.name),
					Rule: ruleNeedless7B, Seen: d.describe(),
				})
			}
			report := d.check(ruleIsolated7B, isolation.SnapshotIsolation)
			if report.Count[c.kind] > 0 {
				s.Cover(c.name)
			}
		}
	})
}

// At Serializable none of them happens (rule 17), and one that only reads commits nevertheless (rule 18).
func TestNoWriteSkew7B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 1, Seeds: 2}, func(s *labtest.Sim) {
		d := newVersionDB(s, serializable)
		for _, c := range skews() {
			d.prepareSkew()
			all := c.run(d)
			d.commitAll(all...)
			d.check(ruleSerial7B, strict)
		}

		// The key that a transaction has read is overwritten, and has its old value again when the transaction commits.
		for _, scan := range []bool{false, true} {
			d.clear(map[string]string{"x": "1", "y": "1"})
			a, b := d.beginTx(), d.beginTx()
			if scan {
				a.finds(ruleSnapshot7B, "x", "y", "x=1")
			} else {
				a.sees(ruleSnapshot7B, "x", "1")
			}
			b.sees(ruleSnapshot7B, "y", "1")
			a.readsMany()
			b.try(func() *call { return b.goPut("x", "2") })
			b.try(b.goCommit)
			d.run(soon)
			back := d.beginTx()
			back.try(func() *call { return back.goPut("x", "1") })
			back.try(back.goCommit)
			d.run(soon)
			a.try(func() *call { return a.goPut("y", "2") })
			if d.commitAll(a, b, back); a.outcome == committed && b.outcome == committed {
				s.Fail(labtest.Violation{
					What: fmt.Sprintf("%s and %s committed, although each had read the old value of what the other wrote; x has the old value again", a.name, b.name),
					Rule: ruleSerial7B, Seen: d.describe(),
				})
			}
		}

		// A range from which another removes what was found.
		d.clear(map[string]string{"d1": "on call", "d2": "on call"})
		a, b := d.beginTx(), d.beginTx()
		a.finds(ruleSnapshot7B, "d", "e", "d1=on call d2=on call")
		b.finds(ruleSnapshot7B, "d", "e", "d1=on call d2=on call")
		a.try(func() *call { return a.goDelete("d1") })
		b.try(func() *call { return b.goDelete("d2") })
		if n := d.commitAll(a, b); n == 2 {
			s.Fail(labtest.Violation{
				What: fmt.Sprintf("%s and %s both committed, although each had found both keys and deleted one: none is left", a.name, b.name),
				Rule: ruleSerial7B, Seen: d.describe(),
			})
		}
		if s.Seed%2 == 0 {
			d.skewOfMany()
		}
	})
}

// skewOfMany: two transactions each read what the other writes, so often that a narrow number of transactions wraps meanwhile (rule 17).
func (d *db) skewOfMany() {
	d.clear(map[string]string{"x": "1", "y": "1"})
	for range 260 {
		a, b := d.beginTx(), d.beginTx()
		a.now(ruleReadOnly7B, a.goGet("x"))
		b.now(ruleReadOnly7B, b.goGet("y"))
		a.try(func() *call { return a.goPut("y", "2") })
		b.try(func() *call { return b.goPut("x", "2") })
		if n := d.commitAll(b, a); n == 2 {
			d.s.Fail(labtest.Violation{
				What: fmt.Sprintf("%s and %s both committed, although each had read the old value of what the other wrote", a.name, b.name),
				Rule: ruleSerial7B, Seen: d.describe(),
			})
		}
	}
}
