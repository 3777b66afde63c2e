package election_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/04-election"
)

// Three nodes that a person plays ("grade play 4A"). A person may keep a message longer than Options.Delay, so that rules 1 and 3 need not
// hold: that is what there is to see. The cluster checks rule 2.
func TestPlay4A(t *testing.T) {
	labtest.Play(t, labtest.SearchSpace{Nodes: 3}, func(s *labtest.Sim) labtest.Scenario {
		c := newBullyCluster(s)
		return labtest.Scenario{Start: c.boot, BeforeStep: showLeaders(s, c.leader), Puzzles: bullyPuzzles(c)}
	})
}

// showLeaders records what each node that is up reports as its leader, where that has changed: the page shows it.
func showLeaders(s *labtest.Sim, leader func(labrpc.NodeID) labrpc.NodeID) func() bool {
	known := map[labrpc.NodeID]string{}
	return func() bool {
		for _, id := range upOf(s.Net) {
			if now := fmt.Sprint(leader(id), s.Net.Incarnation(id)); now != known[id] {
				known[id] = now
				says := any(leader(id))
				if leader(id) == 0 {
					says = "none"
				}
				s.Seen(id, "Leader", says)
			}
		}
		return false
	}
}

// bullyPuzzles are those of part A.
func bullyPuzzles(c *bullyCluster) []labtest.Puzzle {
	followed := false // n1 has reported n2
	report := func(at, leader labrpc.NodeID) bool { return c.s.Net.Up(at) && c.leader(at) == leader }
	return []labtest.Puzzle{
		{
			ID: "highest", Title: "The highest wins",
			Goal: "Have all three nodes report n3 as their leader.",
			Hints: []string{
				"n3 has no higher node to ask. When does it know that it leads, and which nodes must learn it from n3?",
				"n3 announces at once that it leads. Deliver both announcements.",
			},
			Solution: "d4.d3",
			Reached:  func() bool { return report(1, 3) && report(2, 3) && report(3, 3) },
		},
		{
			ID: "two", Title: "Two leaders at one time",
			Goal: "Bring about a time at which n2 and n3 both report themselves as the leader.",
			Hints: []string{
				"The algorithm takes a node for crashed when its reply has not arrived in time. Must such a node have crashed?",
				"Deliver nothing between n2 and n3, and let time pass. The synchronous model forbids this: there, a message always arrives within the delay.",
			},
			Reached:  func() bool { return report(2, 2) && report(3, 3) },
			Solution: "w.w",
		},
		{
			ID: "bully", Title: "The bully returns",
			Goal: "Have n1 report n2 as its leader, and afterwards n3.",
			Hints: []string{
				"n2 leads when it has asked n3 and received no reply. So n3 must be down, or its messages late.",
				"Crash n3, let n2 win, and deliver the announcement of n2 to n1. Then start n3 again: it announces that it leads.",
			},
			Reached: func() bool {
				followed = followed || report(1, 2)
				return followed && report(1, 3)
			},
			Solution: "d0.d4.w.d4.d2",
		},
		{
			ID: "lower", Title: "A leader that is lower",
			Goal: "Have n3 report n1 or n2 as its leader, however late the messages are.",
			Hints: []string{
				"Let n2 win, and deliver its announcement to n3. What does n3 do with it?",
			},
			Rules: []string{
				"From 30 delays after the last crash or return on, every node that is up reports the highest node that is up (rule 1)",
				"A node never reports a node lower than itself (rule 2)",
				"A node reports another node only if a message from that node has reached it (rule 2)",
				"At rest, all nodes together send at most 2n messages per delay (rule 4)",
			},
			Forbid: 1,
		},
	}
}

// ringPlayDelay is so long that no node gives up a message while a person thinks: rule 6 holds only where no message is late.
const ringPlayDelay = 24 * time.Hour

