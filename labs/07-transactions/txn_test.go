package transactions_test

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labs/07-transactions"
)

// How transactions end.
type outcome int

const (
	running     outcome = iota
	committed           // Commit returned nil
	byClient            // Abort returned
	byStore             // a call returned ErrAborted
	unknown             // the node crashed in Commit
	cutShort            // the node crashed before Commit was called
	refusedMore         // a call returned an error for no reason that the rules allow
)

// A txn is a transaction with its client.
type txn struct {
	db         *db
	name       string
	session    int
	tx         transactions.Tx
	began      time.Duration
	ret        time.Duration // when its outcome was known
	outcome    outcome
	committing bool
	made       int   // calls
	busy       *call // the last call
	ops        []*txnOp
	writes     map[string]bool
}

// A txnOp is an operation of a transaction, as the history has it.
type txnOp struct {
	kind    string // "get", "scan", "put", "append", "delete"; "many" for calls of which the history has nothing
	key, to string
	value   int64
	call    *call
}

// beginTx begins a transaction, of a session of its own.
func (d *db) beginTx() *txn {
	t := &txn{db: d, name: fmt.Sprintf("T%d", len(d.txns)+1), session: len(d.txns) + 1000, began: d.s.Net.Now(), writes: map[string]bool{}}
	d.txns = append(d.txns, t)
	c := d.async(t, "Begin", func(*call) error {
		tx := d.store.Begin()
		d.mu.Lock()
		defer d.mu.Unlock()
		t.tx = tx
		return nil
	})
	t.busy = c
	limit := quickly
	if !d.s.Net.Up(1) {
		limit = soon // as for every call after a crash (rule 12; of 7A, rule 9)
	}
	d.wait(d.rules.begin, limit, c)
	return t
}

// wait waits for calls, each of which must return within the time from now.
func (d *db) wait(rule string, limit time.Duration, calls ...*call) {
	d.run(time.Microsecond)
	all := func() bool { return !slices.ContainsFunc(calls, func(c *call) bool { return !c.over() }) }
	if !all() && !d.s.Until(limit, all) {
		for _, c := range calls {
			if !c.over() {
				d.s.Fail(labtest.Violation{
					What: fmt.Sprintf("%s of %s, called at %v, had not returned at %v, want it within %v", c.what, c.txn.name, labtest.At(c.began), labtest.At(d.s.Net.Now()), limit),
					Rule: rule, Seen: d.describe(),
				})
			}
		}
	}
	d.observe()
}

// describe tells of the transactions that are running, and of the last that ended.
func (d *db) describe() (lines []string) {
	for _, t := range slices.Backward(d.txns) {
		if t.ended() && len(lines) >= 6 {
			continue
		}
		lines = append(lines, t.describe())
	}
	slices.Reverse(lines)
	return lines[max(0, len(lines)-8):]
}

// describe tells of a transaction in a line.
func (t *txn) describe() string {
	var parts []string
	for _, op := range t.ops {
		text := op.call.what
		if len(text) > 40 {
			text = strings.ToValidUTF8(text[:40], "") + "…"
		}
		switch {
		case !op.call.over():
			text += " waits"
		case op.call.err != nil:
			text += " fails"
		case op.kind == "get" || op.kind == "scan":
			text += " = " + op.call.result()
		}
		parts = append(parts, text)
	}
	end := "is running"
	switch {
	case t.committing && !t.ended():
		end = "is in Commit"
	case t.ended():
		end = fmt.Sprintf("%s at %v", t.outcome, labtest.At(t.ret))
	}
	return fmt.Sprintf("%s, begun at %v, %s: %s", t.name, labtest.At(t.began), end, cmp.Or(strings.Join(parts[max(0, len(parts)-8):], ", "), "no calls"))
}

func (o outcome) String() string {
	return [...]string{"running", "committed", "aborted by its client", "aborted by the store", "cut off in Commit by a crash", "cut off by a crash", "failed"}[o]
}

func (t *txn) ended() bool { return t.outcome != running }

// settle takes note of the end of a call.
func (t *txn) settle(c *call) {
	switch {
	case t.ended():
	case errors.Is(c.err, transactions.ErrAborted):
		t.outcome, t.ret = byStore, c.ended
	case c.err != nil && !t.db.s.Net.Up(1):
		// See crashed.
	case c.err != nil:
		t.outcome, t.ret = refusedMore, c.ended
		t.db.s.Failf(t.db.rules.quick, "%s of %s returned the error %q at %v, want nil or an error that wraps ErrAborted", c.what, t.name, c.err, labtest.At(c.ended))
	case c.what == "Commit" && !t.db.s.Net.Up(1):
		// It may have returned before or after the crash.
	case c.what == "Commit":
		t.outcome, t.ret = committed, c.ended
	case c.what == "Abort":
		t.outcome, t.ret = byClient, c.ended
	}
}

// call begins a call of the transaction.
func (t *txn) call(what string, f func(c *call) error) *call {
	if t.busy != nil && !t.busy.over() {
		panic(t.name + ": " + t.busy.what + " has not returned")
	}
	t.busy = t.db.async(t, what, f)
	return t.busy
}

func (t *txn) op(op *txnOp, what string, f func(c *call) error) *call {
	op.call = t.call(what, f)
	t.ops = append(t.ops, op)
	if op.kind == "put" || op.kind == "append" || op.kind == "delete" {
		t.writes[op.key] = true
	}
	return op.call
}

// The methods below begin a call.

func (t *txn) goGet(key string) *call {
	return t.op(&txnOp{kind: "get", key: key}, fmt.Sprintf("Get(%q)", key), func(c *call) (err error) {
		c.value, c.found, err = t.tx.Get(key)
		return err
	})
}

