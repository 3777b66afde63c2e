package transactions_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	"distlabs/labs/07-transactions"
)

// One client's transactions read what earlier ones wrote, in all groups; a transaction whose function fails leaves
// nothing (rules 33, 34 and 37).
func TestManyGroups7D(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: shardNodes(3, 2), Link: shardLink, Seeds: 3}, func(s *labtest.Sim) {
		c := newShardCluster(s, 3)
		a, b := c.clients[0], c.clients[1]
		c.does(a, reads("a"), reads("m"))
		first := c.does(a, writes("a"), writes("m"), writes("t"))
		c.sees(b, first, "a", "m", "t")
		c.does(b, reads("a"), writes("m"), reads("m"), writes("t"))
		c.does(a, appends("al"), appends("ml"))
		c.does(b, appends("ml"), appends("tl"))
		// Run does not call a function again that has failed: it returns long before its context ends.
		r := c.ended(c.start(a, time.Minute, writes("a"), writes("t"), shardStep{Kind: "fail"}), shardServes, ruleShardOutcome)
		if r.Err != errShardUser.Error() {
			c.s.Failf(ruleShardOutcome, "%v, want the function's own error", r)
		}
		c.does(b, reads("a"), reads("m"), reads("t"), reads("al"))
		c.does(b, reads("ml"), reads("tl"))
		c.check()
	})
}

// sees reads keys in one transaction: they must have what an earlier one wrote.
func (c *shardCluster) sees(client labrpc.NodeID, wrote *shardRun, keys ...string) *shardRun {
	var steps []shardStep
	for _, key := range keys {
		steps = append(steps, reads(key))
	}
	r := c.does(client, steps...)
	for _, key := range keys {
		if r.saw(key) != wrote.wrote(key) {
			c.check()
			c.s.Fail(labtest.Violation{What: r.String() + ", want what an earlier transaction wrote: " + wrote.String(), Rule: ruleShardStrict, Nodes: c.around(r)})
		}
	}
	return r
}

// Begin, Commit and Abort without Run: an aborted transaction leaves nothing, one that has ended stays so, and of two that read and
// write the same key at the same time at most one commits (rules 33 and 34).
func TestBeginAndCommit7D(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: shardNodes(2, 1), Link: shardLink, Seeds: 2}, func(s *labtest.Sim) {
		c := newShardCluster(s, 2)
		c.right(c.clients[0], shardCalls)
		c.right(c.clients[0], shardRuns)
		for _, calls := range []shardCheck{shardPutsBack, shardFirstAttempt, shardLost} {
			c.right(c.clients[0], calls)
		}
	})
}

// right lets a client call a function, which must find nothing wrong.
func (c *shardCluster) right(client labrpc.NodeID, f shardCheck) {
	for _, fault := range c.calls(client, f) {
		c.s.Fail(labtest.Violation{What: fault.What, Rule: fault.Rule, Nodes: append(c.servers(), client)})
	}
}

// A shardCheck makes calls of a client, and returns what was wrong.
type shardCheck func(ctx context.Context, cl *transactions.ShardClient) []shardFault

// A shardFault is what is wrong with the results of calls.
type shardFault struct {
	What, Rule string
}

// calls lets a client's own goroutine call a function, and returns what that found wrong.
func (c *shardCluster) calls(client labrpc.NodeID, f shardCheck) (faults []shardFault) {
	node, cl, over := c.nodes[client], c.client[client], false
	go func() {
		ctx, cancel := labtest.WithTimeout(context.Background(), 5*time.Minute)
		defer cancel()
		_ = labrpc.Tell(node, f(ctx, cl), func(_ time.Duration, found []shardFault) { faults, over = found, true })
	}()
	if !c.s.Until(2*time.Minute, func() bool { return over }) {
		c.s.Failf(ruleShardDisjoint, "the calls of Get, Put, Commit and Abort did not return within 2m")
	}
	return faults
}

