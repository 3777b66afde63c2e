package histfile

import (
	"fmt"
	"slices"
)

// An Operation is a call with what became of it.
type Operation struct {
	Process string
	F       string
	Key     any
	Call    any // the value of the call
	Result  any // the value of the completion; of an operation that did not end well, nil
	Outcome Type
	// Begin and End are numbers of entries: the history's order is its real time. End means nothing if the outcome is Info.
	Begin, End int
	Line, Ends int // lines of the file
}

// Value is the result, or what was asked for if the operation has no result.
func (o Operation) Value() any {
	if o.Result != nil {
		return o.Result
	}
	return o.Call
}

// A pairer matches completions with calls.
type pairer struct {
	open map[string]Operation
}

func newPairer() *pairer { return &pairer{open: map[string]Operation{}} }

// add takes an entry, and returns the operation that it completes.
func (p *pairer) add(e Entry) (op Operation, complete bool, err error) {
	before, running := p.open[e.Process]
	if e.Type == Invoke {
		if running {
			if !e.named {
				return op, false, fmt.Errorf("a call while the one of line %d is not complete, and neither names its process: calls that overlap need :process", before.Line)
			}
			return op, false, fmt.Errorf("process %s calls %s while its call of line %d is not complete", e.Process, e.F, before.Line)
		}
		p.open[e.Process] = Operation{Process: e.Process, F: e.F, Key: e.Key, Call: e.Value, Begin: e.Number, Line: e.Line}
		return op, false, nil
	}
	if !running {
		if e.Type == Info {
			return op, false, nil // about the process, not about an operation
		}
		return op, false, fmt.Errorf("process %s completes (%s %s) what it did not call", e.Process, e.Type, e.F)
	}
	if e.F != "" && before.F != e.F {
		return op, false, fmt.Errorf("process %s completes %s, but it called %s on line %d", e.Process, e.F, before.F, before.Line)
	}
	delete(p.open, e.Process)
	before.Outcome, before.End, before.Ends = e.Type, e.Number, e.Line
	if e.Type == OK {
		before.Result = e.Value
	}
	return before, true, nil
}

// rest returns the operations that were never completed, in the order of their calls.
func (p *pairer) rest() []Operation {
	var ops []Operation
	for _, op := range p.open {
		op.Outcome = Info
		ops = append(ops, op)
	}
	slices.SortFunc(ops, func(a, b Operation) int { return a.Begin - b.Begin })
	return ops
}
