package links_test

import (
	"fmt"
	"testing"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/01-links"
)

// Two nodes that a person plays ("grade play 1A"): the person is the network between them, and has the applications send. The cluster checks
// every delivery.

func TestPlay1A(t *testing.T) {
	playLinks(t, func(m *linkCluster, n *labrpc.Node) sender { return NewStubborn(n, m.deliver(n)) }, func(m *linkCluster) []labtest.Puzzle {
		return []labtest.Puzzle{
			{
				ID: "again", Title: "Twice by itself",
				Goal: "Have n2 deliver one message of n1 twice. Do not use the network's own duplicates: no packet may arrive twice.",
				Hints: []string{
					"A stubborn link does not know whether a packet has arrived. What does it do about that?",
					"Have n1 send a message to n2, and let time pass before you deliver anything.",
				},
				Solution: "s0.w.d0.d0",
				Reached: func() bool {
					return m.deliveries(1, 2) == 2 && m.sentOnce() && m.s.Net.Stats(labrpc.Match{}).Duplicated == 0
				},
			},
		}
	})
}

func TestPlay1B(t *testing.T) {
	open := func(m *linkCluster, n *labrpc.Node) sender {
		m.once = "a message is delivered exactly once (rule 7)"
		return NewReliable(n, m.deliver(n))
	}
	playLinks(t, open, func(m *linkCluster) []labtest.Puzzle {
		return []labtest.Puzzle{
			{
				ID: "once", Title: "Three packets, one message",
				Goal: "Have n1 send one message, let three packets with it reach n2, and see that n2 delivers the message once.",
				Hints: []string{
					"The network may deliver a packet twice: the button twice keeps a copy under way.",
				},
				Solution: "s0.w.u0.d0.d0",
				Reached:  func() bool { return m.sentOnce() && m.deliveries(1, 2) == 1 && m.reached(1, 2) >= 3 },
			},
			{
				ID: "unheard", Title: "Delivered, and the sender does not know",
				Goal: "Have n1 send one message that n2 delivers, and have n1 send four packets or more, because no packet of n2 has reached n1.",
				Hints: []string{
					"n2 acknowledges each packet. What does n1 do as long as no acknowledgement arrives?",
					"Deliver one packet to n2, nothing to n1, and let time pass.",
				},
				Solution: "s0.w.d1.w.w",
				Reached: func() bool {
					return m.sentOnce() && m.deliveries(1, 2) == 1 && m.reached(2, 1) == 0 && m.packets(1, 2).Sent >= 4
				},
			},
		}
	})
}

func TestPlay1C(t *testing.T) {
	open := func(m *linkCluster, n *labrpc.Node) sender {
		m.once = "a message is delivered exactly once (rules 7 and 9)"
		m.oneAtATime = "the messages of one sender are delivered one at a time (rule 9)"
		return NewOrdered(n, m.deliver(n))
	}
	playLinks(t, open, func(m *linkCluster) []labtest.Puzzle {
		return []labtest.Puzzle{
			{
				ID: "early", Title: "Too early to deliver",
				Goal: "Have a packet with a message of n1 reach n2, although n2 must not deliver this message yet. n2 itself sends no message.",
				Hints: []string{
					"n2 delivers the messages of n1 in the order in which n1 sent them. So the first message must be missing.",
					"Have n1 send two messages, and deliver the packet of the second one.",
				},
				Solution: "s0.s0.d1",
				Reached:  func() bool { return m.hasSentNothing(2, 1) && m.reached(1, 2) > 0 && m.deliveries(1, 2) == 0 },
			},
			{
				ID: "at-once", Title: "Three at once",
				Goal: "Have n2 deliver three messages of n1 when a single packet arrives. n2 itself sends no message.",
				Hints: []string{
					"Messages that arrive too early wait at n2. Which packet do they wait for?",
				},
				Solution: "s0.s0.s0.d1.d1.d0",
				Reached:  m.atOnce(3),
			},
		}
	})
}

// playLinks is a scenario of two nodes with a link of one kind. These links are for nodes that stay up.
func playLinks(t *testing.T, open func(m *linkCluster, n *labrpc.Node) sender, puzzles func(m *linkCluster) []labtest.Puzzle) {
	labtest.Play(t, labtest.SearchSpace{Nodes: 2, NoCrashes: true}, func(s *labtest.Sim) labtest.Scenario {
		m := newLinkCluster(s)
		m.arrived = func(r route, text string) { s.Delivered(r.to, fmt.Sprintf("%q from %v", text, r.from)) }
		scenario := labtest.Scenario{
			Start:   func(n *labrpc.Node) { m.add(n.ID(), open(m, n)) },
			Puzzles: puzzles(m),
		}
		for _, r := range []route{{1, 2}, {2, 1}} {
			scenario.Actions = append(scenario.Actions, labtest.Action{
				Name: fmt.Sprintf("%v sends a message to %v", r.from, r.to),
				Can:  func() bool { return s.Net.Up(r.from) },
				Do:   func() { go m.sendNew(r.from, r.to) },
			})
		}
		return scenario
	})
}

// sentOnce reports whether one message has been sent.
func (m *linkCluster) sentOnce() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.number == 1
}

// hasSentNothing reports whether a node has sent another no message: then its packets are acknowledgements.
func (m *linkCluster) hasSentNothing(from, to labrpc.NodeID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.sent[route{from, to}]) == 0
}

// deliveries is how many messages a node has delivered from another.
func (m *linkCluster) deliveries(from, to labrpc.NodeID) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, count := range m.got[route{from, to}] {
		n += count
	}
	return n
}

// reached is how many packets of one node have reached another.
func (m *linkCluster) reached(from, to labrpc.NodeID) int { return m.packets(from, to).Delivered }

// atOnce reports whether n2 has delivered so many messages of n1 between two instants at which the person chose.
func (m *linkCluster) atOnce(n int) func() bool {
	before, done := 0, false
	return func() bool {
		now := m.deliveries(1, 2)
		done = done || m.hasSentNothing(2, 1) && now-before >= n
		before = now
		return done
	}
}
