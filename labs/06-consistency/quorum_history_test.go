package consistency_test

import (
	"errors"
	"fmt"
	"io"

	"distlabs/internal/harness/check/linear"
	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	consistency "distlabs/labs/06-consistency"
)

// A quorumHistory records what clients see of one key at QUORUM.
type quorumHistory struct {
	q      *quorumStore
	calls  []*quorumCall
	ops    map[*quorumCall]*quorumOp
	order  []*quorumOp
	values map[consistency.Timestamp]string // by the timestamp that a call returned
}

type quorumOp = linear.Op[quorumAccess, string]

// A quorumAccess is a write of a value, or a read, for "".
type quorumAccess struct{ write string }

func (a quorumAccess) String() string {
	if a.write == "" {
		return "get x"
	}
	return "put x=" + a.write
}

var quorumRegister = linear.Model[string, quorumAccess, string]{
	Step: func(state string, in quorumAccess, out *string) (string, bool) {
		if in.write != "" {
			return in.write, true
		}
		return state, out == nil || *out == state
	},
}

func (t *quorumHistory) put(client int, via labrpc.NodeID) *quorumCall {
	value := t.q.value()
	return t.record(client, quorumAccess{write: value}, t.q.goPut(via, "x", value, consistency.Quorum))
}

func (t *quorumHistory) get(client int, via labrpc.NodeID) *quorumCall {
	return t.record(client, quorumAccess{}, t.q.goGet(via, "x", consistency.ReadOptions{Level: consistency.Quorum}))
}

func (t *quorumHistory) record(client int, in quorumAccess, call *quorumCall) *quorumCall {
	op := &quorumOp{Client: client, Key: "x", In: in, Call: call.began, Pending: true}
	if t.ops == nil {
		t.ops = map[*quorumCall]*quorumOp{}
		t.values = map[consistency.Timestamp]string{}
	}
	t.ops[call] = op
	t.order = append(t.order, op)
	t.calls = append(t.calls, call)
	return call
}

// finish waits for a call and records its result. A write that failed may
// take effect at any later time.
func (t *quorumHistory) finish(call *quorumCall) (consistency.Cell, error) {
	cell, err := t.q.wait(call)
	if op := t.ops[call]; err == nil {
		op.Pending, op.Return = false, call.ended
		if op.In.write == "" {
			op.Out = cell.Value
		}
		if other, ok := t.values[cell.Timestamp]; ok && other != cell.Value {
			t.q.s.Failf(ruleNewer, "%s returned %s at %v, but an earlier call returned the value %q with the same timestamp", call.what, quorumCell(cell), labtest.At(call.ended), other)
		}
		t.values[cell.Timestamp] = cell.Value
	}
	return cell, err
}

func (t *quorumHistory) wrote(call *quorumCall) bool { return t.ops[call].In.write != "" }

// check checks the history with Porcupine.
func (t *quorumHistory) check() {
	history := make([]quorumOp, len(t.order))
	for i, op := range t.order {
		history[i] = *op
	}
	err := linear.Check(quorumRegister, history, linear.Options{})
	var v *linear.Violation[quorumAccess, string]
	if errors.As(err, &v) {
		var seen []string
		for _, op := range v.Before {
			seen = append(seen, op.String())
		}
		t.q.s.Fail(labtest.Violation{
			What: fmt.Sprintf("the history is not linearizable, because no order of the operations allows this result: %v", v.Op),
			Rule: "with reads and writes at QUORUM, each key is linearizable (rules 24, 25 and 27)",
			Seen: quorumTail(seen), At: v.Op.Return,
			Page: func(w io.Writer) error { return linear.Page(w, quorumRegister, v, nil, linear.Options{}) },
		})
	} else if err != nil {
		panic(err) // the check, not the student
	}
}

// quorumTail keeps only the last lines: the page has all of them.
func quorumTail(lines []string) []string {
	const most = 12
	if len(lines) <= most {
		return lines
	}
	return append([]string{fmt.Sprintf("… %d before", len(lines)-most)}, lines[len(lines)-most:]...)
}
