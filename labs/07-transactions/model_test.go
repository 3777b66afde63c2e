package transactions_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labs/07-transactions"
)

var coverModel = []string{"a transaction scanned a range in which it had deleted a key", "a transaction was aborted after it had written", "an empty value was read"}

// modelKeys are any strings, such that each is the neighbour of another.
var modelKeys = []string{"", "\x00", "a", "a\x00", "a/b", "a_b", "a%2Fb", "A", "b", "ä", "log/1", "data/a", "~", "\U0001F512", "\U0010FFFF", highKey}

// highKey is after each key that a store may take for the last one.
var highKey = strings.Repeat("\U0010FFFF", 20) + "z"

// againstModel runs transactions one after another, and compares each with a map.
func (d *db) againstModel() {
	r := d.s.Rand()
	model := map[string]string{}
	var ended []*txn // since the store was opened
	var given callerSlices
	holds := func(rule string) {
		t := d.beginTx()
		given.scan(t, rule, "", "", modelText(model, "", ""))
		t.commit()
	}
	for range 60 {
		t := d.beginTx()
		mine := maps.Clone(model)
		deleted := map[string]bool{}
		for range r.IntN(10) {
			d.modelOp(t, mine, deleted, &given)
		}
		rule := d.rules.own
		if r.IntN(3) == 0 {
			rule = d.rules.noTrace
			if !maps.Equal(mine, model) {
				d.s.Cover(coverModel[1])
			}
			t.abort()
		} else {
			t.commit()
			model = mine
		}
		holds(rule)
		d.isOver(t)
		ended = append(ended, t)
		d.isOver(ended[r.IntN(len(ended))]) // others have written its keys since
		rule = d.rules.over
		if r.IntN(15) == 0 {
			d.restart()
			rule, ended = d.rules.durable, nil
		}
		holds(rule)
		given.check(d)
	}
}

// modelOp does an operation in a transaction and in the model.
func (d *db) modelOp(t *txn, model map[string]string, deleted map[string]bool, given *callerSlices) {
	r := d.s.Rand()
	key := modelKeys[r.IntN(len(modelKeys))]
	value := []string{"", "1", "é", "\"x\"\n", strings.Repeat("v", 150)}[r.IntN(5)]
	switch r.IntN(6) {
	case 0:
		t.put(key, value)
		model[key] = value
	case 1:
		if len(key)+len(model[key])+60 > transactions.MaxRecord/4 {
			return // the value would not fit
		}
		t.append(key, value[:min(len(value), 60)])
		model[key] += value[:min(len(value), 60)]
	case 2:
		t.delete(key)
		delete(model, key)
		deleted[key] = true
	case 3, 4:
		c := t.now(d.rules.quick, t.goGet(key))
		want, ok := model[key]
		if c.value != want || c.found != ok {
			d.s.Fail(labtest.Violation{
				What: fmt.Sprintf("%s of %s returned %q, %v at %v, want %q, %v", c.what, t.name, c.value, c.found, labtest.At(c.ended), want, ok),
				Rule: d.rules.own, Seen: d.describe(),
			})
		}
		if ok && want == "" {
			d.s.Cover(coverModel[2])
		}
	case 5:
		from, to := key, modelKeys[r.IntN(len(modelKeys))]
		for range 2 {
			given.scan(t, d.rules.own, from, to, modelText(model, from, to))
		}
		for key := range deleted {
			if key >= from && (to == "" || key < to) {
				d.s.Cover(coverModel[0])
			}
		}
	}
}

// callerSlices are slices that GetRange has returned and the caller has changed then.
type callerSlices []callerSlice

// A callerSlice is a slice as the caller has left it.
type callerSlice struct {
	call *call
	left []transactions.Pair
}

// inCallerSlice is the value that the caller writes into slices.
const inCallerSlice = "WRITTEN INTO A SLICE BY THE CALLER"

// scan checks what a GetRange finds, and then makes the slice another one: the slice belongs to the caller.
func (all *callerSlices) scan(t *txn, rule, from, to, want string) {
	d := t.db
	c := t.now(d.rules.quick, t.goScan(from, to))
	if slices.ContainsFunc(c.pairs, func(p transactions.Pair) bool { return p.Value == inCallerSlice }) {
		d.s.Failf(d.rules.slice, "%s of %s returned %s at %v, want [%s]: the store has kept a slice that an earlier GetRange returned, and that the caller then changed",
			c.what, t.name, pairText(c.pairs), labtest.At(c.ended), want)
	}
	t.hasPairs(rule, c, want)
	slices.Reverse(c.slice)
	for i := range c.slice {
		c.slice[i].Value = inCallerSlice
	}
	_ = append(c.slice, transactions.Pair{Key: from, Value: inCallerSlice}) // writes behind the slice if the array has room there
	*all = append(*all, callerSlice{c, slices.Clone(c.slice)})
}

