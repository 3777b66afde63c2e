package transactions_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labs/07-transactions"
)

// Transactions wait for each other in a cycle: two or more keys, ranges, readers that want to write, and a cycle through the queue for
// a key. Some go on, and what the aborted ones had is free and as it was (rules 3, 6 and 7).
func TestDeadlock7A(t *testing.T) {
	get := func(key string) func(t *txn) *call { return func(t *txn) *call { return t.goGet(key) } }
	put := func(key string) func(t *txn) *call { return func(t *txn) *call { return t.goPut(key, "9"+t.name) } }
	scan := func(from, to string) func(t *txn) *call { return func(t *txn) *call { return t.goScan(from, to) } }
	cases := []struct {
		name string
		has  oneEach // one call of each transaction that does not wait
		asks oneEach // one call of each transaction that closes the cycle; nil for none
	}{
		{"two writers", oneEach{put("a"), put("b")}, oneEach{put("b"), put("a")}},
		{"a reader and a writer", oneEach{get("a"), put("b")}, oneEach{get("b"), put("a")}},
		{"two readers of a key that want to write it", oneEach{get("a"), get("a")}, oneEach{put("a"), put("a")}},
		{"two that scanned a range", oneEach{scan("a", "c"), scan("b", "d")}, oneEach{put("bx"), put("bb")}},
		{"a scan and a new key", oneEach{put("bb"), put("d")}, oneEach{scan("c", ""), scan("a", "c")}},
		{"three writers", oneEach{put("a"), put("b"), put("c")}, oneEach{put("b"), put("c"), put("a")}},
		{"five in a cycle", oneEach{put("a"), put("b"), put("c"), put("d"), get("e")}, oneEach{get("b"), put("c"), get("d"), put("e"), scan("", "b")}},
		{"three readers that want to write", oneEach{get("a"), scan("", "b"), get("a")}, oneEach{put("a"), put("a"), put("a")}},
	}
	long := cases[0]
	long.name, long.has, long.asks = "forty in a cycle", nil, nil
	for i := range 40 {
		long.has, long.asks = append(long.has, put(fmt.Sprint("r", i))), append(long.asks, put(fmt.Sprint("r", (i+1)%40)))
	}
	labtest.Run(t, labtest.Config{Nodes: 1, Seeds: 8, MustCover: []string{cycle}}, func(s *labtest.Sim) {
		d := newLockDB(s)
		d.load("a=1 b=1 c=1 d=1 e=1")
		d.manyDeadlocks()
		d.deadlockAmongWaits()
		for _, c := range cases {
			d.deadlock(c.name, c.has, c.asks)
			reset := d.beginTx()
			for _, key := range []string{"a", "b", "c", "d", "e"} {
				reset.put(key, "1")
			}
			reset.delete("bb")
			reset.delete("bx")
			reset.commit()
		}
		if s.Seed%4 == 0 {
			d.deadlock(long.name, long.has, long.asks)
		}
	})
}

// manyDeadlocks makes six cycles of two at once. Of each, one is aborted and one is not (rule 6).
func (d *db) manyDeadlocks() {
	var pairs [][2]*txn
	for i := range 6 {
		a, b := d.beginTx(), d.beginTx()
		a.put(fmt.Sprint("p", i), "1")
		b.put(fmt.Sprint("q", i), "1")
		pairs = append(pairs, [2]*txn{a, b})
	}
	for i, p := range pairs {
		p[0].goPut(fmt.Sprint("q", i), "2")
		d.run(time.Microsecond)
		if !p[1].ended() { // wound-wait aborts early
			p[1].goPut(fmt.Sprint("p", i), "2")
			d.run(time.Microsecond)
		}
	}
	d.run(deadlockIn)
	for _, p := range pairs {
		if a, b := p[0], p[1]; a.outcome != byStore && b.outcome != byStore {
			d.s.Fail(labtest.Violation{
				What: fmt.Sprintf("%s: %v after six cycles of two transactions each were closed, neither %s nor %s is aborted", cycle, deadlockIn, a.name, b.name),
				Rule: ruleDeadlock7A, Seen: []string{a.describe(), b.describe()},
			})
		}
	}
	d.run(soon) // rule 7: then the other one does not wait any more
	for _, p := range pairs {
		a, b := p[0], p[1]
		if !a.busy.over() || !b.busy.over() || (a.outcome == byStore) == (b.outcome == byStore) {
			d.s.Fail(labtest.Violation{
				What: fmt.Sprintf("%s: %v after six cycles of two transactions each were closed, %s and %s are not one aborted and one that goes on", cycle, deadlockIn+soon, a.name, b.name),
				Rule: ruleDeadlock7A, Seen: []string{a.describe(), b.describe()},
			})
		}
		a.abort()
		b.abort()
	}
}

