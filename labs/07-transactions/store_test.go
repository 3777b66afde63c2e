package transactions_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"sync"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	"distlabs/labs/07-transactions"
)

const (
	diskLatency = time.Millisecond      // of a write, and less than a microsecond more
	quickly     = 20 * time.Millisecond // in which a call returns that does not wait
	perKey      = 5 * time.Millisecond  // and Commit takes for each key
	soon        = 100 * time.Millisecond
	deadlockIn  = 500 * time.Millisecond
	openIn      = 10 * time.Second
)

// storeRules are the rules that a part has for what the parts 7A and 7B have in common.
type storeRules struct {
	own, noTrace, over, begin, quick, durable, whole, shown, records, space, ends string
}

// A store is what OpenLockStore and OpenVersionStore return.
type store interface{ Begin() transactions.Tx }

// A db is a store on node 1, with what its clients saw.
type db struct {
	s     *labtest.Sim
	rules storeRules
	open  func(node *labrpc.Node, disk transactions.Disk) (store, error)
	node  *labrpc.Node
	store store
	disk  *slowDisk

	mu    sync.Mutex // guards the rest, and the fields of calls
	txns  []*txn     // all, in the order of Begin
	calls []*call    // those that the diagram does not show as ended
	opens int        // of the store
	value int64      // the last that was written
}

// newDB opens a store on an empty disk.
func newDB(s *labtest.Sim, rules storeRules, open func(node *labrpc.Node, disk transactions.Disk) (store, error)) *db {
	d := &db{s: s, rules: rules, open: open}
	d.start()
	return d
}

// begin starts the node, which must not be up, and begins to open the store. ended reports that it is open, or has returned an error.
func (d *db) begin() (ended func() bool) {
	d.node = d.s.Start(1)
	d.disk = &slowDisk{db: d, ctx: d.node.Context(), disk: d.node.Disk()}
	c := d.async(nil, "Open", func(*call) error {
		store, err := d.open(d.node, d.disk)
		if err == nil {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.store = store
		}
		return err
	})
	return c.over
}

// start opens the store, and waits until it is open.
func (d *db) start() {
	ended := d.begin()
	d.s.Run(0)
	if !ended() && !d.s.Until(openIn, ended) {
		d.s.Failf(d.rules.ends, "the store did not open within %v of %v", openIn, d.s.Net.Now()-openIn)
	}
	d.observe()
	if d.store == nil {
		d.s.Failf(d.rules.ends, "the store returned an error when it was opened at %v, but the node is up", d.s.Net.Now())
	}
}

// restart crashes the node if it is up, and opens the store again.
func (d *db) restart() {
	d.crash()
	d.start()
}

// crash crashes the node if it is up. All calls must end with an error.
func (d *db) crash() {
	d.s.Net.Crash(1)
	d.crashed()
}

// crashed waits for the calls that were under way when the node crashed, and settles how their transactions have ended.
func (d *db) crashed() {
	at := d.s.Net.Now()
	d.s.Run(soon)
	d.observe()
	d.store = nil
	for _, t := range d.txns {
		if t.ended() {
			continue
		}
		if c := t.busy; c != nil && !c.over() {
			d.s.Failf(d.rules.ends, "%s of %s had not returned at %v, %v after the node crashed, want an error", c.what, t.name, d.s.Net.Now(), d.s.Net.Now()-at)
		}
		t.outcome, t.ret = cutShort, at
		if t.committing {
			t.outcome = unknown
		}
	}
}

// observe takes note of the calls that have ended.
func (d *db) observe() {
	d.mu.Lock()
	ended := slices.Clone(d.calls)
	d.mu.Unlock()
	for _, c := range ended {
		if c.over() {
			d.s.Returned(1, c.id, c.result())
			d.mu.Lock()
			d.calls = slices.DeleteFunc(d.calls, func(o *call) bool { return o == c })
			d.mu.Unlock()
			if c.txn != nil {
				c.txn.settle(c)
			}
		}
	}
}

// run lets time pass.
func (d *db) run(t time.Duration) {
	d.s.Run(t)
	d.observe()
}

// A call is a call of a method of a transaction, in a goroutine of its own. db.mu guards the results.
type call struct {
	db    *db
	txn   *txn
	id    string
	what  string
	began time.Duration

	ended time.Duration
	done  bool
	value string
	found bool
	pairs []transactions.Pair
	err   error
}

// async begins a call.
func (d *db) async(t *txn, what string, f func(c *call) error) *call {
	c := &call{db: d, txn: t, what: what, began: d.s.Net.Now()}
	d.mu.Lock()
	d.calls = append(d.calls, c)
	if t != nil {
		t.made++
		c.id = fmt.Sprintf("%s.%d", t.name, t.made)
	} else {
		d.opens++
		c.id = fmt.Sprintf("open %d", d.opens)
	}
	d.mu.Unlock()
	if t != nil {
		what = t.name + ": " + what
	}
	d.s.Called(1, c.id, what)
	go func() {
		got := &call{}
		err := f(got)
		d.mu.Lock()
		defer d.mu.Unlock()
		c.value, c.found, c.pairs, c.err = got.value, got.found, got.pairs, err
		c.ended, c.done = d.s.Net.Now(), true
	}()
	return c
}

func (c *call) over() bool {
	c.db.mu.Lock()
	defer c.db.mu.Unlock()
	return c.done
}

// result tells of what a call that is over returned.
func (c *call) result() string {
	switch {
	case c.err != nil:
		return c.err.Error()
	case strings.HasPrefix(c.what, "Get"):
		if !c.found {
			return "no value"
		}
		return fmt.Sprintf("%q", c.value)
	case strings.HasPrefix(c.what, "Scan"):
		return pairText(c.pairs)
	}
	return "nil"
}

