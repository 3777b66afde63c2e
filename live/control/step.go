package control

import (
	"time"

	"distlabs/internal/harness/trace"
	"distlabs/labrpc"
)

// A Step is an event of a node, as it travels to the command. Its fields are those of labrpc.Event, and At is the time since 1970: the
// processes of one machine have one clock.
type Step struct {
	Event event  `json:"e"`
	Type  string `json:"t,omitzero"` // see trace.Step
	Body  string `json:"b,omitzero"`
}

// An event has the fields of labrpc.Event, with short names; a conversion holds the two together.
type event struct {
	Seq     uint64             `json:"-"`
	At      time.Duration      `json:"a"`
	Kind    labrpc.EventKind   `json:"k"`
	Node    labrpc.NodeID      `json:"n,omitzero"`
	Inc     int                `json:"i,omitzero"`
	Msg     uint64             `json:"m,omitzero"`
	Copy    int                `json:"c,omitzero"`
	From    labrpc.NodeID      `json:"f,omitzero"`
	To      labrpc.NodeID      `json:"t,omitzero"`
	Method  string             `json:"d,omitzero"`
	Message labrpc.MessageKind `json:"g,omitzero"`
	Number  uint64             `json:"u,omitzero"`
	ReplyTo uint64             `json:"r,omitzero"`
	Body    any                `json:"-"`
	Source  string             `json:"s,omitzero"`
	Reason  string             `json:"w,omitzero"`
	Name    string             `json:"e,omitzero"`
	Value   string             `json:"v,omitzero"`
}

// NewStep makes a step of an event that happens now.
func NewStep(e labrpc.Event) Step {
	e.At = time.Duration(time.Now().UnixNano())
	s := trace.StepOf(e)
	return Step{Event: event(s.Event), Type: s.Type, Body: s.Body}
}

// Trace returns the step as the harness knows it.
func (s Step) Trace() trace.Step {
	return trace.Step{Event: labrpc.Event(s.Event), Type: s.Type, Body: s.Body, Partner: -1}
}