// deadlockAmongWaits closes a cycle of two. Afterwards a call of another transaction begins to wait every 10ms, for a key of the cycle or for another
// key, and some of these waits end. They do not put off the end of the cycle (rule 6).
func (d *db) deadlockAmongWaits() {
	d.run(soon)
	holder, one, two := d.beginTx(), d.beginTx(), d.beginTx()
	holder.put("held", "1")
	one.put("c1", "1")
	two.put("c2", "1")
	one.goPut("c2", "2")
	d.run(time.Microsecond)
	two.try(func() *call { return two.goPut("c1", "2") }) // wound-wait has aborted it
	closed := d.s.Net.Now()
	var others []*txn
	for n := 0; d.s.Net.Now() < closed+deadlockIn; n++ {
		others = append(others, d.beginTx())
		others[n].goPut([]string{"held", "c1", "passed on", "c2"}[n%4], "3")
		if n%4 == 2 && n > 4 {
			if before := others[n-4]; !before.ended() && before.busy.over() { // it has had the key that is passed on
				before.goCommit()
			}
		}
		d.run(10 * time.Millisecond)
	}
	if (one.outcome == byStore) == (two.outcome == byStore) {
		how := "neither of the two is"
		if one.outcome == byStore {
			how = "both are"
		}
		d.s.Fail(labtest.Violation{
			What: fmt.Sprintf("%s and %s have waited for each other since %v; %s aborted at %v, want exactly one of them", one.name, two.name, labtest.At(closed), how, labtest.At(d.s.Net.Now())),
			Rule: ruleDeadlock7A,
			Seen: []string{one.describe(), two.describe(), fmt.Sprintf("since then %d other transactions have made calls, one every 10ms, most of which had to wait", len(others))},
		})
	}
	d.run(soon)
	for _, t := range append([]*txn{one, two, holder}, others...) {
		d.endNow(t)
	}
}

// endNow aborts a transaction as soon as its call has returned, which the caller has made possible.
func (d *db) endNow(t *txn) {
	d.observe()
	if t.ended() {
		return
	}
	d.wait(ruleRelease7A, soon, t.busy)
	if !t.ended() {
		t.abort()
	}
}

// deadlock makes a cycle, in an order that follows from the seed, and commits those that go on until all are over.
func (d *db) deadlock(name string, has, asks oneEach) {
	r := d.s.Rand()
	d.run(soon)
	reader := d.beginTx()
	before := reader.now(ruleRelease7A, reader.goScan("", "")).pairs
	reader.commit()
	var all []*txn
	for range has {
		all = append(all, d.beginTx())
	}
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for i, f := range has {
		all[i].now(ruleQuick7A, f(all[i]))
	}
	started := d.s.Net.Now()
	calls := map[*txn]*call{}
	for _, i := range r.Perm(len(asks)) {
		if !all[i].ended() { // wound-wait aborts early
			calls[all[i]] = asks[i](all[i])
			d.run(time.Microsecond)
		}
	}
	d.s.Cover(cycle)
	d.run(deadlockIn)
	inTime := slices.ContainsFunc(all, func(t *txn) bool { return t.outcome == byStore })
	d.run(soon) // rule 7: then the others do not wait for it any more
	end := d.s.Net.Now()
	victims, rest := 0, 0
	for _, t := range all {
		switch {
		case t.outcome == byStore:
			victims++
		case calls[t].over():
			rest++
		}
	}
	if !inTime {
		victims = 0 // those that came later do not count
	}
	if victims > 0 && rest == 0 && victims < len(all) {
		d.s.Fail(labtest.Violation{
			What: fmt.Sprintf("%s (%s): %d of %d transactions were aborted by %v, but the others still wait", cycle, name, victims, len(all), labtest.At(end)),
			Rule: ruleGoesOn7A, Seen: d.describe(),
		})
	}
	if victims == 0 || rest == 0 {
		d.s.Fail(labtest.Violation{
			What: fmt.Sprintf("%s (%s): %d of %d transactions were aborted and %d went on by %v, want at least one of each",
				cycle, name, victims, len(all), rest, labtest.At(end)),
			Rule: ruleDeadlock7A, Seen: d.describe(),
		})
	}
	// Those that are not aborted go on one after another; a further cycle may come of it.
	for range len(all) {
		for _, t := range all {
			if !t.ended() && t.busy.over() {
				d.wait(ruleQuick7A, quickly+perKey*2, t.goCommit())
			}
		}
		d.run(soon)
	}
	for _, t := range all {
		if !t.ended() {
			d.s.Fail(labtest.Violation{
				What: fmt.Sprintf("%s of %s (%s), called at %v, waits at %v, although all other transactions have ended", t.busy.what, t.name, name, labtest.At(started), labtest.At(d.s.Net.Now())),
				Rule: ruleRelease7A, Seen: d.describe(),
			})
		}
		if t.outcome == byStore {
			d.afterAbort(t)
		}
	}
	d.noTrace(before, all)
}

