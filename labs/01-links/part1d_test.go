package links_test

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/01-links"
)

const (
	ruleGenuine = "every genuine message is delivered, once (rules 12 and 13)"
	ruleForgery = "what is not genuine is not delivered (rule 12)"
	ruleReplay  = "a packet that comes again delivers nothing again (rule 13)"
	ruleTrace   = "forgeries leave no trace: they neither silence nor delay what is genuine (rule 14)"
	ruleFlood   = "forgeries leave no trace: no memory is kept of them (rule 14)"
)

// key is the secret that two nodes share.
func key(a, b labrpc.NodeID) []byte {
	return fmt.Appendf(nil, "the secret of %v and %v, known to nobody else", min(a, b), max(a, b))
}

// keysOf are the keys that a node has of a network with n nodes.
func keysOf(id labrpc.NodeID, n int) map[labrpc.NodeID][]byte {
	keys := map[labrpc.NodeID][]byte{}
	for peer := labrpc.NodeID(1); int(peer) <= n; peer++ {
		if peer != id {
			keys[peer] = key(id, peer)
		}
	}
	return keys
}

// startAuthentic starts one node of a linkCluster.
func (m *linkCluster) startAuthentic(id labrpc.NodeID, keys map[labrpc.NodeID][]byte) {
	n := m.s.Start(id)
	m.links[id] = NewAuthenticated(n, keys, m.deliver(n))
}

// authenticated opens a linkCluster with an authenticated link on every node.
func authenticated(s *labtest.Sim) *linkCluster {
	m := newLinkCluster(s)
	m.once, m.authentic = ruleReplay, ruleForgery
	for _, id := range s.Net.Nodes() {
		m.startAuthentic(id, keysOf(id, len(s.Net.Nodes())))
	}
	return m
}

// inject sends forgeries and lets the nodes take them; it reports how many were sent.
func inject(s *labtest.Sim, forgeries []labrpc.Message) int {
	for _, p := range forgeries {
		if err := s.Net.Inject(p); err != nil {
			s.Failf("", "the test's own forgery cannot travel: %v", err)
		}
	}
	s.Run(time.Second)
	return len(forgeries)
}

// Without an adversary, the link is a reliable one (rules 12 and 13).
func TestGenuine1D(t *testing.T) {
	const lost = "a packet was lost"
	cfg := labtest.Config{Nodes: 3, Link: labrpc.FairLoss(0.3), MustCover: []string{lost}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		m := authenticated(s)
		m.sendAll(8)
		m.arrives(5*time.Minute, ruleGenuine)
		s.Run(30 * time.Second)
		if m.packets(0, 0).Lost > 0 {
			s.Cover(lost)
		}
	})
}

// The adversary sends every packet that it saw again with one thing changed, for every thing that can be changed: the
// content, the numbers, the MAC; and once more with each of its parts empty, as a MAC could be. None of that may be delivered (rule 12), and all that is genuine must be (rule 14).
func TestAltered1D(t *testing.T) {
	const situation = "an altered message was sent"
	labtest.Run(t, labtest.Config{Nodes: 2, MustCover: []string{situation}}, func(s *labtest.Sim) {
		var seen packetLog
		s.Net.Intercept(seen.record)
		m := authenticated(s)
		m.sendMany(1, 2, 2)
		m.arrives(time.Minute, ruleGenuine)
		s.Run(10 * time.Second)
		seen.stop()
		for _, p := range seen.packets() {
			if inject(s, made(forgeries(p))) > 0 {
				s.Cover(situation)
			}
		}
		m.sendMany(1, 2, 10)
		m.sendMany(2, 1, 10)
		m.arrives(time.Minute, ruleTrace)
		s.Run(30 * time.Second)
	})
}

// For ten seconds the adversary alters every packet on its way. Then it tires, and
// the messages arrive (rules 12 and 14).
func TestAlteredOnTheWay1D(t *testing.T) {
	const situation = "a packet was altered on its way"
	labtest.Run(t, labtest.Config{Nodes: 2, MustCover: []string{situation}}, func(s *labtest.Sim) {
		r := s.Rand()
		var honest atomic.Bool
		s.Net.Intercept(func(p *labrpc.Message) labrpc.Verdict {
			all := forgeries(*p)
			if honest.Load() || len(all) == 0 {
				return labrpc.Pass
			}
			s.Cover(situation)
			p.Body = all[r.IntN(len(all))]().Body
			return labrpc.Replace
		})
		m := authenticated(s)
		m.sendMany(1, 2, 10)
		m.sendMany(2, 1, 10)
		s.Run(10 * time.Second)
		honest.Store(true)
		m.arrives(30*time.Second, ruleTrace)
		s.Run(30 * time.Second)
	})
}

