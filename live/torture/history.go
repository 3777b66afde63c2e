package torture

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"distlabs/internal/harness/check/linear"
	"distlabs/live/control"
)

// A register is what a key is in the model: a value with a revision.
type register struct {
	Data     string
	Exists   bool
	Revision int  // of the value; the last one known, if Loose
	Loose    bool // the value's own revision is not known: its writer got no reply
}

type input struct {
	Op, Key, Data string
	At            int
}

type output struct {
	Data     string
	Revision int
	Err      string
}

// model is the sequential specification of one key (rules 20 and 24 of lab 05).
var model = linear.Model[register, input, output]{Step: step}

func step(s register, in input, out *output) (register, bool) {
	failed := out != nil && out.Err != ""
	switch in.Op {
	case "get":
		if out == nil {
			return s, true
		}
		if !s.mayBeAt(out.Revision) || out.Data != s.Data {
			return s, false
		}
		s.Revision = max(s.Revision, out.Revision)
		s.Loose = false
		return s, true
	case "delete":
		return register{Revision: s.Revision}, true
	case "create":
		if failed {
			return s, s.Exists
		}
		if s.Exists {
			return s, out == nil
		}
	case "set":
		if failed {
			return s, s.Loose || !s.mayBeAt(in.At)
		}
		if !s.mayBeAt(in.At) {
			return s, out == nil
		}
		s.Revision = max(s.Revision, in.At)
	}
	if out == nil {
		return register{Data: in.Data, Exists: true, Revision: s.Revision, Loose: true}, true
	}
	return register{Data: in.Data, Exists: true, Revision: out.Revision}, out.Revision > s.Revision
}

// mayBeAt reports whether the key may be at that revision.
func (s register) mayBeAt(revision int) bool {
	switch {
	case !s.Exists:
		return revision == 0
	case s.Loose:
		return revision > s.Revision
	}
	return revision == s.Revision
}

// unknown reports whether nobody knows what a command has done.
func unknown(op control.Operation) bool {
	return !op.Returned || op.Err != "" && op.Err != "ErrExists" && op.Err != "ErrConflict"
}

type operation = linear.Op[input, output]

func describe(op operation) string {
	what := fmt.Sprintf("%v %s %s", op.In.Op, op.In.Key, op.In.Data)
	if op.In.Op == "set" {
		what = fmt.Sprintf("%s at revision %d", what, op.In.At)
	}
	called := op.Call.Round(time.Millisecond)
	switch {
	case op.Pending:
		return fmt.Sprintf("n%d: %s from %v, outcome unknown", op.Client, what, called)
	case op.Out.Err != "":
		return fmt.Sprintf("n%d: %s = %s, from %v to %v", op.Client, what, op.Out.Err, called, op.Return.Round(time.Millisecond))
	}
	return fmt.Sprintf("n%d: %s = %q, revision %d, from %v to %v", op.Client, what, op.Out.Data, op.Out.Revision, called, op.Return.Round(time.Millisecond))
}

// checkHistory checks that what the clients saw is linearizable. It returns one sentence, or "", the page of a violation, and the command whose
// result is not possible.
func checkHistory(ops []control.Operation) (anomaly string, page func(io.Writer) error, at operation, err error) {
	var history []operation
	for _, op := range ops {
		if unknown(op) && op.Op == "get" {
			continue // says nothing
		}
		history = append(history, operation{
			Client: int(op.Client), Key: op.Key, In: input{Op: op.Op, Key: op.Key, Data: op.Data, At: op.At},
			Out: output{Data: op.Got, Revision: op.Revision, Err: op.Err}, Call: op.Call, Return: op.Return, Pending: unknown(op),
		})
	}
	err = linear.Check(model, history, linear.Options{})
	if wrong, ok := errors.AsType[*linear.Violation[input, output]](err); ok {
		page = func(w io.Writer) error { return linear.Page(w, model, wrong, describe, linear.Options{}) }
		return "the history is not linearizable, because no order of the commands allows this result: " + describe(wrong.Op) + " (rule 20)", page, wrong.Op, nil
	}
	return "", nil, at, err
}

// maxAnomalies is how many sentences one check may say: one mistake is often seen in every answer.
const maxAnomalies = 5

// checkWatch compares what a watch of all keys has reported with what the clients were told (rules 21, 23 and 25). It returns a sentence for each anomaly, and
// which event showed the first one: as many as there are, if none did.
func checkWatch(ops []control.Operation, events []control.Event) (anomalies []string, first int) {
	first = len(events)
	current := first
	add := func(format string, args ...any) {
		if len(anomalies) == 0 {
			first = current
		}
		if len(anomalies) < maxAnomalies {
			anomalies = append(anomalies, fmt.Sprintf(format, args...))
		}
	}
	byData := map[string]control.Operation{}
	last := 0
	for _, op := range ops {
		if op.Data != "" {
			byData[op.Data] = op
		}
		if !unknown(op) && op.Err == "" {
			last = max(last, op.Revision)
		}
	}
	seen := map[string]int{}
	for i, e := range events {
		current = i
		if e.Ended != "" {
			add("the watch ended: %s (rule 25)", e.Ended)
			break
		}
		if e.Revision != i+1 {
			add("the watch reported revision %d after revision %d (rule 25)", e.Revision, i)
			break
		}
		op, known := byData[e.Data]
		switch {
		case e.Deleted || !known:
			continue // a deletion, or a change of a gateway
		case seen[e.Data] != 0:
			add("%s %s of n%d took effect twice, as revisions %d and %d (rule 21)", op.Op, op.Data, op.Client, seen[e.Data], e.Revision)
		case op.Key != e.Key:
			add("revision %d is %q under %s, but it was written to %s (rule 20)", e.Revision, e.Data, e.Key, op.Key)
		case op.Err == "ErrExists" || op.Err == "ErrConflict":
			add("%s %s of n%d returned %s, but took effect as revision %d (rule 24)", op.Op, op.Data, op.Client, op.Err, e.Revision)
		case !unknown(op) && op.Revision != e.Revision:
			add("%s %s of n%d returned revision %d, but took effect as revision %d (rule 23)", op.Op, op.Data, op.Client, op.Revision, e.Revision)
		}
		seen[e.Data] = e.Revision
	}
	if len(anomalies) > 0 {
		return anomalies, first
	}
	current = len(events)
	if reached := len(events); reached < last {
		add("the watch reported the changes up to revision %d, but a client was told of revision %d (rule 25)", reached, last)
		return anomalies, first
	}
	for _, op := range ops {
		writes := slices.Contains([]string{"put", "set", "create"}, op.Op)
		if writes && !unknown(op) && op.Err == "" && seen[op.Data] == 0 {
			add("%s %s of n%d returned revision %d, but the watch did not report it (rule 25)", op.Op, op.Data, op.Client, op.Revision)
		}
	}
	return anomalies, first
}