// check checks that the store has not changed the slices since.
func (all *callerSlices) check(d *db) {
	for _, a := range *all {
		if !slices.Equal(a.call.slice, a.left) {
			d.s.Failf(d.rules.slice, "%s of %s returned a slice at %v, in which the caller left %s; at %v the slice has %s, which the store has written there since",
				a.call.what, a.call.txn.name, labtest.At(a.call.ended), pairText(a.left), labtest.At(d.s.Net.Now()), pairText(a.call.slice))
		}
	}
	*all = nil
}

// modelText is what a scan of the model finds.
func modelText(model map[string]string, from, to string) string {
	var pairs []transactions.Pair
	for _, key := range slices.Sorted(maps.Keys(model)) {
		if key >= from && (to == "" || key < to) {
			pairs = append(pairs, transactions.Pair{Key: key, Value: model[key]})
		}
	}
	return strings.TrimSuffix(strings.TrimPrefix(pairText(pairs), "["), "]")
}

// isOver checks that a transaction which was committed or aborted does nothing any more.
func (d *db) isOver(t *txn) {
	tx := t.tx
	for _, late := range []struct {
		name string
		call func() error
	}{
		{"Get", func() error { _, _, err := tx.Get("a"); return err }},
		{"GetRange", func() error { _, err := tx.GetRange("", ""); return err }},
		{"Put", func() error { return tx.Put("a", "late") }},
		{"Append", func() error { return tx.Append("b", "late") }},
		{"Delete", func() error { return tx.Delete("a") }},
		{"Commit", tx.Commit},
		{"Abort", func() error { tx.Abort(); return transactions.ErrOver }},
	} {
		c := d.async(t, late.name, func(*call) error { return late.call() })
		d.wait(d.rules.over, quickly, c)
		if !errors.Is(c.err, transactions.ErrOver) && !errors.Is(c.err, transactions.ErrAborted) {
			d.s.Failf(d.rules.over, "%s of %s returned %s at %v, want an error: the transaction %s at %v", late.name, t.name, c.result(), labtest.At(c.ended), t.outcome, labtest.At(t.ret))
		}
	}
}

// many lets clients loose at once, each in a goroutine of its own. Each appends to some of the lists until the given number of its transactions has
// committed; those that the store aborts are begun again, after a while.
func (d *db) many(clients, each int, limit time.Duration, rule string) [][]*txn {
	done := make(chan []*txn, clients)
	for i := range clients {
		go func() { done <- d.client(i, each) }()
	}
	var all [][]*txn
	collect := func() bool {
		for {
			select {
			case txns := <-done:
				all = append(all, txns)
			default:
				return len(all) == clients
			}
		}
	}
	if !d.s.Until(limit, collect) {
		d.s.Failf(rule, "%d of %d clients had not committed %d transactions each at %v, %v after they began", clients-len(all), clients, each, labtest.At(d.s.Net.Now()), limit)
	}
	slices.SortFunc(all, func(a, b []*txn) int { return a[0].session - b[0].session })
	return all
}

// client is a client of many. It draws its random numbers from its own number.
func (d *db) client(i, each int) (txns []*txn) {
	pause := func(n int) {
		time.Sleep(time.Duration(1+(i*7919+n*104729)%3001)*time.Microsecond + time.Duration(i))
	}
	n := 0
	for done := 0; done < each && d.node.Context().Err() == nil; {
		t := &txn{db: d, session: i, began: d.s.Net.Now(), outcome: byStore, tx: d.store.Begin()}
		txns = append(txns, t)
		do := func(op *txnOp, f func(c *call) error) error {
			n++
			pause(n)
			c := &call{db: d, what: op.kind, done: true, began: d.s.Net.Now()}
			c.err = f(c)
			c.ended = d.s.Net.Now()
			op.call = c
			t.ops = append(t.ops, op)
			return c.err
		}
		a, b := fmt.Sprintf("l%d", (i+done)%3), fmt.Sprintf("l%d", (i+done+1+done%2)%3)
		unique := int64(i*100000 + len(txns)*10)
		err := do(&txnOp{kind: "get", key: a}, func(c *call) (err error) { c.value, c.found, err = t.tx.Get(a); return err })
		if err == nil {
			err = do(&txnOp{kind: "append", key: b, value: unique}, func(*call) error { return t.tx.Append(b, fmt.Sprintf("%d,", unique)) })
		}
		if err == nil {
			err = do(&txnOp{kind: "scan", key: "l", to: "m"}, func(c *call) (err error) { c.pairs, err = t.tx.GetRange("l", "m"); return err })
		}
		if err == nil {
			pause(n)
			err = t.tx.Commit()
		}
		t.ret = d.s.Net.Now()
		switch {
		case err == nil:
			t.outcome = committed
			done++
		case !errors.Is(err, transactions.ErrAborted):
			d.s.Failf(d.rules.quick, "a client's transaction returned the error %q at %v, want nil or an error that wraps ErrAborted", err, labtest.At(t.ret))
			return txns
		}
		pause(n + 17)
	}
	return txns
}