// shardCalls uses the keys a and m by Begin and Commit.
func shardCalls(ctx context.Context, cl *transactions.ShardClient) (faults []shardFault) {
	wrong := func(rule, format string, args ...any) {
		faults = append(faults, shardFault{What: fmt.Sprintf(format, args...), Rule: rule})
	}
	// tries makes calls of a transaction; again if that was aborted, as Run does: an earlier one may still give its keys back.
	tries := func(f func(tx *transactions.ShardTx) error) *transactions.ShardTx {
		for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
			tx := cl.Begin(ctx)
			err := f(tx)
			if errors.Is(err, transactions.ErrAborted) && time.Since(began) < shardServes {
				tx.Abort()
				continue
			}
			if err != nil {
				wrong(ruleShardDisjoint, "%v, want nil", err)
			}
			return tx
		}
	}
	puts := func(pairs ...string) func(tx *transactions.ShardTx) error {
		return func(tx *transactions.ShardTx) error {
			for i := 0; i < len(pairs); i += 2 {
				if err := tx.Put(pairs[i], pairs[i+1]); err != nil {
					return fmt.Errorf("Put(%s) = %w", pairs[i], err)
				}
			}
			return nil
		}
	}
	commits := func(pairs ...string) *transactions.ShardTx {
		return tries(func(tx *transactions.ShardTx) error {
			if err := puts(pairs...)(tx); err != nil {
				return err
			}
			if err := tx.Commit(); err != nil {
				return fmt.Errorf("Commit = %w", err)
			}
			return nil
		})
	}
	value := func(key string) (value string) {
		tx := tries(func(tx *transactions.ShardTx) (err error) {
			if value, _, err = tx.Get(key); err != nil {
				return fmt.Errorf("Get(%s) = %w", key, err)
			}
			return nil
		})
		defer tx.Abort()
		return value
	}
	tx := tries(puts("a", "first", "m", "first"))
	if got, ok, err := tx.Get("m"); got != "first" || !ok || err != nil {
		wrong(ruleShardStrict, "Get(m) = %q, %v, %v after the transaction's own Put(m=first)", got, ok, err)
	}
	tx.Abort()
	tx.Abort()
	if err := tx.Commit(); !errors.Is(err, transactions.ErrOver) {
		wrong(ruleShardOver, "Commit after Abort = %v, want ErrOver", err)
	}
	if got := value("m"); got != "" {
		wrong(ruleShardOutcome, "another transaction read m=%s, which a transaction had written that was aborted", got)
	}

	tx = commits("a", "second", "m", "second")
	if _, _, err := tx.Get("a"); !errors.Is(err, transactions.ErrOver) {
		wrong(ruleShardOver, "Get after Commit of a key that the transaction had written = %v, want ErrOver", err)
	}
	if err := tx.Put("a", "late"); !errors.Is(err, transactions.ErrOver) {
		wrong(ruleShardOver, "Put after Commit = %v, want ErrOver", err)
	}
	if err := tx.Commit(); !errors.Is(err, transactions.ErrOver) {
		wrong(ruleShardOver, "a second Commit = %v, want ErrOver", err)
	}
	if got := value("a"); got != "second" {
		wrong(ruleShardStrict, "Get(a) = %q, want second, which was committed last", got)
	}

	// Abort after Commit, as a deferred call makes it, does nothing.
	for i := range 5 {
		last := fmt.Sprint("third ", i)
		commits("a", last, "m", last).Abort()
		if a, m := value("a"), value("m"); a != last || m != last {
			wrong(ruleShardOutcome, "other transactions read a=%q and m=%q, want %q twice: that was committed, and Abort after Commit does nothing", a, m, last)
		}
	}

	commits("", "", "\U0001F512", "lock")
	tries(func(tx *transactions.ShardTx) error {
		for _, want := range [][2]string{{"", ""}, {"\U0001F512", "lock"}, {"", ""}} {
			got, ok, err := tx.Get(want[0])
			if errors.Is(err, transactions.ErrAborted) {
				return fmt.Errorf("Get(%q) = %w", want[0], err)
			}
			if got != want[1] || !ok || err != nil {
				wrong(ruleShardStrict, "Get(%q) = %q, %v, %v, want the value %q, which was committed", want[0], got, ok, err, want[1])
			}
		}
		return nil
	}).Abort()

	for _, aborts := range []bool{false, true} { // which has written nothing
		tx = tries(func(tx *transactions.ShardTx) error {
			if _, _, err := tx.Get("a"); err != nil {
				return fmt.Errorf("Get(a) = %w", err)
			}
			if aborts {
				tx.Abort()
				return nil
			}
			if err := tx.Commit(); err != nil {
				return fmt.Errorf("Commit of a transaction that has only read = %w", err)
			}
			return nil
		})
		if err := tx.Commit(); !errors.Is(err, transactions.ErrOver) {
			wrong(ruleShardOver, "Commit of a transaction that has ended, and has only read = %v, want ErrOver", err)
		}
	}

	short, cancel := labtest.WithTimeout(ctx, 5*time.Second) // the second may wait for the first
	defer cancel()
	one, two := cl.Begin(ctx), cl.Begin(short)
	committed := 0
	_, _, _ = one.Get("a")
	for i, tx := range []*transactions.ShardTx{two, one} {
		_, _, _ = tx.Get("a")
		_ = tx.Put("a", fmt.Sprint("update ", i))
		if err := tx.Commit(); err == nil {
			committed++
		}
	}
	if committed > 1 {
		wrong(ruleShardStrict, "two transactions read the same value of a, wrote a, and were both committed")
	}
	return faults
}

