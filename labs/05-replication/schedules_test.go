package replication_test

import (
	"fmt"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/05-replication"
)

// Three servers, a command for each of the first leaders, and any order of events: messages arrive late, never or twice.
// The invariant checker checks figure 3 at every step.
func TestAnySchedule5B(t *testing.T) {
	searchSchedules(t, labtest.SearchSpace{Losses: 2, Copies: 1, Schedules: 150})
}

// The same, with a server that crashes between any two events or in the middle of a write.
func TestAnyScheduleWithCrashes5C(t *testing.T) {
	searchSchedules(t, labtest.SearchSpace{Losses: 1, Copies: 1, Crashes: 1, Schedules: 200})
}

func searchSchedules(t *testing.T, space labtest.SearchSpace) {
	const (
		committed = "a command was committed"
		crashed   = "a server crashed"
	)
	space.Nodes, space.Depth, space.MaxWait = 3, 60, 3*time.Second // longer than two election timeouts
	space.MustCover = []string{committed}
	if space.Crashes > 0 {
		space.MustCover = append(space.MustCover, crashed)
	}
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
