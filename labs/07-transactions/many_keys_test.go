package transactions_test

import (
	"fmt"
	"sync"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labs/07-transactions"
)

// hundreds is how many keys a transaction uses, and how many transactions commit at once, where a store may have a limit that the rules do not give it.
const hundreds = 400

// A use is a way in which a transaction uses hundreds of keys.
type use struct {
	what   string
	writes bool
	exact  bool // it uses the key only, whichever keys exist
	call   func(tx transactions.Tx, key string) error
}

// usesOfKeys are all ways. The first one makes the keys, and the last one removes them.
func usesOfKeys() []use {
	return []use{
		{"Put", true, true, func(tx transactions.Tx, key string) error { return tx.Put(key, "1") }},
		{"Get", false, true, func(tx transactions.Tx, key string) error { _, _, err := tx.Get(key); return err }},
		{"GetRange", false, false, func(tx transactions.Tx, key string) error { _, err := tx.GetRange(key, key+"x"); return err }},
		{"Append", true, true, func(tx transactions.Tx, key string) error { return tx.Append(key, "1") }},
		{"Delete", true, true, func(tx transactions.Tx, key string) error { return tx.Delete(key) }},
	}
}

// manyKeys runs transactions that each use hundreds of keys, all in one way, next to two that use other keys: one since earlier, and one that comes
// later. None of them waits, or is aborted: a store must not take a few hundred keys for all keys. When it returns, the log has two large
// transactions that have just committed.
func (d *db) manyKeys(waits, aborts string) {
	// A range may count up to the nearest existing key. With these, no range meets what another transaction writes.
	d.load("l1=1 l2=1 l3=1 n1=1 n2=1 n3=1")
	granted := func(c *call) {
		d.wait(waits, quickly, c)
		c.txn.isNil(aborts, c)
	}
	for _, u := range usesOfKeys() {
		before, user, after := d.beginTx(), d.beginTx(), d.beginTx()
		granted(before.goPut("z1", u.what))
		granted(before.goScan("l1", "l2"))
		what := fmt.Sprintf("%s of %d keys (all its own)", u.what, hundreds)
		user.many(waits, what, hundreds, 1, func(i int) error { return u.call(user.tx, fmt.Sprintf("m%03d", i)) })
		granted(before.goAppend("z2", u.what))
		granted(before.goGet("l1"))
		granted(after.goPut("z3", u.what))
		granted(after.goScan("n2", "n3"))
		if u.exact {
			granted(after.goPut("m200x", u.what))
		}
		for i := range hundreds {
			if u.writes {
				user.writes[fmt.Sprintf("m%03d", i)] = true
			}
		}
		granted(user.goPut("z4", u.what)) // at Serializable, a transaction that only reads is not compared
		for _, t := range []*txn{before, after, user} {
			c := t.goCommit()
			d.wait(waits, d.disk.commitTime(t), c)
			t.isNil(aborts, c)
		}
	}
}

// A commitTook is how long a Commit took.
type commitTook struct {
	began, took time.Duration
	err         error
}

// burst has hundreds of transactions, each of which has written a key of its own, call Commit at nearly one instant. Each must return nil within
// the limit.
func (d *db) burst(waits, aborts string, limit time.Duration) {
	all := make([]transactions.Tx, hundreds)
	client := d.beginTx()
	client.many(waits, fmt.Sprintf("Begin and Put of %d other transactions, each of a key of its own", hundreds), hundreds, 2, func(i int) error {
		all[i] = d.store.Begin()
		return all[i].Put(fmt.Sprint("own ", i), "1")
	})
	client.abort()
	var mu sync.Mutex
	var over []commitTook
	start := d.s.Net.Now()
	for i, tx := range all {
		go func() {
			time.Sleep(time.Duration(i) * time.Microsecond) // which of several calls in one instant is first does not follow from the seed
			began := d.s.Net.Now()
			err := tx.Commit()
			mu.Lock()
			defer mu.Unlock()
			over = append(over, commitTook{began, d.s.Net.Now() - began, err})
		}()
	}
	d.s.Until(limit+hundreds*time.Microsecond, func() bool { mu.Lock(); defer mu.Unlock(); return len(over) == hundreds })
	mu.Lock()
	defer mu.Unlock()
	for _, c := range over {
		if c.err != nil {
			d.s.Failf(aborts, "of %d transactions that called Commit at %v, each of which has used only a key of its own, one returned the error %q, want nil", hundreds, labtest.At(start), c.err)
		}
	}
	if len(over) < hundreds {
		d.s.Failf(waits, "of %d transactions that called Commit at %v, each of which has used only a key of its own, %d had not returned at %v, want all of them within %v",
			hundreds, labtest.At(start), hundreds-len(over), labtest.At(d.s.Net.Now()), limit)
	}
}

// oneAfterAnother has a client run hundreds of transactions, while no other one is running. No Commit waits.
func (d *db) oneAfterAnother(waits string) {
	var mu sync.Mutex
	var last commitTook
	n := 0
	run := func() bool {
		tx := d.store.Begin()
		err := tx.Put("one", "1")
		began := d.s.Net.Now()
		if err == nil {
			err = tx.Commit()
		}
		mu.Lock()
		defer mu.Unlock()
		n++
		last = commitTook{began, d.s.Net.Now() - began, err}
		return err == nil && last.took <= quickly+perKey && n < hundreds
	}
	done := false
	go func() {
		for run() {
		}
		mu.Lock()
		defer mu.Unlock()
		done = true
	}()
	d.s.Until(hundreds*soon, func() bool { mu.Lock(); defer mu.Unlock(); return done })
	mu.Lock()
	defer mu.Unlock()
	switch {
	case !done:
		d.s.Failf(waits, "a call of transaction %d of a client that runs %d, one after another, had not returned at %v, although no other transaction was running", n+1, hundreds, labtest.At(d.s.Net.Now()))
	case last.err != nil:
		d.s.Failf(waits, "a call of transaction %d of a client that runs %d, one after another, returned the error %q at %v, want nil", n, hundreds, last.err, labtest.At(last.began+last.took))
	case last.took > quickly+perKey:
		d.s.Failf(waits, "Commit of transaction %d of a client that runs %d, one after another, took %v from %v on, want at most %v: no other transaction was running", n, hundreds, last.took.Round(time.Millisecond), labtest.At(last.began), quickly+perKey)
	}
}
