package transactions_test

import (
	"fmt"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	"distlabs/labs/07-transactions"
)

const (
	ruleSerial7A    = "the transactions that committed have the results of a serial order, which agrees with real time (rule 1)"
	ruleWaits7A     = "if another running transaction has used a key of a call, and one of the two uses is a write, the call waits until that transaction is over, or in Commit if it has only read the key, unless one of the two is aborted (rule 1)"
	ruleOwn7A       = "Get and GetRange see what the transaction itself wrote last; GetRange returns each key of its range that has a value once, sorted (rule 2)"
	ruleSlice7A     = "a slice that GetRange has returned belongs to the caller: what the caller changes in it changes nothing in the store, and the store does not change it (rule 2)"
	ruleNoTrace7A   = "what an aborted transaction wrote has no effect, whether its client or the store aborted it (rule 3)"
	ruleOver7A      = "once a transaction is over, each call returns an error that wraps ErrAborted or ErrOver, and has no effect (rule 3)"
	ruleQuick7A     = "a call returns nil within 20ms, and Commit within 5ms more per written key, unless the transaction conflicts with another (rule 4)"
	ruleOldest7A    = "the store does not abort a transaction that is older than all that it conflicts with, unless it is in a cycle, however long it waits (rule 5)"
	ruleReason7A    = "the store aborts a transaction only because it conflicts with another, however long it runs (rule 5)"
	ruleDeadlock7A  = "500ms after transactions began to wait for each other in a cycle, at least one is aborted and at least one is not (rule 6)"
	ruleGoesOn7A    = "when a transaction of a cycle is aborted, what it had is free, and at least one of the others goes on (rules 6 and 7)"
	ruleRelease7A   = "100ms after a transaction is over, no call waits for it any more (rule 7)"
	ruleStarve7A    = "a call returns within 100ms once all transactions are over that had used or asked for its keys before (rule 8)"
	ruleDurable7A   = "no crash undoes a transaction whose Commit has returned nil, or a part of it (rule 9)"
	ruleWhole7A     = "after a crash, a transaction in Commit is there with all of its writes or none, and one before Commit with none (rule 10)"
	ruleLast7A      = "after a crash, a key that several transactions wrote has the value of the last one to commit, whatever the wall clock shows (rule 10)"
	ruleShown7A     = "no crash undoes a value that a Get or GetRange of another transaction has returned (rule 11)"
	ruleRecords7A   = "no record on the disk has more than MaxRecord bytes (rule 12)"
	ruleSpace7A     = "10s after the last transaction is over, the disk has at most 4096 bytes, and for each key 200 bytes more and twice the bytes of the key and its value (rule 12)"
	ruleOpenEnds7A  = "the store opens within 10s, and when the node crashes each call, also a later one, returns an error within 100ms (rule 12)"
	cycle           = "transactions waited for each other in a cycle"
	waitsForWriter  = "the other transaction has written the key and is running"
	waitsForReader  = "the other transaction has read the key and is running"
	waitsForScanner = "the other transaction has scanned a range with the key and is running"
)

var rules7A = storeRules{
	own: ruleOwn7A, slice: ruleSlice7A, noTrace: ruleNoTrace7A, over: ruleOver7A, begin: ruleQuick7A, quick: ruleQuick7A, durable: ruleDurable7A, whole: ruleWhole7A, last: ruleLast7A,
	shown: ruleShown7A, records: ruleRecords7A, space: ruleSpace7A, ends: ruleOpenEnds7A,
}

func openLock(node *labrpc.Node, disk transactions.Disk) (store, error) {
	return transactions.OpenLockStore(node, disk)
}

func newLockDB(s *labtest.Sim) *db { return newDB(s, rules7A, openLock) }

// Transactions one after another do what a sorted map would do, with any strings (rules 2 and 3).
func TestReadsAndWrites7A(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 1, Seeds: 5, MustCover: coverModel}, func(s *labtest.Sim) {
		newLockDB(s).againstModel()
	})
}

