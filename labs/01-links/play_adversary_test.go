package links_test

import (
	"fmt"
	"sync"
	"testing"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/01-links"
)

// Two nodes with authenticated links, and an adversary between them that a person plays ("grade play 1D"). The adversary sees every packet. It sends
// packets that it has seen again, changes them, and sends them back.
func TestPlay1D(t *testing.T) {
	labtest.Play(t, labtest.SearchSpace{Nodes: 2, NoCrashes: true}, func(s *labtest.Sim) labtest.Scenario {
		m := newLinkCluster(s)
		m.once, m.authentic = ruleReplay, ruleForgery
		a := &playedAdversary{m: m, seen: map[route]labrpc.Message{}, arrived: map[route]int{}}
		s.Net.Intercept(a.see)
		scenario := labtest.Scenario{
			Start:      func(n *labrpc.Node) { m.add(n.ID(), NewAuthenticated(n, keysOf(n.ID(), 2), m.deliver(n))) },
			OnDelivery: func(p labtest.Arrival) { a.arrived[route{p.From, p.To}]++ },
			Puzzles:    adversaryPuzzles(a),
		}
		for _, r := range []route{{1, 2}, {2, 1}} {
			has := func() bool { _, ok := a.last(r); return ok }
			scenario.Actions = append(scenario.Actions,
				labtest.Action{Name: fmt.Sprintf("%v sends a message to %v", r.from, r.to), Do: func() { go m.sendNew(r.from, r.to) }},
				labtest.Action{Name: fmt.Sprintf("the adversary repeats %v's last packet", r.from), Can: has, Do: func() { a.repeat(r) }},
				labtest.Action{Name: fmt.Sprintf("the adversary changes %v's last packet", r.from), Can: has, Do: func() { a.change(r) }},
				labtest.Action{Name: fmt.Sprintf("the adversary sends %v's last packet back to %v", r.from, r.from), Can: has, Do: func() { a.mirror(r) }},
			)
		}
		return scenario
	})
}

// A playedAdversary sends forged packets.
type playedAdversary struct {
	m       *linkCluster
	mu      sync.Mutex
	seen    map[route]labrpc.Message // the last packet; guarded by mu
	arrived map[route]int            // packets that have arrived, forged ones too
	changes int
}

// see is an interceptor.
func (a *playedAdversary) see(p *labrpc.Message) labrpc.Verdict {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seen[route{p.From, p.To}] = *p
	return labrpc.Pass
}

// last returns the last packet, if there is one.
func (a *playedAdversary) last(r route) (p labrpc.Message, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p, ok = a.seen[r]
	return p, ok
}

func (a *playedAdversary) repeat(r route) {
	p, _ := a.last(r)
	a.send(p)
}

// change sends the last packet with one change, another one each time.
func (a *playedAdversary) change(r route) {
	p, _ := a.last(r)
	if all := made(p, singleChanges(p)); len(all) > 0 {
		a.send(all[a.changes%len(all)])
		a.changes++
	}
}

// mirror sends a node its own packet, as from its peer.
func (a *playedAdversary) mirror(r route) {
	p, _ := a.last(r)
	p.From, p.To = r.to, r.from
	a.send(p)
}

func (a *playedAdversary) send(p labrpc.Message) {
	a.m.wire.forged.Store(true) // no delivery proves that a genuine packet has arrived
	if err := a.m.s.Net.Inject(p); err != nil {
		a.m.s.Logf("this forged packet cannot travel: %v", err)
	}
}

// forged is how many forged packets have arrived: the network does not count them.
func (a *playedAdversary) forged(from, to labrpc.NodeID) int {
	return a.arrived[route{from, to}] - a.m.reached(from, to)
}

// adversaryPuzzles are the puzzles of part D.
func adversaryPuzzles(a *playedAdversary) []labtest.Puzzle {
	m := a.m
	before := -1 // forged packets that had reached n2 when it delivered the message
	early := false
	return []labtest.Puzzle{
		{
			ID: "repeated", Title: "Recorded, and played again",
			Goal: "Have n1 send one message and n2 deliver it. Then have a packet that the adversary repeats reach n2: it is genuine, byte for byte, and n2 must not deliver it again.",
			Hints: []string{
				"The adversary has no key, but it needs none to repeat what it has seen. What does n2 have to remember?",
				"Have n1 send a message, and deliver its packet. Then the adversary repeats n1's last packet: deliver that, too.",
			},
			Solution: "s0.d0.s1.d1",
			Reached: func() bool {
				if before < 0 && m.deliveries(1, 2) == 1 {
					before = a.forged(1, 2)
				}
				return m.sentOnce() && m.deliveries(1, 2) == 1 && a.forged(1, 2) > before
			},
		},
		{
			ID: "changed", Title: "First the forgery",
			Goal: "Have n1 send one message. Let a changed packet reach n2 before any packet of n1 does, and have n2 deliver the message afterwards.",
			Hints: []string{
				"If n2 remembered the number of the changed packet, it would take the genuine one for a copy. So what does n2 do before it looks at the number?",
				"Deliver the changed packet first, then the genuine one.",
			},
			Solution: "s0.s2.d1.d0",
			Reached: func() bool {
				early = early || m.deliveries(1, 2) == 0 && m.reached(1, 2) == 0 && a.forged(1, 2) > 0
				return early && m.sentOnce() && m.deliveries(1, 2) == 1
			},
		},
		{
			ID: "mirror", Title: "Its own words",
			Goal: "Have n1 receive its own packet, as from n2. The two nodes share one key, so n1 finds the MAC of this packet correct, unless the MAC covers the direction. n2 sends no message.",
			Hints: []string{
				"The adversary sends n1's last packet back to n1.",
			},
			Solution: "s0.s3.d1",
			Reached:  func() bool { return m.hasSentNothing(2, 1) && a.forged(2, 1) > 0 && !m.hasSentNothing(1, 2) },
		},
		{
			ID: "silenced", Title: "A forged acknowledgement",
			Goal: "Have n1 send a message, and stop sending its packets although n2 has not delivered it.",
			Hints: []string{
				"A link stops when it has an acknowledgement. Who can make one that n1 accepts?",
			},
			Rules: []string{
				"A packet with a message carries its bytes unchanged and in one piece (rule 6)",
				"A link accepts an acknowledgement only from the node that it names, for this node (rule 12)",
				"Every message is delivered exactly once, although its packets arrive again (rule 13)",
				"The link stores nothing about a forged packet (rule 14)",
			},
			Forbid: 1,
		},
	}
}
