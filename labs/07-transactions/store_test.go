package transactions_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	"distlabs/labs/07-transactions"
)

const (
	diskLatency = time.Millisecond      // of a write, and up to 0.9ms more
	quickly     = 20 * time.Millisecond // in which a call returns that does not wait
	perKey      = 5 * time.Millisecond  // and Commit takes for each key
	soon        = 100 * time.Millisecond
	deadlockIn  = 500 * time.Millisecond
	openIn      = 10 * time.Second
)

// storeRules are the rules that a part has for what the parts 7A and 7B have in common.
type storeRules struct {
	own, slice, noTrace, over, begin, quick, durable, whole, last, shown, records, space, ends string
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
		d.s.Failf(d.rules.ends, "the store did not open within %v of %v", openIn, labtest.At(d.s.Net.Now()-openIn))
	}
	d.observe()
	if d.store == nil {
		d.s.Failf(d.rules.ends, "the store returned an error when it was opened at %v, but the node is up", labtest.At(d.s.Net.Now()))
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
			d.s.Failf(d.rules.ends, "%s of %s had not returned at %v, %v after the node crashed, want an error", c.what, t.name, labtest.At(d.s.Net.Now()), d.s.Net.Now()-at)
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
	slice []transactions.Pair // that GetRange returned; pairs is a copy
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
		c.value, c.found, c.pairs, c.slice, c.err = got.value, got.found, got.pairs, got.slice, err
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
	case strings.HasPrefix(c.what, "GetRange("):
		return pairText(c.pairs)
	case strings.HasPrefix(c.what, "Get("):
		if !c.found {
			return "no value"
		}
		return fmt.Sprintf("%q", c.value)
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
