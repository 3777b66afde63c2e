package clocks_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	clocks "distlabs/labs/03-clocks"
)

// Three nodes with Lamport's clock that a person plays ("grade play 3C"): the person has them send, and delivers. After every step, the
// timestamps must be those of rules 9 and 10.
func TestPlay3C(t *testing.T) {
	labtest.Play(t, labtest.SearchSpace{Nodes: 3, NoCrashes: true}, func(s *labtest.Sim) labtest.Scenario {
		p := &playedClocks{s: s, nodes: map[labrpc.NodeID]*labrpc.Node{}, clocks: map[labrpc.NodeID]*clocks.LamportClock{}}
		checked := 0
		s.Always(func() *labtest.Violation {
			h := p.history()
			if len(h.events) == checked {
				return nil
			}
			checked = len(h.events)
			return checkLamport(h)
		})
		scenario := labtest.Scenario{Start: p.boot, Puzzles: lamportPuzzles(p)}
		for _, from := range s.Net.Nodes() {
			scenario.Actions = append(scenario.Actions, labtest.Action{
				Name: fmt.Sprintf("a local event at %v", from), Do: func() { p.happens(from, 0, 0, p.clocks[from].Tick()) },
			})
			for _, to := range s.Net.Nodes() {
				if to != from {
					scenario.Actions = append(scenario.Actions, labtest.Action{
						Name: fmt.Sprintf("%v sends to %v", from, to), Do: func() { p.sends(from, to) },
					})
				}
			}
		}
		return scenario
	})
}

// playedClocks are nodes with clocks, and the events that a person has brought about.
type playedClocks struct {
	s      *labtest.Sim
	nodes  map[labrpc.NodeID]*labrpc.Node
	clocks map[labrpc.NodeID]*clocks.LamportClock

	mu     sync.Mutex
	events []event[clocks.Timestamp]
	sent   int
	past   history[clocks.Timestamp] // of the events when it was last asked for
}

// A stampedMessage is a message with the timestamp of its sending.
type stampedMessage struct {
	Number int
	Stamp  clocks.Timestamp
}

func (p *playedClocks) boot(node *labrpc.Node) {
	id, clock := node.ID(), clocks.NewLamportClock(node.ID())
	p.nodes[id], p.clocks[id] = node, clock
	labrpc.Receive(node, "message", func(_ labrpc.NodeID, m stampedMessage) {
		p.happens(id, 0, m.Number, clock.Receive(m.Stamp))
	})
}

func (p *playedClocks) sends(from, to labrpc.NodeID) {
	stamp := p.clocks[from].Tick()
	p.mu.Lock()
	p.sent++
	number := p.sent
	p.mu.Unlock()
	p.happens(from, number, 0, stamp)
	_ = labrpc.Send(p.nodes[from], to, "message", stampedMessage{number, stamp}) // no node crashes
}

// happens notes an event: the sending or the receipt of a message, or neither.
func (p *playedClocks) happens(id labrpc.NodeID, sends, receives int, stamp clocks.Timestamp) {
	p.mu.Lock()
	defer p.mu.Unlock()
	place := 1
	for _, e := range p.events {
		if e.Node == id {
			place++
		}
	}
	p.events = append(p.events, event[clocks.Timestamp]{Node: id, Place: place, Sends: sends, Receives: receives, Stamp: stamp, At: p.s.Net.Now()})
	p.s.Seen(id, "events", fmt.Sprintf("%d, the last one has time %d", place, stamp.Time))
}

// history is what has happened. It is made again when more has.
func (p *playedClocks) history() history[clocks.Timestamp] {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.past.events) < len(p.events) {
		p.past = newHistory(slices.Clone(p.events))
	}
	return p.past
}

// some reports whether two events are such; first says that the first one happened before the second one.
func (p *playedClocks) some(holds func(a, b event[clocks.Timestamp], first bool) bool) bool {
	h := p.history()
	for j, b := range h.events {
		before := map[int]bool{}
		for i := range h.order.Past(j) {
			before[i] = true
		}
		for i, a := range h.events {
			if i != j && holds(a, b, before[i]) {
				return true
			}
		}
	}
	return false
}

// lamportPuzzles are those of part C.
func lamportPuzzles(p *playedClocks) []labtest.Puzzle {
	return []labtest.Puzzle{
		{
			ID: "receipt", Title: "A leap",
			Goal: "Have the first event of n3 get the time 4 or more.",
			Hints: []string{
				"A node's clock leaps forward when a message with a larger time arrives.",
				"Let a few events happen at n1, and then have n1 send to n3.",
			},
			Reached: func() bool {
				return p.some(func(a, _ event[clocks.Timestamp], _ bool) bool {
					return a.Node == 3 && a.Place == 1 && a.Stamp.Time >= 4
				})
			},
			Solution: "s4.d0.s2.d0",
		},
		{
			ID: "equal", Title: "Equal times",
			Goal: "Have two events of different nodes get the time 3. Each of the two is a receipt.",
			Hints: []string{
				"Two events with equal times are concurrent: none of them happened before the other.",
				"The receipt of a message that was sent at time 2 has time 3, if the receiver has had no later event.",
			},
			Reached: func() bool {
				return p.some(func(a, b event[clocks.Timestamp], _ bool) bool {
					return a.Node != b.Node && a.Stamp.Time == 3 && b.Stamp.Time == 3 && a.Receives != 0 && b.Receives != 0
				})
			},
			Solution: "s8.s5.s4.d0.d1",
		},
		{
			ID: "says-nothing", Title: "Smaller, and not before",
			Goal: "Have two events a and b with L(a) + 3 ≤ L(b), although a did not happen before b. Three messages have arrived, and a is the sending of a message.",
			Hints: []string{
				"L(a) < L(b) does not say that a happened before b. Which events can a node not know of?",
				"Let a be an event of n3, of which the others do not learn: its message stays under way. Let n1 and n2 send messages to and fro.",
			},
			Reached: func() bool {
				arrived := p.s.Net.Stats(labrpc.Match{}).Delivered
				return arrived >= 3 && p.some(func(a, b event[clocks.Timestamp], first bool) bool {
					return a.Sends != 0 && !first && a.Stamp.Time+3 <= b.Stamp.Time
				})
			},
			Solution: "s4.d0.s1.d0.s7.d0",
		},
		{
			ID: "backwards", Title: "Before, and not smaller",
			Goal: "Have two events a and b such that a happened before b, and L(a) is not smaller than L(b).",
			Hints: []string{
				"If a happened before b, there is a chain from a to b: events of one node, and messages. What does the clock do at each link of the chain?",
			},
			Rules: []string{
				"If a happened before b, then L(a) < L(b) (rule 9)",
				"Timestamps are in a total order: Before compares the times, and for equal times the nodes (rule 11)",
				"A vector that was returned never changes (rule 14)",
				"All methods may be called by several goroutines at once (rule 20)",
			},
			Forbid: 0,
		},
	}
}
