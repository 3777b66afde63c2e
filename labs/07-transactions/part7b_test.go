package transactions_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"distlabs/internal/harness/check/isolation"
	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	"distlabs/labs/07-transactions"
)

const (
	ruleSnapshot7B  = "all reads of a transaction see the committed state of one instant, between the call of Begin and the return of its first Get, Scan or write (rule 13)"
	ruleOwn7B       = "Get and Scan see what the transaction itself wrote last; Scan returns each key of its range that has a value once, sorted (rules 2 and 14)"
	ruleNoTrace7B   = "what an aborted transaction wrote has no effect, whether its client or the store aborted it (rules 3 and 14)"
	ruleOver7B      = "once a transaction is over, each call returns an error that wraps ErrAborted or ErrOver, and has no effect (rules 3 and 14)"
	ruleFirst7B     = "of concurrent transactions that write one key, at most one commits, and the last that is left commits (rule 15)"
	ruleNeedless7B  = "at SnapshotIsolation the store aborts a transaction only if a concurrent one writes a key that it writes; at Serializable also if one writes a key that it has read (rule 16)"
	ruleSerial7B    = "at Serializable, the transactions that committed have the results of a serial order, which agrees with real time (rule 17)"
	ruleIsolated7B  = "at SnapshotIsolation, each transaction sees one instant, and no concurrent transactions that write one key commit (rules 13 and 15)"
	ruleReadOnly7B  = "a transaction that only reads is never aborted, and none of its calls waits: each returns nil within 20ms (rule 18)"
	ruleCallsEnd7B  = "a call waits for no transaction except one that has written the key or is in Commit, and at most 100ms longer than that runs (rule 19)"
	ruleVersions7B  = "the store drops the versions that were overwritten before the oldest running transaction began (rule 20)"
	ruleDurable7B   = "no crash undoes a transaction whose Commit has returned nil, or a part of it (rules 9 and 21)"
	ruleWhole7B     = "after a crash, a transaction in Commit is there with all of its writes or none, and one before Commit with none (rules 10 and 21)"
	ruleShown7B     = "no crash undoes a value that a Get or Scan of another transaction has returned (rules 11 and 21)"
	ruleRecords7B   = "no record on the disk has more than MaxRecord bytes (rules 12 and 21)"
	ruleSpace7B     = "10s after the last transaction is over, the disk has at most 4096 bytes, and per key 200 and twice its own and its value's (rules 12 and 21)"
	ruleOpenEnds7B  = "the store opens within 10s, and when the node crashes each call returns an error within 100ms (rules 12 and 21)"
	ruleRestarted7B = "a snapshot that is taken after a restart has all that was committed before the crash, and what is committed later comes after that (rule 21)"
)

var rules7B = storeRules{
	own: ruleOwn7B, noTrace: ruleNoTrace7B, over: ruleOver7B, begin: ruleReadOnly7B, quick: ruleCallsEnd7B, durable: ruleDurable7B, whole: ruleWhole7B,
	shown: ruleShown7B, records: ruleRecords7B, space: ruleSpace7B, ends: ruleOpenEnds7B,
}

const (
	si           = transactions.SnapshotIsolation
	serializable = transactions.Serializable
)

// newVersionDB opens a store at a level.
func newVersionDB(s *labtest.Sim, level transactions.Level) *db {
	return newDB(s, rules7B, func(node *labrpc.Node, disk transactions.Disk) (store, error) {
		return transactions.OpenVersionStore(node, disk, level)
	})
}

// bothLevels takes one level in the odd seeds, and the other in the even ones.
func bothLevels(s *labtest.Sim) transactions.Level {
	return []transactions.Level{si, serializable}[s.Seed%2]
}

// Transactions one after another do what a sorted map would do, with any strings (rule 14).
func TestReadsAndWrites7B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 1, Seeds: 6, MustCover: coverModel}, func(s *labtest.Sim) {
		newVersionDB(s, bothLevels(s)).againstModel()
	})
}

