package transactions_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	"distlabs/labs/07-transactions"
)

const (
	ruleSnapshot7B  = "all reads of a transaction see the committed state of one instant, between the call of Begin and the return of its first Get, GetRange or write (rule 13)"
	ruleOwn7B       = "Get and GetRange see what the transaction itself wrote last; GetRange returns each key of its range that has a value once, sorted (rules 2 and 14)"
	ruleSlice7B     = "a slice that GetRange has returned belongs to the caller: what the caller changes in it changes nothing in the store, and the store does not change it (rules 2 and 14)"
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
	ruleLast7B      = "after a crash, a key that several transactions wrote has the value of the last one to commit, whatever the wall clock shows (rules 10 and 21)"
	ruleShown7B     = "no crash undoes a value that a Get or GetRange of another transaction has returned (rules 11 and 21)"
	ruleRecords7B   = "no record on the disk has more than MaxRecord bytes (rules 12 and 21)"
	ruleSpace7B     = "10s after the last transaction is over, the disk has at most 4096 bytes, and for each key 200 bytes more and twice the bytes of the key and its value (rules 12 and 21)"
	ruleOpenEnds7B  = "the store opens within 10s, and when the node crashes each call, also a later one, returns an error within 100ms (rules 12 and 21)"
	ruleRestarted7B = "a snapshot that is taken after a restart has all that was committed before the crash, and what is committed later comes after that, whatever the wall clock shows (rule 21)"
)

var rules7B = storeRules{
	own: ruleOwn7B, slice: ruleSlice7B, noTrace: ruleNoTrace7B, over: ruleOver7B, begin: ruleReadOnly7B, quick: ruleCallsEnd7B, durable: ruleDurable7B, whole: ruleWhole7B, last: ruleLast7B,
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
	if c.what != "Commit" && !c.over() { // it waits for another, or is a slow one
		t.db.s.Until(quickly, c.over)
		t.db.observe()
	}
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
			s.Failf(ruleSnapshot7B, "%s of %s returned %s at %v, want 2 or 4", c.what, first.name, c.result(), labtest.At(c.ended))
		}
		d.load("x=5 y=5")
		first.sees(ruleSnapshot7B, "y", map[string]string{"2": "23", "4": "4"}[c.value])
		first.sees(ruleSnapshot7B, "x", c.value)

		// An update sees its snapshot too, with its own writes in it.
		w = d.beginTx()
		w.put("own", "6")
		d.load("x=7 y=7")
		// Each of its calls may find that it cannot commit any more (rules 15 and 16).
		if c := w.try(func() *call { return w.goScan("", "") }); !c.aborted() {
			w.hasPairs(ruleSnapshot7B, c, "new=3 own=6 x=5 y=5")
		}
		if c := w.try(func() *call { return w.goAppend("y", "1") }); !c.aborted() {
			if c := w.try(func() *call { return w.goGet("y") }); !c.aborted() {
				w.hasValue(ruleSnapshot7B, c, "51")
				w.abort()
			}
		}
		reader.finds(ruleSnapshot7B, "", "", "x=1 y=1 z=1")

		// Whatever it calls first: when that has returned, it has its snapshot.
		for _, key := range []string{"x", "absent"} {
			for _, use := range usesOf(key) {
				d.clear(map[string]string{"x": "0", "y": "8"})
				t := d.beginTx()
				t.now(ruleCallsEnd7B, use(t))
				d.load("y=9")
				if c := t.try(func() *call { return t.goGet("y") }); !c.aborted() {
					t.hasValue(ruleSnapshot7B, c, "8")
					t.abort()
				}
			}
		}
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
			d.run(time.Duration(1+s.Rand().IntN(5000)) * time.Microsecond)
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
						What: fmt.Sprintf("%s of %s saw a part of what another transaction wrote at %v", c.what, t.name, labtest.At(c.ended)),
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
						What: fmt.Sprintf("%s, begun at %v, saw another state at %v than before", r.t.name, labtest.At(r.t.began), labtest.At(c.ended)),
						Rule: ruleSnapshot7B, Seen: []string{fmt.Sprintf("before: %.160s …", r.first), fmt.Sprintf("then:   %.160s …", r.last)},
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
		for i := range 300 {
			if i%25 == 1 {
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
			if i%30 == 29 { // one in the middle ends
				j := 1 + s.Rand().IntN(len(readers)-1) // not the first
				readers[j].t.finds(ruleSnapshot7B, "", "", readers[j].want)
				readers[j].t.now(ruleReadOnly7B, readers[j].t.goCommit())
				readers = slices.Delete(readers, j, j+1)
			}
		}
		for _, r := range readers {
			r.t.finds(ruleSnapshot7B, "", "", r.want)
			r.t.now(ruleReadOnly7B, r.t.goCommit())
		}

		// A crowd has one snapshot, and all of them except one end.
		last, crowd := d.beginTx(), make([]transactions.Tx, 300)
		last.sees(ruleSnapshot7B, "a", model["a"])
		other := d.beginTx()
		other.many(ruleReadOnly7B, "Begin and Get of 300 others", len(crowd), 2, func(i int) error {
			crowd[i] = d.store.Begin()
			_, _, err := crowd[i].Get("a")
			return err
		})
		d.load("a=new")
		other.many(ruleReadOnly7B, "Commit of 300 others", len(crowd), 1, func(i int) error { return crowd[i].Commit() })
		other.many(ruleReadOnly7B, "Abort of 300 others, which have committed", len(crowd), 1, func(i int) error { crowd[i].Abort(); return nil })
		d.load("a=newer")
		last.sees(ruleSnapshot7B, "a", model["a"])

		// The store aborts such a crowd: another has written what they write. Their clients call Abort as well, once or twice.
		last.now(ruleReadOnly7B, last.goCommit())
		other.abort()
		for _, n := range []int{1, 30} {
			d.load("a=before")
			last = d.beginTx()
			last.sees(ruleSnapshot7B, "a", "before")
			d.crowdAborted(n)
			d.load("a=after")
			last.sees(ruleSnapshot7B, "a", "before")
			last.now(ruleReadOnly7B, last.goCommit())
		}
	})
}