// pairText prints what a scan found.
func pairText(pairs []transactions.Pair) string {
	var list []string
	for _, p := range pairs {
		list = append(list, fmt.Sprintf("%s=%s", p.Key, p.Value))
	}
	return "[" + strings.Join(list, " ") + "]"
}

// aborted reports whether a call that is over said that the store has aborted the transaction.
func (c *call) aborted() bool { return c.over() && errors.Is(c.err, transactions.ErrAborted) }

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
	kind     string // "get", "scan", "put", "append"
	key, to  string
	value    int64
	call     *call
	possible bool // a write that may have been made although its call returned an error
}

// begin begins a transaction, of a session of its own.
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
	d.wait(d.rules.begin, quickly, c)
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
					What: fmt.Sprintf("%s of %s, called at %v, had not returned at %v, want it within %v", c.what, c.txn.name, brief(c.began), brief(d.s.Net.Now()), limit),
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

// brief rounds a time for a sentence.
func brief(t time.Duration) time.Duration { return t.Round(10 * time.Microsecond) }

// describe tells of a transaction in a line.
func (t *txn) describe() string {
	var parts []string
	for _, op := range t.ops {
		text := op.call.what
		if len(text) > 40 {
			text = text[:40] + "…"
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
		end = fmt.Sprintf("%s at %v", t.outcome, brief(t.ret))
	}
	return fmt.Sprintf("%s, begun at %v, %s: %s", t.name, brief(t.began), end, cmp.Or(strings.Join(parts[max(0, len(parts)-8):], ", "), "no calls"))
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
		t.db.s.Failf(t.db.rules.quick, "%s of %s returned the error %q at %v, want nil or an error that wraps ErrAborted", c.what, t.name, c.err, brief(c.ended))
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
	return t.op(&txnOp{kind: "scan", key: from, to: to}, fmt.Sprintf("Scan(%q, %q)", from, to), func(c *call) (err error) {
		c.pairs, err = t.tx.Scan(from, to)
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

// isNil checks that a call which is over has returned nil.
func (t *txn) isNil(rule string, c *call) {
	if c.err != nil {
		t.db.s.Fail(labtest.Violation{
			What: fmt.Sprintf("%s of %s returned the error %q at %v, want nil", c.what, t.name, c.err, brief(c.ended)),
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
		What: fmt.Sprintf("%s of %s returned %s at %v, want %s", c.what, t.name, c.result(), brief(c.ended), expect),
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
			What: fmt.Sprintf("%s of %s returned %s at %v, want [%s]", c.what, t.name, got, brief(c.ended), want),
			Rule: rule, Seen: t.db.describe(),
		})
	}
}

// waits checks that a call, of a transaction that is younger than the one that it conflicts with, does not return for a while. (Wait-die aborts it.)
func (d *db) waits(rule string, c *call, why string) {
	d.run(soon)
	if c.over() && !c.aborted() {
		d.s.Fail(labtest.Violation{
			What: fmt.Sprintf("%s of %s returned %s at %v, want it to wait: %s", c.what, c.txn.name, c.result(), brief(c.ended), why),
			Rule: rule, Seen: d.describe(),
		})
	}
}

// granted reports whether a call that has waited has returned nil; otherwise its transaction was aborted.
func (c *call) granted() bool { return !c.aborted() }

// load writes pairs, such as a=1 b=2, in a transaction of its own.
func (d *db) load(pairs string) {
	t := d.beginTx()
	for _, pair := range strings.Fields(pairs) {
		key, value, _ := strings.Cut(pair, "=")
		t.put(key, value)
	}
	t.commit()
}

// holds checks in a transaction of its own that the store has exactly these pairs.
func (d *db) holds(rule, want string) {
	t := d.beginTx()
	t.finds(rule, "", "", want)
	t.commit()
}

// A slowDisk is the disk of an incarnation, on which a write takes time. It holds the records to their size.
type slowDisk struct {
	db   *db
	ctx  context.Context
	disk *labrpc.Disk

	mu      sync.Mutex
	latency time.Duration // 0 is diskLatency
}

// setLatency changes how long a write takes.
func (d *slowDisk) setLatency(latency time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.latency = latency
}

// commitTime is how long the Commits of transactions may take, one after another.
func (d *slowDisk) commitTime(all ...*txn) (sum time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range all {
		sum += quickly + perKey*time.Duration(len(t.writes))*max(1, d.latency/diskLatency)
	}
	return sum
}

// wait waits as long as a write takes: with the name of the record it differs a little, so that no two writes end in one instant.
func (d *slowDisk) wait(name string) {
	d.mu.Lock()
	latency := cmp.Or(d.latency, diskLatency)
	d.mu.Unlock()
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	select {
	case <-time.After(latency + time.Duration(h.Sum32()%1000)):
	case <-d.ctx.Done():
	}
}

func (d *slowDisk) Save(name string, v any) error {
	b, err := labrpc.Marshal(v)
	if err != nil {
		return err
	}
	if len(b) > transactions.MaxRecord {
		d.db.s.Failf(d.db.rules.records, "the store saved a record %q of %d bytes at %v, want at most %d", name, len(b), d.db.s.Net.Now(), transactions.MaxRecord)
		return fmt.Errorf("the record %q has %d bytes, and the disk takes %d", name, len(b), transactions.MaxRecord)
	}
	d.wait(name)
	return d.disk.Write(name, b)
}

func (d *slowDisk) Delete(name string) error {
	d.wait(name)
	return d.disk.Delete(name)
}

func (d *slowDisk) Load(name string, v any) (bool, error) { return d.disk.Load(name, v) }

func (d *slowDisk) Names() []string { return d.disk.Names() }