// shardRuns uses the key a by Run, with functions that return errors.
func shardRuns(ctx context.Context, cl *transactions.ShardClient) (faults []shardFault) {
	wrong := func(rule, format string, args ...any) {
		faults = append(faults, shardFault{What: fmt.Sprintf(format, args...), Rule: rule})
	}
	var kept *transactions.ShardTx
	err := cl.Run(ctx, func(tx *transactions.ShardTx) error {
		kept = tx
		_ = tx.Put("a", "failed")
		return errShardUser
	})
	if !errors.Is(err, errShardUser) {
		wrong(ruleShardOutcome, "Run = %v, want the function's own error", err)
	}
	if err := kept.Commit(); !errors.Is(err, transactions.ErrOver) {
		wrong(ruleShardOver, "Commit of a transaction whose Run has returned the error of its function = %v, want ErrOver", err)
	}
	value := func() (got string, err error) {
		err = cl.Run(ctx, func(tx *transactions.ShardTx) (err error) {
			got, _, err = tx.Get("a")
			return err
		})
		return got, err
	}
	if got, err := value(); got == "failed" || err != nil {
		wrong(ruleShardOutcome, "Get(a) = %q, %v, although Run of the transaction that wrote this value returned the error of its function", got, err)
	}

	// The function may end the transaction itself: then Run returns what has happened.
	last, committed := "", 0
	err = cl.Run(ctx, func(tx *transactions.ShardTx) error {
		last = fmt.Sprint("own ", committed)
		_ = tx.Put("a", last)
		if err := tx.Commit(); err != nil {
			return err
		}
		committed++
		return nil
	})
	if err != nil || committed != 1 {
		wrong(ruleShardOutcome, "Run = %v after %d calls of Commit by the function itself that returned nil, want nil after one", err, committed)
	}
	if err := cl.Run(ctx, func(tx *transactions.ShardTx) error {
		_ = tx.Put("a", "aborted")
		tx.Abort()
		return nil
	}); err == nil {
		wrong(ruleShardOutcome, "Run = nil, want an error: its function has called Abort")
	}
	if got, err := value(); got != last || err != nil {
		wrong(ruleShardOutcome, "Get(a) = %q, %v, want %q: the function of Run had called Commit, which returned nil", got, err, last)
	}

	const limit = 300 * time.Millisecond
	short, cancel := labtest.WithTimeout(ctx, limit)
	defer cancel()
	begin, calls := time.Now(), 0
	err = cl.Run(short, func(*transactions.ShardTx) error {
		if calls++; calls == 1 { // a client may pause for about as long before it tries again
			time.Sleep(limit - 50*time.Millisecond)
		}
		return fmt.Errorf("not now: %w", transactions.ErrAborted)
	})
	if took := time.Since(begin); err == nil || took > limit+shardContext {
		wrong(ruleShardContext, "Run returned %v after %v, want an error within %v: its context ended after %v", err, took, limit+shardContext, limit)
	}
	return faults
}