// try makes a call of a transaction that may wait for others or be aborted.
func (t *txn) try(start func() *call) *call {
	t.db.observe()
	if t.ended() || !t.busy.over() {
		return t.busy
	}
	c := start()
	t.db.run(time.Microsecond)
	return c
}

// commitAll commits the transactions, in this order, as soon as their calls have returned. Each call must return in time. It returns
// how many committed.
func (d *db) commitAll(all ...*txn) (n int) {
	limit := d.s.Net.Now() + time.Duration(len(all))*(soon+d.disk.commitTime(all...))
	for left := true; left && d.s.Net.Now() < limit; {
		left = false
		for _, t := range all {
			if !t.ended() && t.busy.over() {
				d.wait(ruleCallsEnd7B, soon+d.disk.commitTime(t)+d.disk.commitTime(all...), t.goCommit())
			}
			left = left || !t.ended()
		}
		d.run(quickly)
	}
	for _, t := range all {
		if !t.ended() {
			d.wait(ruleCallsEnd7B, soon+d.disk.commitTime(all...), t.busy)
		}
		if t.outcome == committed {
			n++
		}
	}
	return n
}

// A transaction sees one state: whatever is committed while it runs, on keys that it has read and others, that exist, appear and go (rule 13).
func TestOneSnapshot7B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 1, Seeds: 4}, func(s *labtest.Sim) {
		d := newVersionDB(s, bothLevels(s))
		d.load("x=1 y=1 z=1")
		reader := d.beginTx()
		reader.sees(ruleSnapshot7B, "x", "1")
		d.load("x=2 y=2")
		later := d.beginTx()
		later.sees(ruleSnapshot7B, "y", "2")
		w := d.beginTx()
		w.delete("z")
		w.put("new", "3")
		w.append("y", "3")
		w.commit()
		reader.sees(ruleSnapshot7B, "y", "1")
		reader.sees(ruleSnapshot7B, "z", "1")
		reader.sees(ruleSnapshot7B, "new", "")
		reader.finds(ruleSnapshot7B, "", "", "x=1 y=1 z=1")
		later.finds(ruleSnapshot7B, "", "", "x=2 y=2 z=1")
		d.holds(ruleSnapshot7B, "new=3 x=2 y=23")

		// What a running transaction has written is nobody's business, nor what one writes that is aborted.
		w = d.beginTx()
		w.put("x", "9")
		w.delete("y")
		d.holds(ruleSnapshot7B, "new=3 x=2 y=23")
		w.abort()
		d.holds(ruleNoTrace7B, "new=3 x=2 y=23")

		// Begin alone may take the snapshot, or the first read; but one instant it is.
		first := d.beginTx()
		d.load("x=4 y=4")
		c := first.now(ruleCallsEnd7B, first.goGet("x"))
		if c.value != "2" && c.value != "4" {
			s.Failf(ruleSnapshot7B, "%s of %s returned %s at %v, want 2 or 4", c.what, first.name, c.result(), brief(c.ended))
		}
		d.load("x=5 y=5")
		first.sees(ruleSnapshot7B, "y", map[string]string{"2": "23", "4": "4"}[c.value])
		first.sees(ruleSnapshot7B, "x", c.value)

		// An update sees its snapshot too, with its own writes in it.
		w = d.beginTx()
		w.sees(ruleSnapshot7B, "x", "5")
		w.put("own", "6")
		d.load("x=7 y=7")
		w.finds(ruleSnapshot7B, "", "", "new=3 own=6 x=5 y=5")
		if c := w.try(func() *call { return w.goAppend("y", "1") }); !c.aborted() { // it cannot commit any more
			w.sees(ruleSnapshot7B, "y", "51")
			w.abort()
		}
		reader.finds(ruleSnapshot7B, "", "", "x=1 y=1 z=1")
	})
}

