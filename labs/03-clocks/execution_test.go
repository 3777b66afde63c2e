package clocks_test

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"distlabs/internal/harness/check/happened"
	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	"distlabs/labs/03-clocks"
)

// A clock is what the three logical clocks have in common: it gives each event of one node a timestamp.
type clock[T any] struct {
	tick    func() T
	receive func(sent T) T
}

// An event is one event of an execution, with the timestamp that the clock gave it.
type event[T any] struct {
	Node     labrpc.NodeID
	Place    int // which event of its node, from 1
	Sends    int // the message that it sent, 0 for none
	Receives int
	Stamp    T
	Wall     int64 // what the node's wall clock showed
	At       time.Duration
}

func (m event[T]) String() string {
	what := "local"
	switch {
	case m.Sends != 0:
		what = fmt.Sprintf("sending of m%d", m.Sends)
	case m.Receives != 0:
		what = fmt.Sprintf("receipt of m%d", m.Receives)
	}
	text := fmt.Sprintf("event %d of %v (%s) has timestamp %s", m.Place, m.Node, what, stampText(m.Stamp))
	if m.At > 0 {
		text += ", at " + labtest.At(m.At)
	}
	return text
}

// stampText writes a timestamp with its fields' names.
func stampText(stamp any) string {
	if t, ok := stamp.(clocks.HybridTime); ok {
		return fmt.Sprintf("{Wall:%s Logical:%d}", wallText(t.Wall), t.Logical)
	}
	return fmt.Sprintf("%+v", stamp)
}

// wallText writes what a wall clock showed. In a run, which starts in the year 2000, its distance from the start is what counts.
func wallText(wall int64) string {
	start := time.Unix(946684800, 0).UnixNano()
	if d := time.Duration(wall - start); d.Abs() < time.Hour {
		return fmt.Sprintf("start%+.6fs", d.Seconds())
	}
	return fmt.Sprint(wall)
}

// A history is an execution that has ended: its events, in an order in which they could have happened, and the
// relation "happened before". That relation follows from the messages, not from any clock.
type history[T any] struct {
	events []event[T]
	order  *happened.Relation
}

func newHistory[T any](events []event[T]) history[T] {
	steps := make([]happened.Event, len(events))
	for i, e := range events {
		steps[i] = happened.Event{Node: e.Node, Sends: e.Sends, Receives: e.Receives}
	}
	order, err := happened.Of(steps)
	if err != nil {
		panic(err) // the test recorded nonsense
	}
	return history[T]{events: events, order: order}
}

// list describes all events except the given ones, if they are at most 20.
func (h history[T]) list(except ...int) []string {
	if len(h.events) > 20 {
		return nil
	}
	var lines []string
	for i, e := range h.events {
		if !slices.Contains(except, i) {
			lines = append(lines, e.String())
		}
	}
	return lines
}

// ordered checks that each event's timestamp is above the timestamp of every event that happened before it. larger says in
// words what above means.
func (h history[T]) ordered(rule, larger string, below func(a, b T) bool) *labtest.Violation {
	for b := range h.events {
		for a := range h.order.Past(b) {
			if below(h.events[a].Stamp, h.events[b].Stamp) {
				continue
			}
			return &labtest.Violation{
				What: fmt.Sprintf("event %d of %v has timestamp %s, want %s than in %s: event %d of %v happened before it",
					h.events[b].Place, h.events[b].Node, stampText(h.events[b].Stamp), larger, stampText(h.events[a].Stamp), h.events[a].Place, h.events[a].Node),
				Rule: rule,
				Seen: append([]string{
					"earlier: " + h.events[a].String(), "later: " + h.events[b].String(),
				}, h.list(a, b)...),
				Nodes: []labrpc.NodeID{h.events[a].Node, h.events[b].Node},
			}
		}
	}
	return nil
}

