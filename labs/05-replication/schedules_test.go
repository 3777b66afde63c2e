package replication_test

import (
	"fmt"
	"testing"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/05-replication"
)

// Three servers, a command for each of the first leaders, and any order of events: messages arrive late, never or twice,
// a server crashes between any two events or in the middle of a write. The watcher checks figure 3 at every step.
func TestAnySchedule5B(t *testing.T) {
	const (
		committed = "a command was committed"
		crashed   = "a server crashed"
	)
	space := labtest.SearchSpace{Nodes: 3, Depth: 60, Losses: 1, Copies: 1, Crashes: 1, MustCover: []string{committed, crashed}}
	labtest.Explore(t, space, func(s *labtest.Sim) labtest.Scenario {
		c := &raftCluster{s: s, servers: s.Net.Nodes(), rafts: map[labrpc.NodeID]*Raft{}, w: checkInvariants(s, space.Nodes)}
		told := map[int]bool{} // the terms whose leader has a command
		return labtest.Scenario{
			Start: func(node *labrpc.Node) {
				if c.rafts[node.ID()] != nil {
					s.Cover(crashed)
				}
				c.boot(node)
			},
			BeforeStep: func() bool {
				for _, id := range c.servers {
					raft := c.rafts[id]
					if st := raft.Status(); st.Role == roleLeader && !told[st.Term] && len(told) < 3 {
						told[st.Term] = true
						command := fmt.Appendf(nil, "c%d", len(told))
						go raft.Submit(command)
						return true
					}
				}
				return false
			},
			State: func(see func(...int)) {
				for _, id := range c.servers {
					st := c.rafts[id].Status()
					see(st.Term, int(st.Role), int(st.Leader), st.CommitIndex, lastIndexOf(st))
					if st.CommitIndex > 0 {
						s.Cover(committed)
					}
				}
			},
		}
	})
}
