package links_test

import (
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/internal/harness/marked"
	"distlabs/labrpc"
	. "distlabs/labs/01-links"
)

const (
	ruleGenuine = "every genuine message is delivered exactly once (rule 13)"
	ruleForgery = "a message is delivered as from a node only if that node sent it to this node (rule 12)"
	ruleReplay  = "a message is delivered exactly once, although its packets arrive again (rule 13)"
	ruleTrace   = "a forged packet does not stop or delay a genuine message (rule 14)"
	ruleAccept  = "a link accepts no altered packet: neither a message nor an acknowledgement (rules 12 and 14)"
	ruleFlood   = "a link stores nothing about a forged packet (rule 14)"
	ruleNoKey   = "a link delivers nothing from a node with which its node shares no key, and sends it nothing (rule 12)"
)

// key is the secret that two nodes share.
func key(a, b labrpc.NodeID) []byte {
	return fmt.Appendf(nil, "the secret that only %v and %v know", min(a, b), max(a, b))
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
func (m *linkCluster) startAuthentic(id labrpc.NodeID, keys map[labrpc.NodeID][]byte, work ...func()) {
	n := m.s.Start(id)
	m.add(id, NewAuthenticated(n, keys, m.deliver(n, work...)))
}

// authenticated opens a linkCluster with an authenticated link on every node.
func authenticated(s *labtest.Sim, work ...func()) *linkCluster {
	m := newLinkCluster(s)
	m.once, m.authentic = ruleReplay, ruleForgery
	for _, id := range s.Net.Nodes() {
		m.startAuthentic(id, keysOf(id, len(s.Net.Nodes())), work...)
	}
	return m
}

// inject sends forged packets and lets the nodes take them. It returns how many were sent.
func (m *linkCluster) inject(forgeries []labrpc.Message) int {
	m.wire.forged.Store(true)
	for _, p := range forgeries {
		if err := m.s.Net.Inject(p); err != nil {
			m.s.Failf("", "the test's own forged packet cannot travel: %v", err)
		}
	}
	m.s.Run(time.Second)
	return len(forgeries)
}

// Without an adversary, the link is a reliable link (rules 12 and 13).
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

// The adversary sends every packet that it saw once more for each change that it can make to one part: the
// content, the numbers, the MAC. It does the same to the packet with each of its byte slices empty, for a link that does
// not check an empty MAC. None of these packets may be delivered (rule 12), and all genuine messages must be (rule 14).
func TestAltered1D(t *testing.T) {
	const situation = "an altered message was sent"
	labtest.Run(t, labtest.Config{Nodes: 2, Seeds: 3, MustCover: []string{situation}}, func(s *labtest.Sim) {
		var seen packetLog
		s.Net.Intercept(seen.record)
		m := authenticated(s)
		m.sendMany(1, 2, 2)
		m.arrives(time.Minute, ruleGenuine)
		s.Run(10 * time.Second)
		seen.stop()
		for _, p := range seen.packets() {
			if m.inject(made(p, forgeries(p))) > 0 {
				s.Cover(situation)
			}
		}
		m.sendMany(1, 2, 10)
		m.sendMany(2, 1, 10)
		m.arrives(time.Minute, ruleTrace)
		s.Run(30 * time.Second)
	})
}

// For ten seconds the adversary alters every packet on its way. Then it stops, and
// the messages arrive (rules 12 and 14).
func TestAlteredOnTheWay1D(t *testing.T) {
	const situation = "a packet was altered on its way"
	labtest.Run(t, labtest.Config{Nodes: 2, Seeds: 3, MustCover: []string{situation}}, func(s *labtest.Sim) {
		r := s.Rand()
		var honest atomic.Bool
		s.Net.Intercept(func(p *labrpc.Message) labrpc.Verdict {
			if honest.Load() {
				return labrpc.Pass
			}
			all := forgeries(*p)
			if len(all) == 0 {
				return labrpc.Pass
			}
			altered := made(*p, []forgery{all[r.IntN(len(all))]})
			if len(altered) == 0 {
				return labrpc.Drop
			}
			s.Cover(situation)
			p.Body = altered[0].Body
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

// The adversary repeats all packets that it has seen, at once and much later (rule 13).
func TestReplayed1D(t *testing.T) {
	const situation = "a packet was replayed"
	labtest.Run(t, labtest.Config{Nodes: 2, Seeds: 2, Limit: 3 * time.Hour, MustCover: []string{situation}}, func(s *labtest.Sim) {
		var seen packetLog
		s.Net.Intercept(seen.record)
		m := authenticated(s)
		m.sendMany(1, 2, 5)
		m.sendMany(2, 1, 5)
		m.arrives(time.Minute, ruleGenuine)
		if m.inject(seen.packets()) > 0 {
			s.Cover(situation)
		}
		for i := range 100 {
			m.send(1, 2, marked.Text(100+i))
		}
		m.arrives(time.Minute, ruleTrace)
		m.inject(seen.packets())
		s.Run(idle)
		m.inject(seen.packets())
		s.Run(30 * time.Second)
	})
}

// The adversary sends the packets of n1 to a peer back to n1, in the name of the peer. Both nodes have the same key (rule 12). The peer is
// n2, or n11: "1" and "11" give the same text as "11" and "1".
func TestReflected1D(t *testing.T) {
	const situation = "a packet was sent back to its sender"
	labtest.Run(t, labtest.Config{Nodes: 11, MustCover: []string{situation}}, func(s *labtest.Sim) {
		var seen packetLog
		s.Net.Intercept(seen.record)
		peer := labrpc.NodeID(2)
		if s.Seed%2 == 0 {
			peer = 11
		}
		m := authenticated(s)
		m.sendMany(1, peer, 5)
		m.arrives(time.Minute, ruleGenuine)
		s.Run(10 * time.Second)
		var back []labrpc.Message
		for _, p := range seen.packets() {
			p.From, p.To = p.To, p.From
			back = append(back, p)
		}
		if m.inject(back) > 0 {
			s.Cover(situation)
		}
		m.sendMany(peer, 1, 5)
		m.arrives(time.Minute, ruleTrace)
		s.Run(30 * time.Second)
	})
}

// The adversary keeps a packet back, writes another message into it, and sends this with every MAC of one byte: for a link that compares as many
// bytes as there are (rule 12).
func TestShortMAC1D(t *testing.T) {
	const situation = "an altered message was sent with each MAC of one byte, or the packet has no MAC that can be shortened"
	labtest.Run(t, labtest.Config{Nodes: 2, Seeds: 1, MustCover: []string{situation}}, func(s *labtest.Sim) {
		var seen packetLog
		s.Net.Intercept(seen.record)
		m := authenticated(s)
		m.wire.withhold(1)
		m.send(1, 2, marked.Text(1))
		s.Run(5 * time.Second)
		seen.stop()
		for _, p := range seen.packets() {
			if !slices.Equal(marked.In(p.Body), []int{1}) {
				continue
			}
			if forged := shortMACs(p, marked.Text(1), marked.Text(2)); m.inject(forged) > 0 || len(forged) == 0 {
				s.Cover(situation)
			}
		}
		m.wire.release()
		m.sendMany(2, 1, 5)
		m.arrives(time.Minute, ruleTrace)
		s.Run(30 * time.Second)
	})
}

// The adversary sends each packet once more with every other pair of sender and receiver: a packet of n3 in the name of
// n1, a packet for n3 to n2, and so on (rule 12).
func TestReattributed1D(t *testing.T) {
	const situation = "a packet of n3 was sent in the name of n1"
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
		m.inject(moved)
		m.sendAll(3)
		m.arrives(time.Minute, ruleTrace)
		s.Run(30 * time.Second)
	})
}

// n3 is Byzantine: it uses its own keys to make packets in the name of n1. To make such packets, we first
// start an n1 that has the keys of n3. The adversary then sends its packets to n2 in the names of n1 and of n3 (rule 12).
func TestInsider1D(t *testing.T) {
	const situation = "a packet that n3 sealed in the name of n1 was sent"
	labtest.Run(t, labtest.Config{Nodes: 3, MustCover: []string{situation}}, func(s *labtest.Sim) {
		var lab packetLog
		s.Net.Intercept(lab.record)
		m := newLinkCluster(s)
		m.once, m.authentic = ruleReplay, "with the keys of n3, no node can send as n1 (rule 12)"
		m.byzantine[3] = true // its own messages are not checked
		m.startAuthentic(1, map[labrpc.NodeID][]byte{2: key(2, 3), 3: key(1, 3)})
		for i := range 3 {
			m.link(1).Send(2, fmt.Appendf(nil, "n3 as n1: %d", i))
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
				if p.To == 2 && m.inject([]labrpc.Message{p}) > 0 {
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

// A forged acknowledgement must not stop a message (rule 14). n1 and n2 have messages for each other, which the adversary
// keeps back. It sends both nodes every packet that it can make of the packets that it has seen: acknowledgements for
// other numbers, messages that are turned into acknowledgements, the nodes' own packets.
func TestForgedAcknowledgement1D(t *testing.T) {
	const situation = "an altered answer of n2 was sent to n1"
	labtest.Run(t, labtest.Config{Nodes: 2, Seeds: 2, MustCover: []string{situation}}, func(s *labtest.Sim) {
		var seen packetLog
		s.Net.Intercept(seen.record)
		m := authenticated(s)
		m.sendMany(1, 2, 2)
		m.sendMany(2, 1, 4)
		m.arrives(time.Minute, ruleGenuine)
		s.Run(10 * time.Second)
		seen.stop()

		s.Net.CutBoth(1, 2)
		for i := range 8 {
			m.send(1, 2, marked.Text(10+i))
			m.send(2, 1, marked.Text(10+i))
		}
		s.Run(time.Second)
		s.Net.Heal()
		var honest atomic.Bool
		s.Net.Intercept(func(*labrpc.Message) labrpc.Verdict {
			if honest.Load() {
				return labrpc.Pass
			}
			return labrpc.Drop
		})
		for _, p := range seen.packets() {
			forged := append(made(p, singleChanges(p)), p)
			for i := range forged {
				back := forged[i]
				back.From, back.To = back.To, back.From
				forged = append(forged, back)
			}
			if m.inject(forged) > 2 && p.From == 2 {
				s.Cover(situation)
			}
		}
		honest.Store(true)
		m.arrives(30*time.Second, ruleTrace)
		s.Run(30 * time.Second)
	})
}

// A MAC over joined fields fits several packets: number 1 with content "2x", and number 12 with content "x". The adversary
// moves digits and bytes between all pairs of fields of the packets that it has seen, exchanges fields, and sends packets
// under the names of other methods. It keeps back all packets of the first messages, so that a forged
// acknowledgement stops a message that has not arrived (rules 12 and 14).
func TestJoinedFields1D(t *testing.T) {
	const situation = "a packet with moved bytes was sent, or a packet whose fields leave no bytes to move"
	labtest.Run(t, labtest.Config{Nodes: 2, Seeds: 2, Limit: time.Hour, MustCover: []string{situation}}, func(s *labtest.Sim) {
		var seen packetLog
		s.Net.Intercept(seen.record)
		m := authenticated(s)
		m.authentic = ruleAccept
		for i := range 14 {
			if i < 3 {
				m.wire.withhold(i)
			}
			m.send(1, 2, fmt.Sprintf("345%s678", marked.Text(i)))
			m.send(2, 1, fmt.Sprintf("1,2:3%s4:5,6", marked.Text(i)))
			m.send(1, 2, "")
			m.send(2, 1, "")
		}
		s.Run(10 * time.Second)
		seen.stop()
		packets := seen.packets()
		for _, p := range packets {
			if m.inject(made(p, append(some(s.Rand(), joins(p)), transplants(p, packets)...))) > 0 || rigid(p) {
				s.Cover(situation)
			}
		}
		m.wire.release()
		m.arrives(30*time.Second, ruleAccept)
		s.Run(30 * time.Second)
	})
}

// n2 shares no key with n1. n2 delivers nothing as from n1, also if the packets are sealed with an empty key, as anyone
// can seal them; and n2 sends nothing to n1 (rule 12).
func TestNoKey1D(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 3, Seeds: 2}, func(s *labtest.Sim) {
		m := newLinkCluster(s)
		m.once, m.authentic = ruleReplay, ruleNoKey
		m.startAuthentic(2, map[labrpc.NodeID][]byte{3: key(2, 3)})
		m.startAuthentic(3, map[labrpc.NodeID][]byte{2: key(2, 3)})
		for _, keys := range []map[labrpc.NodeID][]byte{{}, {2: nil}, {2: {}}} {
			m.startAuthentic(1, keys)
			m.link(1).Send(2, []byte("sealed with no key"))
			m.link(2).Send(1, []byte("sealed with no key"))
			s.Run(10 * time.Second)
			s.Net.Crash(1)
			s.Run(time.Second)
		}
		if n := m.packets(2, 1).Sent; n > 0 {
			s.Failf(ruleNoKey, "n2 sent %d packets to n1, want 0: it has no key for n1", n)
		}
		m.sendMany(2, 3, 3)
		m.sendMany(3, 2, 3)
		m.arrives(30*time.Second, ruleTrace)
	})
}

// 2112 messages travel from n1 to n2. All packets of the first are lost while n1 sends 2047 others; later, the adversary
// repeats early packets (rule 13).
func TestLongStream1D(t *testing.T) {
	testStream(t, newAuthenticated, "a message is delivered exactly once, however late its packets arrive (rule 13)", 1<<11+beyond, true)
}

// An authenticated link keeps rules 2 to 5 too.
func TestRetriesAndRests1D(t *testing.T) { testRetries(t, authenticated) }

// While deliver runs for the first copy of a message, a second copy arrives. It must not be acknowledged yet (rule 4).
func TestAcknowledgesWhatWasDelivered1D(t *testing.T) { testAcknowledges(t, authenticated) }

// The content of a message makes no difference (rules 6 and 7).
func TestAnyContent1D(t *testing.T) { testContents(t, authenticated) }

// Many goroutines call Send at once (rule 18).
func TestConcurrentSends1D(t *testing.T) { testConcurrentSends(t, newAuthenticated, true, false) }

// The adversary sends hundreds of forged packets per second in the names of both nodes, while n1 and n2 exchange
// messages: all genuine messages arrive as soon as without the adversary (rule 14).
func TestFlood1D(t *testing.T) {
	const situation = "a message was sent while forged packets arrived"
	labtest.Run(t, labtest.Config{Nodes: 2, Seeds: 3, MustCover: []string{situation}}, func(s *labtest.Sim) {
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
					_ = s.Net.Inject(scrambled(p, s.Rand())) // only numbers and bytes are changed, so it can travel
				}
			}
			m.send(1, 2, marked.Text(10+i))
			m.send(2, 1, marked.Text(10+i))
			s.Cover(situation)
			s.Run(50 * time.Millisecond)
		}
		m.arrives(5*time.Second, ruleTrace)
		s.Run(30 * time.Second)
	})
}

// Forged packets leave nothing in memory (rule 14).
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
			links[1].Send(2, []byte(marked.Text(int(sent))))
			links[2].Send(1, []byte(marked.Text(int(sent))))
			net.Run(30 * time.Second)
			if n := delivered.Load(); n != sent {
				s.Failf(ruleTrace, "half a minute after the last of %d messages was sent, %d of them were delivered, want all", sent, n)
			}
		}
		talk()
		seen.stop()
		send := func(n int) {
			for range n / burst {
				for i := range burst {
					p := seen.packets()[i%len(seen.packets())]
					_ = net.Inject(scrambled(p, s.Rand())) // only numbers and bytes are changed, so it can travel
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
