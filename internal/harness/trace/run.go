// Package trace keeps a recorded run: what every node did and what became of
// every message, with the order of cause and effect between them.
//
// A [Recorder] observes a network and gives a [Run]. A Run can be written and
// read back ([Run.Write], [Read]), asked what could have caused what
// ([Run.Before]), compared with another ([Diff]), and shown as text ([Text], [ShortFaults]). Where only
// the sameness of two runs matters, a [Digest] is far cheaper.
//
// # The file
//
// A run is JSON Lines (schemas/trace.schema.json): a header, then one line for each step. A step is named by
// its index; the first line after the header is step 0. Times are integer
// nanoseconds since the network was made. In the header:
//
//	format     "distlabs-trace"
//	version    1, or 2 where the run has steps of the kinds called, returned, told and seen
//	steps      how many lines follow
//	module, test, seed, nodes, start
//	violation  {"at": …}, the time when the rule broke, if one did
//	failure    the failure as the test reported it; nothing here looks into it
//
// and in a step, where what is zero or empty is left out:
//
//	seq, at, kind, node, inc, msg, copy, from, to, method, message, number,
//	reply_to, source, reason, name, value      as in labrpc.Event; further kinds in kinds.go
//	type, body   the Go type of the message and its value as JSON; where they are
//	             left out and there is an earlier partner, they are the partner's
//	vector       the vector clock: how many steps of n1, n2, … came before or are this one
//	partner      of a send, the step that first received it; of what else speaks of
//	             a message, the step that sent it
//
// A reader may leave vector and partner unread: they follow from the rest.
package trace

import (
	"cmp"
	"encoding/json"
	"time"

	"distlabs/labrpc"
)

// A Header says which run this is.
type Header struct {
	Module    string          `json:"module,omitempty"` // import path of the test's package
	Test      string          `json:"test,omitempty"`
	Seed      uint64          `json:"seed"`
	Nodes     int             `json:"nodes"`
	Start     time.Time       `json:"start,omitzero"` // wall clock when the network was made
	Violation *Violation      `json:"violation,omitempty"`
	Failure   json.RawMessage `json:"failure,omitempty"` // as the test reported it
}

// A Violation is the time when a rule broke.
type Violation struct {
	At time.Duration `json:"at"`
}

// A Run is what happened on a network, in order. Get one from [Recorder.Run] or [Read]; its steps
// must not be changed.
type Run struct {
	Header Header
	Steps  []Step

	order order
}

// A Step is one event of a run, and its place among causes and effects.
type Step struct {
	labrpc.Event        // its own Body is nil
	Type         string // Go type of the message, such as "election.VoteArgs"
	Body         string // the message as JSON; "" if the step speaks of none

	// Vector is the step's vector clock: Vector[n-1] counts the steps at node n
	// that came before it or are it. All incarnations of a node count on.
	Vector []int
	// Partner is the index of the step that first received what this one sent, or that sent
	// what this one speaks of; -1 if there is none.
	Partner int

	forged string // of an EventAltered with which a message begins: what the test did
}

// Word is the word for the step's kind. Of an EventAltered with which a message begins, it says whether the test forged the message or
// sent an earlier one again.
func (s *Step) Word() string { return cmp.Or(s.forged, string(s.Kind)) }
