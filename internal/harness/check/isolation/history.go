package isolation

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Outcome is what the client knows of how its transaction ended.
type Outcome uint8

// The outcomes. An unknown transaction may have been committed or not: its client received no answer.
const (
	Committed Outcome = iota
	Aborted
	Unknown
)

// String returns the outcome as a word.
func (o Outcome) String() string {
	return [...]string{"committed", "aborted", "unknown"}[o]
}

// OpKind is what an operation does.
type OpKind uint8

// The kinds of operation. The keys that are appended to are lists, the others are registers.
const (
	Read OpKind = iota
	Write
	Append
	Scan // a range read
)

// An Op is one operation of a transaction, as its client saw it.
type Op struct {
	Kind OpKind
	Key  string // not of a Scan
	// Value is what was written or appended, or what a register was read to be. Of one key, each value is
	// written at most once in a whole history, so that it is known who wrote what was read.
	Value int64
	// List is what a list was read to be. It is nil for a register.
	List []int64
	// Absent says that a read found no value.
	Absent bool
	// From and To bound the keys of a Scan: From <= key < To, and no upper bound if To is empty. Found has a
	// Read for each key that was found.
	From, To string
	Found    []Op
}

// R is a read of a register.
func R(key string, value int64) Op { return Op{Kind: Read, Key: key, Value: value} }

// Missing is a read that found no value.
func Missing(key string) Op { return Op{Kind: Read, Key: key, Absent: true} }

// W is a write of a register.
func W(key string, value int64) Op { return Op{Kind: Write, Key: key, Value: value} }

// L is a read of a list.
func L(key string, list ...int64) Op {
	return Op{Kind: Read, Key: key, List: append([]int64{}, list...), Absent: len(list) == 0}
}

// A is an append to a list.
func A(key string, value int64) Op { return Op{Kind: Append, Key: key, Value: value} }

// S is a range read of from <= key < to.
func S(from, to string, found ...Op) Op { return Op{Kind: Scan, From: from, To: to, Found: found} }

// A Txn is one transaction, as its client saw it.
type Txn struct {
	// ID names the transaction in sentences: T7.
	ID      int
	Session int // the client; the transactions of one session follow each other in the order of the history
	Call    time.Duration
	Return  time.Duration // when the client knew the outcome; means nothing if it never did
	Outcome Outcome
	Ops     []Op   // in the order in which the client made them
	Label   string // how sentences name the transaction instead of T and its ID, if not empty
}

// Name is how sentences name the transaction.
func (t *Txn) Name() string {
	if t.Label != "" {
		return t.Label
	}
	return "T" + strconv.Itoa(t.ID)
}

// A History is what all clients saw, in any order, except that the transactions of a session are in their order.
type History struct {
	Txns []Txn
	// Value, if not nil, prints a value: a history that is read from a file may stand for values other than numbers.
	Value func(int64) string
	// When, if not nil, prints a time: a history that is read from a file may count entries instead.
	When func(time.Duration) string
}

func (h *History) value(v int64) string {
	if h.Value != nil {
		return h.Value(v)
	}
	return strconv.FormatInt(v, 10)
}

func (h *History) list(l []int64) string {
	var b strings.Builder
	b.WriteByte('[')
	const shown = 12
	for i, v := range l {
		switch {
		case len(l) > shown && i == 3:
			fmt.Fprintf(&b, " … (%d more)", len(l)-shown)
			continue
		case len(l) > shown && i > 3 && i < len(l)-shown+4:
			continue
		case i > 0:
			b.WriteByte(' ')
		}
		b.WriteString(h.value(v))
	}
	b.WriteByte(']')
	return b.String()
}

// Op tells of an operation in a few words: read x = [1 3].
func (h *History) Op(op Op) string {
	switch {
	case op.Kind == Write:
		return "wrote " + op.Key + " = " + h.value(op.Value)
	case op.Kind == Append:
		return "appended " + h.value(op.Value) + " to " + op.Key
	case op.Kind == Scan:
		found := make([]string, len(op.Found))
		for i, f := range op.Found {
			found[i] = f.Key + " = " + h.seen(f)
		}
		to := op.To
		if to == "" {
			to = "the end"
		}
		if len(found) == 0 {
			return fmt.Sprintf("found nothing from %s to %s", op.From, to)
		}
		return fmt.Sprintf("found %s from %s to %s", strings.Join(found, ", "), op.From, to)
	case op.Absent && op.List == nil:
		return "found no " + op.Key
	}
	return "read " + op.Key + " = " + h.seen(op)
}

func (h *History) seen(op Op) string {
	switch {
	case op.List != nil || op.Absent:
		return h.list(op.List)
	}
	return h.value(op.Value)
}

// Describe tells of a transaction in a line.
func (h *History) Describe(t *Txn) string {
	ops := make([]string, len(t.Ops))
	for i, op := range t.Ops {
		ops[i] = h.Op(op)
	}
	return fmt.Sprintf("%s (session %d, %s): %s", t.Name(), t.Session, t.Outcome, strings.Join(ops, ", "))
}

// inRange reports whether the scan covers the key.
func (op *Op) inRange(key string) bool { return key >= op.From && (op.To == "" || key < op.To) }

// finds returns the read of the key among those that a scan found.
func (op *Op) finds(key string) (Op, bool) {
	i := slices.IndexFunc(op.Found, func(f Op) bool { return f.Key == key })
	if i < 0 {
		return Op{}, false
	}
	return op.Found[i], true
}
