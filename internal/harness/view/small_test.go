package view

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"distlabs/internal/harness/report"
	"distlabs/internal/harness/trace"
	"distlabs/labrpc"
)

// A logWriter writes a run by hand, event by event.
type logWriter struct {
	rec *trace.Recorder
	seq uint64
	msg uint64
	at  time.Duration
}

func newLogWriter(h trace.Header) *logWriter { return &logWriter{rec: trace.NewRecorder(h)} }

// event records e at the present time.
func (s *logWriter) event(e labrpc.Event) {
	s.seq++
	e.Seq, e.At = s.seq, s.at
	if e.Node != 0 && e.Inc == 0 {
		e.Inc = 1
	}
	s.rec.Observe(e)
}

func (s *logWriter) wait(d time.Duration) { s.at += d }

func (s *logWriter) start(nodes int) {
	for n := 1; n <= nodes; n++ {
		s.event(labrpc.Event{Kind: labrpc.EventStarted, Node: labrpc.NodeID(n)})
	}
}

func (s *logWriter) note(node labrpc.NodeID, name, value string) {
	s.event(labrpc.Event{Kind: labrpc.EventNoted, Node: node, Name: name, Value: value})
}

// send records the sending of a message and returns it, to be delivered or lost.
func (s *logWriter) send(from, to labrpc.NodeID, method string, body any) labrpc.Event {
	s.msg++
	e := labrpc.Event{Kind: labrpc.EventSent, Node: from, Msg: s.msg, From: from, To: to, Method: method,
		Message: labrpc.OneWay, Number: s.msg, Body: body, Source: "view/sample_test.go:81"}
	s.event(e)
	return e
}

func (s *logWriter) deliver(e labrpc.Event) {
	e.Kind, e.Node, e.Source = labrpc.EventDelivered, e.To, ""
	s.event(e)
}

func (s *logWriter) lose(e labrpc.Event, reason string) {
	e.Kind, e.Node, e.Source, e.Reason = labrpc.EventLost, 0, "", reason
	s.event(e)
}

type vote struct {
	Term int
	For  string
}

// small is a run with one of nearly everything, short enough to read.
func small(t testing.TB) *trace.Run {
	t.Helper()
	s := newLogWriter(trace.Header{Module: "./labs/04-election", Test: "TestVotes4A", Seed: 7, Nodes: 3})
	s.start(3)
	s.note(1, "role", "follower")
	s.wait(10 * time.Millisecond)
	s.note(1, "role", "candidate")
	s.note(1, "term", "1")
	a, b := s.send(1, 2, "Vote", vote{1, "n1"}), s.send(1, 3, "Vote", vote{1, "n1"})
	s.lose(b, "loss")
	s.wait(3 * time.Millisecond)
	s.deliver(a)
	s.event(labrpc.Event{Kind: labrpc.EventWrote, Node: 2, Name: "vote"})
	s.wait(2 * time.Millisecond)
	s.event(labrpc.Event{Kind: labrpc.EventMarked, Value: "n3 is cut off"})
	for _, l := range [][2]labrpc.NodeID{{1, 3}, {3, 1}, {2, 3}, {3, 2}} {
		s.event(labrpc.Event{Kind: labrpc.EventCut, From: l[0], To: l[1]})
	}
	s.wait(time.Millisecond)
	dup := a
	dup.Copy = 1
	s.deliver(dup)
	s.event(labrpc.Event{Kind: labrpc.EventLogged, Node: 2, Value: "vote <again>"})
	s.wait(4 * time.Millisecond)
	s.event(labrpc.Event{Kind: labrpc.EventCrashed, Node: 2})
	s.wait(2 * time.Millisecond)
	s.event(labrpc.Event{Kind: labrpc.EventStarted, Node: 2, Inc: 2})
	s.event(labrpc.Event{Kind: labrpc.EventPaused, Node: 1, Value: "5ms"})
	s.wait(5 * time.Millisecond)
	s.event(labrpc.Event{Kind: labrpc.EventResumed, Node: 1})
	for _, l := range [][2]labrpc.NodeID{{1, 3}, {3, 1}, {2, 3}, {3, 2}} {
		s.event(labrpc.Event{Kind: labrpc.EventHealed, From: l[0], To: l[1]})
	}
	s.wait(time.Millisecond)
	s.note(1, "role", "leader")
	run := s.rec.Run()
	fail(t, run, report.Failure{Test: "TestVotes4A", What: "n1 leads with one vote", Rule: "a leader has a majority"})
	run.Header.Violation = &trace.Violation{At: s.at}
	return run
}