// crowdAborted begins n transactions that have one snapshot, has the store abort them, and calls Abort of each (rules 13 and 14).
func (d *db) crowdAborted(n int) {
	var crowd []*txn
	for range n {
		t := d.beginTx()
		t.now(ruleReadOnly7B, t.goGet("a"))
		crowd = append(crowd, t)
	}
	d.load("crowd=1")
	for i, t := range crowd {
		t.try(func() *call { return t.goPut("crowd", "2") })
		if !t.ended() {
			d.wait(ruleCallsEnd7B, quickly+perKey+soon, t.goCommit())
		}
		if t.outcome != byStore {
			d.s.Failf(ruleFirst7B, "%s committed at %v, although another transaction had committed a write of the same key since its snapshot", t.name, labtest.At(t.ret))
		}
		for range 1 + i%2 {
			t.abort()
		}
	}
}

// Transactions that only read, while others have written, are in Commit on a slow disk, and have committed. One of them runs for a day (rules 13 and 18).
func TestReadOnly7B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 1, Seeds: 4, Limit: 30 * time.Hour}, func(s *labtest.Sim) {
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
		for _, value := range []string{"5", "6"} { // it may run for as long as it likes, whatever others write
			d.run(13 * time.Hour)
			d.clear(map[string]string{"x": value, "y": value, "new": value})
		}
		early.now(ruleReadOnly7B, early.goGet("y"))
		early.finds(ruleSnapshot7B, "", "", "x=1 y=1 z=1")
		early.now(ruleReadOnly7B, early.goCommit())
	})
}
