package links_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/internal/harness/marked"
	"distlabs/labrpc"
	. "distlabs/labs/01-links"
)

const (
	ruleNoPacket = "a node delivers a message only after a packet with this message has reached it (rule 19)"
	ruleKept     = "deliver may keep and change its msg (rule 6)"
)

// A sender is a link of any kind except the durable link.
type sender interface {
	Send(to labrpc.NodeID, msg []byte)
}

// An opener starts a link of one kind on every node. work is what the application does with each message.
type opener func(s *labtest.Sim, work ...func()) *linkCluster

type route struct{ from, to labrpc.NodeID }

// A delivery is what a node reports to the test: the link has called deliver, or deliver is about to return.
type delivery struct {
	From     labrpc.NodeID
	Text     string
	Returned bool
	Changed  bool // the message before this one, which the application has kept, has other bytes now
}

// A linkCluster runs a link on every node, and records the messages that were sent and delivered. It checks every
// delivery: the message was sent, and a packet has arrived since. If the link promises so, the message was not
// delivered before, and no other message of its sender is being delivered.
type linkCluster struct {
	s          *labtest.Sim
	once       string                     // the rule against a second delivery; "" if the link has no such rule
	authentic  string                     // the rule against a delivery of a message that was not sent
	oneAtATime string                     // the rule against overlapping deliveries of one sender; "" if there is none
	arrived    func(r route, text string) // a further check, at every correct delivery
	returned   func(r route)              // called when deliver is about to return
	links      map[labrpc.NodeID]sender   // of the started nodes
	byzantine  map[labrpc.NodeID]bool     // messages of these senders are not checked
	wire       wire
	answers    atomic.Bool // deliver answers every question

	mu       sync.Mutex
	number   int                        // of the last message that sendNew has sent
	sent     map[route]map[string][]int // for each message and each time it was sent: the packets that had reached the receiver
	got      map[route]map[string]int
	since    map[route]map[string]time.Duration // when each message was delivered for the first time
	missed   map[labrpc.NodeID]int              // how many messages each node has not delivered
	active   map[route]int                      // how many calls of deliver are running
	busy     map[route]time.Duration            // how long each call of deliver takes
	unproved []claim
}

// A claim is a delivery that needs a packet: more than before packets must have reached the receiver.
type claim struct {
	route  route
	text   string
	before int
}

func newLinkCluster(s *labtest.Sim) *linkCluster {
	m := &linkCluster{
		s: s, authentic: "a link delivers only messages that were sent (rule 7)",
		links: map[labrpc.NodeID]sender{}, byzantine: map[labrpc.NodeID]bool{},
		wire: wire{lose: map[int]int{}, withheld: map[int]bool{}},
		sent: map[route]map[string][]int{}, got: map[route]map[string]int{}, since: map[route]map[string]time.Duration{},
		missed: map[labrpc.NodeID]int{}, active: map[route]int{}, busy: map[route]time.Duration{},
	}
	s.Net.Intercept(m.wire.see)
	s.Always(m.checkClaims)
	return m
}

func stubborn(s *labtest.Sim, work ...func()) *linkCluster {
	m := newLinkCluster(s)
	s.StartAll(func(n *labrpc.Node) { m.add(n.ID(), NewStubborn(n, m.deliver(n, work...))) })
	return m
}

func reliable(s *labtest.Sim, work ...func()) *linkCluster {
	m := newLinkCluster(s)
	m.once = "a message is delivered exactly once (rule 7)"
	s.StartAll(func(n *labrpc.Node) { m.add(n.ID(), NewReliable(n, m.deliver(n, work...))) })
	return m
}

func ordered(s *labtest.Sim, work ...func()) *linkCluster {
	m := newLinkCluster(s)
	m.once = "a message is delivered exactly once (rules 7 and 9)"
	m.oneAtATime = "the messages of one sender are delivered one at a time (rule 9)"
	s.StartAll(func(n *labrpc.Node) { m.add(n.ID(), NewOrdered(n, m.deliver(n, work...))) })
	return m
}

