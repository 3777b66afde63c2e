package histfile

import (
	"errors"
	"fmt"
	"time"

	"distlabs/internal/harness/check/causal"
	"distlabs/internal/harness/check/history"
	"distlabs/internal/harness/check/sequential"
	"distlabs/internal/harness/check/session"
)

// A clientModel is a consistency model of registers that is judged from each client's operations.
type clientModel struct {
	name, says string
	check      func(ops []history.Op) (*history.Violation, error)
}

var clientModels = []clientModel{
	{"sequential", "sequentially consistent registers", func(ops []history.Op) (*history.Violation, error) {
		return sequential.Check(ops, sequential.Options{})
	}},
	{"causal", "causally consistent registers", func(ops []history.Op) (*history.Violation, error) {
		return causal.Check(ops, causal.Options{})
	}},
	{"causal-convergence", "causally consistent registers with one order of each key's writes", func(ops []history.Op) (*history.Violation, error) {
		return causal.Check(ops, causal.Options{Convergent: true})
	}},
	{"sessions", "all four session guarantees", func(ops []history.Op) (*history.Violation, error) {
		return session.Check(ops, session.Options{})
	}},
	{"read-your-writes", "a client's reads see its own writes", session.CheckReadYourWrites},
	{"monotonic-reads", "a client's reads never go back", session.CheckMonotonicReads},
	{"monotonic-writes", "a client's writes are seen in its order", session.CheckMonotonicWrites},
	{"writes-follow-reads", "a client's writes come after what it had read", session.CheckWritesFollowReads},
}

// registers hands reads and writes to a client model.
type registers struct {
	model clientModel
	ops   linear
	ids   map[string]int
}

func (r *registers) add(op Operation) error {
	switch op.F {
	case "read", "write":
		r.ops.ops = append(r.ops.ops, op)
		return nil
	}
	return unknownF(op, r.model.name, "read", "write")
}

func (r *registers) verdict() (Verdict, error) {
	r.ops.splitKeys()
	r.ids = map[string]int{}
	var ops []history.Op
	for _, op := range r.ops.ops {
		if op.Outcome == Fail || op.F == "read" && op.Outcome != OK {
			continue
		}
		client, known := r.ids[op.Process]
		if !known {
			client = len(r.ids) + 1
			r.ids[op.Process] = client
		}
		o := history.Op{Client: client, Key: "the register", Invoke: time.Duration(op.Begin) * time.Second, Return: time.Duration(op.End) * time.Second,
			Indeterminate: op.Outcome == Info}
		if op.Key != nil {
			o.Key = text(op.Key)
		}
		if op.F == "write" {
			o.Kind = history.Write
		}
		if v := op.Value(); v != nil {
			o.Value = text(v)
		}
		ops = append(ops, o)
	}
	v, err := r.model.check(ops)
	switch {
	case errors.Is(err, history.ErrUndecided), errors.Is(err, history.ErrMalformed):
		return Verdict{Answer: Undecided, Reason: err.Error()}, nil
	case err != nil:
		return Verdict{}, err
	case v == nil:
		return Verdict{Answer: Valid}, nil
	}
	answer := Verdict{Answer: Invalid, Reason: v.Sentence}
	for _, op := range v.Minimal {
		answer.Lines = append(answer.Lines, fmt.Sprintf("%s (client %d: a second stands for an entry of the file)", op.Deed(), op.Client))
	}
	return answer, nil
}
