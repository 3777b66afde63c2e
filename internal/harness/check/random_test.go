package check_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"distlabs/internal/harness/check/causal"
	"distlabs/internal/harness/check/history"
	"distlabs/internal/harness/check/sequential"
	"distlabs/internal/harness/check/session"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// anyHistory draws a history of a few operations, right or wrong.
func anyHistory(rt *rapid.T, most int) []history.Op {
	n := rapid.IntRange(1, most).Draw(rt, "operations")
	clients := rapid.IntRange(1, 4).Draw(rt, "clients")
	keys := rapid.IntRange(1, 2).Draw(rt, "keys")
	var ops []history.Op
	writes := map[string]int{}
	for range n {
		op := history.Op{
			Client: rapid.IntRange(1, clients).Draw(rt, "client"),
			Key:    string(rune('x' + rapid.IntRange(0, keys-1).Draw(rt, "key"))),
			Kind:   history.Kind(rapid.IntRange(0, 1).Draw(rt, "kind")),
		}
		if op.Kind == history.Write {
			writes[op.Key]++
			op.Value = fmt.Sprint(writes[op.Key])
			op.Indeterminate = rapid.IntRange(0, 5).Draw(rt, "lost") == 0
		}
		ops = append(ops, op)
	}
	// A read may see any write of its key, or nothing.
	for i := range ops {
		if ops[i].Kind == history.Read {
			if v := rapid.IntRange(0, writes[ops[i].Key]).Draw(rt, "value"); v > 0 {
				ops[i].Value = fmt.Sprint(v)
			}
		}
	}
	clocks := map[int]time.Duration{}
	for i := range ops {
		op := &ops[i]
		op.Invoke = clocks[op.Client] + time.Duration(rapid.IntRange(0, 3).Draw(rt, "wait"))*time.Second
		op.Return = op.Invoke + time.Duration(rapid.IntRange(0, 3).Draw(rt, "length"))*time.Second
		clocks[op.Client] = op.Return + time.Second
	}
	return ops
}

// A checker against its definition, by trying all there is to try.
func TestAgainstTheDefinitions(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		ops := anyHistory(rt, 7)
		ix, v, err := history.Prepare("", ops)
		require.NoError(rt, err)
		require.Nil(rt, v)

		v, err = sequential.Check(ops, sequential.Options{})
		require.NoError(rt, err)
		require.Equal(rt, bruteSequential(ix), v == nil, "sequential: %v", v)
		v, err = causal.Check(ops, causal.Options{})
		require.NoError(rt, err)
		require.Equal(rt, bruteCausal(ix), v == nil, "causal memory: %v", v)
		v, err = causal.Check(ops, causal.Options{Convergent: true})
		require.NoError(rt, err)
		require.Equal(rt, bruteConvergent(ix), v == nil, "causal convergence: %v", v)
		g := session.Guarantees(rapid.IntRange(1, int(session.All)).Draw(rt, "guarantees"))
		one := rapid.Bool().Draw(rt, "one order")
		v, err = session.Check(ops, session.Options{Guarantees: g, OneOrder: one})
		require.NoError(rt, err)
		require.Equal(rt, bruteSession(ix, g, one), v == nil, "%v, one order %v: %v", g, one, v)
	})
}

// The stronger model implies the weaker; and what a violation shows is wrong by
// itself, and right without any one of its operations.
func TestStrongerImpliesWeaker(t *testing.T) {
	implied := func(rt *rapid.T, stronger, weaker bool, what string) {
		if stronger && !weaker {
			rt.Fatal(what)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		ops := anyHistory(rt, 12)
		v := judge(rt, ops)
		implied(rt, v.linear, v.sequential, "linearizable, not sequential")
		implied(rt, v.sequential, v.causal, "sequential, not causal memory")
		implied(rt, v.sequential, v.convergent, "sequential, not causally convergent")
		implied(rt, v.causal, v.session, "causal memory without the session guarantees")
		implied(rt, v.convergent, v.session, "causally convergent without the session guarantees")
		one, err := session.Check(ops, session.Options{OneOrder: true})
		require.NoError(rt, err)
		implied(rt, v.convergent, one == nil, "causally convergent without the session guarantees in one order")
		ordered, err := sequential.Check(ops, sequential.Options{LinearWrites: true})
		require.NoError(rt, err)
		implied(rt, v.linear, ordered == nil, "linearizable, but not its writes")
		implied(rt, ordered == nil, v.sequential, "sequential only with more asked")

		for _, check := range []func([]history.Op) (*history.Violation, error){inSequenceCheck, causalCheck, convergentCheck, readYourWrites, monotonicReads} {
			v, err := check(ops)
			require.NoError(rt, err)
			if v == nil {
				continue
			}
			for i, gone := range v.Minimal {
				less := slices.DeleteFunc(slices.Clone(v.Minimal), func(op history.Op) bool {
					return op == v.Minimal[i] || gone.Kind == history.Write && op.Key == gone.Key && op.Value == gone.Value
				})
				v, err := check(less)
				require.NoError(rt, err)
				require.Nil(rt, v, "it is wrong without %v too", gone)
			}
		}
	})
}

