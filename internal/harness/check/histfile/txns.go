package histfile

import (
	"fmt"
	"io"
	"strings"
	"time"

	"distlabs/internal/harness/check/isolation"
)

// A txns checker hands transactions to package isolation.
type txns struct {
	level   isolation.Level
	opts    Options
	history isolation.History
	values  map[any]int64
	names   []string
	first   map[string]int
}

// transactions returns the model of an isolation level.
func transactions(level string) func(Options) checker {
	l, err := isolation.ParseLevel(level)
	if err != nil {
		panic(err)
	}
	return func(o Options) checker {
		t := &txns{level: l, opts: o, values: map[any]int64{}, first: map[string]int{}}
		t.history.Value = func(v int64) string { return t.names[v] }
		t.history.When = func(d time.Duration) string { return fmt.Sprintf("entry %d", d) }
		return t
	}
}

// value numbers a value of any sort.
func (t *txns) value(v any) int64 {
	v = hashable(v)
	n, known := t.values[v]
	if !known {
		n = int64(len(t.names))
		t.values[v] = n
		t.names = append(t.names, text(v))
	}
	return n
}

func (t *txns) add(op Operation) error {
	value := op.Value()
	micros, ok := value.([]any)
	if !ok {
		return fmt.Errorf("the value of %s is %s, want a transaction: a list of [f key value]", op.F, text(value))
	}
	txn := isolation.Txn{ID: op.Begin, Call: time.Duration(op.Begin), Return: time.Duration(op.End), Session: t.session(op.Process)}
	switch op.Outcome {
	case Fail:
		txn.Outcome = isolation.Aborted
	case Info:
		txn.Outcome = isolation.Unknown
	}
	for _, m := range micros {
		f, key, v, err := micro(m)
		if err != nil {
			return err
		}
		o := isolation.Op{Key: text(key)}
		switch f {
		case "r", "read":
			if op.Outcome != OK {
				continue // what it read is not known
			}
			switch v := v.(type) {
			case nil:
				o.Absent = true
			case []any:
				o.List = []int64{}
				for _, x := range v {
					o.List = append(o.List, t.value(x))
				}
			default:
				o.Value = t.value(v)
			}
		case "w", "write":
			o.Kind, o.Value = isolation.Write, t.value(v)
		case "append":
			o.Kind, o.Value = isolation.Append, t.value(v)
		default:
			return fmt.Errorf("a transaction has r, w and append, not %q", f)
		}
		txn.Ops = append(txn.Ops, o)
	}
	t.history.Txns = append(t.history.Txns, txn)
	return nil
}

func (t *txns) session(process string) int {
	n, known := t.first[process]
	if !known {
		n = len(t.first) + 1
		t.first[process] = n
	}
	return n
}

func (t *txns) verdict() (Verdict, error) {
	r, err := isolation.Check(&t.history)
	if err != nil {
		return Verdict{}, err
	}
	if r.Refuted <= t.level {
		v := Verdict{Answer: Invalid}
		a, _ := r.Violation(t.level)
		lines := a.Lines()
		v.Reason = fmt.Sprintf("%s: %s. The history is %s.", a.Kind, lines[0], strongest(r))
		v.Lines = append(lines[1:], t.others(r, a)...)
		for _, txn := range a.Txns {
			v.Lines = append(v.Lines, t.history.Describe(&t.history.Txns[txn]))
		}
		v.Page = func(w io.Writer) error { return isolation.Page(w, &t.history, a) }
		return v, nil
	}
	if r.Level < t.level {
		return Verdict{Answer: Undecided, Reason: r.Why}, nil
	}
	return Verdict{Answer: Valid, Reason: "The history is " + strongest(r) + "."}, nil
}

func strongest(r *isolation.Report) string {
	switch {
	case r.Level == isolation.NoLevel:
		return "at " + r.Level.String() + ", not even at read uncommitted"
	case r.Exact:
		return "at " + r.Level.String() + ", and at no stronger level"
	}
	return "at " + r.Level.String() + " at least"
}

// others counts the anomalies of other kinds.
func (t *txns) others(r *isolation.Report, shown isolation.Anomaly) []string {
	var words []string
	seen := map[isolation.Kind]bool{}
	for _, a := range r.Anomalies {
		n := r.Count[a.Kind]
		if a.Kind == shown.Kind {
			n--
		}
		if !seen[a.Kind] && n > 0 {
			words = append(words, fmt.Sprintf("%s (%d)", a.Kind, n))
		}
		seen[a.Kind] = true
	}
	if len(words) == 0 {
		return nil
	}
	return []string{"also found: " + strings.Join(words, ", ")}
}