// afterAbort checks that a transaction which the store aborted is over. The caller checks that its late calls, Abort too, have no effect.
func (d *db) afterAbort(t *txn) {
	tx := t.tx
	for _, late := range []struct {
		name string
		call func() error
	}{
		{"Put", func() error { return tx.Put("a", "late") }},
		{"Commit", tx.Commit},
		{"Abort", func() error { tx.Abort(); return nil }},
		{"Abort", func() error { tx.Abort(); return nil }},
	} {
		c := d.async(t, late.name, func(*call) error { return late.call() })
		d.wait(d.rules.over, quickly, c)
		if c.err == nil && late.name != "Abort" {
			d.s.Failf(d.rules.over, "%s of %s returned nil at %v, although the store had aborted it at %v", late.name, t.name, labtest.At(c.ended), labtest.At(t.ret))
		}
	}
}

// noTrace checks that each key has the value of the transaction that wrote it and committed last, or the one from before.
func (d *db) noTrace(before []transactions.Pair, all []*txn) {
	want := map[string]string{}
	for _, p := range before {
		want[p.Key] = p.Value
	}
	inOrder := slices.Clone(all)
	slices.SortFunc(inOrder, func(a, b *txn) int { return int(a.ret - b.ret) })
	for _, t := range inOrder {
		for key := range t.writes {
			if t.outcome == committed {
				want[key] = "9" + t.name
			}
		}
	}
	reader := d.beginTx()
	c := reader.now(ruleRelease7A, reader.goScan("", ""))
	reader.commit()
	got := map[string]string{}
	for _, p := range c.pairs {
		got[p.Key] = p.Value
	}
	for _, key := range slices.Sorted(maps.Keys(merged(got, want))) {
		value, ok := got[key]
		expect, is := want[key]
		if value == expect && ok == is {
			continue
		}
		why := "after the late calls of aborted transactions, which must have no effect"
		if i := slices.IndexFunc(all, func(t *txn) bool { return value == "9"+t.name }); i >= 0 && all[i].outcome != committed {
			why = fmt.Sprintf("and %s, which wrote that, was %s", all[i].name, all[i].outcome)
		}
		d.s.Fail(labtest.Violation{
			What: fmt.Sprintf("%s found %s for the key %s at %v, want %s: %s", c.what, valueText(value, ok), key, labtest.At(c.ended), valueText(expect, is), why),
			Rule: ruleNoTrace7A, Seen: d.describe(),
		})
	}
}

// Readers of the key, or of a range, come and go, so that the key is never without one. A writer gets its turn, also if it has read the key before, and so
// does a scan among writers (rule 8).
func TestNoStarvation7A(t *testing.T) {
	get := func(t *txn) *call { return t.goGet("x") }
	put := func(t *txn) *call { return t.goPut("x", "1") }
	remove := func(t *txn) *call { return t.goDelete("x") }
	scan := func(t *txn) *call { return t.goScan("w", "y") }
	scanAll := func(t *txn) *call { return t.goScan("", "") }
	putLast := func(t *txn) *call { return t.goPut("x9", "1") }
	labtest.Run(t, labtest.Config{Nodes: 1, Seeds: 2}, func(s *labtest.Sim) {
		n := 0
		putOwn := func(t *txn) *call { n++; return t.goPut(fmt.Sprint("x", n%5), "1") } // so that they do not wait for each other
		cases := []struct {
			has   func(t *txn) *call // what the oldest has used before; nil for nothing
			start func(t *txn) *call // what it must get
			other func(t *txn) *call // what those that come and go use
		}{
			{nil, put, get},
			{nil, remove, scan},
			{nil, scanAll, putOwn},
			{get, put, get},
			{scan, remove, get},
			{get, put, scan},
			{putLast, scanAll, putOwn},
		}
		d := newLockDB(s)
		d.load("x=1 y=1 z=1")
		for _, one := range cases {
			n = 0
			oldest := d.beginTx()
			if one.has != nil {
				oldest.now(ruleQuick7A, one.has(oldest))
			}
			before := d.beginTx()
			before.now(ruleQuick7A, one.other(before))
			c := one.start(oldest)
			var later []*txn
			for range 30 {
				next := d.beginTx()
				if s.Seed%2 == 0 {
					next.sees(ruleQuick7A, "z", "1") // who has something already must not pass the one that waits
				}
				one.other(next)
				later = append(later, next)
				d.run(10 * time.Millisecond)
				for j, t := range later {
					if j+2 < len(later) && !t.ended() && t.busy.over() {
						t.goCommit()
						d.run(time.Microsecond)
					}
				}
				if len(later) == 10 && !before.ended() {
					d.wait(ruleQuick7A, quickly+perKey, before.goCommit()) // wound-wait has aborted it
				}
			}
			d.wait(ruleStarve7A, soon, c)
			d.checkOldest(oldest)
			oldest.commit()
			d.run(soon)
			for _, t := range later {
				d.observe()
				if !t.ended() {
					d.wait(ruleStarve7A, soon, t.busy)
					t.abort()
				}
			}
		}
		d.queuesInEachOrder(queue{has: put, asks: oneEach{put, remove, put}})
		d.queuesInEachOrder(queue{has: get, asks: oneEach{put, get, scan}})
		d.queuesInEachOrder(queue{has: scanAll, asks: oneEach{remove, scan, get}})
		d.queuesInEachOrder(queue{has: get, firstHas: get, asks: oneEach{put, get, remove}})
	})
}