func fail(t testing.TB, run *trace.Run, f report.Failure) {
	t.Helper()
	raw, err := json.Marshal(f)
	require.NoError(t, err)
	run.Header.Failure = raw
}

// evil are strings that a hostile or careless student might make a run of.
var evil = []string{
	`</script><img src=x onerror="window.pwned=1">`,
	`<!--<script>`, `]]></script><script>window.pwned=1</script>`,
	"{{script}} {{data}} ${window.pwned=1}", "\u2028window.pwned=1\u2029",
	"javascript:window.pwned=1", "\x1b[31mred\x00", "abc\u202edcba", "__proto__", "constructor", "",
}

// hostile is a run in which every string is one of the evil ones.
func hostile(t testing.TB) *trace.Run {
	t.Helper()
	s := newLogWriter(trace.Header{Module: evil[0], Test: evil[0], Seed: 1<<64 - 1, Nodes: 3})
	s.start(3)
	for _, x := range evil {
		s.wait(time.Millisecond)
		s.note(1, x, x)
		s.note(2, "role", x)
		e := s.send(1, 2, x, map[string]string{x: x})
		l := s.send(2, 3, x, x)
		s.event(labrpc.Event{Kind: labrpc.EventSent, Node: 3, Msg: s.msg + 1000, From: 3, To: 1, Method: "m", Message: labrpc.OneWay, Source: x + ":3", Body: 1})
		s.event(labrpc.Event{Kind: labrpc.EventLogged, Node: 2, Value: x})
		s.event(labrpc.Event{Kind: labrpc.EventMarked, Value: x})
		s.event(labrpc.Event{Kind: labrpc.EventWrote, Node: 3, Name: x})
		s.event(labrpc.Event{Kind: labrpc.EventPaused, Node: 3, Value: x})
		s.wait(time.Millisecond)
		s.deliver(e)
		s.lose(l, x)
	}
	run := s.rec.Run()
	fail(t, run, report.Failure{Test: evil[0], What: evil[0], Rule: evil[2], Seen: evil, Faults: evil[1], Replay: evil[3], Notes: evil, Where: evil[5]})
	return run
}

// large is a run of ten nodes and as many events as asked, of every common kind.
func large(events int) *trace.Run {
	s := newLogWriter(trace.Header{Test: "TestLarge", Seed: 1, Nodes: 10})
	s.start(10)
	for k := 0; int(s.seq) < events; k++ {
		from := labrpc.NodeID(k%10 + 1)
		to := labrpc.NodeID((k*7+3)%10 + 1)
		if from == to {
			to = to%10 + 1
		}
		s.wait(time.Duration(300+k%977) * time.Microsecond)
		e := s.send(from, to, []string{"Append", "Vote", "Read"}[k%3], vote{Term: k, For: "x=1"})
		s.wait(time.Duration(200+k%811) * time.Microsecond)
		switch {
		case k%17 == 0:
			s.lose(e, "loss")
		default:
			s.deliver(e)
			s.note(to, "commit", time.Duration(k).String())
		}
		if k%40 == 0 {
			s.note(from, "role", []string{"follower", "candidate", "leader"}[k/40%3])
		}
		if k%500 == 250 {
			s.event(labrpc.Event{Kind: labrpc.EventCrashed, Node: to})
			s.wait(time.Millisecond)
			s.event(labrpc.Event{Kind: labrpc.EventStarted, Node: to, Inc: 2 + k/500})
		}
	}
	return s.rec.Run()
}
