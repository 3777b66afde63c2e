package links_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/01-links"
)

const (
	rulePromise = "what Send promised is applied (rule 15)"
	ruleApplied = "a message is applied once, whatever crashes (rule 16)"
	ruleShown   = "what State has shown is never lost (rule 17)"
)

// An durableNode is a node of these tests: its link is replaced at every restart.
type durableNode struct {
	link  *Durable        // nil while the node is down
	shown map[string]bool // what its state has shown: "n1 says <00001>"
}

// A durableCluster runs durable links on all nodes, crashes and restarts them, and reads
// their states at every step.
type durableCluster struct {
	s *labtest.Sim

	mu       sync.Mutex
	nodes  map[labrpc.NodeID]*durableNode
	promised map[labrpc.NodeID]map[string]bool // by receiver: true if Send returned nil, false if it returned an error
	number   int
}

// logLine is the application: its state lists the messages, a line each.
func logLine(state []byte, from labrpc.NodeID, msg []byte) []byte {
	return fmt.Appendf(slices.Clone(state), "%s\n", line(from, string(msg)))
}

func line(from labrpc.NodeID, text string) string { return fmt.Sprintf("%v says %s", from, text) }

func newDurableCluster(s *labtest.Sim) *durableCluster {
	p := &durableCluster{s: s, nodes: map[labrpc.NodeID]*durableNode{}, promised: map[labrpc.NodeID]map[string]bool{}}
	for _, id := range s.Net.Nodes() {
		p.nodes[id] = &durableNode{shown: map[string]bool{}}
		p.promised[id] = map[string]bool{}
	}
	s.Always(p.check)
	return p
}

// start begins an incarnation of every node that is down.
func (p *durableCluster) start() {
	for _, id := range p.s.Net.Nodes() {
		if !p.s.Net.Up(id) {
			node := p.s.Start(id)
			link, err := NewDurable(node, logLine)
			if err != nil && p.s.Net.Up(id) && node.Context().Err() == nil {
				p.s.Failf(ruleShown, "NewDurable failed on %v: %v", id, err)
			}
			p.mu.Lock()
			p.nodes[id].link = link
			p.mu.Unlock()
		}
	}
}

// crash takes nodes down.
func (p *durableCluster) crash(ids ...labrpc.NodeID) {
	for _, id := range ids {
		p.s.Net.Crash(id)
	}
	p.s.Run(10 * time.Millisecond)
}

// send sends one message, with a text of its own.
func (p *durableCluster) send(from, to labrpc.NodeID) {
	p.mu.Lock()
	link := p.nodes[from].link
	p.number++
	text := numberedText(p.number)
	p.mu.Unlock()
	if link == nil || !p.s.Net.Up(from) {
		return
	}
	err := link.Send(to, []byte(text))
	p.mu.Lock()
	p.promised[to][line(from, text)] = err == nil
	p.mu.Unlock()
	// A crash at the next Send's write must not race with what this one has set going.
	p.s.Run(time.Microsecond)
}

// check reads the state of every node that is up (rules 16 and 17).
func (p *durableCluster) check() *labtest.Violation {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range p.s.Net.Nodes() {
		o := p.nodes[id]
		if o.link == nil || !p.s.Net.Up(id) {
			continue
		}
		if v := p.checkState(id, o, o.link.State()); v != nil {
			return v
		}
	}
	return nil
}

func (p *durableCluster) checkState(id labrpc.NodeID, o *durableNode, state []byte) *labtest.Violation {
	fail := func(rule, format string, args ...any) *labtest.Violation {
		return &labtest.Violation{What: fmt.Sprintf(format, args...), Rule: rule}
	}
	now := map[string]bool{}
	for l := range strings.Lines(string(state)) {
		l = strings.TrimSuffix(l, "\n")
		if _, sent := p.promised[id][l]; !sent {
			return fail(ruleApplied, "%v has applied %q, which was never sent to it", id, l)
		}
		if now[l] {
			return fail(ruleApplied, "%v has applied %q twice", id, l)
		}
		now[l], o.shown[l] = true, true
	}
	for _, l := range slices.Sorted(maps.Keys(o.shown)) {
		if !now[l] {
			return fail(ruleShown, "the state of %v has lost %q, which it has shown before", id, l)
		}
	}
	return nil
}

