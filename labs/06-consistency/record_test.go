package consistency_test

import (
	"fmt"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
)

// A callRecord puts the calls of clients into the record of a run, where the page draws them as bars. That a call has
// returned is looked for between the steps of the run: so two calls that return in one instant are always recorded in
// the same order.
type callRecord struct {
	s      *labtest.Sim
	number int
	open   []openCall
}

type openCall struct {
	node   labrpc.NodeID
	id     string
	result func() (string, bool)
}

func newCallRecord(s *labtest.Sim) *callRecord {
	r := &callRecord{s: s}
	if s.Recording() {
		s.Always(func() *labtest.Violation { r.returned(); return nil })
	}
	return r
}

// called records a call that begins; result returns what it returned, and false as long as it has not.
func (r *callRecord) called(node labrpc.NodeID, what string, result func() (string, bool)) {
	if !r.s.Recording() {
		return
	}
	r.number++
	call := openCall{node: node, id: fmt.Sprint("call ", r.number), result: result}
	r.s.Called(node, call.id, what)
	r.open = append(r.open, call)
}

func (r *callRecord) returned() {
	still := r.open[:0]
	for _, call := range r.open {
		if what, over := call.result(); over {
			r.s.Returned(call.node, call.id, what)
		} else {
			still = append(still, call)
		}
	}
	r.open = still
}
