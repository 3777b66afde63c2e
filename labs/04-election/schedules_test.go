package election_test

import (
	"testing"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/04-election"
)

// Three servers, and any order of events: messages arrive late, never or twice, timers fire meanwhile, a server crashes
// between any two events or in the middle of a write. At every step the cluster checks rules 9 to 13.
func TestAnySchedule4C(t *testing.T) {
	const (
		contested = "two servers were candidates in one term"
		crashed   = "a server crashed"
	)
	space := labtest.SearchSpace{
		Nodes: 3, Depth: 30, Losses: 1, Copies: 1, Crashes: 2,
		Strategy: labtest.Random, MustCover: []string{contested, crashed}, // docs/exploring.md has the measurement
	}
	labtest.Explore(t, space, func(s *labtest.Sim) labtest.Scenario {
		c := newCluster(s)
		due := map[labrpc.NodeID]int{} // the term that each server must have adopted
		s.Always(func() *labtest.Violation {
			for _, id := range c.up() {
				st := c.state(id)
				if st.Term < due[id] {
					return violation(ruleTerms, "%v has received a request of term %d, but it is %v", id, due[id], st)
				}
				if st.Role == Candidate && c.voteOf(id, st.Term) == id && c.candidatesIn(st.Term) > 1 {
					s.Cover(contested)
				}
			}
			return nil
		})
		return labtest.Scenario{
			Start: func(node *labrpc.Node) {
				if c.boot(node) {
					s.Cover(crashed)
				}
				delete(due, node.ID())
			},
			State: func(see func(...int)) {
				for _, id := range s.Net.Nodes() {
					st := c.state(id)
					see(st.Term, int(st.Role), int(st.Leader))
				}
			},
			Puzzles: electionPuzzles(c),
			OnDelivery: func(m labtest.Arrival) {
				switch b := m.Body.(type) {
				case VoteRequest:
					// A server that knows a leader may ignore candidates (rule 10), and a pre-vote promises nothing.
					if c.state(m.To).Leader == 0 && !c.hasVoteBodies() {
						due[m.To] = max(due[m.To], b.Term)
					}
				case AppendRequest:
					due[m.To] = max(due[m.To], b.Term)
				}
			},
		}
	})
}

func (c *cluster) hasVoteBodies() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.voteBodies
}
