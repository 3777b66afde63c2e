package linear_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"distlabs/internal/harness/check/linear"

	"github.com/stretchr/testify/require"
)

// A cell is a register with write, read and compare-and-set; the answer is what
// was in it before.
type cell struct {
	write    int
	expect   int  // for a compare-and-set
	isRead   bool // else it writes
	onlyIfIs bool // writes only if expect is in it
}

func (c cell) String() string {
	switch {
	case c.isRead:
		return "read"
	case c.onlyIfIs:
		return fmt.Sprintf("cas(%d,%d)", c.expect, c.write)
	}
	return fmt.Sprintf("write(%d)", c.write)
}

var register = linear.Model[int, cell, int]{
	Step: func(state int, in cell, out *int) (int, bool) {
		ok := out == nil || *out == state
		if in.isRead || in.onlyIfIs && in.expect != state {
			return state, ok
		}
		return in.write, ok
	},
}

type op = linear.Op[cell, int]

func write(client, value, before int, call, ret time.Duration) op {
	return op{Client: client, Key: "x", In: cell{write: value}, Out: before, Call: call, Return: ret}
}

func read(client, value int, call, ret time.Duration) op {
	return op{Client: client, Key: "x", In: cell{isRead: true}, Out: value, Call: call, Return: ret}
}

func cas(client, expect, value, before int, call, ret time.Duration) op {
	return op{Client: client, Key: "x", In: cell{expect: expect, write: value, onlyIfIs: true}, Out: before, Call: call, Return: ret}
}

func pending(o op) op {
	o.Pending = true
	return o
}

func on(key string, o op) op {
	o.Key = key
	return o
}

var histories = []struct {
	name    string
	history []op
	wrong   int // the number of the operation whose answer is wrong, from 1; 0 if none
}{
	{name: "nothing happened"},
	{name: "one after another", history: []op{write(1, 1, 0, 0, 10), read(2, 1, 20, 30)}},
	{name: "a stale read", history: []op{write(1, 1, 0, 0, 10), read(2, 0, 20, 30)}, wrong: 2},
	{name: "a stale read by the writer, in the instant in which the write returned", history: []op{write(1, 1, 0, 0, 10), read(1, 0, 10, 30)}, wrong: 2},
	{name: "a read that overlaps a write may see the old value", history: []op{write(1, 1, 0, 0, 10), read(2, 0, 5, 30)}},
	{name: "a read that overlaps a write may see the new value", history: []op{write(1, 1, 0, 0, 30), read(2, 1, 5, 10)}},
	{name: "two reads during one write, new then old", history: []op{write(1, 1, 0, 0, 50), read(2, 1, 5, 10), read(3, 0, 20, 30)}, wrong: 3},
	{name: "two reads during one write, old then new", history: []op{write(1, 1, 0, 0, 50), read(2, 0, 5, 10), read(3, 1, 20, 30)}},
	{name: "a value that nobody wrote", history: []op{write(1, 1, 0, 0, 10), read(2, 7, 5, 30)}, wrong: 2},
	{name: "an acknowledged write is lost", history: []op{write(1, 1, 0, 0, 10), write(2, 2, 1, 20, 30), read(3, 1, 40, 50)}, wrong: 3},
	{name: "one write applied twice", history: []op{write(1, 1, 0, 0, 10), write(2, 2, 1, 20, 30), read(3, 2, 40, 50), read(3, 1, 60, 70)}, wrong: 4},
	{name: "two compare-and-sets both win", history: []op{cas(1, 0, 1, 0, 0, 10), cas(2, 0, 2, 0, 5, 15)}, wrong: 2},
	{name: "one of two compare-and-sets wins", history: []op{cas(1, 0, 1, 0, 0, 10), cas(2, 0, 2, 1, 5, 15), read(3, 1, 20, 30)}},
	{name: "a write without an answer happened", history: []op{pending(write(1, 1, 0, 0, 0)), read(2, 0, 10, 20), read(2, 1, 30, 40)}},
	{name: "a write without an answer never happened", history: []op{pending(write(1, 1, 0, 0, 0)), read(2, 0, 10, 20), read(2, 0, 30, 40)}},
	{name: "a write without an answer happened and was undone", history: []op{pending(write(1, 1, 0, 0, 0)), read(2, 1, 10, 20), read(2, 0, 30, 40)}, wrong: 3},
	{name: "a write without an answer before its call", history: []op{read(2, 1, 0, 10), pending(write(1, 1, 0, 20, 0))}, wrong: 1},
	{name: "two keys, each in order", history: []op{write(1, 1, 0, 0, 10), on("y", read(2, 0, 20, 30)), read(2, 1, 40, 50)}},
	{name: "two keys, one wrong", history: []op{write(1, 1, 0, 0, 10), on("y", read(2, 1, 20, 30)), read(2, 1, 40, 50)}, wrong: 2},
	{name: "instants of no length", history: []op{write(1, 1, 0, 10, 10), read(1, 1, 10, 10), read(2, 0, 9, 9)}},
	{name: "a stale read of no length", history: []op{write(1, 1, 0, 5, 5), read(1, 0, 10, 10)}, wrong: 2},
}

