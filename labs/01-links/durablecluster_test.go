package links_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/internal/harness/marked"
	"distlabs/labrpc"
	. "distlabs/labs/01-links"
)

// A durableNode is a node of these tests. Each restart replaces its link.
type durableNode struct {
	link  *Durable        // nil before the first start
	shown map[string]bool // the lines that its state has shown: "n1 says <00001>"
}

// A promise is a message of these tests.
type promise struct {
	kept    bool // Send has returned nil
	arrived int  // how many packets had reached the receiver before Send
}

// A durableCluster runs durable links on all nodes, crashes and restarts them, and reads
// their states at every step.
type durableCluster struct {
	s *labtest.Sim

	mu       sync.Mutex
	nodes    map[labrpc.NodeID]*durableNode
	promises map[labrpc.NodeID]map[string]promise // by receiver and line
	number   int
	down     labrpc.NodeID // a node that never starts; 0 if all do
	set      []string      // which wall clocks were set, and when
	forged   bool          // old packets were sent again, which the network does not count
}

// logLine is the application: its state lists the messages, one line each.
func logLine(state []byte, from labrpc.NodeID, msg []byte) []byte {
	return fmt.Appendf(slices.Clone(state), "%s\n", line(from, string(msg)))
}

// line is a message as the state shows it.
func line(from labrpc.NodeID, text string) string {
	if marked.Number([]byte(text)) < 0 {
		text = fmt.Sprintf("%q", text)
	}
	return fmt.Sprintf("%v says %s", from, text)
}

func newDurableCluster(s *labtest.Sim) *durableCluster {
	p := &durableCluster{s: s, nodes: map[labrpc.NodeID]*durableNode{}, promises: map[labrpc.NodeID]map[string]promise{}}
	for _, id := range s.Net.Nodes() {
		p.nodes[id] = &durableNode{shown: map[string]bool{}}
		p.promises[id] = map[string]promise{}
	}
	s.Always(p.check)
	s.Restarts(p.boot)
	return p
}

// start begins an incarnation of every node that is down.
func (p *durableCluster) start() {
	for _, id := range p.s.Net.Nodes() {
		if !p.s.Net.Up(id) && id != p.down {
			p.boot(p.s.Start(id))
		}
	}
}

// boot begins an incarnation of a node that has come up.
func (p *durableCluster) boot(node *labrpc.Node) {
	id := node.ID()
	link, err := NewDurable(node, logLine)
	if err != nil && p.s.Net.Up(id) && node.Context().Err() == nil {
		p.s.Failf(ruleShown, "NewDurable failed on %v: %v", id, err)
	}
	p.mu.Lock()
	p.nodes[id].link = link
	p.mu.Unlock()
}

// crash crashes nodes.
func (p *durableCluster) crash(ids ...labrpc.NodeID) {
	for _, id := range ids {
		p.s.Net.Crash(id)
	}
	p.s.Run(10 * time.Millisecond)
}

// send sends one message with a text of its own.
func (p *durableCluster) send(from, to labrpc.NodeID) {
	p.sendNext(from, to)
	// A crash at the next Send's write must not race with the goroutines that this Send has started.
	p.s.Run(time.Microsecond)
}

func (p *durableCluster) sendNext(from, to labrpc.NodeID) {
	p.mu.Lock()
	p.number++
	text := marked.Text(p.number)
	p.mu.Unlock()
	p.sendText(from, to, text)
}

// sendText sends one message, and overwrites its buffer when Send has returned (rule 6).
func (p *durableCluster) sendText(from, to labrpc.NodeID, text string) {
	arrived := p.s.Net.Stats(labrpc.Match{To: to}).Delivered
	p.mu.Lock()
	link := p.nodes[from].link
	p.mu.Unlock()
	if link == nil || !p.s.Net.Up(from) {
		return
	}
	buffer := []byte(text)
	began := p.s.Net.Now()
	err := link.Send(to, buffer)
	if d := p.s.Net.Now() - began; d > 0 {
		p.s.Failf(ruleAtOnce, "Send returned on %v after %v, want at once", from, d)
	}
	for i := range buffer {
		buffer[i] = '?'
	}
	p.mu.Lock()
	p.promises[to][line(from, text)] = promise{kept: err == nil, arrived: arrived}
	p.mu.Unlock()
}

// sets sets a wall clock forward or back.
func (p *durableCluster) sets(id labrpc.NodeID, by time.Duration) {
	p.s.Net.JumpClock(id, by)
	how := "forward"
	if by < 0 {
		how = "back"
	}
	p.set = append(p.set, fmt.Sprintf("the wall clock of %v was set %s by %d h at %s", id, how, by.Abs()/time.Hour, labtest.At(p.s.Net.Now())))
}

// replay sends old packets once more, and returns how many.
func (p *durableCluster) replay(old []labrpc.Message) int {
	p.mu.Lock()
	p.forged = true
	p.mu.Unlock()
	n := 0
	for _, packet := range old {
		if p.s.Net.Inject(packet) == nil {
			n++
		}
	}
	return n
}