// A Get or a GetRange of what another has written waits until the other is over, and sees what it wrote only if it committed (rules 1, 3 and 7).
func TestReaderWaits7A(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 1, Seeds: 4}, func(s *labtest.Sim) {
		d := newLockDB(s)
		d.load("a=1 b=2 c=3")
		write := map[string]func(t *txn) *call{
			"Put":    func(t *txn) *call { return t.goPut("b", "7") },
			"Append": func(t *txn) *call { return t.goAppend("b", "7") },
			"Delete": func(t *txn) *call { return t.goDelete("b") },
			"insert": func(t *txn) *call { return t.goPut("bb", "7") },
		}
		after := map[string]string{"Put": "7", "Append": "27", "Delete": "", "insert": "7"}
		for _, how := range []string{"Put", "Append", "Delete", "insert"} {
			for _, commits := range []bool{false, true} {
				key, before := "b", "2"
				if how == "insert" {
					key, before = "bb", ""
				}
				writer, reader, scanner := d.beginTx(), d.beginTx(), d.beginTx()
				writer.now(ruleQuick7A, write[how](writer))
				get := reader.goGet(key)
				d.waits(ruleWaits7A, get, waitsForWriter)
				scan := scanner.goScan("b", "c")
				d.waits(ruleWaits7A, scan, waitsForWriter)
				want := before
				if commits {
					writer.commit()
					want = after[how]
				} else {
					writer.abort()
				}
				d.wait(ruleRelease7A, soon, get, scan)
				rule := ruleNoTrace7A
				if commits {
					rule = ruleSerial7A
				}
				if get.granted() {
					reader.hasValue(rule, get, want)
					reader.commit()
				}
				pairs := map[string]string{"b2": "b=2", "b7": "b=7", "b27": "b=27", "b": "", "bb": "b=2", "bb7": "b=2 bb=7"}
				if scan.granted() {
					scanner.hasPairs(rule, scan, pairs[key+want])
					scanner.commit()
				}
				clean := d.beginTx()
				clean.put("b", "2")
				clean.delete("bb")
				clean.commit()
			}
		}
	})
}

// A writer waits until each reader of the key is over. That holds for a key that does not exist, and for a reader that wants to write, too (rule 1).
func TestWriterWaits7A(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 1, Seeds: 2}, func(s *labtest.Sim) {
		d := newLockDB(s)
		d.load("x=1")
		for _, key := range []string{"x", "absent"} {
			want := map[string]string{"x": "1", "absent": ""}[key]
			for i, write := range []func(t *txn) *call{
				func(t *txn) *call { return t.goPut(key, "8") },
				func(t *txn) *call { return t.goAppend(key, "8") },
				func(t *txn) *call { return t.goDelete(key) },
				func(t *txn) *call { return t.goPut(key, want) }, // also of the value that is there
				func(t *txn) *call { return t.goAppend(key, "") },
			} {
				reader, writer := d.beginTx(), d.beginTx()
				reader.sees(ruleSerial7A, key, want)
				if i == 0 {
					reader.readsMany()
				}
				put := write(writer)
				d.waits(ruleWaits7A, put, waitsForReader)
				reader.sees(ruleSerial7A, key, want)
				reader.commit()
				d.wait(ruleRelease7A, soon, put)
				writer.abort()

				// Two readers, the younger of which wants to write.
				second, first := d.beginTx(), d.beginTx()
				first.sees(ruleSerial7A, key, want)
				second.sees(ruleSerial7A, key, want)
				put = write(first)
				d.waits(ruleWaits7A, put, waitsForReader)
				second.sees(ruleSerial7A, key, want)
				if i == 1 {
					second.abort()
				} else {
					second.commit()
				}
				d.wait(ruleRelease7A, soon, put)
				first.abort()
			}
		}

		// A writer waits for a writer.
		first, second := d.beginTx(), d.beginTx()
		first.put("x", "2")
		first.put("y", "2")
		put := second.goPut("y", "3")
		d.waits(ruleWaits7A, put, waitsForWriter)
		first.commit()
		d.wait(ruleRelease7A, soon, put)
		if put.granted() {
			second.put("x", "3")
			second.commit()
			d.holds(ruleSerial7A, "x=3 y=3")
		} else {
			d.holds(ruleSerial7A, "x=2 y=2")
		}
	})
}

// readsMany reads so many other keys and ranges that a store which remembers only the last of them would forget the first.
func (t *txn) readsMany() {
	t.many(t.db.rules.quick, "Get and GetRange of 300 other keys", 300, 2, func(i int) error {
		key := fmt.Sprint("another ", i)
		if _, _, err := t.tx.Get(key); err != nil {
			return err
		}
		_, err := t.tx.GetRange(key, key+"0")
		return err
	})
}