// missing lists what was promised and is not applied.
func (p *durableCluster) missing() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []string
	for _, id := range p.s.Net.Nodes() {
		o := p.nodes[id]
		if o.link == nil || !p.s.Net.Up(id) {
			continue
		}
		state := string(o.link.State())
		for _, l := range slices.Sorted(maps.Keys(p.promised[id])) {
			if p.promised[id][l] && !strings.Contains(state, l+"\n") {
				all = append(all, fmt.Sprintf("%v has not applied %q", id, l))
			}
		}
	}
	return all
}

// arrives waits until every promise is kept. All nodes are up.
func (p *durableCluster) arrives(limit time.Duration) {
	if p.promises() == 0 {
		p.s.Failf(rulePromise, "no Send has promised anything, though its node was up")
	}
	if p.s.Until(limit, func() bool { return len(p.missing()) == 0 }) {
		return
	}
	missing := p.missing()
	p.s.Fail(labtest.Violation{
		What: fmt.Sprintf("of %d messages for which Send returned nil, %d are not applied %v later", p.promises(), len(missing), limit),
		Rule: rulePromise, Seen: missing[:min(len(missing), 5)],
	})
}

// promises counts what was promised.
func (p *durableCluster) promises() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, to := range p.promised {
		for _, promised := range to {
			if promised {
				n++
			}
		}
	}
	return n
}

// Without crashes, loss and duplication are no trouble (rules 15 and 16).
func TestApplied1E(t *testing.T) {
	const lost = "a packet was lost"
	cfg := labtest.Config{Nodes: 3, Link: labrpc.FairLoss(0.3), MustCover: []string{lost}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		p := newDurableCluster(s)
		p.start()
		for range 5 {
			for _, from := range s.Net.Nodes() {
				for _, to := range s.Net.Nodes() {
					if from != to {
						p.send(from, to)
					}
				}
			}
		}
		p.arrives(2 * time.Minute)
		s.Run(30 * time.Second)
		if s.Net.Stats(labrpc.Match{}).Lost > 0 {
			s.Cover(lost)
		}
	})
}

// The machine that promised crashes before its first packet gets through. Its next incarnation keeps the
// promise, with nobody to remind it (rule 15).
func TestPromiseOutlivesACrash1E(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 2}, func(s *labtest.Sim) {
		p := newDurableCluster(s)
		p.start()
		s.Net.Isolate(1)
		for range 3 {
			p.send(1, 2)
		}
		s.Run(time.Second)
		p.crash(1)
		s.Net.Heal()
		p.start()
		p.arrives(30 * time.Second)
	})
}

// A restarted sender says something new; that must not pass for something old (rule 16).
func TestRestartedSenderIsHeard1E(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 2}, func(s *labtest.Sim) {
		p := newDurableCluster(s)
		p.start()
		for range 4 {
			for range 3 {
				p.send(1, 2)
			}
			p.arrives(30 * time.Second)
			s.Run(30 * time.Second) // until all is acknowledged
			p.crash(1)
			p.start()
		}
		p.send(1, 2)
		p.arrives(30 * time.Second)
	})
}

// A restarted receiver gets the old packets again: from the network, which kept copies, or from a
// sender that has not heard its acknowledgement. It knows them (rule 16), and says so, until the sender rests (rule 4).
func TestRestartedReceiverRemembers1E(t *testing.T) {
	const situation = "an old packet reached the new incarnation"
	labtest.Run(t, labtest.Config{Nodes: 2, MustCover: []string{situation}}, func(s *labtest.Sim) {
		var seen packetLog
		s.Net.Intercept(seen.record)
		p := newDurableCluster(s)
		p.start()
		s.Net.Cut(2, 1)
		for range 3 {
			p.send(1, 2)
		}
		p.arrives(30 * time.Second)
		seen.stop()
		p.crash(2)
		p.start()
		for _, old := range seen.packets() {
			if old.To == 2 && s.Net.Inject(old) == nil {
				s.Cover(situation)
			}
		}
		s.Run(10 * time.Second)
		s.Net.Heal()
		p.send(1, 2)
		p.arrives(30 * time.Second)
		s.Run(time.Minute)
		before := s.Net.Stats(labrpc.Match{From: 1}).Sent
		s.Run(2 * time.Minute)
		if n := s.Net.Stats(labrpc.Match{From: 1}).Sent - before; n > 0 {
			s.Failf(ruleStop, "n1 sent %d packets to n2 in two minutes, long after all was applied and the network had healed", n)
		}
	})
}

