package transactions_test

import (
	"fmt"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/07-transactions"
)

// A coordinator, two participants and any order of events: messages arrive late, never or twice, timers fire meanwhile, nodes crash
// between any two events or in the middle of a write. Every call of a resource is checked (rules 22 to 25).
func TestAnySchedule7C(t *testing.T) {
	const committed, aborted, doubt = "a participant committed", "a participant aborted", "a participant was in doubt after a crash"
	space := labtest.SearchSpace{
		Nodes: 3, Depth: 40, Losses: 1, Copies: 1, Crashes: 2,
		Strategy: labtest.Random, Schedules: 200, MustCover: []string{committed, aborted, doubt},
	}
	labtest.Explore(t, space, func(s *labtest.Sim) labtest.Scenario {
		c := newCommitCluster(s)
		runs := 0
		begin := func() {
			tx := TxID(fmt.Sprint("t", runs))
			c.add(tx, nil)
			c.run(tx, time.Duration(2-runs%2)*time.Second)
			runs++
		}
		return labtest.Scenario{
			BeforeStep: c.showOutcomes(),
			Actions:    []labtest.Action{{Name: "n1 runs a transaction", Can: func() bool { return s.Net.Up(coordinatorNode) }, Do: begin}},
			Puzzles:    commitPuzzles(c),
			Start: func(node *labrpc.Node) {
				again := c.boot(node)
				if node.ID() != coordinatorNode {
					if again && len(c.participants[node.ID()].InDoubt()) > 0 {
						s.Cover(doubt)
					}
					return
				}
				begin()
			},
			State: func(see func(...int)) {
				c.mu.Lock()
				defer c.mu.Unlock()
				for i := range runs {
					t := c.txs[TxID(fmt.Sprint("t", i))]
					for _, b := range t.branches {
						vote, voted := t.votes[b.Participant]
						outcome := t.outcome[b.Participant]
						see(map[bool]int{true: 1 + int(vote), false: 0}[voted], int(outcome))
						switch outcome {
						case Committed:
							s.Cover(committed)
						case Aborted:
							s.Cover(aborted)
						}
					}
				}
			},
		}
	})
}
