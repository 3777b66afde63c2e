package transactions_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
)

// Two transactions write one key, in each way, and commit in either order, one while the other is in Commit. Exactly one commits (rule 15).
func TestFirstCommitterWins7B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 1, Seeds: 4}, func(s *labtest.Sim) {
		d := newVersionDB(s, bothLevels(s))
		equal := false // a Put of the value that is there is a write, too, and an Append of nothing
		puts := func(t *txn) string {
			if equal {
				return "0"
			}
			return t.name
		}
		suffix := func(t *txn) string { return strings.TrimPrefix(puts(t), "0") }
		write := []func(t *txn) *call{
			func(t *txn) *call { return t.goPut("x", puts(t)) },
			func(t *txn) *call { return t.goAppend("x", suffix(t)) },
			func(t *txn) *call { return t.goDelete("x") },
		}
		for i, one := range write {
			for _, other := range write[i:] {
				for n, how := range []string{"first first", "second first", "at once", "before it writes", "first first", "second first"} {
					old, before := "0", map[string]string{"x": "0", "y": "0"}
					if n >= 4 { // a key that does not exist
						old, before = "", map[string]string{"y": "0"}
					}
					equal = n == 1
					d.clear(before)
					first, second := d.beginTx(), d.beginTx()
					if n%2 == 0 { // else they write before they read
						first.sees(ruleSnapshot7B, "y", "0")
						second.sees(ruleSnapshot7B, "y", "0")
					}
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
							What: fmt.Sprintf("of the two concurrent transactions that wrote x last, %d committed by %v, want exactly one", n, labtest.At(s.Net.Now())),
							Rule: ruleFirst7B, Seen: d.describe(),
						})
					}
					winner, loser := first, second
					if second.outcome == committed {
						winner, loser = second, first
					}
					d.afterAbort(loser)
					reader := d.beginTx()
					c := reader.now(ruleReadOnly7B, reader.goGet("x"))
					want := map[string]string{"Put": puts(winner), "App": old + suffix(winner), "Del": ""}[winner.ops[len(winner.ops)-1].call.what[:3]]
					reader.hasValue(ruleFirst7B, c, want)
					reader.finds(ruleNoTrace7B, "of", "og", "of "+winner.name+"=1")
					reader.commit()
				}
			}
		}
		d.firstCallThenAWriter()
	})
}

// usesOf returns the calls that a transaction may begin with, of one key.
func usesOf(key string) []func(t *txn) *call {
	return []func(t *txn) *call{
		func(t *txn) *call { return t.goGet(key) },
		func(t *txn) *call { return t.goScan(key, key+"x") },
		func(t *txn) *call { return t.goPut(key, "1") },
		func(t *txn) *call { return t.goAppend(key, "1") },
		func(t *txn) *call { return t.goDelete(key) },
	}
}

// firstCallThenAWriter: when the first call of a transaction has returned, whichever it is, another one begins, writes x and commits. The first one writes x with
// that call, or when the other has committed. Its snapshot is from before that (rule 13), so the two are concurrent: one commits (rule 15).
func (d *db) firstCallThenAWriter() {
	for _, key := range []string{"x", "y", "absent"} {
		for _, use := range usesOf(key) {
			d.clear(map[string]string{"x": "0", "y": "0"})
			one := d.beginTx()
			first := one.now(ruleCallsEnd7B, use(one))
			other := d.beginTx()
			other.try(func() *call { return other.goPut("x", "2") })
			if !one.writes["x"] {
				d.commitAll(other)
				one.try(func() *call { return one.goPut("x", "3") })
			}
			if n := d.commitAll(other, one); n != 1 {
				d.s.Fail(labtest.Violation{
					What: fmt.Sprintf("%s of %s, its first call, returned before %s began, and both wrote x; %d of the two committed by %v, want exactly one",
						first.what, one.name, other.name, n, labtest.At(d.s.Net.Now())),
					Rule: ruleFirst7B, Seen: d.describe(),
				})
			}
		}
	}
}

