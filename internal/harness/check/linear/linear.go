// Package linear checks whether what clients saw is linearizable: as if each
// operation had happened at one instant between its call and its return
// (Herlihy and Wing 1990).
//
// The search is that of Porcupine, one key at a time, which is sound because a
// history is linearizable if and only if it is so for every object alone. To
// decide is NP-hard, so the search has a budget. It is counted in steps and not
// in seconds: the same history has the same verdict on every machine, and in
// virtual time too. A check that runs out of budget has found out nothing. It
// is an error of the test, and never a pass.
package linear

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sort"
	"time"

	"github.com/anishathalye/porcupine"
)

// An Op is an operation as its client saw it.
type Op[I, O any] struct {
	Client int
	Key    string // the object that it was about
	In     I
	Out    O
	Call   time.Duration
	// Return is when Out came. Of two operations, one that returned at the very
	// instant at which the other was called came before it.
	Return time.Duration
	// Pending says that no answer came; Out and Return mean nothing. The operation
	// may have happened at any instant since its call, or not at all.
	Pending bool
}

// A Model says what one object does if operations come one after another.
type Model[S comparable, I, O any] struct {
	Init S
	// Step returns the state after the operation, and whether out can be its
	// answer in the given state. It must be a pure function. For an operation that is
	// pending, out is nil: Step then returns the state that the operation leads to
	// if it happens, and true.
	Step func(state S, in I, out *O) (S, bool)
}

const defaultSteps = 2_000_000

// Options of a Check. The zero value is sensible.
type Options struct {
	// Steps bounds the search for each key; 0 means two million, about as many
	// microseconds.
	Steps int
}

// ErrUndecided: the search ran out of steps. Nothing is known about the history.
var ErrUndecided = errors.New("linear: the search ran out of steps")

// A Violation is the error of a history that is not linearizable.
type Violation[I, O any] struct {
	// Op is the first operation to return, of all on its key, whose answer no order explains.
	Op Op[I, O]
	// Before are the operations on the key that were called before Op returned, by their
	// calls: no order of these has Op's answer. Those that had not returned by then are Pending.
	Before []Op[I, O]
}

// Error says which answer is wrong.
func (v *Violation[I, O]) Error() string {
	return fmt.Sprintf("linear: key %q: no order explains %v", v.Op.Key, v.Op)
}

// String tells of the operation in one line.
func (op Op[I, O]) String() string {
	if op.Pending {
		return fmt.Sprintf("client %d: %+v, called at %v, no answer", op.Client, op.In, op.Call)
	}
	return fmt.Sprintf("client %d: %+v = %+v, from %v to %v", op.Client, op.In, op.Out, op.Call, op.Return)
}

// Check returns nil if the history is linearizable, a *Violation if it is not,
// and an error that wraps ErrUndecided if it cannot tell. A history with
// an operation that returns before its call is an error too.
func Check[S comparable, I, O any](m Model[S, I, O], history []Op[I, O], opts Options) error {
	if opts.Steps == 0 {
		opts.Steps = defaultSteps
	}
	keys := map[string][]Op[I, O]{}
	for _, op := range history {
		if !op.Pending && op.Return < op.Call {
			return fmt.Errorf("linear: a malformed history: %v", op)
		}
		keys[op.Key] = append(keys[op.Key], op)
	}
	var undecided error
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		switch decide(m, keys[key], opts.Steps) {
		case illegal:
			return first(m, keys[key], opts.Steps)
		case unknown:
			undecided = fmt.Errorf("%w: key %q, %d operations, %d steps", ErrUndecided, key, len(keys[key]), opts.Steps)
		}
	}
	return undecided
}

type verdict int

const (
	legal verdict = iota
	illegal
	unknown
)

// decide runs the search over the operations of one key.
func decide[S comparable, I, O any](m Model[S, I, O], ops []Op[I, O], steps int) verdict {
	left := steps
	model := porcupine.Model{
		Init: func() any { return m.Init },
		Step: func(state, in, out any) (bool, any) {
			// Without steps nothing is possible any more, so the search ends soon.
			if left--; left < 0 {
				return false, state
			}
			next, ok := m.Step(state.(S), in.(I), out.(*O))
			return ok, next
		},
	}
	history := make([]porcupine.Operation, 0, len(ops))
	for _, op := range ops {
		o := operation(op)
		o.Input = op.In
		history = append(history, o)
	}
	switch {
	case porcupine.CheckOperations(model, history):
		return legal
	case left < 0:
		return unknown
	}
	return illegal
}

// operation is an Op as Porcupine takes it; its input is the Op.
func operation[I, O any](op Op[I, O]) porcupine.Operation {
	// Porcupine takes a call and a return of one instant for concurrent. Twice the time, plus one
	// for a call, puts the return first.
	o := porcupine.Operation{ClientId: op.Client, Input: op, Call: 2*int64(op.Call) + 1, Output: (*O)(nil), Return: math.MaxInt64}
	if !op.Pending {
		o.Output, o.Return = &op.Out, max(2*int64(op.Return), o.Call)
	}
	return o
}

// first finds the operation at whose return the history of one key went wrong.
// What is linearizable is so up to any instant, so that a binary search finds it.
func first[S comparable, I, O any](m Model[S, I, O], ops []Op[I, O], steps int) error {
	ops = slices.Clone(ops)
	// Those that are pending come last.
	slices.SortStableFunc(ops, func(a, b Op[I, O]) int {
		return cmp.Or(cmp.Compare(returned(a), returned(b)), cmp.Compare(a.Call, b.Call))
	})
	n := 0
	for n < len(ops) && !ops[n].Pending {
		n++
	}
	// An undecided part counts as linearizable: then the operation named is not the
	// first, but its answer is wrong all the same.
	at := sort.Search(n-1, func(i int) bool {
		return decide(m, until(ops, i), steps) == illegal
	})
	return &Violation[I, O]{Op: ops[at], Before: until(ops, at)}
}

func returned[I, O any](op Op[I, O]) time.Duration {
	if op.Pending {
		return math.MaxInt64
	}
	return op.Return
}

// until returns the history as it was known when the operation at that place of
// ops, which are sorted by their returns, had just returned; sorted by calls.
func until[I, O any](ops []Op[I, O], at int) []Op[I, O] {
	var known []Op[I, O]
	for i, op := range ops {
		if i > at {
			if op.Call >= ops[at].Return {
				continue
			}
			op.Pending, op.Return, op.Out = true, 0, *new(O)
		}
		known = append(known, op)
	}
	slices.SortStableFunc(known, func(a, b Op[I, O]) int { return cmp.Compare(a.Call, b.Call) })
	return known
}