// takes makes the application of r.to take d for each message of r.from.
func (m *linkCluster) takes(r route, d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.busy[r] = d
}

func (m *linkCluster) add(id labrpc.NodeID, link sender) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.links[id] = link
}

func (m *linkCluster) link(id labrpc.NodeID) sender {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.links[id]
}

// deliver is the application of a node. It overwrites each message, and keeps it until the next one of its sender: a message is the
// application's to change and to keep.
func (m *linkCluster) deliver(node *labrpc.Node, work ...func()) Deliver {
	sink := func(at time.Duration, l delivery) { m.take(at, route{l.From, node.ID()}, l) }
	tell := func(l delivery) { _ = labrpc.Tell(node, l, sink) } // an error says that the node is down
	var mu sync.Mutex
	kept := map[labrpc.NodeID][]byte{}
	return func(from labrpc.NodeID, msg []byte) {
		mu.Lock()
		l := delivery{From: from, Text: string(msg), Changed: strings.Trim(string(kept[from]), "!") != ""}
		kept[from] = msg
		for i := range msg {
			msg[i] = '!'
		}
		mu.Unlock()
		tell(l)
		if m.answers.Load() && strings.HasPrefix(l.Text, "question ") {
			m.link(node.ID()).Send(from, fmt.Appendf(nil, "answer from %v to %v", node.ID(), from))
		}
		for _, f := range work {
			f()
		}
		m.mu.Lock()
		takes := m.busy[route{from, node.ID()}]
		m.mu.Unlock()
		time.Sleep(takes)
		l.Returned = true
		tell(l)
	}
}

// take records a delivery. It runs at a quiescent point.
func (m *linkCluster) take(at time.Duration, r route, l delivery) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.byzantine[r.from] {
		return
	}
	if l.Returned {
		m.active[r]--
		if m.returned != nil {
			m.returned(r)
		}
		return
	}
	if l.Changed {
		m.fail(r, ruleKept, "when deliver was called for %q from %v on %v, the bytes of the message before had changed, which the application had kept",
			shorten(l.Text), r.from, r.to)
	}
	if m.s.Recording() {
		m.s.Delivered(r.to, fmt.Sprintf("%q from %v", shorten(l.Text), r.from))
	}
	if m.active[r]++; m.active[r] > 1 && m.oneAtATime != "" {
		m.fail(r, m.oneAtATime, "%v delivered %q from %v while deliver was still running for an earlier message of %v",
			r.to, shorten(l.Text), r.from, r.from)
	}
	sent, before := m.sent[r][l.Text], m.got[r][l.Text]
	switch {
	case len(sent) == 0 && m.authentic == ruleNoKey:
		m.fail(r, m.authentic, "%v delivered %q from %v, but the two nodes share no key", r.to, shorten(l.Text), r.from)
	case len(sent) == 0:
		m.fail(r, m.authentic, "%v delivered %q as from %v, but %v never called Send with this message for %v", r.to, shorten(l.Text), r.from, r.from, r.to)
	case m.wire.withholds(l.Text) && !m.wire.forged.Load():
		m.fail(r, ruleNoPacket, "%v delivered %q from %v, but every packet with this message was lost", r.to, shorten(l.Text), r.from)
	case before >= len(sent) && m.once != "":
		m.s.Fail(labtest.Violation{
			What: fmt.Sprintf("at %s, %v delivered %q from %v for the %s time, want %s: %v sent it %s",
				labtest.At(at), r.to, shorten(l.Text), r.from, ordinal(before+1), times(len(sent)), r.from, times(len(sent))),
			Rule: m.once, Nodes: []labrpc.NodeID{r.from, r.to},
			Seen: []string{fmt.Sprintf("%v delivered it for the first time at %s", r.to, labtest.At(m.since[r][l.Text]))},
		})
	default:
		of := min(before, len(sent)-1)
		if m.once == "" {
			of = 0 // it may be another copy of the first one
		}
		m.unproved = append(m.unproved, claim{r, l.Text, sent[of]})
		if before < len(sent) {
			m.missed[r.to]--
		}
		if m.got[r] == nil {
			m.got[r], m.since[r] = map[string]int{}, map[string]time.Duration{}
		}
		if before == 0 {
			m.since[r][l.Text] = at
		}
		m.got[r][l.Text]++
		if m.arrived != nil {
			m.arrived(r, l.Text)
		}
	}
}