// shardPutsBack writes a key again with the value that it has read: that is its last write, whatever it has written meanwhile.
func shardPutsBack(ctx context.Context, cl *transactions.ShardClient) (faults []shardFault) {
	var old, own, after string
	run := func(f func(tx *transactions.ShardTx)) {
		if err := cl.Run(ctx, func(tx *transactions.ShardTx) error { f(tx); return nil }); err != nil {
			faults = append(faults, shardFault{fmt.Sprintf("Run = %v, want nil", err), ruleShardDisjoint})
		}
	}
	run(func(tx *transactions.ShardTx) { _ = tx.Put("a", "before") })
	run(func(tx *transactions.ShardTx) {
		old, _, _ = tx.Get("a")
		_ = tx.Put("a", "between")
		_ = tx.Put("a", old)
		own, _, _ = tx.Get("a")
	})
	run(func(tx *transactions.ShardTx) { after, _, _ = tx.Get("a") })
	if faults == nil && (own != old || after != old) {
		faults = append(faults, shardFault{fmt.Sprintf("a transaction read a=%q, wrote a=between and then a=%[1]q; then it read a=%[2]q, and the next transaction a=%[3]q, want %[1]q twice", old, own, after), ruleShardStrict})
	}
	return faults
}

// shardFirstAttempt uses the transaction of the first call of Run's function in the second call: it has ended.
func shardFirstAttempt(ctx context.Context, cl *transactions.ShardClient) (faults []shardFault) {
	var first *transactions.ShardTx
	var put, commit error
	err := cl.Run(ctx, func(tx *transactions.ShardTx) error {
		if first == nil {
			first = tx
			return fmt.Errorf("once more: %w", transactions.ErrAborted)
		}
		put, commit = first.Put("z", "late"), first.Commit()
		return tx.Put("b", "second")
	})
	if err != nil {
		return []shardFault{{fmt.Sprintf("Run = %v, want nil: its function returned ErrAborted only once", err), ruleShardOutcome}}
	}
	if !errors.Is(put, transactions.ErrOver) || !errors.Is(commit, transactions.ErrOver) {
		what := fmt.Sprintf("Put = %v and Commit = %v, want ErrOver twice: they were called for the transaction of the first call of Run's function, during the second", put, commit)
		faults = append(faults, shardFault{what, ruleShardOver})
	}
	return faults
}

// shardLost reads a key that has been written so often since the transaction began that the store may have dropped what the transaction must see.
// If so, the transaction cannot be committed, also if its function goes on.
func shardLost(ctx context.Context, cl *transactions.ShardClient) (faults []shardFault) {
	tx := cl.Begin(ctx)
	defer tx.Abort()
	if _, _, err := tx.Get("a"); err != nil {
		return nil // nothing that has read can be lost
	}
	for i := range 25 {
		if err := cl.Run(ctx, func(tx *transactions.ShardTx) error { return tx.Put("m", fmt.Sprint("newer ", i)) }); err != nil {
			return []shardFault{{What: fmt.Sprintf("Run = %v, want nil: another transaction, which has the key a, is running", err), Rule: ruleShardDisjoint}}
		}
	}
	_, _, lost := tx.Get("m")
	if !errors.Is(lost, transactions.ErrAborted) {
		return nil // it was kept
	}
	_ = tx.Put("z", "written")
	if err := tx.Commit(); err == nil {
		return []shardFault{{What: fmt.Sprintf("Commit = nil, want an error: Get(m) of this transaction had returned %q", lost), Rule: ruleShardLost}}
	}
	return nil
}