// Transactions commit to a slow disk while readers come. Each reader sees, from first to last, all writes of a transaction or none (rule 13).
func TestCommitsAtOnce7B(t *testing.T) {
	const during = "readers came while transactions were in Commit"
	labtest.Run(t, labtest.Config{Nodes: 1, Seeds: 8, MustCover: []string{during}}, func(s *labtest.Sim) {
		d := newVersionDB(s, bothLevels(s))
		var start string
		for i := range 12 {
			start += fmt.Sprintf("a%02d=0 b%02d=0 ", i, i)
		}
		d.load(start)
		for round := 1; round <= 3; round++ {
			d.disk.setLatency(time.Duration(10+s.Rand().IntN(20)) * time.Millisecond)
			large, small := d.beginTx(), d.beginTx()
			for i := range 12 {
				large.put(fmt.Sprintf("a%02d", i), fmt.Sprint(round, "-------------------------------------------------------------------------------------------------"))
			}
			small.put("b00", fmt.Sprint(round))
			small.put("b11", fmt.Sprint(round))
			calls := []*call{large.goCommit()}
			d.run(time.Duration(s.Rand().IntN(5000)) * time.Microsecond)
			calls = append(calls, small.goCommit())
			type seen struct {
				t           *txn
				first, last string
			}
			var readers []seen
			over := func() bool { return !slices.ContainsFunc(calls, func(c *call) bool { return !c.over() }) }
			for n := 0; (!over() || n < 5) && n < 100; n++ {
				t := d.beginTx()
				c := t.now(ruleReadOnly7B, t.goScan("", ""))
				readers = append(readers, seen{t: t, first: pairText(c.pairs)})
				if !over() {
					s.Cover(during)
				}
				got := map[byte]map[string]bool{'a': {}, 'b': {}}
				for _, p := range c.pairs {
					if p.Key[0] == 'a' || p.Key == "b00" || p.Key == "b11" {
						got[p.Key[0]][p.Value] = true
					}
				}
				if len(got['a']) != 1 || len(got['b']) != 1 {
					s.Fail(labtest.Violation{
						What: fmt.Sprintf("%s of %s saw a part of what another transaction wrote at %v", c.what, t.name, brief(c.ended)),
						Rule: ruleSnapshot7B, Seen: []string{pairText(c.pairs)},
					})
				}
				d.run(7 * time.Millisecond)
			}
			d.wait(ruleCallsEnd7B, 10*time.Second, calls...)
			large.isNil(ruleNeedless7B, calls[0])
			small.isNil(ruleNeedless7B, calls[1])
			for i := range readers {
				r := &readers[i]
				c := r.t.now(ruleReadOnly7B, r.t.goScan("", ""))
				if r.last = pairText(c.pairs); r.last != r.first {
					s.Fail(labtest.Violation{
						What: fmt.Sprintf("%s, begun at %v, saw another state at %v than before", r.t.name, brief(r.t.began), brief(c.ended)),
						Rule: ruleSnapshot7B, Seen: []string{"before: " + r.first, "then:   " + r.last},
					})
				}
				r.t.now(ruleReadOnly7B, r.t.goCommit())
			}
			d.disk.setLatency(0)
		}
	})
}

// Readers run while hundreds of transactions overwrite what they see, and others end (rules 13 and 18).
func TestLongReaders7B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 1, Seeds: 4}, func(s *labtest.Sim) {
		d := newVersionDB(s, bothLevels(s))
		type reader struct {
			t    *txn
			want string
		}
		model := map[string]string{"a": "0", "b": "0", "c": "0", "gone": "0"}
		d.clear(model)
		var readers []reader
		for i := range 120 {
			if i%15 == 1 {
				t := d.beginTx()
				t.sees(ruleSnapshot7B, "a", model["a"])
				readers = append(readers, reader{t, modelText(model, "", "")})
			}
			w := d.beginTx()
			for _, key := range []string{"a", "b", "c", "gone"}[s.Rand().IntN(3):] {
				if key == "gone" && i%3 > 0 {
					w.delete(key)
					delete(model, key)
					continue
				}
				w.put(key, fmt.Sprint(i))
				model[key] = fmt.Sprint(i)
			}
			w.commit()
			if i%20 == 19 { // one in the middle ends
				j := s.Rand().IntN(len(readers))
				readers[j].t.finds(ruleSnapshot7B, "", "", readers[j].want)
				readers[j].t.now(ruleReadOnly7B, readers[j].t.goCommit())
				readers = slices.Delete(readers, j, j+1)
			}
		}
		for _, r := range readers {
			r.t.finds(ruleSnapshot7B, "", "", r.want)
			r.t.now(ruleReadOnly7B, r.t.goCommit())
		}
	})
}