// What a GetRange did not find may not come into its range while the transaction runs (rule 1).
func TestPhantom7A(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 1, Seeds: 2}, func(s *labtest.Sim) {
		d := newLockDB(s)
		d.load("b=1 m=1")
		for _, c := range []struct {
			from, to, found, key string
			write                func(t *txn, key string) *call
		}{
			{"c", "e", "", "d", func(t *txn, key string) *call { return t.goPut(key, "2") }},
			{"c", "e", "", "c", func(t *txn, key string) *call { return t.goAppend(key, "2") }},
			{"a", "n", "b=1 m=1", "aa", func(t *txn, key string) *call { return t.goPut(key, "2") }},
			{"a", "n", "b=1 m=1", "mm", func(t *txn, key string) *call { return t.goPut(key, "2") }},
			{"a", "c", "b=1", "b", func(t *txn, key string) *call { return t.goDelete(key) }},
			{"z", "", "", "zz", func(t *txn, key string) *call { return t.goPut(key, "2") }},
			{"z", "", "", "\U0001F512", func(t *txn, key string) *call { return t.goPut(key, "2") }},
			{"z", "", "", highKey, func(t *txn, key string) *call { return t.goPut(key, "2") }},
			{"", "", "b=1 m=1", "", func(t *txn, key string) *call { return t.goPut(key, "2") }},
			{"", "b", "", "a", func(t *txn, key string) *call { return t.goPut(key, "2") }},
		} {
			reader, writer := d.beginTx(), d.beginTx()
			reader.finds(ruleSerial7A, c.from, c.to, c.found)
			put := c.write(writer, c.key)
			d.waits(ruleWaits7A, put, waitsForScanner)
			reader.finds(ruleSerial7A, c.from, c.to, c.found)
			reader.commit()
			d.wait(ruleRelease7A, soon, put)
			writer.abort()
		}

		// Two transactions each look for a key in the range and insert one of their own: only one may have found none.
		first, second := d.beginTx(), d.beginTx()
		first.finds(ruleSerial7A, "p", "q", "")
		second.finds(ruleSerial7A, "p", "q", "")
		one := first.goPut("p1", "1")
		d.run(time.Microsecond)
		two := second.goPut("p2", "1")
		d.run(deadlockIn + soon) // one is aborted by then, and the other one does not wait for it any more (rules 6 and 7)
		if one.over() && two.over() && !one.aborted() && !two.aborted() {
			s.Failf(ruleSerial7A, "%s and %s both found no key in the range, and both put one into it by %v, want one of them to wait", first.name, second.name, labtest.At(s.Net.Now()))
		}
		if one.aborted() == two.aborted() || !one.over() || !two.over() {
			s.Fail(labtest.Violation{
				What: fmt.Sprintf("%s and %s both scanned an empty range and put a key into it: %v after the last call, want exactly one of them aborted and the other one not", first.name, second.name, deadlockIn+soon),
				Rule: ruleDeadlock7A, Seen: d.describe(),
			})
		}
	})
}

// Transactions that only read, or use other keys, neither wait for each other nor are aborted (rule 4).
func TestNoNeedlessWait7A(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 1, Seeds: 2, Limit: 3 * time.Hour}, func(s *labtest.Sim) {
		d := newLockDB(s)
		d.load("a=1 b=2 c=3 d=4 e=5")
		writer := d.beginTx()
		writer.put("c", "6")
		writer.put("cc", "6")
		waiting := d.beginTx()
		held := waiting.goGet("c")
		d.waits(ruleWaits7A, held, waitsForWriter)

		var readers []*txn
		for range 4 {
			r := d.beginTx()
			readers = append(readers, r)
			r.sees(ruleQuick7A, "a", "1")
			r.sees(ruleQuick7A, "none", "")
			r.finds(ruleQuick7A, "", "b", "a=1")
			r.finds(ruleQuick7A, "d", "", "d=4 e=5")
		}
		other := d.beginTx()
		other.put("bxx", "7")
		other.put("c2", "7")
		other.delete("bx")
		other.commit()
		readers[0].commit()
		readers[1].abort()
		readers[2].sees(ruleQuick7A, "a", "1")
		readers[2].commit()
		readers[3].sees(ruleQuick7A, "e", "5")
		readers[3].commit()

		// The writes of others take their time on the disk. That is nobody's business who uses other keys.
		d.disk.setLatency(2 * time.Second)
		commit := writer.goCommit()
		d.run(10 * time.Millisecond)
		bystander := d.beginTx()
		bystander.sees(ruleQuick7A, "a", "1")
		bystander.put("f", "8")
		bystander.finds(ruleQuick7A, "e", "", "e=5 f=8")
		bystander.abort()
		if commit.over() {
			s.Failf(ruleDurable7A, "Commit of %s returned %s after %v, although the disk takes 2s per write", writer.name, commit.result(), commit.ended-commit.began)
		}
		d.disk.setLatency(0)
		d.wait(ruleQuick7A, 20*time.Second, commit)
		d.wait(ruleRelease7A, soon, held)
		if held.granted() {
			waiting.hasValue(ruleSerial7A, held, "6")
		}

		// A transaction may rest for as long as it likes.
		idle := d.beginTx()
		idle.sees(ruleQuick7A, "a", "1")
		idle.put("g", "9")
		d.run(2 * time.Hour)
		idle.now(ruleReason7A, idle.goGet("g"))
		idle.now(ruleReason7A, idle.goPut("h", "9"))
		idle.now(ruleReason7A, idle.goCommit())
		d.holds(ruleSerial7A, "a=1 b=2 bxx=7 c=6 c2=7 cc=6 d=4 e=5 g=9 h=9")

		// Hundreds of keys are not all keys, and hundreds of transactions do not wait for each other's disk writes, either.
		if s.Seed%2 == 1 {
			d.manyKeys(ruleQuick7A, ruleReason7A)
			d.burst(ruleQuick7A, ruleReason7A, quickly+perKey)
		}
	})
}

