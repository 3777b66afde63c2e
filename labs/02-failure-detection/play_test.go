package detector_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/02-failure-detection"
)

// Two nodes that a person plays ("grade play 2C"): the person is the network, and makes the detectors wrong. No node crashes, so that every
// suspicion is a mistake. The cluster checks rule 1; a timeout may grow only after a mistake (rule 12).
func TestPlay2C(t *testing.T) {
	labtest.Play(t, labtest.SearchSpace{Nodes: 2, NoCrashes: true}, func(s *labtest.Sim) labtest.Scenario {
		c := newIdleCluster(s, "")
		s.Always(func() *labtest.Violation { return c.grewForNothing() })
		return labtest.Scenario{
			Start: func(node *labrpc.Node) {
				c.boot(node, func(node *labrpc.Node, changed func(Change)) suspecter {
					return NewEventual(node, EventualOptions{Period: 2 * period, Initial: initial2C, Changed: changed})
				})
			},
			BeforeStep: c.showSuspicions(), Puzzles: detectorPuzzles(c),
		}
	})
}

// timeout is the timeout that one of the two nodes has for the other.
func (c *cluster) timeout(by labrpc.NodeID) time.Duration {
	return c.detectors[by].(*Eventual).Timeout(3 - by)
}

// wrong is how often a node has suspected the other one.
func (c *cluster) wrong(by labrpc.NodeID) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, claim := range c.claims {
		if claim.by == by && claim.suspected {
			n++
		}
	}
	return n
}

func (c *cluster) grewForNothing() *labtest.Violation {
	for _, id := range slices.Sorted(maps.Keys(c.detectors)) {
		if got := c.timeout(id); got > initial2C && c.wrong(id) == 0 {
			return &labtest.Violation{
				What: fmt.Sprintf("the timeout of %v for %v is %v, although %v has not suspected it yet, want %v", id, 3-id, got, id, initial2C),
				Rule: ruleOnlyMistake,
			}
		}
	}
	return nil
}

// showSuspicions records what each node says of the other, where that has changed: the page shows it.
func (c *cluster) showSuspicions() func() bool {
	known := map[labrpc.NodeID]string{}
	return func() bool {
		for _, id := range c.s.Net.Nodes() {
			says := "trusts"
			if c.detectors[id].Suspects(3 - id) {
				says = "suspects"
			}
			if now := fmt.Sprintf("%s %v, timeout %v", says, 3-id, c.timeout(id).Round(time.Millisecond)); now != known[id] {
				known[id] = now
				c.s.Seen(id, "detector", now)
			}
		}
		return false
	}
}

// detectorPuzzles are those of part C.
func detectorPuzzles(c *cluster) []labtest.Puzzle {
	return []labtest.Puzzle{
		{
			ID: "mistake", Title: "Wrongly suspected",
			Goal: "Have n1 suspect n2, which has not crashed.",
			Hints: []string{
				"A detector sees only that no message arrives. Deliver none, and let time pass.",
			},
			Reached:  func() bool { return c.detectors[1].Suspects(2) },
			Solution: "w.w.w",
		},
		{
			ID: "one-sided", Title: "One trusts, the other does not",
			Goal: "Have n1 suspect n2 while n2 trusts n1, and n2 has received at least four messages of n1.",
			Hints: []string{
				"The two directions of a link are independent: deliver the messages in one of them only.",
			},
			Reached: func() bool {
				return c.detectors[1].Suspects(2) && !c.detectors[2].Suspects(1) && c.s.Net.Stats(labrpc.Match{From: 1, To: 2}).Delivered >= 4
			},
			Solution: "d0.w.d1.w.w.w.w.d4.d2",
		},
		{
			ID: "again", Title: "Wrong again",
			Goal: "Have n1 suspect n2 three times.",
			Hints: []string{
				"A suspicion ends when a message of n2 arrives. Then the mistake is known.",
				"What does n1 learn from a mistake? Compare how long it takes until the second suspicion with the first.",
			},
			Reached:  func() bool { return c.wrong(1) >= 3 },
			Solution: "w.w.w.d0.d0.w.w.w.w.w.w.w.w.d5.w.w.w.w.w.w.w.w.w.w.w.w",
		},
		{
			ID: "nothing", Title: "Learnt from nothing",
			Goal: "Have n1's timeout for n2 grow before n1 has ever suspected n2.",
			Hints: []string{
				"Deliver messages late, but not too late. What happens to the timeout?",
			},
			Rules: []string{
				"From two minutes after the crash of a peer on, every correct node suspects it (rule 9)",
				"From one minute after GST on, no correct node is suspected (rule 10)",
				"A suspicion is withdrawn at most two seconds after messages of the peer arrive again (rule 11)",
				"A node raises a peer's timeout only after a mistake of its own about that peer (rule 12)",
			},
			Forbid: 3,
		},
	}
}
