package view

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"

	"distlabs/internal/harness/trace"
	"distlabs/labrpc"
)

// traceEvent is one event of Chrome's trace format, which Perfetto reads.
type traceEvent struct {
	Name     string         `json:"name"`
	Phase    string         `json:"ph"`
	Category string         `json:"cat,omitempty"`
	At       float64        `json:"ts"` // microseconds
	Length   float64        `json:"dur,omitempty"`
	Process  int            `json:"pid"`
	Thread   int            `json:"tid"`
	ID       string         `json:"id,omitempty"`
	Bind     string         `json:"bp,omitempty"`
	Scope    string         `json:"s,omitempty"`
	Args     map[string]any `json:"args,omitempty"`
}

// Each node is a process with these threads; process 0 is the network and the test.
const (
	eventsThread = 1
	statusThread = 2
	stateThread  = 3 // and one more for each further name that the node notes
)

// Perfetto writes the run as a trace for ui.perfetto.dev or chrome://tracing: a process for each node, with its
// events, a span for each value that it noted, its crashes and pauses, and a
// flow from the sending of each message to its delivery.
func Perfetto(w io.Writer, run *trace.Run) error {
	p := &perfetto{run: run, open: map[thread]*traceEvent{}, threads: map[noteName]int{}, used: map[int]int{}}
	for i := range run.Steps {
		p.add(i)
	}
	p.finish()
	buf := bufio.NewWriter(w)
	buf.WriteString(`{"displayTimeUnit":"ms","traceEvents":[` + "\n")
	for i := range p.events {
		line, err := json.Marshal(&p.events[i])
		if err != nil {
			return fmt.Errorf("view: encode for Perfetto: %w", err)
		}
		if i > 0 {
			buf.WriteString(",\n")
		}
		buf.Write(line)
	}
	buf.WriteString("\n]}\n")
	if err := buf.Flush(); err != nil {
		return fmt.Errorf("view: write for Perfetto: %w", err)
	}
	return nil
}

type thread struct{ process, id int }

type perfetto struct {
	run     *trace.Run
	events  []traceEvent
	open    map[thread]*traceEvent // the span that goes on
	order   []thread               // of open, as first seen
	threads map[noteName]int
	used    map[int]int // by node: how many names it has noted
}

// noteName names what a node notes.
type noteName struct {
	node int
	name string
}

// add writes what one step gives.
func (p *perfetto) add(i int) {
	s := &p.run.Steps[i]
	node := int(s.Node)
	switch s.Kind {
	case labrpc.EventStarted, labrpc.EventResumed:
		p.span(thread{node, statusThread}, "up", s.At)
	case labrpc.EventCrashed, labrpc.EventStopped, labrpc.EventPaused:
		p.span(thread{node, statusThread}, oneLine(string(s.Kind)), s.At)
		if s.Kind != labrpc.EventPaused {
			p.forget(node, s.At)
		}
	case labrpc.EventNoted:
		p.span(thread{node, p.threadOf(node, s.Name)}, oneLine(s.Value), s.At)
	}
	if s.Node == 0 {
		p.events = append(p.events, traceEvent{Name: sentence(s), Phase: "i", Scope: "g", At: micros(s.At), Thread: eventsThread})
		return
	}
	e := traceEvent{Name: sentence(s), Phase: "X", Category: string(s.Kind), At: micros(s.At), Length: p.length(i), Process: node, Thread: eventsThread,
		Args: map[string]any{"step": i + 1}}
	if s.Source != "" {
		e.Args["source"] = oneLine(s.Source)
	}
	p.events = append(p.events, e)
	if s.Kind == labrpc.EventSent && s.Partner >= 0 {
		p.flow("s", s)
	}
	if s.Kind == labrpc.EventDelivered && s.Partner >= 0 && p.run.Steps[s.Partner].Partner == i {
		p.flow("f", s)
	}
}

// length is how long a step's slice is: a microsecond, that it can be seen, but no longer than until the node's next step,
// for the slices of a thread must nest.
func (p *perfetto) length(i int) float64 {
	s := &p.run.Steps[i]
	for k := i + 1; k < len(p.run.Steps) && p.run.Steps[k].At < s.At+time.Microsecond; k++ {
		if next := &p.run.Steps[k]; next.Node == s.Node && next.At > s.At {
			return micros(next.At) - micros(s.At)
		}
	}
	return 1
}

// flow writes one end of an arrow. It binds to the slice of the step.
func (p *perfetto) flow(phase string, s *trace.Step) {
	e := traceEvent{Name: oneLine(s.Method), Phase: phase, Category: "message", At: micros(s.At), Process: int(s.Node), Thread: eventsThread,
		ID: strconv.FormatUint(s.Msg, 10)}
	if phase == "f" {
		e.Bind = "e"
	}
	p.events = append(p.events, e)
}

// span ends what went on in a thread and begins another.
func (p *perfetto) span(t thread, name string, at time.Duration) {
	if _, known := p.open[t]; !known {
		p.order = append(p.order, t)
	}
	p.end(t, at)
	p.open[t] = &traceEvent{Name: name, Phase: "X", Category: "state", At: micros(at), Process: t.process, Thread: t.id}
}

func (p *perfetto) end(t thread, at time.Duration) {
	e := p.open[t]
	if e == nil {
		return
	}
	p.open[t] = nil
	if e.Length = micros(at) - e.At; e.Length > 0 {
		p.events = append(p.events, *e)
	}
}

// forget ends all that a node had noted: a crash takes it.
func (p *perfetto) forget(node int, at time.Duration) {
	for _, t := range p.order {
		if t.process == node && t.id >= stateThread {
			p.end(t, at)
		}
	}
}

// threadOf gives each name that a node notes a thread, and names the thread.
func (p *perfetto) threadOf(node int, name string) int {
	key := noteName{node, name}
	id, known := p.threads[key]
	if !known {
		id = stateThread + p.used[node]
		p.used[node]++
		p.threads[key] = id
		p.label("thread_name", node, id, oneLine(name))
	}
	return id
}

func (p *perfetto) label(what string, process, id int, name string) {
	p.events = append(p.events, traceEvent{Name: what, Phase: "M", Process: process, Thread: id, Args: map[string]any{"name": name}})
}

// finish ends all spans and names processes and threads.
func (p *perfetto) finish() {
	if f, broke := failureOf(p.run); broke != nil {
		p.events = append(p.events, traceEvent{Name: violationLine(f), Phase: "i", Scope: "g", Category: "violation", At: micros(*broke), Thread: eventsThread})
	}
	if n := len(p.run.Steps); n > 0 {
		for _, t := range p.order {
			p.end(t, p.run.Steps[n-1].At)
		}
	}
	p.label("process_name", 0, 0, "network and test")
	for n := 1; n <= p.run.Header.Nodes; n++ {
		p.label("process_name", n, 0, labrpc.NodeID(n).String())
		p.label("thread_name", n, eventsThread, "events")
		p.label("thread_name", n, statusThread, "status")
	}
}