// A transaction waits as long as the other runs, and is not aborted if it is the older one; a transaction in no cycle goes on (rule 5).
func TestOldestGoesOn7A(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 1, Seeds: 2, Limit: 2 * time.Hour}, func(s *labtest.Sim) {
		d := newLockDB(s)
		d.load("x=1 y=1")
		for _, write := range []bool{false, true} {
			for _, long := range []time.Duration{time.Second, 6 * time.Minute} { // usual timeouts of locks are shorter
				older, younger := d.beginTx(), d.beginTx()
				younger.put("x", "2")
				var wants *call
				if write {
					wants = older.goPut("x", "3")
				} else {
					wants = older.goScan("", "")
				}
				d.run(long)
				d.checkOldest(older)
				younger.abort()
				d.wait(ruleRelease7A, soon, wants)
				d.checkOldest(older)
				older.sees(ruleQuick7A, "y", "1")
				older.commit()

				older, younger = d.beginTx(), d.beginTx()
				older.put("x", "1")
				wants = younger.goPut("x", "5")
				d.run(long)
				d.checkOldest(older)
				older.put("y", "1")
				older.commit()
				d.wait(ruleRelease7A, soon, wants)
				younger.abort()

				// It waits beside a cycle of transactions that are older than itself.
				one, two := d.beginTx(), d.beginTx()
				older, younger = d.beginTx(), d.beginTx()
				younger.put("z", "2")
				one.put("x", "2")
				two.put("y", "2")
				wants = older.goPut("z", "3")
				d.run(time.Microsecond)
				one.goPut("y", "3")
				d.run(time.Microsecond)
				two.try(func() *call { return two.goPut("x", "3") })
				d.run(long)
				d.checkOldest(older)
				for _, t := range []*txn{one, two, younger} {
					t.abort()
				}
				d.wait(ruleRelease7A, soon, wants)
				older.abort()
			}
		}
	})
}

// checkOldest checks that the store has not aborted a transaction.
func (d *db) checkOldest(t *txn) {
	d.observe()
	if t.outcome == byStore {
		d.s.Fail(labtest.Violation{
			What: fmt.Sprintf("the store aborted %s at %v (%v), although it is older than the transactions that it conflicts with, and in no cycle of waits", t.name, labtest.At(t.ret), t.busy.err),
			Rule: ruleOldest7A, Seen: d.describe(),
		})
	}
}

// Random clients: what they see is strictly serializable (rule 1), and none waits forever (rule 6).
func TestSerializable7A(t *testing.T) {
	cover := []string{coverWait, coverAborted, coverCommits}
	labtest.Run(t, labtest.Config{Nodes: 1, Seeds: 12, MustCover: cover}, func(s *labtest.Sim) {
		d := newLockDB(s)
		d.random(workload{sessions: 6, steps: 600, lists: 4, registers: 2, ops: 5}, ruleDeadlock7A)
		d.check(ruleSerial7A, strict)
	})
}

// As above, and the node crashes now and then in the middle of a Commit (rules 1 and 9 to 11).
func TestSerializableDespiteCrashes7A(t *testing.T) {
	cover := []string{coverWait, coverAborted, coverCommits, coverCrash}
	labtest.Run(t, labtest.Config{Nodes: 1, Seeds: 12, MustCover: cover}, func(s *labtest.Sim) {
		d := newLockDB(s)
		d.random(workload{sessions: 6, steps: 600, lists: 4, registers: 2, ops: 5, crash: 60}, ruleDeadlock7A)
		d.check("the transactions that committed have the results of a serial order, which crashes do not change (rules 1, 9, 10 and 11)", strict)
	})
}

// Many goroutines at once, each with transactions of its own: all of them commit, some after a deadlock, and what they saw is strictly serializable
// (rules 1, 6 and 8).
func TestManyAtOnce7A(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 1, Seeds: 3, Simultaneous: true}, func(s *labtest.Sim) {
		defer labtest.Threads(1)()
		d := newLockDB(s)
		for _, txns := range d.many(8, 10, time.Minute, ruleDeadlock7A) {
			d.txns = append(d.txns, txns...)
		}
		d.check(ruleSerial7A, strict)
	})
}
