package replication_test

import (
	"fmt"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/05-replication"
)

// Three servers that a person plays ("grade play 5A" and so on): the person is the client, too. The invariant checker checks figure 3 at every step.

func TestPlay5A(t *testing.T) { playRaft(t, false, raftClusterOptions{}, agreementPuzzles) }

func TestPlay5B(t *testing.T) { playRaft(t, false, raftClusterOptions{}, conflictPuzzles) }

func TestPlay5C(t *testing.T) { playRaft(t, true, raftClusterOptions{}, logPuzzles) }

func TestPlay5E(t *testing.T) {
	playRaft(t, true, raftClusterOptions{SnapshotEvery: 2}, snapshotPuzzles)
}

// playRaft is a scenario of three servers, which can crash or not.
func playRaft(t *testing.T, crashes bool, options raftClusterOptions, puzzles func(c *raftCluster) []labtest.Puzzle) {
	space := labtest.SearchSpace{Nodes: 3, MaxWait: 3 * time.Second, NoCrashes: !crashes}
	labtest.Play(t, space, func(s *labtest.Sim) labtest.Scenario {
		c := &raftCluster{s: s, servers: s.Net.Nodes(), rafts: map[labrpc.NodeID]*Raft{}, w: checkInvariants(s, 3), options: options}
		logs := map[labrpc.NodeID]string{}
		scenario := labtest.Scenario{
			Start:      func(node *labrpc.Node) { c.boot(node) },
			BeforeStep: func() bool { c.showLogs(logs); return false },
			Puzzles:    puzzles(c),
		}
		for _, id := range c.servers {
			scenario.Actions = append(scenario.Actions, labtest.Action{
				Name: fmt.Sprintf("submit a command to %v", id),
				Can:  func() bool { return s.Net.Up(id) && c.rafts[id].Status().Role == roleLeader },
				Do: func() {
					c.count++
					command, raft := fmt.Appendf(nil, "c%d", c.count), c.rafts[id]
					go raft.Submit(command)
				},
			})
		}
		return scenario
	})
}

// showLogs records the log of each server that runs, where it is not as it was: the page draws it.
func (c *raftCluster) showLogs(known map[labrpc.NodeID]string) {
	for _, id := range c.servers {
		if !c.s.Net.Up(id) {
			continue
		}
		st := c.rafts[id].Status()
		log := labtest.Log{
			Snapshot: st.SnapshotIndex, SnapshotTerm: st.SnapshotTerm, First: st.SnapshotIndex + 1, Committed: st.CommitIndex, Applied: st.LastApplied,
		}
		for _, e := range st.Log {
			log.Terms = append(log.Terms, e.Term)
		}
		if text := fmt.Sprint(c.s.Net.Incarnation(id), log); text != known[id] {
			known[id] = text
			c.s.SeenLog(id, log)
		}
	}
}

// A logMemory remembers, for the puzzles, which entries were on how many servers.
type logMemory struct {
	c        *raftCluster
	held     map[labrpc.NodeID]map[logPlace]bool // the entries that each server has had
	majority map[logPlace]bool                   // those that a majority had at one time
}

// look takes note of all logs. It reports whether a server has another entry now in the place of one that it had: of any, and of one that a
// majority had.
func (m *logMemory) look() (replaced, majority bool) {
	count := map[logPlace]int{}
	for _, id := range m.c.servers {
		if !m.c.s.Net.Up(id) {
			continue
		}
		st := m.c.rafts[id].Status()
		if m.held[id] == nil {
			m.held[id] = map[logPlace]bool{}
		}
		terms := map[int]int{}
		for i, e := range st.Log {
			place := logPlace{st.SnapshotIndex + 1 + i, e.Term}
			terms[place.index] = e.Term
			m.held[id][place] = true
			count[place]++
		}
		for place := range m.held[id] {
			if term, ok := terms[place.index]; ok && term > place.term {
				replaced = true
				majority = majority || m.majority[place]
			}
		}
	}
	for place, n := range count {
		if n > len(m.c.servers)/2 {
			m.majority[place] = true
		}
	}
	return replaced, majority
}

// everywhere reports whether all servers run and have committed an entry.
func (m *logMemory) everywhere() bool {
	for _, id := range m.c.servers {
		if !m.c.s.Net.Up(id) || m.c.rafts[id].Status().CommitIndex == 0 {
			return false
		}
	}
	return true
}

// logPuzzles are the puzzles of the replicated log.
func logPuzzles(c *raftCluster) []labtest.Puzzle {
	m := &logMemory{c: c, held: map[labrpc.NodeID]map[logPlace]bool{}, majority: map[logPlace]bool{}}
	return []labtest.Puzzle{
		{
			ID: "commit", Title: "A command for all",
			Goal: "Have all three servers know that a command is committed.",
			Hints: []string{
				"Elect a leader: let time pass until a server is a candidate, and deliver its request and the reply of one voter.",
				"Submit a command to the leader, and deliver its AppendEntries and a reply. Then the leader knows that a majority has the entry.",
				"The followers learn the commit index with the next AppendEntries: let time pass.",
			},
			Reached:  m.everywhere,
			Solution: "w.d0.d1.s2.d1.d2.d2.d2.d1.d1.d1.d1.w.d1",
		},
		{
			ID: "figure-8", Title: "On a majority, and still replaced",
			Goal: "Have an entry that two of the three servers have at one time, and that another leader's entry replaces afterwards (Raft, figure 8).",
			Hints: []string{
				"A leader does not commit an entry of an earlier term by counting servers. So such an entry may be on a majority and not be committed.",
				"The first leader appends an entry and crashes before it sends anything. The second leader, in a later term, appends another entry and crashes too.",
				"Start the first leader again and elect it with the third server. It sends its old entry: now two servers have it. Crash it again.",
				"Start the second leader again. Its last entry has a higher term than that of the third server, which must vote for it.",
			},
			Reached: func() bool {
				_, majority := m.look()
				return majority
			},
			Solution: "w.d0.d1.s2.k3.w.d3.d4.w.d4.d5.s1.k2.r3.w.c1.w.d9.d10.w.c1.w.d12.d13.w.d13.d14.d14.d15.d15.d15.d1.d14.k3.r2.w.c1.w.d16.d17.w.c1.w.d19.d20.w.c1.w.c1.w.d24.d25.w.c1.w.d27.d28.w.c1.w.d30.d31.w.d31.d32.d32.d4.d33.d32.d32",
		},
		{
			ID: "lost", Title: "A committed entry that vanishes",
			Goal: "Have an entry that a leader has committed in its own term, and that another leader's entry replaces afterwards.",
			Hints: []string{
				"The next leader needs the vote of a server that has the entry. What does this server look at before it votes?",
			},
			Rules: []string{
				"A server votes at most once per term",
				"A leader sends AppendEntries to every peer at every heartbeat",
				"A server denies its vote to a candidate whose log is less up to date than its own",
				"A leader adds entries to its own log only at the end",
			},
			Forbid: 2,
		},
	}
}
