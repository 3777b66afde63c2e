package history

import (
	"errors"
	"fmt"
	"slices"
)

// ErrMalformed: what was handed in is no history of registers. Every checker
// returns it wrapped, with the operation.
var ErrMalformed = errors.New("a malformed history")

// ErrUndecided: the checker reached its limit. Nothing is known about the
// history; it is an error of the test, and never a pass.
var ErrUndecided = errors.New("undecided")

// An Index is a history made ready for a checker. Operations go by their index
// in Ops.
type Index struct {
	// Ops are sorted by client and then by time. Without those that cannot
	// matter: a read without an answer, and a write without an answer that nobody saw.
	Ops  []Op
	From []int // of a read: the write that it saw, or Nothing
}

// Nothing is in Index.From for a read that found no value, and for a write.
const Nothing = -1

// Prepare makes an Index. Of a read that saw a value which nobody wrote it
// returns a violation (of every model). The error wraps ErrMalformed.
func Prepare(model string, ops []Op) (*Index, *Violation, error) {
	ops = slices.Clone(ops)
	slices.SortStableFunc(ops, bySession)
	type cell struct{ key, value string }
	seen, written := map[cell]bool{}, map[cell]int{}
	last := Nothing // the client's last operation that was answered
	for i, op := range ops {
		if last != Nothing && ops[last].Client != op.Client {
			last = Nothing
		}
		switch {
		case op.Kind == Write && op.Value == "":
			return nil, nil, fmt.Errorf("%w: the empty value is written: %v", ErrMalformed, op)
		case !op.Indeterminate && op.Return < op.Invoke:
			return nil, nil, fmt.Errorf("%w: it returns before its call: %v", ErrMalformed, op)
		case last != Nothing && op.Invoke < ops[last].Return:
			return nil, nil, fmt.Errorf("%w: a client does two things at once: %v; %v", ErrMalformed, ops[last], op)
		}
		if !op.Indeterminate {
			last = i
			if op.Kind == Read {
				seen[cell{op.Key, op.Value}] = true
			}
		}
	}
	ix := &Index{}
	for _, op := range ops {
		c := cell{op.Key, op.Value}
		if op.Indeterminate && (op.Kind == Read || !seen[c]) {
			continue
		}
		if op.Kind == Write {
			if other, twice := written[c]; twice {
				return nil, nil, fmt.Errorf("%w: one value is written twice: %v; %v", ErrMalformed, ix.Ops[other], op)
			}
			written[c] = len(ix.Ops)
		}
		ix.Ops = append(ix.Ops, op)
	}
	for _, op := range ix.Ops {
		from, ok := written[cell{op.Key, op.Value}]
		switch {
		case op.Kind == Write || op.Value == "":
			from = Nothing
		case !ok:
			return nil, &Violation{
				Model: model, Sentence: fmt.Sprintf("client %d %s, which nobody wrote", op.Client, op.Deed()),
				Ops: []Op{op}, Minimal: []Op{op},
			}, nil
		}
		ix.From = append(ix.From, from)
	}
	return ix, nil, nil
}

// Before reports whether a comes before b in the session of one client. What
// was not answered comes before nothing: it may still happen when its client has gone on.
func (ix *Index) Before(a, b int) bool {
	return a < b && ix.Ops[a].Client == ix.Ops[b].Client && !ix.Ops[a].Indeterminate
}

// Clients returns the first and the past-the-last index of each client's operations.
func (ix *Index) Clients() [][2]int {
	var spans [][2]int
	for i := range ix.Ops {
		if i == 0 || ix.Ops[i].Client != ix.Ops[i-1].Client {
			spans = append(spans, [2]int{i, i})
		}
		spans[len(spans)-1][1] = i + 1
	}
	return spans
}

// Writes returns the writes of each key.
func (ix *Index) Writes() map[string][]int {
	writes := map[string][]int{}
	for i, op := range ix.Ops {
		if op.Kind == Write {
			writes[op.Key] = append(writes[op.Key], i)
		}
	}
	return writes
}

// RealTime adds to an order of writes that one which was answered before another
// was called comes before it: so it is in a store whose writes are linearizable,
// whatever its reads are.
func (ix *Index) RealTime(order *Order) {
	var writes []int
	for i, op := range ix.Ops {
		if op.Kind == Write {
			writes = append(writes, i)
		}
	}
	// Those that follow closely come first, so that the rest is implied.
	slices.SortFunc(writes, func(a, b int) int { return byInvoke(ix.Ops[a], ix.Ops[b]) })
	for later := range writes {
		for earlier := later - 1; earlier >= 0; earlier-- {
			a, b := writes[earlier], writes[later]
			if precedes(ix.Ops[a], ix.Ops[b]) {
				order.Add(a, b)
			}
		}
	}
}

// precedes reports whether a was over when b began. Two that take no time and
// fall on one instant are concurrent.
func precedes(a, b Op) bool {
	return !a.Indeterminate && (a.Return < b.Invoke || a.Return == b.Invoke && a.Invoke < a.Return)
}