// Two transactions write one key, in each way, and commit in either order, one while the other is in Commit. Exactly one commits (rule 15).
func TestFirstCommitterWins7B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 1, Seeds: 4}, func(s *labtest.Sim) {
		d := newVersionDB(s, bothLevels(s))
		write := []func(t *txn) *call{
			func(t *txn) *call { return t.goPut("x", t.name) },
			func(t *txn) *call { return t.goAppend("x", t.name) },
			func(t *txn) *call { return t.goDelete("x") },
		}
		for i, one := range write {
			for _, other := range write[i:] {
				for _, how := range []string{"first first", "second first", "at once", "before it writes"} {
					d.clear(map[string]string{"x": "0", "y": "0"})
					first, second := d.beginTx(), d.beginTx()
					first.sees(ruleSnapshot7B, "y", "0")
					second.sees(ruleSnapshot7B, "y", "0")
					for _, t := range []*txn{first, second} {
						t.put("of "+t.name, "1")
					}
					first.try(func() *call { return one(first) })
					if how != "before it writes" {
						second.try(func() *call { return other(second) })
					}
					order := []*txn{first, second}
					switch how {
					case "second first":
						slices.Reverse(order)
					case "at once":
						d.disk.setLatency(20 * time.Millisecond)
						first.try(first.goCommit)
					case "before it writes":
						first.try(first.goCommit)
						d.run(soon)
						second.try(func() *call { return other(second) })
					}
					n := d.commitAll(order...)
					d.disk.setLatency(0)
					if n != 1 {
						s.Fail(labtest.Violation{
							What: fmt.Sprintf("%d of two concurrent transactions that wrote x committed by %v, want exactly one", n, brief(s.Net.Now())),
							Rule: ruleFirst7B, Seen: d.describe(),
						})
					}
					winner := first
					if second.outcome == committed {
						winner = second
					}
					reader := d.beginTx()
					c := reader.now(ruleReadOnly7B, reader.goGet("x"))
					want := map[string]string{"Put": winner.name, "App": "0" + winner.name, "Del": ""}[winner.ops[2].call.what[:3]]
					reader.hasValue(ruleFirst7B, c, want)
					reader.finds(ruleNoTrace7B, "of", "og", "of "+winner.name+"=1")
				}
			}
		}
	})
}

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
	})
}

// Transactions that only read, while others have written, are in Commit on a slow disk, and have committed (rule 18).
func TestReadOnly7B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 1, Seeds: 4}, func(s *labtest.Sim) {
		d := newVersionDB(s, bothLevels(s))
		d.load("x=1 y=1 z=1")
		early := d.beginTx()
		early.now(ruleReadOnly7B, early.goGet("x"))
		for round := range 3 {
			w := d.beginTx()
			w.put("x", "2")
			w.delete("y")
			w.put("new", "2")
			r := d.beginTx()
			r.now(ruleReadOnly7B, r.goScan("", ""))
			d.disk.setLatency(time.Second)
			commit := w.goCommit()
			d.run(500 * time.Millisecond)
			during := d.beginTx()
			for _, t := range []*txn{r, during, early} {
				t.now(ruleReadOnly7B, t.goGet("x"))
				t.now(ruleReadOnly7B, t.goGet("y"))
				t.now(ruleReadOnly7B, t.goScan("n", ""))
			}
			if round == 1 {
				during.now(ruleReadOnly7B, during.goCommit())
			}
			d.wait(ruleCallsEnd7B, time.Minute, commit)
			d.disk.setLatency(0)
			for _, t := range []*txn{r, during} {
				if t.ended() {
					continue
				}
				t.now(ruleReadOnly7B, t.goScan("", ""))
				t.now(ruleReadOnly7B, t.goCommit())
			}
			d.clear(map[string]string{"x": "1", "y": "1", "z": "1"})
		}
		early.finds(ruleSnapshot7B, "", "", "x=1 y=1 z=1")
		early.now(ruleReadOnly7B, early.goCommit())
	})
}