// Transactions that have nothing to do with each other, or that follow each other, all commit (rule 16).
func TestNoNeedlessAbort7B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 1, Seeds: 4, Limit: 3 * time.Hour}, func(s *labtest.Sim) {
		d := newVersionDB(s, bothLevels(s))
		d.load("a=1 b=1 c=1 shared=1")
		commits := func(all ...*txn) {
			if n := d.commitAll(all...); n != len(all) {
				s.Fail(labtest.Violation{
					What: fmt.Sprintf("%d of %d transactions committed by %v, although no concurrent one writes what they have written or read", n, len(all), labtest.At(s.Net.Now())),
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
		d.run(2 * time.Hour) // they may rest for as long as they like
		commits(all...)

		// A writer of the key at which a range ends, and one of the key before it begins, have nothing to do with the range.
		end, before := d.beginTx(), d.beginTx()
		end.put("ax", "2")
		before.put("`~", "2")
		scan := d.beginTx()
		scan.now(ruleCallsEnd7B, scan.goScan("a", "ax"))
		scan.put("z", "2")
		commits(end, before, scan)

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

		if s.Seed%4 < 2 { // each level has seeds of both kinds
			d.neighboursCommit()
			return
		}
		// Hundreds of keys are not all keys, and hundreds of transactions do not wait for the log of those that are over.
		d.manyKeys(ruleCallsEnd7B, ruleNeedless7B)
		d.oneAfterAnother(ruleCallsEnd7B)
		d.burst(ruleCallsEnd7B, ruleNeedless7B, soon+hundreds*(quickly+perKey))
	})
}

// neighboursCommit: a transaction uses a key or a range, and a concurrent one writes the keys around it: the nearest ones that exist, and new ones in
// between. Both commit (rule 16; what 7A says of nearest keys does not hold in 7B).
func (d *db) neighboursCommit() {
	get := func(key string) func(t *txn, p string) *call {
		return func(t *txn, p string) *call { return t.goGet(p + key) }
	}
	scan := func(from, to string) func(t *txn, p string) *call {
		return func(t *txn, p string) *call { return t.goScan(p+from, p+to) }
	}
	for i, c := range []struct {
		use  func(t *txn, p string) *call // of keys that begin with p
		mine []string                     // the keys that the call uses, and the other transaction does not
	}{
		{get("c"), []string{"c"}},
		{get("d"), []string{"d"}},
		{get("a"), nil},
		{get("g"), nil},
		{func(t *txn, p string) *call { return t.goAppend(p+"c", "1") }, []string{"c"}},
		{func(t *txn, p string) *call { return t.goPut(p+"c", "1") }, []string{"c"}},
		{func(t *txn, p string) *call { return t.goDelete(p + "c") }, []string{"c"}},
		{func(t *txn, p string) *call { return t.goDelete(p + "d") }, []string{"d"}},
		{scan("c", "d"), []string{"c", "c\x00"}},
		{scan("d", "e"), []string{"d", "d\x00"}},
		{scan("cx", "cy"), nil},
		{func(t *txn, p string) *call { return t.goScan(p+"g", "") }, nil},
		{func(t *txn, p string) *call { return t.goScan("", p+"b") }, nil},
	} {
		p := "~" + string(rune('A'+i)) // no key after these exists
		d.load(fmt.Sprintf("%[1]sb=0 %[1]sd=0 %[1]sf=0", p))
		user, writer := d.beginTx(), d.beginTx()
		user.try(func() *call { return c.use(user, p) })
		user.try(func() *call { return user.goPut("-", p) }) // at Serializable, a transaction that only reads is not compared
		for _, key := range []string{"b", "bz", "c", "c\x00", "d", "d\x00", "e", "f", "fz"} {
			switch {
			case slices.Contains(c.mine, key):
			case key == "b" || key == "f":
				writer.try(func() *call { return writer.goDelete(p + key) })
			default:
				writer.try(func() *call { return writer.goPut(p+key, "1") })
			}
		}
		d.commitAll(writer, user)
		for _, t := range []*txn{writer, user} {
			if t.outcome != committed {
				d.s.Fail(labtest.Violation{
					What: fmt.Sprintf("%s of %s returned %s at %v, want nil: the other transaction has used only other keys", t.busy.what, t.name, t.busy.result(), labtest.At(t.ret)),
					Rule: ruleNeedless7B, Seen: []string{user.describe(), writer.describe()},
				})
			}
		}
	}
}