func TestKnownHistories(t *testing.T) {
	for _, h := range histories {
		t.Run(h.name, func(t *testing.T) {
			// The order in which the history is given must not matter.
			for seed := range uint64(5) {
				shuffled := slices.Clone(h.history)
				rand.New(rand.NewPCG(seed, 0)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
				err := linear.Check(register, shuffled, linear.Options{})
				if h.wrong == 0 {
					require.NoError(t, err)
					continue
				}
				var v *linear.Violation[cell, int]
				require.ErrorAs(t, err, &v)
				require.Equal(t, h.history[h.wrong-1], v.Op)
			}
		})
	}
}

// Histories of a register that obeys a lock are linearizable, whatever their
// order; with one answer changed to a value that was never written, they are not.
func TestRandomHistories(t *testing.T) {
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		history := randomHistory(rnd, 60)
		require.NoError(t, linear.Check(register, history, linear.Options{}), "seed %d", seed)
		wrong := rnd.IntN(len(history))
		history[wrong].Out, history[wrong].Pending = -1, false
		var v *linear.Violation[cell, int]
		require.ErrorAs(t, linear.Check(register, history, linear.Options{}), &v, "seed %d", seed)
		require.Equal(t, history[wrong], v.Op, "seed %d", seed)
	}
}

// randomHistory lets five clients work on one register: each operation takes
// effect at an instant of its own, which lies between its call and its return.
func randomHistory(rnd *rand.Rand, n int) []op {
	var history []op
	var state int
	free := make([]time.Duration, 5)
	now := time.Duration(100)
	for i := range n {
		now += 1 + time.Duration(rnd.IntN(5))
		client := rnd.IntN(len(free))
		if free[client] >= now {
			continue
		}
		in := cell{write: i + 1, expect: state - rnd.IntN(2), isRead: rnd.IntN(3) == 0, onlyIfIs: rnd.IntN(2) == 0}
		o := op{Client: client, Key: "x", In: in, Out: state}
		o.Call = max(free[client], now-time.Duration(rnd.IntN(20)))
		o.Return = now + time.Duration(rnd.IntN(20))
		o.Pending = rnd.IntN(10) == 0
		state, _ = register.Step(state, in, nil)
		free[client] = o.Return + 1
		if o.Pending {
			free[client] = time.Hour
		}
		history = append(history, o)
	}
	return history
}

// Twelve writes at once and a read of what was never written: every order must
// be tried. Within its budget the check cannot, and must not say that all is well.
func TestRunsOutOfSteps(t *testing.T) {
	var history []op
	for i := range 12 {
		history = append(history, pending(write(i, i+1, 0, 0, 0)))
	}
	history = append(history, read(20, -1, 10, 20))
	err := linear.Check(register, history, linear.Options{Steps: 100})
	require.ErrorIs(t, err, linear.ErrUndecided)
	require.ErrorContains(t, err, `key "x", 13 operations, 100 steps`)

	// A key that is certainly wrong is worth more than one that is undecided.
	history = append(history, on("y", read(1, 5, 0, 10)))
	var v *linear.Violation[cell, int]
	require.ErrorAs(t, linear.Check(register, history, linear.Options{Steps: 100}), &v)
	require.Equal(t, "y", v.Op.Key)
}

func TestMalformed(t *testing.T) {
	err := linear.Check(register, []op{read(1, 0, 20, 10)}, linear.Options{})
	require.ErrorContains(t, err, "malformed")
	require.False(t, errors.Is(err, linear.ErrUndecided))
}

// A check may be made within a bubble: it needs no clock.
func TestInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		require.NoError(t, linear.Check(register, histories[1].history, linear.Options{}))
		require.Error(t, linear.Check(register, histories[2].history, linear.Options{}))
	})
}

func ExampleCheck() {
	history := []linear.Op[cell, int]{
		{Client: 1, Key: "x", In: cell{write: 1}, Out: 0, Call: 0, Return: 10 * time.Millisecond},
		{Client: 2, Key: "x", In: cell{isRead: true}, Out: 0, Call: 20 * time.Millisecond, Return: 30 * time.Millisecond},
	}
	fmt.Println(linear.Check(register, history, linear.Options{}))
	// Output: linear: key "x": no order explains client 2: read = 0, from 20ms to 30ms
}