// The network kept copies of the acknowledgements that one incarnation of the sender got, and the next one, which has
// promised other messages since, gets them again. They say nothing about these (rule 15).
func TestLateAcknowledgement1E(t *testing.T) {
	const late = "an old answer reached the new incarnation"
	labtest.Run(t, labtest.Config{Nodes: 2, MustCover: []string{late}}, func(s *labtest.Sim) {
		var seen packetLog
		s.Net.Intercept(seen.record)
		p := newDurableCluster(s)
		p.start()
		for range 3 {
			p.send(1, 2)
		}
		p.arrives(30 * time.Second)
		s.Run(30 * time.Second) // until all is acknowledged
		seen.stop()
		p.crash(1)
		p.start()
		s.Net.Cut(1, 2)
		for range 6 {
			p.send(1, 2)
		}
		s.Run(time.Second)
		for _, old := range seen.packets() {
			if old.To == 1 && s.Net.Inject(old) == nil {
				s.Cover(late)
			}
		}
		s.Run(5 * time.Second)
		s.Net.Heal()
		p.arrives(30 * time.Second)
	})
}

// crashAtEveryWrite crashes the victim before its first write, then after it, before its second, and so on, until the work is
// done without coming to that write; after each crash it restarts and finishes. Both nodes send in every
// round, so the victim is both sender and receiver.
func crashAtEveryWrite(s *labtest.Sim, victim labrpc.NodeID, situation string) {
	p := newDurableCluster(s)
	for _, after := range []bool{false, true} {
		for write := 1; write <= 50; write++ { // nobody needs as many
			p.crash(1, 2)
			s.Net.CrashAtWrite(victim, labrpc.CrashPoint{Write: write, After: after})
			p.start()
			for range 2 {
				p.send(1, 2)
				p.send(2, 1)
			}
			s.Run(5 * time.Second)
			reached := !s.Net.Up(victim)
			s.Net.CrashAtWrite(victim, labrpc.CrashPoint{})
			p.start()
			p.arrives(30 * time.Second)
			s.Run(5 * time.Second)
			if !reached {
				break
			}
			s.Cover(situation)
		}
	}
	p.send(1, 2)
	p.send(2, 1)
	p.arrives(30 * time.Second)
}

// Between any two writes there is room for a crash, and after each of them nothing is lost and nothing is applied
// twice (rules 15, 16, 17).
func TestCrashAtEveryWrite1E(t *testing.T) {
	const situation = "a node crashed at a write"
	labtest.Run(t, labtest.Config{Nodes: 2, Limit: 3 * time.Hour, MustCover: []string{situation}}, func(s *labtest.Sim) {
		crashAtEveryWrite(s, 2, situation)
	})
}

// The same on links that lose and double packets, so that packets of every kind come again and again.
func TestCrashAtEveryWriteUnderLoss1E(t *testing.T) {
	const situation = "a node crashed at a write"
	cfg := labtest.Config{Nodes: 2, Link: labrpc.FairLoss(0.2), Limit: 3 * time.Hour, MustCover: []string{situation}}
	labtest.Run(t, cfg, func(s *labtest.Sim) { crashAtEveryWrite(s, 1, situation) })
}

// Three nodes crash when they like, several at once, in the middle of everything (rules 15, 16, 17).
func TestRandomCrashes1E(t *testing.T) {
	const situation = "a node crashed while messages were under way"
	cfg := labtest.Config{Nodes: 3, Link: labrpc.FairLoss(0.2), Limit: time.Hour, MustCover: []string{situation}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		p := newDurableCluster(s)
		r := s.Rand()
		for range 15 {
			p.start()
			for range 3 {
				from := labrpc.NodeID(1 + r.IntN(3))
				to := 1 + (from+labrpc.NodeID(r.IntN(2)))%3
				p.send(from, to)
			}
			s.Run(time.Duration(r.IntN(60)) * time.Millisecond)
			if len(p.missing()) > 0 {
				s.Cover(situation)
			}
			for _, id := range s.Net.Nodes() {
				switch r.IntN(4) {
				case 0:
					p.crash(id)
				case 1:
					s.Net.CrashAtWrite(id, labrpc.CrashPoint{Write: s.Net.Writes(id) + 1 + r.IntN(3), After: r.IntN(2) == 0})
				}
			}
			s.Run(time.Duration(r.IntN(500)) * time.Millisecond)
		}
		for _, id := range s.Net.Nodes() {
			s.Net.CrashAtWrite(id, labrpc.CrashPoint{})
		}
		p.start()
		p.arrives(time.Minute)
		s.Run(30 * time.Second)
	})
}