// The adversary repeats all that it has seen, at once and much later (rule 13).
func TestReplayed1D(t *testing.T) {
	const situation = "a packet was replayed"
	labtest.Run(t, labtest.Config{Nodes: 2, MustCover: []string{situation}}, func(s *labtest.Sim) {
		var seen packetLog
		s.Net.Intercept(seen.record)
		m := authenticated(s)
		m.sendMany(1, 2, 5)
		m.sendMany(2, 1, 5)
		m.arrives(time.Minute, ruleGenuine)
		if inject(s, seen.packets()) > 0 {
			s.Cover(situation)
		}
		for i := range 100 {
			m.send(1, 2, numberedText(100+i))
		}
		m.arrives(time.Minute, ruleTrace)
		inject(s, seen.packets())
		inject(s, seen.packets())
		s.Run(30 * time.Second)
	})
}

// The adversary throws what n1 has sent to n2 back at n1, as if n2 had said it. Both know the key (rule 12).
func TestReflected1D(t *testing.T) {
	const situation = "a packet was thrown back"
	labtest.Run(t, labtest.Config{Nodes: 2, MustCover: []string{situation}}, func(s *labtest.Sim) {
		var seen packetLog
		s.Net.Intercept(seen.record)
		m := authenticated(s)
		m.sendMany(1, 2, 5)
		m.arrives(time.Minute, ruleGenuine)
		s.Run(10 * time.Second)
		var back []labrpc.Message
		for _, p := range seen.packets() {
			p.From, p.To = p.To, p.From
			back = append(back, p)
		}
		if inject(s, back) > 0 {
			s.Cover(situation)
		}
		m.sendMany(2, 1, 5)
		m.arrives(time.Minute, ruleTrace)
		s.Run(30 * time.Second)
	})
}

// The adversary takes what n3 says and puts n1's name on it, takes what n1 says to n2 to n3, and
// so on through all senders and receivers (rule 12).
func TestReattributed1D(t *testing.T) {
	const situation = "a packet of n3 came under the name of n1"
	labtest.Run(t, labtest.Config{Nodes: 3, MustCover: []string{situation}}, func(s *labtest.Sim) {
		var seen packetLog
		s.Net.Intercept(seen.record)
		m := authenticated(s)
		m.sendMany(3, 2, 3)
		m.send(1, 3, "from n1 to n3")
		m.arrives(time.Minute, ruleGenuine)
		s.Run(10 * time.Second)
		var moved []labrpc.Message
		for _, p := range seen.packets() {
			for _, from := range s.Net.Nodes() {
				for _, to := range s.Net.Nodes() {
					if from != to && (from != p.From || to != p.To) {
						moved = append(moved, labrpc.Message{From: from, To: to, Method: p.Method, Kind: p.Kind, Body: p.Body})
					}
				}
			}
			if p.From == 3 && p.To == 2 {
				s.Cover(situation)
			}
		}
		inject(s, moved)
		m.sendAll(3)
		m.arrives(time.Minute, ruleTrace)
		s.Run(30 * time.Second)
	})
}

// n3 is Byzantine: it has keys of its own and uses them to speak as n1. To make such packets we
// let n3 play n1 in its own laboratory: an n1 that seals with n3's keys. What it says, n3 then sends to n2 under
// both names (rule 12).
func TestInsider1D(t *testing.T) {
	const situation = "n3 has sent what it sealed as n1"
	labtest.Run(t, labtest.Config{Nodes: 3, MustCover: []string{situation}}, func(s *labtest.Sim) {
		var lab packetLog
		s.Net.Intercept(lab.record)
		m := newLinkCluster(s)
		m.once, m.authentic = ruleReplay, "n3's keys let nobody speak as n1 (rule 12)"
		m.byzantine[3] = true // it may say in its own name what it likes
		m.startAuthentic(1, map[labrpc.NodeID][]byte{2: key(2, 3), 3: key(1, 3)})
		for i := range 3 {
			m.links[1].Send(2, fmt.Appendf(nil, "n3 says as n1: %d", i))
		}
		s.Run(10 * time.Second)
		s.Net.Crash(1)
		s.Run(time.Second)
		lab.stop()

		m.startAuthentic(1, keysOf(1, 3))
		m.startAuthentic(2, keysOf(2, 3))
		for _, p := range lab.packets() {
			for _, name := range []labrpc.NodeID{1, 3} {
				p.From = name
				if p.To == 2 && inject(s, []labrpc.Message{p}) > 0 {
					s.Cover(situation)
				}
			}
		}
		m.sendMany(1, 2, 5)
		m.sendMany(2, 1, 5)
		m.arrives(time.Minute, ruleTrace)
		s.Run(30 * time.Second)
	})
}