// orders yields every order of the operations given by index in which before
// holds, until f returns true.
func orders(ops []int, before func(a, b int) bool, f func([]int) bool) bool {
	var rest func(done, left []int) bool
	rest = func(done, left []int) bool {
		if len(left) == 0 {
			return f(done)
		}
		for i, op := range left {
			free := !slices.ContainsFunc(left, func(other int) bool { return other != op && before(other, op) })
			if free && rest(append(slices.Clone(done), op), slices.Delete(slices.Clone(left), i, i+1)) {
				return true
			}
		}
		return false
	}
	return rest(nil, ops)
}

// plays reports whether the reads in an order each see the last write of their key.
func plays(ix *history.Index, order []int) bool {
	state := map[string]string{}
	for _, op := range order {
		switch o := ix.Ops[op]; {
		case o.Kind == history.Write:
			state[o.Key] = o.Value
		case state[o.Key] != o.Value:
			return false
		}
	}
	return true
}

func pick(ix *history.Index, keep func(i int, op history.Op) bool) []int {
	var ops []int
	for i, op := range ix.Ops {
		if keep(i, op) {
			ops = append(ops, i)
		}
	}
	return ops
}

func isWrite(_ int, op history.Op) bool { return op.Kind == history.Write }

func bruteSequential(ix *history.Index) bool {
	everything := pick(ix, func(int, history.Op) bool { return true })
	return orders(everything, ix.Before, func(order []int) bool { return plays(ix, order) })
}

// causes is causal order by its definition: the closure of session order and reads-from.
func causes(ix *history.Index) func(a, b int) bool {
	n := len(ix.Ops)
	before := make([][]bool, n)
	for a := range n {
		before[a] = make([]bool, n)
		for b := range n {
			before[a][b] = ix.Before(a, b) || ix.From[b] == a
		}
	}
	for k := range n {
		for a := range n {
			for b := range n {
				before[a][b] = before[a][b] || before[a][k] && before[k][b]
			}
		}
	}
	return func(a, b int) bool { return before[a][b] }
}

func bruteCausal(ix *history.Index) bool {
	before := causes(ix)
	for i := range ix.Ops {
		if before(i, i) {
			return false
		}
	}
	for _, client := range ix.Clients() {
		mine := pick(ix, func(i int, op history.Op) bool { return op.Kind == history.Write || i >= client[0] && i < client[1] })
		if !orders(mine, before, func(order []int) bool { return plays(ix, order) }) {
			return false
		}
	}
	return true
}

func bruteConvergent(ix *history.Index) bool {
	before := causes(ix)
	for i := range ix.Ops {
		if before(i, i) {
			return false
		}
	}
	return orders(pick(ix, isWrite), before, func(order []int) bool {
		for r, op := range ix.Ops {
			if op.Kind == history.Read && last(ix, op.Key, order, func(w int) bool { return before(w, r) }) != ix.From[r] {
				return false
			}
		}
		return true
	})
}

// last returns the last write of a key, in an order, among those of a set.
func last(ix *history.Index, key string, order []int, in func(w int) bool) int {
	found := history.Nothing
	for _, w := range order {
		if ix.Ops[w].Key == key && in(w) {
			found = w
		}
	}
	return found
}

// bruteSession tries every order of the writes and, for each read, every database.
func bruteSession(ix *history.Index, g session.Guarantees, one bool) bool {
	writes := pick(ix, isWrite)
	// must: wherever b is, a is too, and before it.
	must := func(a, b int) bool {
		if g&session.MonotonicWrites != 0 && ix.Before(a, b) {
			return true
		}
		for r := range ix.Ops {
			if g&session.WritesFollowReads != 0 && ix.From[r] == a && ix.Before(r, b) {
				return true
			}
		}
		return false
	}
	if slices.ContainsFunc(writes, func(w int) bool { return must(w, w) }) {
		return false // no write comes before itself
	}
	explained := func(order []int, client [2]int) bool {
		for r := client[0]; r < client[1]; r++ {
			if ix.Ops[r].Kind == history.Read && !someDatabase(ix, g, writes, order, must, r) {
				return false
			}
		}
		return true
	}
	clients := ix.Clients()
	if one {
		return orders(writes, must, func(order []int) bool {
			return !slices.ContainsFunc(clients, func(c [2]int) bool { return !explained(order, c) })
		})
	}
	for _, c := range clients {
		if !orders(writes, must, func(order []int) bool { return explained(order, c) }) {
			return false
		}
	}
	return true
}

func someDatabase(ix *history.Index, g session.Guarantees, writes, order []int, must func(a, b int) bool, r int) bool {
	for set := range 1 << len(writes) {
		in := func(w int) bool { return set>>slices.Index(writes, w)&1 != 0 }
		ok := last(ix, ix.Ops[r].Key, order, in) == ix.From[r]
		for e := range ix.Ops {
			if ix.Before(e, r) {
				ok = ok && (g&session.ReadYourWrites == 0 || ix.Ops[e].Kind == history.Read || in(e))
				ok = ok && (g&session.MonotonicReads == 0 || ix.From[e] == history.Nothing || in(ix.From[e]))
			}
		}
		for _, b := range writes {
			for _, a := range writes {
				ok = ok && !(in(b) && must(a, b) && !in(a))
			}
		}
		if ok {
			return true
		}
	}
	return false
}