// Four nodes in a ring that a person plays ("grade play 4B"): n4, n3, n2, n1, and n4 again. The cluster checks rule 6.
func TestPlay4B(t *testing.T) {
	labtest.Play(t, labtest.SearchSpace{Nodes: 4, NoCrashes: true}, func(s *labtest.Sim) labtest.Scenario {
		c := &ringCluster{s: s, order: []labrpc.NodeID{4, 3, 2, 1}, rings: map[labrpc.NodeID]*Ring{}, known: newKnowledge(s), reported: map[labrpc.NodeID]labrpc.NodeID{}}
		s.Always(func() *labtest.Violation {
			if len(c.rings) < len(c.order) {
				return nil // not all have started
			}
			return c.checkLeaders()
		})
		scenario := labtest.Scenario{
			Start: func(n *labrpc.Node) {
				c.rings[n.ID()] = NewRing(n, RingOptions{Order: slices.Clone(c.order), Delay: ringPlayDelay})
			},
			BeforeStep: showLeaders(s, c.leader), Puzzles: ringPuzzles(c),
		}
		for _, id := range c.order {
			scenario.Actions = append(scenario.Actions, labtest.Action{
				Name: fmt.Sprintf("%v starts an election", id),
				Do:   func() { c.rings[id].Elect() },
			})
		}
		return scenario
	})
}

// ringPuzzles are those of part B.
func ringPuzzles(c *ringCluster) []labtest.Puzzle {
	sent := 0 // messages that are no replies
	c.s.Net.Intercept(func(m *labrpc.Message) labrpc.Verdict {
		c.mu.Lock()
		defer c.mu.Unlock()
		if m.Kind != labrpc.Reply {
			sent++
		}
		return labrpc.Pass
	})
	winner := func(id labrpc.NodeID) bool { return c.leader(id) == 4 }
	return []labtest.Puzzle{
		{
			ID: "round", Title: "Twice round the ring",
			Goal: "Have all four nodes report n4 as the winner.",
			Hints: []string{
				"Each node passes on what it receives to the next node: n4 to n3, n3 to n2, n2 to n1, n1 to n4.",
				"Have n4 start an election. When its ID is back at n4, n4 has won, and the news travels round once more. The replies do not matter.",
			},
			Reached:  func() bool { return !slices.ContainsFunc(c.order, func(id labrpc.NodeID) bool { return !winner(id) }) },
			Solution: "s0.d0.d0.d1.d0.d2.d2.d2.d2.d1.d0.d0.d1.d0.d1",
		},
		{
			ID: "worst", Title: "The most expensive election",
			Goal: "Have the nodes send eleven requests before any node reports a winner: ten with IDs of candidates, and the first one with the result.",
			Hints: []string{
				"An ID travels until it meets a higher node. How far does the ID of each node travel in this ring?",
				"The ID of n1 takes one request, the ID of n2 two, of n3 three, and of n4 four. A node that has passed on a higher ID does not send its own any more.",
				"Have all four nodes start an election, and then deliver all requests.",
			},
			Reached: func() bool {
				c.mu.Lock()
				enough := sent >= 11
				c.mu.Unlock()
				return enough && !slices.ContainsFunc(c.order, winner)
			},
			Solution: "s3.d0.s2.d2.d0.s1.d2.d1.d1.d2.d2.d1.d1.d1.d0.d1.d2.d2.d1.d1.d0.d0",
		},
		{
			ID: "lower", Title: "A lower winner",
			Goal: "Have a node report n3 as the winner, although n4 is up.",
			Hints: []string{
				"Which nodes must the ID of n3 pass before it is back at n3?",
				"A node passes on only an ID that is higher than its own. What does n4 do with the ID of n3?",
			},
			Rules: []string{
				"Elect may be called at any time, also during an election (rule 5)",
				"A node reports only the highest node that is up, or the winner of the election before (rule 6)",
				"The winner's ID travels round twice (rule 7)",
				"After the election, the nodes send no messages (rule 8)",
			},
			Forbid: 1,
		},
	}
}
