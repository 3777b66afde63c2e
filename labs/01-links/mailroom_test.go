package links_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/01-links"
)

// A sender is what all links but the durable one have in common.
type sender interface {
	Send(to labrpc.NodeID, msg []byte)
}

type route struct{ from, to labrpc.NodeID }

// A letter is what a link tells the test: it called deliver, or deliver is about to return.
type letter struct {
	From     labrpc.NodeID
	Text     string
	Returned bool
}

// A mailroom starts a link on every node, knows what was sent and sees what is delivered. It checks at every delivery
// that the message was sent, and if the link promises so, that it has not been delivered before.
type mailroom struct {
	s         *labtest.Sim
	once      string                     // the rule against a second delivery; "" if there is none
	authentic string                     // the rule against a delivery of what was not sent
	arrived   func(r route, text string) // further checks, at every delivery that was not wrong
	returned  func(r route)              // deliver is about to return
	links     map[labrpc.NodeID]sender   // of the nodes that are started
	liars     map[labrpc.NodeID]bool     // Byzantine nodes: what they are said to have sent does not matter

	mu   sync.Mutex
	sent map[route]map[string]int
	got  map[route]map[string]int
	owed map[labrpc.NodeID]int // how many messages each has yet to deliver
}

func newMailroom(s *labtest.Sim) *mailroom {
	return &mailroom{
		s: s, authentic: "nothing is delivered that was not sent (rule 7)",
		links: map[labrpc.NodeID]sender{}, liars: map[labrpc.NodeID]bool{},
		sent: map[route]map[string]int{}, got: map[route]map[string]int{}, owed: map[labrpc.NodeID]int{},
	}
}

// stubborn, reliable and ordered open a mailroom with such a link on every node. work is what
// the application does with each message, on the link's goroutine.
func stubborn(s *labtest.Sim, work ...func()) *mailroom {
	m := newMailroom(s)
	s.StartAll(func(n *labrpc.Node) { m.links[n.ID()] = NewStubborn(n, m.deliver(n, work...)) })
	return m
}

func reliable(s *labtest.Sim, work ...func()) *mailroom {
	m := newMailroom(s)
	m.once = "a message is delivered once (rule 7)"
	s.StartAll(func(n *labrpc.Node) { m.links[n.ID()] = NewReliable(n, m.deliver(n, work...)) })
	return m
}

func ordered(s *labtest.Sim, work ...func()) *mailroom {
	m := newMailroom(s)
	m.once = "a message is delivered once (rules 7 and 9)"
	s.StartAll(func(n *labrpc.Node) { m.links[n.ID()] = NewOrdered(n, m.deliver(n, work...)) })
	return m
}

// deliver is the application of a node.
func (m *mailroom) deliver(node *labrpc.Node, work ...func()) Deliver {
	sink := func(_ time.Duration, l letter) { m.take(route{l.From, node.ID()}, l) }
	tell := func(l letter) { _ = labrpc.Tell(node, l, sink) } // an error says that the node is down
	return func(from labrpc.NodeID, msg []byte) {
		l := letter{From: from, Text: string(msg)}
		tell(l)
		for _, f := range work {
			f()
		}
		l.Returned = true
		tell(l)
	}
}

// take notes a delivery. It runs at a quiet moment.
func (m *mailroom) take(r route, l letter) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.liars[r.from] {
		return
	}
	if l.Returned {
		if m.returned != nil {
			m.returned(r)
		}
		return
	}
	m.s.Delivered(r.to, fmt.Sprintf("%q from %v", shorten(l.Text), r.from))
	sent, before := m.sent[r][l.Text], m.got[r][l.Text]
	switch {
	case sent == 0:
		m.fail(r, m.authentic, "%v delivered %q as from %v, which never sent it there", r.to, shorten(l.Text), r.from)
	case before >= sent && m.once != "":
		m.fail(r, m.once, "%v delivered %q from %v %s, though it was sent %s",
			r.to, shorten(l.Text), r.from, times(before+1), times(sent))
	default:
		if before < sent {
			m.owed[r.to]--
		}
		count(m.got, r, l.Text)
		if m.arrived != nil {
			m.arrived(r, l.Text)
		}
	}
}

