package clocks_test

import (
	"fmt"
	"testing"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
)

// Three nodes that a person plays ("grade play 3D"): the person has them broadcast, and decides what arrives when. The group checks every
// delivery (rule 15).
func TestPlay3D(t *testing.T) {
	labtest.Play(t, labtest.SearchSpace{Nodes: 3, NoCrashes: true}, func(s *labtest.Sim) labtest.Scenario {
		g := &group{traffic: &traffic{s: s}, plain: true}
		scenario := labtest.Scenario{Start: g.join, BeforeStep: g.showHeld(), Puzzles: causalPuzzles(g)}
		for _, id := range s.Net.Nodes() {
			scenario.Actions = append(scenario.Actions, labtest.Action{
				Name: fmt.Sprintf("%v broadcasts a message", id),
				Do:   func() { go g.broadcast(id) },
			})
		}
		return scenario
	})
}

// showHeld records how many messages each node holds, where that has changed: the page shows it beside the node.
func (g *group) showHeld() func() bool {
	known := map[labrpc.NodeID]int{}
	return func() bool {
		for _, m := range g.members {
			if held := m.c.Held(); held != known[m.id] {
				known[m.id] = held
				g.s.Seen(m.id, "held", held)
			}
		}
		return false
	}
}

// held is how many messages all nodes hold.
func (g *group) held() (n int) {
	for _, m := range g.members {
		n += m.c.Held()
	}
	return n
}

// causalPuzzles are those of causal delivery.
func causalPuzzles(g *group) []labtest.Puzzle {
	before := map[labrpc.NodeID]int{} // how many messages each node held
	atOnce := false
	return []labtest.Puzzle{
		{
			ID: "answer", Title: "The answer before the question",
			Goal: "With two broadcasts, each of another node, have a node hold one of them although it is the first one that its sender has broadcast.",
			Hints: []string{
				"A message waits for every message that happened before it, also for those of other nodes.",
				"n1 broadcasts a question. n2 answers after the question has arrived there. Which message must n3 receive first?",
			},
			Reached:  func() bool { return g.sent == 2 && g.held() == 1 && g.senders() == 2 },
			Solution: "s0.d0.s1.d2",
		},
		{
			ID: "chain", Title: "Three at once",
			Goal: "Have a node deliver three messages or more when a single packet arrives.",
			Hints: []string{
				"Messages that arrive too early wait at the node. Which message do they wait for?",
				"n1 and n2 broadcast in turn, each after it has delivered the other's message. Then deliver the three messages to n3 in reverse.",
			},
			Reached: func() bool {
				for _, m := range g.members {
					now := m.c.Held()
					atOnce = atOnce || before[m.id]-now >= 2 // those that waited, and the one that arrived
					before[m.id] = now
				}
				return atOnce
			},
			Solution: "s0.d0.s1.d1.s0.d3.d1.d0",
		},
		{
			ID: "never", Title: "The effect before its cause",
			Goal: "Have n3 deliver an answer of n2 before the question of n1 that n2 had delivered when it answered.",
			Hints: []string{
				"The packets arrive in the order that you choose. What does n3 do with the answer while the question is under way?",
			},
			Rules: []string{
				"Every node delivers each broadcast after all broadcasts that happened before it (rule 15)",
				"No message waits for a message that is concurrent to it (rule 16)",
				"Each entry of a merged vector is the larger of the two entries (rule 14)",
				"Timestamps are in a total order (rule 11)",
			},
			Forbid: 0,
		},
	}
}

// senders is how many nodes have broadcast.
func (g *group) senders() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	from := map[labrpc.NodeID]bool{}
	for _, e := range g.log {
		if e.Broadcast {
			from[e.Node] = true
		}
	}
	return len(from)
}
