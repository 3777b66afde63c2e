package histfile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/anishathalye/porcupine"
)

// A linear checker keeps the operations and searches for an order.
type linear struct {
	object
	opts Options
	ops  []Operation
}

// An object is what operations are applied to, one after another.
type object struct {
	name  string
	known []string
	// initial is the state before the first operation. States are compared by ==.
	initial any
	// step returns the state after the operation, and whether its result is possible. An operation with an unknown outcome has no result.
	step func(state any, op Operation) (next any, possible bool, err error)
	// pairs says that values may be pairs of a key and a value, as Jepsen's independent keys are. Each key is an object of its own.
	pairs bool
}

func newLinear(o object, opts Options) *linear { return &linear{object: o, opts: opts} }

func (l *linear) add(op Operation) error {
	if !slices.Contains(l.known, op.F) {
		return unknownF(op, l.name, l.known...)
	}
	if op.Outcome == Fail || op.Outcome == Info && slices.Contains(readers, op.F) {
		return nil // without effect
	}
	if _, _, err := l.step(l.initial, op); err != nil {
		return err
	}
	l.ops = append(l.ops, op)
	return nil
}

var readers = []string{"read", "get"}

func (l *linear) verdict() (Verdict, error) {
	if l.pairs {
		l.splitKeys()
	}
	keys, byKey := groups(l.ops)
	open := false
	for _, key := range keys {
		switch result := porcupine.CheckEventsTimeout(l.model(), events(byKey[key]), l.opts.Timeout); result {
		case porcupine.Illegal:
			v := Verdict{Answer: Invalid, Reason: "no order of the operations explains the results"}
			if key != "" {
				v.Reason = "no order of the operations on key " + key + " explains the results"
			}
			v.Lines = l.evidence(byKey[key])
			return v, nil
		case porcupine.Unknown:
			open = true
		}
	}
	if open {
		return Verdict{Answer: Undecided, Reason: fmt.Sprintf("the search for an order was not over after %v", l.opts.Timeout)}, nil
	}
	return Verdict{Answer: Valid}, nil
}

// splitKeys takes the key out of the values, where all writes have pairs as Jepsen's independent keys are.
func (l *linear) splitKeys() {
	pair := func(v any) bool { list, ok := v.([]any); return ok && len(list) == 2 }
	writes := false
	for _, op := range l.ops {
		if op.F == "write" {
			if op.Key != nil || !pair(op.Call) {
				return
			}
			writes = true
		}
	}
	if !writes {
		return
	}
	for i := range l.ops {
		op := &l.ops[i]
		if list, ok := op.Value().([]any); ok && len(list) == 2 {
			op.Key = list[0]
			op.Call, op.Result = second(op.Call), second(op.Result)
		}
	}
}

func second(v any) any {
	if list, ok := v.([]any); ok && len(list) == 2 {
		return list[1]
	}
	return nil
}

// groups returns the operations of each key, and the keys in the order in which they appear.
func groups(ops []Operation) (keys []string, byKey map[string][]Operation) {
	byKey = map[string][]Operation{}
	for _, op := range ops {
		key := ""
		if op.Key != nil {
			key = text(op.Key)
		}
		if byKey[key] == nil {
			keys = append(keys, key)
		}
		byKey[key] = append(byKey[key], op)
	}
	return keys, byKey
}

// events returns the calls and returns of the operations in the order of the file. Those with an unknown outcome return last.
func events(ops []Operation) []porcupine.Event {
	type event struct {
		at    int
		event porcupine.Event
	}
	var list []event
	last := 0
	for _, op := range ops {
		last = max(last, op.End, op.Begin)
	}
	for i, op := range ops {
		end := op.End
		if op.Outcome == Info {
			last++
			end = last
		}
		list = append(list, event{op.Begin, porcupine.Event{Kind: porcupine.CallEvent, Value: op, Id: i}},
			event{end, porcupine.Event{Kind: porcupine.ReturnEvent, Value: op, Id: i}})
	}
	slices.SortStableFunc(list, func(a, b event) int { return a.at - b.at })
	out := make([]porcupine.Event, len(list))
	for i, e := range list {
		out[i] = e.event
	}
	return out
}

func (l *linear) model() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return l.initial },
		Step: func(state, input, _ any) (bool, any) {
			next, possible, err := l.step(state, input.(Operation))
			return possible && err == nil, next
		},
	}
}

// evidence returns a short history that is wrong already: the operations up to the first completion without which the rest has an order.
func (l *linear) evidence(ops []Operation) []string {
	ends := make([]int, 0, len(ops))
	for _, op := range ops {
		if op.Outcome == OK {
			ends = append(ends, op.End)
		}
	}
	slices.Sort(ends)
	until := func(end int) []Operation {
		var out []Operation
		for _, op := range ops {
			if op.Begin > end {
				continue
			}
			if op.Outcome == OK && op.End > end {
				op.Outcome, op.Result = Info, nil // not completed yet
				if slices.Contains(readers, op.F) {
					continue
				}
			}
			out = append(out, op)
		}
		return out
	}
	limit := l.opts.Timeout / 10
	first := ends[len(ends)-1]
	for low, high := 0, len(ends)-1; low <= high; {
		middle := (low + high) / 2
		if porcupine.CheckEventsTimeout(l.model(), events(until(ends[middle])), limit) == porcupine.Illegal {
			first, high = ends[middle], middle-1
		} else {
			low = middle + 1
		}
	}
	var lines []string
	for _, op := range until(first) {
		switch {
		case op.Outcome == OK && op.End == first:
			lines = append(lines, "the first result that nothing explains: "+describe(op))
		case op.Outcome == Info || op.End > 0 && concurrent(op, first, ops):
			lines = append(lines, "at the same time: "+describe(op))
		}
	}
	before := lastBefore(ops, first)
	if before != "" {
		lines = append(lines, before)
	}
	slices.SortStableFunc(lines, func(a, b string) int {
		return strings.Compare(rank(a), rank(b))
	})
	return lines[:min(len(lines), 12)]
}

func rank(line string) string {
	switch {
	case strings.HasPrefix(line, "the first"):
		return "a"
	case strings.HasPrefix(line, "before"):
		return "b"
	}
	return "c"
}

// concurrent reports whether the operation overlaps the one that ends at the entry.
func concurrent(op Operation, end int, ops []Operation) bool {
	for _, o := range ops {
		if o.Outcome == OK && o.End == end {
			return op.End > o.Begin && op.Begin < o.End
		}
	}
	return false
}

// lastBefore tells of the last change that was complete before the operation that ends at the entry began.
func lastBefore(ops []Operation, end int) string {
	begin := 0
	for _, o := range ops {
		if o.Outcome == OK && o.End == end {
			begin = o.Begin
		}
	}
	var last *Operation
	for i, o := range ops {
		if o.Outcome == OK && o.End < begin && !slices.Contains(readers, o.F) && (last == nil || o.End > last.End) {
			last = &ops[i]
		}
	}
	if last == nil {
		return ""
	}
	return "before it: " + describe(*last)
}