func (m *mailroom) fail(r route, rule, format string, args ...any) {
	m.s.Fail(labtest.Violation{What: fmt.Sprintf(format, args...), Rule: rule, Nodes: []labrpc.NodeID{r.from, r.to}})
}

func count(in map[route]map[string]int, r route, text string) {
	if in[r] == nil {
		in[r] = map[string]int{}
	}
	in[r][text]++
}

func times(n int) string {
	switch n {
	case 1:
		return "once"
	case 2:
		return "twice"
	}
	return fmt.Sprintf("%d times", n)
}

func shorten(text string) string {
	if len(text) > 40 {
		return text[:40] + "…"
	}
	return text
}

// note says that a message is about to be sent.
func (m *mailroom) note(r route, text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	count(m.sent, r, text)
	m.owed[r.to]++
}

// send sends one message.
func (m *mailroom) send(from, to labrpc.NodeID, text string) {
	m.note(route{from, to}, text)
	m.links[from].Send(to, []byte(text))
}

// sendMany sends n messages that say their number, from 0.
func (m *mailroom) sendMany(from, to labrpc.NodeID, n int) {
	for i := range n {
		m.send(from, to, numberedText(i))
	}
}

// sendAll sends n messages from every node to every other.
func (m *mailroom) sendAll(n int) {
	for i := range n {
		for _, from := range m.s.Net.Nodes() {
			for _, to := range m.s.Net.Nodes() {
				if from != to {
					m.send(from, to, numberedText(i))
				}
			}
		}
	}
}

// numberedText is a message that can be found in a packet (rule 6).
func numberedText(i int) string { return fmt.Sprintf("<%05d>", i) }

// numberIn finds a numbered text in the encoding of a packet; -1 if there is none.
func numberIn(body any) int {
	data, err := labrpc.Marshal(body)
	if err != nil {
		return -1
	}
	for {
		at := bytes.IndexByte(data, '<')
		if at < 0 || len(data) < at+7 {
			return -1
		}
		var n int
		if _, err := fmt.Sscanf(string(data[at:at+7]), "<%05d>", &n); err == nil {
			return n
		}
		data = data[at+1:]
	}
}

// missing counts what the given nodes have yet to deliver; all nodes, if none is given.
func (m *mailroom) missing(at []labrpc.NodeID) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for to, owed := range m.owed {
		if len(at) == 0 || slices.Contains(at, to) {
			n += owed
		}
	}
	return n
}

// arrives waits until everything sent is delivered: at the given nodes, or if none is given, everywhere.
func (m *mailroom) arrives(limit time.Duration, rule string, at ...labrpc.NodeID) {
	if m.s.Until(limit, func() bool { return m.missing(at) == 0 }) {
		return
	}
	v := labtest.Violation{Rule: rule, What: fmt.Sprintf("%d messages are not delivered within %v", m.missing(at), limit)}
	if m.missing(at) == 1 {
		v.What = fmt.Sprintf("a message is not delivered within %v", limit)
	}
	m.mu.Lock()
	for _, r := range slices.SortedFunc(maps.Keys(m.sent), compareRoutes) {
		if n, first := m.missingOn(r); n > 0 && (len(at) == 0 || slices.Contains(at, r.to)) {
			v.Seen = append(v.Seen, fmt.Sprintf("%v has not delivered %d from %v, the first is %q", r.to, n, r.from, shorten(first)))
			v.Nodes = append(v.Nodes, r.from, r.to)
		}
	}
	m.mu.Unlock()
	slices.Sort(v.Nodes)
	v.Nodes = slices.Compact(v.Nodes)
	m.s.Fail(v)
}

// missingOn counts what is sent on a route and not delivered. The caller holds m.mu.
func (m *mailroom) missingOn(r route) (n int, first string) {
	for _, text := range slices.Sorted(maps.Keys(m.sent[r])) {
		if lack := m.sent[r][text] - m.got[r][text]; lack > 0 {
			n += lack
			if first == "" {
				first = text
			}
		}
	}
	return n, first
}

func compareRoutes(a, b route) int {
	if a.from != b.from {
		return int(a.from - b.from)
	}
	return int(a.to - b.to)
}

// packets counts what travelled from one node to another; 0 stands for any.
func (m *mailroom) packets(from, to labrpc.NodeID) labrpc.MethodStats {
	return m.s.Net.Stats(labrpc.Match{From: from, To: to})
}