// Transactions that have nothing to do with each other, or that follow each other, all commit (rule 16).
func TestNoNeedlessAbort7B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 1, Seeds: 4}, func(s *labtest.Sim) {
		d := newVersionDB(s, bothLevels(s))
		d.load("a=1 b=1 c=1 shared=1")
		commits := func(all ...*txn) {
			if n := d.commitAll(all...); n != len(all) {
				s.Fail(labtest.Violation{
					What: fmt.Sprintf("%d of %d transactions committed by %v, although no concurrent one writes what they have written or read", n, len(all), brief(s.Net.Now())),
					Rule: ruleNeedless7B, Seen: d.describe(),
				})
			}
		}
		var all []*txn
		for _, key := range []string{"a", "b", "c", "d"} {
			t := d.beginTx()
			t.now(ruleCallsEnd7B, t.goGet("shared"))
			t.now(ruleCallsEnd7B, t.goScan(key, key+"x"))
			t.put(key, "2")
			t.append(key+"1", "2")
			t.delete(key + "2")
			all = append(all, t)
		}
		all[1].delete("b")
		commits(all...)

		// One after another.
		for i := range 5 {
			t := d.beginTx()
			t.now(ruleCallsEnd7B, t.goScan("", ""))
			t.put("a", fmt.Sprint(i))
			t.append("shared", fmt.Sprint(i))
			commits(t)
		}

		// A writer does not mind what was aborted, nor one that has read the key and only reads.
		reader, writer, aborted := d.beginTx(), d.beginTx(), d.beginTx()
		reader.now(ruleReadOnly7B, reader.goScan("", ""))
		writer.now(ruleCallsEnd7B, writer.goGet("a"))
		aborted.put("a", "never")
		aborted.abort()
		writer.put("a", "9")
		commits(writer)
		commits(reader)

		// After an abort, the same again.
		first, second := d.beginTx(), d.beginTx()
		for _, t := range []*txn{first, second} {
			t.try(func() *call { return t.goGet("c") })
		}
		for _, t := range []*txn{first, second} {
			t.try(func() *call { return t.goPut("c", t.name) })
		}
		d.commitAll(first, second)
		again := d.beginTx()
		again.now(ruleCallsEnd7B, again.goGet("c"))
		again.put("c", "again")
		commits(again)
	})
}

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
	labtest.Run(t, labtest.Config{Nodes: 1, Seeds: 2, MustCover: cover}, func(s *labtest.Sim) {
		newVersionDB(s, bothLevels(s)).crashAtEveryWrite()
	})
}

// Nobody reads a value that a crash then undoes; the log does not grow for ever; a crash ends all calls (rule 21).
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
		for _, rest := range []time.Duration{0, 10 * time.Second} { // with a log to be replayed, and without
			d.run(rest)
			d.restart()
			d.holds(ruleRestarted7B, "x=19 y0=18 y1=19 y2=17")
			reader := d.beginTx()
			reader.sees(ruleRestarted7B, "y0", "18")
			w := d.beginTx()
			w.sees(ruleRestarted7B, "x", "19")
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
				s.Failf(ruleRestarted7B, "%d of two concurrent transactions that wrote x after a restart committed by %v, want exactly one", n, brief(s.Net.Now()))
			}
			d.load("x=19 y0=18")
		}
	})
}
