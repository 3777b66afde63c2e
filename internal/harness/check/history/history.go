// Package history holds what clients saw of a store of registers, in the form
// that the checkers of the consistency models take: sequential, causal, session,
// eventual. (Package linear has a form of its own, for any kind of object.)
//
// A register is read and written as a whole. Every value is written once to a
// key at most, so that it is known which write a read saw; a test has its
// clients write values that differ. The empty string stands for "nothing there
// yet" and is never written.
package history

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Kind says what an operation does.
type Kind int

// The kinds of operation.
const (
	Read Kind = iota
	Write
)

// An Op is one operation as its client saw it.
type Op struct {
	Client int
	Key    string
	Kind   Kind
	Value  string // written or read; "" is what a read finds before any write
	Invoke time.Duration
	Return time.Duration
	// Indeterminate says that no answer came: the operation may have happened at any time
	// since its Invoke, after later operations of its client too, or not at all. Return means nothing.
	Indeterminate bool
	// Where is the node that was asked, if known: it is shown and otherwise not looked at.
	Where string
}

// String tells of the operation in a line: client 3 read x=1 at n2, 2.3s to 2.31s.
func (op Op) String() string {
	at := ""
	if op.Where != "" {
		at = " at " + op.Where
	}
	if op.Indeterminate {
		return fmt.Sprintf("client %d %s%s, called at %s, no answer", op.Client, op.deed(), at, Seconds(op.Invoke))
	}
	return fmt.Sprintf("client %d %s%s, %s to %s", op.Client, op.deed(), at, Seconds(op.Invoke), Seconds(op.Return))
}

// Deed tells of the operation in a clause, with the time at which it was over:
// read x=1 at 2.31s.
func (op Op) Deed() string {
	if op.Indeterminate {
		return fmt.Sprintf("%s at %s (no answer)", op.deed(), Seconds(op.Invoke))
	}
	return fmt.Sprintf("%s at %s", op.deed(), Seconds(op.Return))
}

func (op Op) deed() string {
	switch {
	case op.Kind == Write:
		return "wrote " + op.Assignment()
	case op.Value == "":
		return "found nothing in " + op.Key
	}
	return "read " + op.Assignment()
}

// Assignment is the key and its value: x=1.
func (op Op) Assignment() string {
	if op.Value == "" {
		return op.Key + " empty"
	}
	return op.Key + "=" + op.Value
}

// Seconds prints a time as the record of a run does, to the millisecond, or
// exactly where that would lose something below a millisecond.
func Seconds(d time.Duration) string {
	if d < 10*time.Millisecond && d%time.Millisecond != 0 {
		return d.String()
	}
	return fmt.Sprintf("%.3fs", d.Seconds())
}

// A Violation says why a history is wrong.
type Violation struct {
	Model    string // the model that is violated, such as "sequential consistency"
	Sentence string // one sentence, which names the operations
	Ops      []Op   // the operations that the sentence names
	// Minimal is a part of the history that is wrong already, and of which no
	// operation can be left out (a write goes together with the reads that saw it); by Invoke.
	Minimal []Op
}

// String returns the sentence.
func (v *Violation) String() string { return v.Sentence }

// At is when the last of the operations that the sentence names was over.
func (v *Violation) At() time.Duration {
	var at time.Duration
	for _, op := range v.Ops {
		if !op.Indeterminate {
			at = max(at, op.Return)
		}
	}
	return at
}

// Lines tells of the minimal part, an operation a line.
func (v *Violation) Lines() []string {
	lines := make([]string, len(v.Minimal))
	for i, op := range v.Minimal {
		lines[i] = op.String()
	}
	return lines
}

// Tell makes one sentence of a few operations, client by client:
// "client 1 wrote x=1 at 1s, then found nothing in y at 2s; client 2 …".
func Tell(ops []Op) string {
	ops = slices.Clone(ops)
	slices.SortStableFunc(ops, bySession)
	var b strings.Builder
	for i, op := range ops {
		switch {
		case i > 0 && ops[i-1].Client == op.Client && ops[i-1].Indeterminate:
			b.WriteString(", and ") // it does not come before what follows
		case i > 0 && ops[i-1].Client == op.Client:
			b.WriteString(", then ")
		case i > 0:
			fmt.Fprintf(&b, "; client %d ", op.Client)
		default:
			fmt.Fprintf(&b, "client %d ", op.Client)
		}
		b.WriteString(op.Deed())
	}
	return b.String()
}

func bySession(a, b Op) int {
	return cmp.Or(cmp.Compare(a.Client, b.Client), cmp.Compare(a.Invoke, b.Invoke), cmp.Compare(a.Return, b.Return))
}

func byInvoke(a, b Op) int {
	return cmp.Or(cmp.Compare(a.Invoke, b.Invoke), cmp.Compare(a.Client, b.Client), cmp.Compare(a.Return, b.Return))
}
