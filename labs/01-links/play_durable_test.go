package links_test

import (
	"fmt"
	"testing"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/01-links"
)

// Two nodes with durable links that a person plays ("grade play 1E"): the person crashes them, too. The cluster reads their states after every step.
func TestPlay1E(t *testing.T) {
	labtest.Play(t, labtest.SearchSpace{Nodes: 2}, func(s *labtest.Sim) labtest.Scenario {
		p := newDurableCluster(s)
		scenario := labtest.Scenario{
			Start: func(n *labrpc.Node) {
				link, err := NewDurable(n, logLine)
				if err != nil {
					n.Logf("NewDurable: %v", err)
				}
				p.mu.Lock()
				defer p.mu.Unlock()
				p.nodes[n.ID()].link = link
			},
			Puzzles: durablePuzzles(p),
		}
		for _, r := range []route{{1, 2}, {2, 1}} {
			scenario.Actions = append(scenario.Actions, labtest.Action{
				Name: fmt.Sprintf("%v sends a message to %v", r.from, r.to),
				Can:  func() bool { return s.Net.Up(r.from) },
				Do:   func() { go p.sendNext(r.from, r.to) },
			})
		}
		return scenario
	})
}

// applied is how many messages a node has shown as applied.
func (p *durableCluster) applied(id labrpc.NodeID) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.nodes[id].shown)
}

// sentOne reports whether one message has been sent, and its Send has returned nil.
func (p *durableCluster) sentOne() bool {
	kept := p.promised()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.number == 1 && kept == 1
}

// reached is how many packets of one node have reached another.
func (p *durableCluster) reached(from, to labrpc.NodeID) int {
	return p.s.Net.Stats(labrpc.Match{From: from, To: to}).Delivered
}

// restarted reports, once a node runs in a second incarnation, what held at the last step before.
func (p *durableCluster) restarted(id labrpc.NodeID, holds func() bool) func() bool {
	held := false
	return func() bool {
		if p.s.Net.Incarnation(id) < 2 {
			held = holds()
			return false
		}
		return held && p.s.Net.Up(id)
	}
}

// durablePuzzles are the puzzles of part E.
func durablePuzzles(p *durableCluster) []labtest.Puzzle {
	unsent := p.restarted(1, func() bool { return p.reached(1, 2) == 0 && p.sentOne() })
	unheard := p.restarted(2, func() bool { return p.applied(2) == 1 && p.reached(2, 1) == 0 })
	undone := p.restarted(2, func() bool { return p.reached(1, 2) == 0 })
	before := -1 // packets that had reached n2 when it started again
	return []labtest.Puzzle{
		{
			ID: "promise", Title: "The promise outlives its maker",
			Goal: "Have n1 send one message and crash before any packet of it has reached n2. Have n2 apply the message all the same.",
			Hints: []string{
				"Send has returned nil: that was a promise. Where must the message be by then?",
				"Have n1 send, restart n1, and let time pass. The packets that the first incarnation sent need not arrive.",
			},
			Solution: "s0.c1.d0",
			Reached:  func() bool { return unsent() && p.applied(2) == 1 },
		},
		{
			ID: "again", Title: "Applied, forgotten by nobody",
			Goal: "Have n2 apply a message and crash before n1 has learnt of it. Then let another packet with the message reach n2: the state has the message once.",
			Hints: []string{
				"After the restart n2 knows only what is on its disk. The state is there. What else must be?",
				"Deliver n1's packet, and lose the acknowledgement. Restart n2, and let time pass until n1 sends again.",
			},
			Solution: "s0.d0.x0.c2.w.d0",
			Reached: func() bool {
				if !unheard() {
					return false
				}
				if before < 0 {
					before = p.reached(1, 2)
				}
				return p.sentOne() && p.applied(2) == 1 && p.reached(1, 2) > before
			},
		},
		{
			ID: "between", Title: "Received, and not applied",
			Goal: "Have a packet with a message reach n2, and n2 not have the message in its state when it runs again.",
			Hints: []string{
				"n2 saves the new state when the packet arrives. What if it crashes just before that?",
				"Arm a crash of n2 before its next disk write, then deliver the packet.",
			},
			Solution: "s0.b2.d0",
			Reached:  func() bool { return undone() && p.reached(1, 2) > 0 && p.applied(2) == 0 },
		},
		{
			ID: "acknowledged", Title: "Acknowledged, and lost",
			Goal: "Have an acknowledgement of n2 reach n1, and n2 run afterwards without the message in its state.",
			Hints: []string{
				"When does n2 send the acknowledgement, and what is on its disk by then?",
			},
			Rules: []string{
				"If Send has returned nil, the message is applied, whichever nodes crash (rule 15)",
				"A receiver acknowledges a message when the state with this message is on its disk, not before (rules 4 and 16)",
				"State returns a copy (rule 17)",
				"A node learns of a message only from packets that have reached it (rule 19)",
			},
			Forbid: 1,
		},
	}
}