// checkClaims compares the last deliveries with the packets that have reached the nodes (rule 19).
func (m *linkCluster) checkClaims() *labtest.Violation {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.unproved) == 0 {
		return nil
	}
	claims := m.unproved
	m.unproved = nil
	for _, c := range claims {
		// An adversary's packets are in no statistics, so its victims prove nothing.
		if m.s.Net.Stats(labrpc.Match{To: c.route.to}).Delivered <= c.before && !m.wire.forged.Load() {
			return &labtest.Violation{
				What:  fmt.Sprintf("%v delivered %q from %v, but no packet has reached %v since Send", c.route.to, shorten(c.text), c.route.from, c.route.to),
				Rule:  ruleNoPacket,
				Nodes: []labrpc.NodeID{c.route.from, c.route.to},
			}
		}
	}
	return nil
}

func (m *linkCluster) fail(r route, rule, format string, args ...any) {
	m.s.Fail(labtest.Violation{What: fmt.Sprintf(format, args...), Rule: rule, Nodes: []labrpc.NodeID{r.from, r.to}, Seen: overwritten(args)})
}

// overwritten explains a text in a message that is the test's own: what it writes over a buffer that it has passed on or was given.
func overwritten(args []any) []string {
	for _, a := range args {
		text, _ := a.(string)
		text = strings.TrimSuffix(text, "…")
		switch {
		case text == "":
		case strings.Trim(text, "!") == "":
			return []string{"the test overwrites a message with ! when deliver has been called with it: deliver was called with these bytes before"}
		case strings.Trim(text, "?") == "":
			return []string{"the test overwrites a message with ? when Send has returned: the link kept the caller's bytes, not a copy"}
		}
	}
	return nil
}

func ordinal(n int) string {
	switch n {
	case 1:
		return "first"
	case 2:
		return "second"
	case 3:
		return "third"
	}
	return fmt.Sprintf("%dth", n)
}

func times(n int) string {
	switch n {
	case 0:
		return "never"
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

// note records that a message is about to be sent.
func (m *linkCluster) note(r route, text string) {
	arrived := m.s.Net.Stats(labrpc.Match{To: r.to}).Delivered
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sent[r] == nil {
		m.sent[r] = map[string][]int{}
	}
	if before := len(m.sent[r][text]); m.got[r][text] > before {
		m.got[r][text] = before // a stubborn link may deliver a message several times, and none of that was this one
	}
	m.sent[r][text] = append(m.sent[r][text], arrived)
	m.missed[r.to]++
}

// send sends one message. It overwrites the buffer as soon as Send has returned (rule 6).
func (m *linkCluster) send(from, to labrpc.NodeID, text string) {
	m.note(route{from, to}, text)
	buffer := []byte(text)
	before := m.s.Net.Now()
	m.link(from).Send(to, buffer)
	if d := m.s.Net.Now() - before; d > 0 {
		m.s.Failf(ruleAtOnce, "Send returned on %v after %v, want at once", from, d)
	}
	for i := range buffer {
		buffer[i] = '?'
	}
}

// sendMany sends n numbered messages, from number 0.
func (m *linkCluster) sendMany(from, to labrpc.NodeID, n int) {
	for i := range n {
		m.send(from, to, marked.Text(i))
	}
}

// sendNew sends a message with a number that no other message of this cluster has, from 10000, and returns the number.
func (m *linkCluster) sendNew(from, to labrpc.NodeID) int {
	n := m.nextNumber()
	m.send(from, to, marked.Text(n))
	return n
}

func (m *linkCluster) nextNumber() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.number++
	return 10000 + m.number
}

// sendAll sends n messages from every node to every other node.
func (m *linkCluster) sendAll(n int) {
	for i := range n {
		for _, from := range m.s.Net.Nodes() {
			for _, to := range m.s.Net.Nodes() {
				if from != to {
					m.send(from, to, marked.Text(i))
				}
			}
		}
	}
}

// missing counts the messages that the given nodes have not delivered. Without nodes, it counts those of all nodes.
func (m *linkCluster) missing(at []labrpc.NodeID) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for to, missed := range m.missed {
		if len(at) == 0 || slices.Contains(at, to) {
			n += missed
		}
	}
	return n
}