// check reads the state of every node that is up (rules 16, 17 and 19).
func (p *durableCluster) check() *labtest.Violation {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range p.s.Net.Nodes() {
		n := p.nodes[id]
		if n.link == nil || !p.s.Net.Up(id) {
			continue
		}
		state := n.link.State()
		copied := slices.Clone(state)
		for i := range state {
			state[i] = '?' // State returns a copy
		}
		if v := p.checkState(id, n, copied); v != nil {
			return v
		}
	}
	return nil
}

func (p *durableCluster) checkState(id labrpc.NodeID, n *durableNode, state []byte) *labtest.Violation {
	fail := func(rule, format string, args ...any) *labtest.Violation {
		return &labtest.Violation{What: fmt.Sprintf(format, args...), Rule: rule}
	}
	now := map[string]bool{}
	for l := range strings.Lines(string(state)) {
		l = strings.TrimSuffix(l, "\n")
		promise, sent := p.promises[id][l]
		switch {
		case !sent:
			return fail(ruleAsSent, "%v has applied %+q, but Send was never called with this text for %v", id, shorten(l), id)
		case now[l]:
			return fail(ruleApplied, "%v has applied %q twice", id, shorten(l))
		case !n.shown[l] && !p.forged && p.s.Net.Stats(labrpc.Match{To: id}).Delivered <= promise.arrived:
			return fail(ruleNoPacket, "%v has applied %q, but no packet has reached %v since Send", id, shorten(l), id)
		}
		if !n.shown[l] {
			p.s.Delivered(id, fmt.Sprintf("%q", shorten(l)))
		}
		now[l], n.shown[l] = true, true
	}
	for _, l := range slices.Sorted(maps.Keys(n.shown)) {
		if !now[l] {
			return fail(ruleShown, "the state of %v has lost %q, which it has shown before", id, shorten(l))
		}
	}
	return nil
}

// missing lists the promised messages that the given nodes have not applied. Without nodes, it lists those of all nodes.
func (p *durableCluster) missing(at ...labrpc.NodeID) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []string
	for _, id := range p.s.Net.Nodes() {
		n := p.nodes[id]
		if n.link == nil || !p.s.Net.Up(id) || len(at) > 0 && !slices.Contains(at, id) {
			continue
		}
		state := "\n" + string(n.link.State())
		for _, l := range slices.Sorted(maps.Keys(p.promises[id])) {
			if p.promises[id][l].kept && !strings.Contains(state, "\n"+l+"\n") {
				all = append(all, fmt.Sprintf("%v has not applied %q", id, shorten(l)))
			}
		}
	}
	return all
}

// arrives waits until the given nodes, or without nodes all nodes, have applied all promised messages.
func (p *durableCluster) arrives(limit time.Duration, rule string, at ...labrpc.NodeID) {
	if p.promised() == 0 {
		p.s.Failf(rulePromise, "no Send has returned nil, although its node was up")
	}
	if p.s.Until(limit, func() bool { return len(p.missing(at...)) == 0 }) {
		return
	}
	missing := p.missing(at...)
	connected := "all nodes"
	if len(at) > 0 {
		connected = fmt.Sprintf("their senders and %v", at[0])
	}
	p.s.Fail(labtest.Violation{
		What: fmt.Sprintf("%s for which Send returned nil had not been applied by %s, although %s have been up and connected since %s",
			messages(len(missing)), labtest.At(p.s.Net.Now()), connected, labtest.At(p.s.Net.Now()-limit)),
		Rule: rule, Seen: append(atMost(missing, 5), p.set...),
	})
}

func messages(n int) string {
	if n == 1 {
		return "a message"
	}
	return fmt.Sprintf("%d messages", n)
}

// atMost returns the first lines, and a line that counts the others.
func atMost(lines []string, most int) []string {
	if len(lines) <= most {
		return lines
	}
	return append(slices.Clone(lines[:most]), fmt.Sprintf("… and %d more", len(lines)-most))
}

// promised counts the messages for which Send has returned nil.
func (p *durableCluster) promised() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, to := range p.promises {
		for _, promise := range to {
			if promise.kept {
				n++
			}
		}
	}
	return n
}

// isSilent checks that no node sends a packet from a minute after the last fault (rule 4).
func (p *durableCluster) isSilent() {
	p.s.Run(time.Minute)
	before := p.s.Net.Stats(labrpc.Match{}).Sent
	p.s.Run(2 * time.Minute)
	if n := p.s.Net.Stats(labrpc.Match{}).Sent - before; n > 0 {
		down := ""
		if p.down != 0 {
			down = fmt.Sprintf("; %v is down, and no message was sent to it", p.down)
		}
		p.s.Failf(ruleRest, "the nodes sent %d packets in two minutes, want 0: all messages had been applied more than a minute before%s", n, down)
	}
}

// sendsMany sends 300 messages; when all except ten are applied, the sender restarts.
func (p *durableCluster) sendsMany() {
	for range 29 {
		for range 10 {
			p.send(1, 2)
		}
		p.s.Run(100 * time.Millisecond)
	}
	p.arrives(30*time.Second, rulePromise)
	p.s.Net.CutBoth(1, 2)
	for range 10 {
		p.send(1, 2)
	}
	p.crash(1)
	p.s.Net.Heal()
	p.start()
	p.arrives(30*time.Second, rulePromise)
}
