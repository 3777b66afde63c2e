package clocks_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"distlabs/internal/harness/check/happened"
	"distlabs/internal/harness/labtest"
	"distlabs/internal/harness/marked"
	"distlabs/labrpc"
	clocks "distlabs/labs/03-clocks"
)

const (
	ruleCausal  = "every node delivers each broadcast exactly once, and after all broadcasts that happened before it (rule 15; Birman, Schiper, Stephenson 1991)"
	ruleAtOnce  = "a node delivers a message as soon as it has arrived and all messages that happened before it are delivered (rule 16)"
	ruleHeld    = "Held is the number of messages that have arrived and are not delivered yet (rule 16)"
	ruleAlone   = "deliver is called for one message at a time (rule 15)"
	soonEnough  = 500 * time.Millisecond // in which messages arrive that the test does not hold back
	longLatency = 300 * time.Millisecond

	wasOutrun = "a message was broadcast while a message that happened before it was not delivered everywhere"
)

// A group is a set of nodes that broadcast to each other. It checks rule 15 at every delivery.
type group struct {
	*traffic
	members []*member
	sent    int
	plain   bool // the texts are plain numbers, for a person to read

	mu  sync.Mutex
	log []broadcastEvent
}

type member struct {
	id                labrpc.NodeID
	c                 *clocks.Causal
	deliveredOneByOne int // the place of the last delivery
}

// A broadcastEvent is a broadcast, or the delivery of one.
type broadcastEvent struct {
	Node      labrpc.NodeID
	Post      int // messages are numbered from 1
	Broadcast bool
	From      labrpc.NodeID
	Place     int
	At        time.Duration
}

func newGroup(s *labtest.Sim) *group {
	g := &group{traffic: watchTraffic(s)}
	s.StartAll(g.join)
	return g
}

// join starts a node of the group. The nodes join in the order of their IDs.
func (g *group) join(node *labrpc.Node) {
	m := &member{id: node.ID()}
	g.members = append(g.members, m)
	m.c = clocks.NewCausal(node, func(from labrpc.NodeID, text string) {
		// No lock here: a race that is reported on this line, and names this variable, means that
		// deliver was called for two messages at once.
		m.deliveredOneByOne++
		post, _ := strconv.Atoi(strings.Trim(text, "<>"))
		e := broadcastEvent{Node: node.ID(), Post: post, From: from, Place: m.deliveredOneByOne}
		_ = labrpc.Tell(node, e, g.take) // fails only when the node is down
	})
}

// broadcast lets a node send the next message, and returns its number.
func (g *group) broadcast(id labrpc.NodeID) int {
	g.mu.Lock()
	g.sent++
	post := g.sent
	g.log = append(g.log, broadcastEvent{Node: id, Post: post, Broadcast: true, At: g.s.Net.Now()})
	if g.outruns(id) {
		g.s.Cover(wasOutrun)
	}
	g.mu.Unlock()
	text := marked.Short(post)
	if g.plain {
		text = strconv.Itoa(post)
	}
	g.members[id-1].c.Broadcast(text)
	return post
}

// holds checks that a node holds a broadcast, which it cannot deliver yet, if that has arrived there.
func (g *group) holds(id labrpc.NodeID, post int) {
	if held, want := g.members[id-1].c.Held(), g.arrived(id, 1, post); held != want {
		g.s.Failf(ruleHeld, "on %v, Held() = %d at %s, want %d", id, held, labtest.At(g.s.Net.Now()), want)
	}
}

// outruns reports whether id has delivered a message of another node that some node has not delivered yet. The caller
// holds g.mu.
func (g *group) outruns(id labrpc.NodeID) bool {
	for _, e := range g.log {
		if e.Broadcast || e.Node != id || e.From == id {
			continue
		}
		for _, m := range g.members {
			if g.delivery(m.id, e.Post) < 0 {
				return true
			}
		}
	}
	return false
}

// take records a delivery.
func (g *group) take(at time.Duration, e broadcastEvent) {
	g.mu.Lock()
	defer g.mu.Unlock()
	e.At = at
	if !e.Broadcast {
		g.s.Delivered(e.Node, fmt.Sprintf("message %d from %v", e.Post, e.From))
	}
	if v := g.wrong(e); v != nil {
		g.s.Fail(*v)
		return
	}
	g.log = append(g.log, e)
}