// A forged acknowledgement must not silence a message (rule 14). The adversary keeps five
// messages from n2, and sends n1 whatever can be made of the acknowledgements that it has seen before.
func TestForgedAcknowledgement1D(t *testing.T) {
	const situation = "an altered answer of n2 was sent to n1"
	labtest.Run(t, labtest.Config{Nodes: 2, MustCover: []string{situation}}, func(s *labtest.Sim) {
		var seen packetLog
		s.Net.Intercept(seen.record)
		m := authenticated(s)
		m.sendMany(1, 2, 2)
		m.arrives(time.Minute, ruleGenuine)
		s.Run(10 * time.Second)
		seen.stop()

		s.Net.Cut(1, 2)
		for i := range 8 {
			m.send(1, 2, numberedText(10+i))
		}
		s.Run(time.Second)
		for _, p := range seen.packets() {
			if p.From == 2 {
				s.Cover(situation)
			}
			p.From, p.To = 2, 1 // also what n1 sent itself
			inject(s, append(made(singleChanges(p)), p))
		}
		s.Net.Heal()
		m.arrives(30*time.Second, ruleTrace)
		s.Run(30 * time.Second)
	})
}

// A flood of forgeries, hundreds a second in the name of each, while n1 and n2 talk: all
// that is genuine arrives as if nothing were (rule 14).
func TestFlood1D(t *testing.T) {
	const situation = "a message was sent under the flood"
	labtest.Run(t, labtest.Config{Nodes: 2, MustCover: []string{situation}}, func(s *labtest.Sim) {
		var seen packetLog
		s.Net.Intercept(seen.record)
		m := authenticated(s)
		m.sendMany(1, 2, 2)
		m.sendMany(2, 1, 2)
		m.arrives(time.Minute, ruleGenuine)
		seen.stop()
		for i := range 20 {
			for _, p := range seen.packets() {
				for range 5 {
					_ = s.Net.Inject(scrambled(p, s.Rand())) // only numbers and bytes changed, so it can travel
				}
			}
			m.send(1, 2, numberedText(10+i))
			m.send(2, 1, numberedText(10+i))
			s.Cover(situation)
			s.Run(50 * time.Millisecond)
		}
		m.arrives(5*time.Second, ruleTrace)
		s.Run(30 * time.Second)
	})
}

// The flood leaves nothing behind in memory (rule 14).
func TestFloodLeavesNoMemory1D(t *testing.T) {
	const burst, first = 100, 1500
	onceAlone(t, func(s *labtest.Sim) {
		net := labrpc.New(labrpc.Options{Seed: s.Seed, Nodes: 2, Link: labrpc.Reliable()})
		defer net.Close()
		var seen packetLog
		net.Intercept(seen.record)
		var delivered atomic.Int64
		links := make([]*Authenticated, 3)
		for _, id := range net.Nodes() {
			links[id] = NewAuthenticated(net.Start(id), keysOf(id, 2), func(labrpc.NodeID, []byte) { delivered.Add(1) })
		}
		sent := int64(0)
		talk := func() {
			sent += 2
			links[1].Send(2, []byte(numberedText(int(sent))))
			links[2].Send(1, []byte(numberedText(int(sent))))
			net.Run(30 * time.Second)
			if n := delivered.Load(); n != sent {
				s.Failf(ruleTrace, "%d messages were sent, and half a minute after the last %d were delivered", sent, n)
			}
		}
		talk()
		seen.stop()
		send := func(n int) {
			for range n / burst {
				for i := range burst {
					p := seen.packets()[i%len(seen.packets())]
					_ = net.Inject(scrambled(p, s.Rand())) // only numbers and bytes changed, so it can travel
				}
				net.Run(100 * time.Millisecond)
			}
			talk()
		}
		send(first)
		checkMemoryGrowth(s, "forgeries", first, ruleFlood, send)
		runtime.KeepAlive(links)
	})
}
