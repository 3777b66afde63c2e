package trace

import (
	"testing"

	"github.com/stretchr/testify/require"

	"distlabs/labrpc"
)

var sampleEvent = labrpc.Event{
	Seq: 1, At: 1204, Kind: labrpc.EventSent, Node: 1, Inc: 1, Msg: 7, From: 1, To: 3, Method: "Vote",
	Message: labrpc.Request, Number: 4, Body: voteArgs{Term: 3, Candidate: 1}, Source: "raft.go:41",
}

// Every part of an event that can differ between two runs changes the digest.
func TestDigestSeesEveryField(t *testing.T) {
	tests := []struct {
		name   string
		change func(*labrpc.Event)
	}{
		{name: "kind", change: func(e *labrpc.Event) { e.Kind = labrpc.EventAltered }},
		{name: "at", change: func(e *labrpc.Event) { e.At++ }},
		{name: "node", change: func(e *labrpc.Event) { e.Node++ }},
		{name: "inc", change: func(e *labrpc.Event) { e.Inc++ }},
		{name: "msg", change: func(e *labrpc.Event) { e.Msg++ }},
		{name: "copy", change: func(e *labrpc.Event) { e.Copy++ }},
		{name: "from", change: func(e *labrpc.Event) { e.From++ }},
		{name: "to", change: func(e *labrpc.Event) { e.To++ }},
		{name: "method", change: func(e *labrpc.Event) { e.Method = "Votes" }},
		{name: "message", change: func(e *labrpc.Event) { e.Message = labrpc.OneWay }},
		{name: "number", change: func(e *labrpc.Event) { e.Number++ }},
		{name: "reply to", change: func(e *labrpc.Event) { e.ReplyTo++ }},
		{name: "reason", change: func(e *labrpc.Event) { e.Reason = "loss" }},
		{name: "name", change: func(e *labrpc.Event) { e.Name = "role" }},
		{name: "value", change: func(e *labrpc.Event) { e.Value = "leader" }},
		{name: "body", change: func(e *labrpc.Event) { e.Body = voteArgs{Term: 4, Candidate: 1} }},
		{name: "no body", change: func(e *labrpc.Event) { e.Body = nil }},
	}
	sumOf := func(events ...labrpc.Event) Sum {
		var d Digest
		for _, e := range events {
			d.Observe(e)
		}
		require.Equal(t, len(events), d.Events())
		return d.Sum()
	}
	want := sumOf(sampleEvent)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e := sampleEvent
			test.change(&e)
			require.NotEqual(t, want, sumOf(e))
		})
	}
	other := sampleEvent
	other.Source = "raft.go:42"
	require.Equal(t, want, sumOf(other), "a source line is no behaviour")
	require.NotEqual(t, want, sumOf(sampleEvent, sampleEvent))
	require.NotEqual(t, sumOf(sampleEvent), sumOf(), "an empty run")

	left, right := sampleEvent, sampleEvent
	left.Name, left.Value = "ab", "c"
	right.Name, right.Value = "a", "bc"
	require.NotEqual(t, sumOf(left), sumOf(right), "where one field ends and the next begins")
}

// A sum may be taken in the middle, and does not depend on how the events were gathered.
func TestDigestGoesOn(t *testing.T) {
	var whole, parts Digest
	for range 1000 {
		whole.Observe(sampleEvent)
		parts.Observe(sampleEvent)
		parts.Sum()
	}
	require.Equal(t, whole.Sum(), parts.Sum())
	require.Len(t, whole.Sum().String(), 32)
}

func BenchmarkDigest(b *testing.B) {
	var d Digest
	b.ReportAllocs()
	for b.Loop() {
		d.Observe(sampleEvent)
	}
}

func BenchmarkRecorder(b *testing.B) {
	r := NewRecorder(Header{})
	b.ReportAllocs()
	for b.Loop() {
		r.Observe(sampleEvent)
	}
}