// wanted says of a rule why a message that is missing breaks it, where the rule's own words do not.
var wanted = map[string]string{
	ruleOnce:   ", want each delivered once",
	ruleOrder:  ", want all, in the order of Send",
	ruleAccept: ", want all, although altered packets have reached the nodes",
	ruleTrace:  ", want all, although forged packets have reached the nodes",
}

// arrives waits until the given nodes have delivered all messages to them. Without nodes, it waits for all nodes.
func (m *linkCluster) arrives(limit time.Duration, rule string, at ...labrpc.NodeID) {
	if m.s.Until(limit, func() bool { return m.missing(at) == 0 }) {
		return
	}
	missing, end := messages(m.missing(at)), m.s.Net.Now()
	v := labtest.Violation{Rule: rule}
	var from, to []string
	m.mu.Lock()
	for _, r := range slices.SortedFunc(maps.Keys(m.sent), compareRoutes) {
		if n, first := m.missingOn(r); n > 0 && (len(at) == 0 || slices.Contains(at, r.to)) {
			line := fmt.Sprintf("%v has not delivered %d of the messages from %v; the first of them is %q", r.to, n, r.from, shorten(first))
			if n == 1 {
				line = fmt.Sprintf("%v has not delivered the message %q from %v", r.to, shorten(first), r.from)
			}
			if sent := len(m.sent[r][first]); sent > 1 {
				line += fmt.Sprintf(", which %v sent %s and %v delivered %s", r.from, times(sent), r.to, times(m.got[r][first]))
			}
			v.Seen = append(v.Seen, line)
			v.Nodes = append(v.Nodes, r.from, r.to)
			from, to = append(from, r.from.String()), append(to, r.to.String())
		}
	}
	m.mu.Unlock()
	v.What = fmt.Sprintf("%s from %s to %s had not been delivered by %s%s; the test waited from %s",
		missing, inWords(from), inWords(to), labtest.At(end), wanted[rule], labtest.At(end-limit))
	v.Seen = atMost(v.Seen, 6)
	slices.Sort(v.Nodes)
	v.Nodes = slices.Compact(v.Nodes)
	m.s.Fail(v)
}

// inWords lists names, each once: "n1, n2 and n3".
func inWords(names []string) string {
	slices.Sort(names)
	names = slices.Compact(names)
	last := len(names) - 1
	if last < 1 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

// missingOn counts the messages that were sent on a route and not delivered. The caller holds m.mu.
func (m *linkCluster) missingOn(r route) (n int, first string) {
	for _, text := range slices.Sorted(maps.Keys(m.sent[r])) {
		if lack := len(m.sent[r][text]) - m.got[r][text]; lack > 0 {
			if n == 0 {
				first = text
			}
			n += lack
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

// packets counts the packets from one node to another; 0 stands for any node.
func (m *linkCluster) packets(from, to labrpc.NodeID) labrpc.MethodStats {
	return m.s.Net.Stats(labrpc.Match{From: from, To: to})
}