func (t *txn) goScan(from, to string) *call {
	return t.op(&txnOp{kind: "scan", key: from, to: to}, fmt.Sprintf("GetRange(%q, %q)", from, to), func(c *call) (err error) {
		c.slice, err = t.tx.GetRange(from, to)
		c.pairs = slices.Clone(c.slice)
		return err
	})
}

func (t *txn) goPut(key, value string) *call {
	n, _ := number(value)
	return t.op(&txnOp{kind: "put", key: key, value: n}, fmt.Sprintf("Put(%q, %q)", key, value), func(*call) error { return t.tx.Put(key, value) })
}

// goPutNew puts a value that nobody has put before.
func (t *txn) goPutNew(key string) *call {
	t.db.value++
	return t.goPut(key, fmt.Sprint(t.db.value))
}

func (t *txn) goAppend(key, suffix string) *call {
	n, _ := number(strings.TrimSuffix(suffix, ","))
	return t.op(&txnOp{kind: "append", key: key, value: n}, fmt.Sprintf("Append(%q, %q)", key, suffix), func(*call) error { return t.tx.Append(key, suffix) })
}

// goAppendNew appends a number that nobody has appended before.
func (t *txn) goAppendNew(key string) *call {
	t.db.value++
	return t.goAppend(key, fmt.Sprintf("%d,", t.db.value))
}

func (t *txn) goDelete(key string) *call {
	return t.op(&txnOp{kind: "delete", key: key}, fmt.Sprintf("Delete(%q)", key), func(*call) error { return t.tx.Delete(key) })
}

func (t *txn) goCommit() *call {
	t.committing = true
	return t.call("Commit", func(*call) error { return t.tx.Commit() })
}

func (t *txn) goAbort() *call {
	return t.call("Abort", func(*call) error { t.tx.Abort(); return nil })
}

// The methods below make a call that must return nil at once.

// now waits for a call that must return nil without waiting for others.
func (t *txn) now(rule string, c *call) *call {
	limit := quickly
	if c.what == "Commit" {
		limit = t.db.disk.commitTime(t)
	}
	t.db.wait(rule, limit, c)
	t.isNil(rule, c)
	return c
}

// many has f make so many calls of the store, n times. Each call must return nil without waiting for others.
func (t *txn) many(rule, what string, n, calls int, f func(i int) error) {
	limit := time.Duration(calls) * quickly
	c := t.op(&txnOp{kind: "many"}, what, func(*call) error {
		for i := range n {
			began := time.Now()
			if err := f(i); err != nil {
				return err
			}
			if took := time.Since(began); took > limit {
				return fmt.Errorf("one took %v, where %v is the limit", took, limit)
			}
		}
		return nil
	})
	t.db.wait(rule, time.Duration(n)*limit, c)
	t.isNil(rule, c)
}

// isNil checks that a call which is over has returned nil.
func (t *txn) isNil(rule string, c *call) {
	if c.err != nil {
		t.db.s.Fail(labtest.Violation{
			What: fmt.Sprintf("%s of %s returned the error %q at %v, want nil", c.what, t.name, c.err, labtest.At(c.ended)),
			Rule: rule, Seen: t.db.describe(),
		})
	}
}

func (t *txn) put(key, value string)    { t.now(t.db.rules.quick, t.goPut(key, value)) }
func (t *txn) append(key, value string) { t.now(t.db.rules.quick, t.goAppend(key, value)) }
func (t *txn) delete(key string)        { t.now(t.db.rules.quick, t.goDelete(key)) }
func (t *txn) commit()                  { t.now(t.db.rules.quick, t.goCommit()) }

// abort ends the transaction, whatever state it is in.
func (t *txn) abort() {
	c := t.goAbort()
	t.db.wait(t.db.rules.quick, quickly, c)
}

// sees reads a key, which must have that value; "" is none.
func (t *txn) sees(rule, key, want string) {
	c := t.now(t.db.rules.quick, t.goGet(key))
	t.hasValue(rule, c, want)
}

// hasValue checks what a Get returned; "" is no value.
func (t *txn) hasValue(rule string, c *call, want string) {
	if c.value == want && c.found == (want != "") {
		return
	}
	expect := fmt.Sprintf("%q", want)
	if want == "" {
		expect = "no value"
	}
	t.db.s.Fail(labtest.Violation{
		What: fmt.Sprintf("%s of %s returned %s at %v, want %s", c.what, t.name, c.result(), labtest.At(c.ended), expect),
		Rule: rule, Seen: t.db.describe(),
	})
}

// finds scans a range, which must have these pairs, such as a=1 b=2.
func (t *txn) finds(rule, from, to, want string) {
	c := t.now(t.db.rules.quick, t.goScan(from, to))
	t.hasPairs(rule, c, want)
}

func (t *txn) hasPairs(rule string, c *call, want string) {
	if got := pairText(c.pairs); got != "["+want+"]" {
		t.db.s.Fail(labtest.Violation{
			What: fmt.Sprintf("%s of %s returned %s at %v, want [%s]", c.what, t.name, got, labtest.At(c.ended), want),
			Rule: rule, Seen: t.db.describe(),
		})
	}
}

// waits checks that a call, of a transaction that is younger than the one that it conflicts with, does not return for a while. (Wait-die aborts it.)
func (d *db) waits(rule string, c *call, why string) {
	d.run(soon)
	if c.over() && !c.aborted() {
		d.s.Fail(labtest.Violation{
			What: fmt.Sprintf("%s of %s returned %s at %v, want it to wait: %s", c.what, c.txn.name, c.result(), labtest.At(c.ended), why),
			Rule: rule, Seen: d.describe(),
		})
	}
}

// granted reports whether a call that has waited has returned nil; otherwise its transaction was aborted.
func (c *call) granted() bool { return !c.aborted() }