// wrong checks a delivery against rule 15. The caller holds g.mu.
func (g *group) wrong(e broadcastEvent) *labtest.Violation {
	sent := g.posted(e.Post)
	if sent < 0 || g.log[sent].Node != e.From {
		return &labtest.Violation{What: fmt.Sprintf("%v delivered message %d of %v, but %[3]v did not broadcast it", e.Node, e.Post, e.From), Rule: ruleCausal}
	}
	if i := g.delivery(e.Node, e.Post); i >= 0 {
		return &labtest.Violation{
			What: fmt.Sprintf("%v delivered message %d of %v twice, at %s and at %s", e.Node, e.Post, e.From, labtest.At(g.log[i].At), labtest.At(e.At)),
			Rule: ruleCausal,
		}
	}
	order := g.order()
	for cause, o := range g.log {
		if o.Broadcast && order.Before(cause, sent) && g.delivery(e.Node, o.Post) < 0 {
			return &labtest.Violation{
				What: fmt.Sprintf("%v delivered message %d of %v at %s, but had not delivered message %d of %v, which happened before it",
					e.Node, e.Post, e.From, labtest.At(e.At), o.Post, o.Node),
				Rule: ruleCausal,
				Seen: g.evidence(cause, sent), Nodes: []labrpc.NodeID{e.Node, e.From, o.Node},
			}
		}
	}
	return nil
}

// evidence describes why one broadcast happened before another. The caller holds g.mu.
func (g *group) evidence(cause, effect int) []string {
	a, b := g.log[cause], g.log[effect]
	lines := []string{fmt.Sprintf("%v broadcast message %d at %s", a.Node, a.Post, labtest.At(a.At))}
	if i := g.delivery(b.Node, a.Post); i >= 0 && a.Node != b.Node && i < effect {
		lines = append(lines, fmt.Sprintf("%v delivered message %d at %s", b.Node, a.Post, labtest.At(g.log[i].At)))
	}
	return append(lines, fmt.Sprintf("%v broadcast message %d at %s", b.Node, b.Post, labtest.At(b.At)))
}

// posted returns the index in the log of the broadcast of a message, or -1. The caller holds g.mu.
func (g *group) posted(post int) int {
	return slices.IndexFunc(g.log, func(o broadcastEvent) bool { return o.Broadcast && o.Post == post })
}

// delivery returns the index in the log of the delivery of a message by a node, or -1. The caller holds g.mu.
func (g *group) delivery(id labrpc.NodeID, post int) int {
	return slices.IndexFunc(g.log, func(o broadcastEvent) bool { return !o.Broadcast && o.Node == id && o.Post == post })
}

// order returns the relation "happened before": a broadcast is a sending, a delivery a receipt. The caller holds g.mu.
func (g *group) order() *happened.Relation {
	events := make([]happened.Event, len(g.log))
	for i, e := range g.log {
		events[i].Node = e.Node
		if e.Broadcast {
			events[i].Sends = e.Post
		} else {
			events[i].Receives = e.Post
		}
	}
	r, err := happened.Of(events)
	if err != nil {
		panic(err) // the test recorded nonsense
	}
	return r
}

// has reports whether a node has delivered a message.
func (g *group) has(id labrpc.NodeID, post int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.delivery(id, post) >= 0
}

// own reports whether a node has broadcast a message.
func (g *group) own(id labrpc.NodeID, post int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := g.posted(post)
	return i >= 0 && g.log[i].Node == id
}

// soon waits until a node has delivered the messages, and fails if that takes too long.
func (g *group) soon(id labrpc.NodeID, posts ...int) {
	for _, post := range posts {
		why := "it has arrived"
		if g.own(id, post) {
			why = "it is its own message"
		}
		g.s.WaitFor(soonEnough, labtest.Violation{
			What:  fmt.Sprintf("%v has not delivered message %d by %s, although %s, and all messages that happened before it have arrived", id, post, labtest.At(g.s.Net.Now()+soonEnough), why),
			Rule:  ruleAtOnce,
			Nodes: []labrpc.NodeID{id},
		}, func() bool { return g.has(id, post) })
	}
}

// allSoon waits until every node has delivered every message, and checks that no node holds any.
func (g *group) allSoon() {
	for _, m := range g.members {
		for post := range g.sent {
			g.soon(m.id, post+1)
		}
		if held := m.c.Held(); held != 0 {
			g.s.Failf(ruleHeld, "on %v, Held() = %d, want 0: it has delivered every message", m.id, held)
		}
	}
}