// concurrent reports whether some two events are concurrent, and whether some
// event had its cause on another node.
func (h history[T]) concurrent() (concurrent, caused bool) {
	for b := range h.events {
		for a := range b {
			if h.order.Concurrent(a, b) {
				concurrent = true
			} else if h.events[a].Node != h.events[b].Node {
				caused = true
			}
		}
	}
	return concurrent, caused
}

// An execution runs on the network: every node has a clock and sends letters
// that carry its stamps.
type execution[T any] struct {
	s     *labtest.Sim
	nodes []*process[T]
	sent  int

	mu     sync.Mutex
	events []event[T]
}

type message[T any] struct {
	ID    int
	Stamp T
}

// A process is one node of an execution. Its lock makes the order of the events
// on the node known; that clocks have locks of their own is tested apart.
type process[T any] struct {
	x    *execution[T]
	node *labrpc.Node

	mu    sync.Mutex
	clock clock[T]
	place int
}

func newExecution[T any](s *labtest.Sim, newClock func(node *labrpc.Node) clock[T]) *execution[T] {
	x := &execution[T]{s: s}
	s.StartAll(func(node *labrpc.Node) {
		p := &process[T]{x: x, node: node, clock: newClock(node)}
		x.nodes = append(x.nodes, p)
		labrpc.Receive(node, "test/message", func(_ labrpc.NodeID, l message[T]) {
			p.happen(event[T]{Receives: l.ID}, func() T { return p.clock.receive(l.Stamp) })
		})
	})
	return x
}

// happen makes something happen on the node and tells the test of it.
func (p *process[T]) happen(m event[T], stamp func() T) T {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.place++
	m.Node, m.Place, m.Stamp, m.Wall = p.node.ID(), p.place, stamp(), p.node.Clock().Now().UnixNano()
	p.node.Note("stamp", m.Stamp)
	_ = labrpc.Tell(p.node, m, p.x.take) // fails only when the node is down
	return m.Stamp
}

func (x *execution[T]) take(at time.Duration, m event[T]) {
	x.mu.Lock()
	defer x.mu.Unlock()
	m.At = at
	x.events = append(x.events, m)
}

func (p *process[T]) local() { p.happen(event[T]{}, p.clock.tick) }

func (p *process[T]) send(to labrpc.NodeID) {
	p.x.sent++
	id := p.x.sent
	l := message[T]{ID: id, Stamp: p.happen(event[T]{Sends: id}, p.clock.tick)}
	_ = labrpc.Send(p.node, to, "test/message", l) // likewise
}

// random lets n things happen, a pause of up to longest after each: two in three
// are letters. It checks what has happened now and then, so that a failure is found early,
// and once more when the last letters have arrived.
func (x *execution[T]) random(n int, longest time.Duration, check func(history[T]) *labtest.Violation) {
	rng := x.s.Rand()
	for i := range n {
		p := x.nodes[rng.IntN(len(x.nodes))]
		if rng.IntN(3) == 0 {
			p.local()
		} else {
			peers := p.node.Peers()
			p.send(peers[rng.IntN(len(peers))])
		}
		x.s.Run(time.Duration(rng.Int64N(int64(longest))))
		if i&(i-1) == 0 && i > 4 {
			x.check(check)
		}
	}
	x.s.Run(time.Second)
	h := x.check(check)
	concurrent, caused := h.concurrent()
	if concurrent {
		x.s.Cover(wasConcurrent)
	}
	if caused {
		x.s.Cover(wasCaused)
	}
}

// recorded returns what has happened so far.
func (x *execution[T]) recorded() []event[T] {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Clone(x.events)
}

func (x *execution[T]) check(check func(history[T]) *labtest.Violation) history[T] {
	h := newHistory(x.recorded())
	if v := check(h); v != nil {
		x.s.Fail(*v)
	}
	return h
}

const (
	wasConcurrent = "two events were concurrent"
	wasCaused     = "an event had its cause on another node"
)