// n1 asks, n2 answers after it has delivered the question, and the answer arrives at n3 before the question.
func TestCausalAnswerAfterQuestion3D(t *testing.T) {
	const late = "the question was held back on its way to n3"
	labtest.Run(t, labtest.Config{Nodes: 3, MustCover: []string{late, wasOutrun}}, func(s *labtest.Sim) {
		g := newGroup(s)
		release := g.withhold(1, 3, func(post int) bool { return post == 1 })
		question := g.broadcast(1)
		g.soon(2, question)
		answer := g.broadcast(2)
		g.soon(1, answer)
		s.Run(time.Second)
		g.holds(3, answer)
		if g.withholds() {
			s.Cover(late)
		}
		release()
		g.allSoon()
	})
}

// Messages arrive in reverse. The last to arrive was sent first: it makes all others deliverable, and no message
// arrives after it.
func TestCausalReversed3D(t *testing.T) {
	const reversed = "messages arrived in reverse"
	labtest.Run(t, labtest.Config{Nodes: 3, MustCover: []string{reversed}}, func(s *labtest.Sim) {
		g := newGroup(s)
		held := s.Net.Hold(labrpc.Match{To: 3})
		for i := range 6 {
			g.broadcast(labrpc.NodeID(1 + i/2%2)) // n1 twice, n2 twice, n1 twice
			s.Run(100 * time.Millisecond)
		}
		for range 50 {
			waiting := held.Messages()
			if len(waiting) == 0 {
				break
			}
			last := waiting[len(waiting)-1]
			held.Deliver(func(m labrpc.Message) bool {
				return m.From == last.From && m.Method == last.Method && m.Kind == last.Kind && m.Number == last.Number
			})
			s.Cover(reversed)
			s.Run(100 * time.Millisecond)
		}
		held.Release()
		g.allSoon()
	})
}

// n1's messages to the others are under way for a long time. The messages that n2 and n3 broadcast meanwhile are
// concurrent to them, so no node may wait. Then n2 gets them and answers. n3 and n4 hold the answer, and what n3 broadcasts is concurrent to that too.
func TestCausalConcurrentNeedNotWait3D(t *testing.T) {
	const slow = "messages of n1 were under way all the time"
	labtest.Run(t, labtest.Config{Nodes: 4, MustCover: []string{slow}}, func(s *labtest.Sim) {
		g := newGroup(s)
		var release []func()
		for _, to := range []labrpc.NodeID{2, 3, 4} { // a message to n1 itself arrives as usual
			release = append(release, g.withhold(1, to, func(post int) bool { return post <= 2 }))
		}
		first, second := g.broadcast(1), g.broadcast(1)
		g.soon(1, first, second)
		for range 3 {
			a := g.broadcast(2)
			for _, id := range s.Net.Nodes() {
				g.soon(id, a)
			}
			b := g.broadcast(3)
			for _, id := range s.Net.Nodes() {
				g.soon(id, b)
			}
		}
		release[0]()
		g.soon(2, first, second)
		answer := g.broadcast(2)
		s.Run(soonEnough)
		g.holds(3, answer)
		g.holds(4, answer)
		c := g.broadcast(3)
		for _, id := range s.Net.Nodes() {
			g.soon(id, c)
		}
		if g.withholds() {
			s.Cover(slow)
		}
		release[1]()
		release[2]()
		g.allSoon()
	})
}

// Four nodes broadcast at random and answer each other, over links on which messages often overtake each other. Then a message that n1 may send to
// itself is slower than the answer to it.
func TestCausalOrder3D(t *testing.T) {
	link := labrpc.Link{Latency: labrpc.Uniform(time.Millisecond, longLatency)}
	labtest.Run(t, labtest.Config{Nodes: 4, Link: link, MustCover: []string{wasOutrun}}, func(s *labtest.Sim) {
		g := newGroup(s)
		for range 60 {
			g.broadcast(labrpc.NodeID(1 + s.Rand().IntN(4)))
			s.Run(time.Duration(s.Rand().Int64N(int64(60 * time.Millisecond))))
		}
		g.allSoon()
		last := g.sent
		release := g.withhold(1, 1, func(post int) bool { return post == last+1 })
		g.soon(2, g.broadcast(1))
		g.broadcast(2)
		s.Run(time.Second)
		release()
		g.allSoon()
	})
}
