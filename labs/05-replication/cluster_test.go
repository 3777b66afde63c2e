package replication_test

import (
	"fmt"
	"hash/fnv"
	"slices"
	"sync"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/05-replication"
)

const (
	// electionBound is the README's: from when a majority can talk in a calm
	// network to when one leads it.
	electionBound = 5 * time.Second
	// agreeBound is the README's: from Submit to apply everywhere, in a calm network
	// with a leader.
	agreeBound = 500 * time.Millisecond
	// healBound is how long a cluster may take to be one again after anything: to
	// elect, to bring all logs to one, to apply.
	healBound = 20 * time.Second
)

const (
	ruleLeader   = "when a majority can talk, one leads it within 5s (rule 10)"
	ruleAgree    = "a command submitted to a leader that a majority can hear is applied by it within 500ms (rule 11)"
	ruleConverge = "when the network is calm again, all servers have the same log within 20s (rule 12)"
)

// A raftCluster is a server on every node of the network, each with a small
// application, all watched.
type raftCluster struct {
	s       *labtest.Sim
	w       *invariantChecker
	servers []labrpc.NodeID
	rafts   map[labrpc.NodeID]*Raft
	options raftClusterOptions
	count   int // commands so far

	mu   sync.Mutex
	allowed  map[labrpc.NodeID]bool // who may win an election; nil for all
	dropVotes bool                   // others may not even stand
}

type raftClusterOptions struct {
	SnapshotEvery int // entries; 0 for no snapshots
	SnapshotSize  int // bytes that a snapshot has at least
}

// snapshotTime is how long the application needs for a snapshot. So its writes come in a moment of their own: in that of the
// commit, the server also sends, and whether it did before a crash at one of the writes would be up to the Go scheduler.
const snapshotTime = 20 * time.Microsecond

func newRaftCluster(s *labtest.Sim, options raftClusterOptions) *raftCluster {
	c := &raftCluster{s: s, servers: s.Net.Nodes(), rafts: map[labrpc.NodeID]*Raft{}, options: options}
	c.w = checkInvariants(s, len(c.servers))
	s.Net.Intercept(c.filterElections)
	for _, id := range c.servers {
		c.start(id)
	}
	return c
}

// start begins an incarnation of a server and of the application on it.
func (c *raftCluster) start(id labrpc.NodeID) { c.boot(c.s.Start(id)) }

// boot begins them on a node that has been started.
func (c *raftCluster) boot(node *labrpc.Node) {
	id := node.ID()
	app := &testApplication{node: node, inc: c.s.Net.Incarnation(id), w: c.w, options: c.options, ready: make(chan struct{})}
	app.raft = StartRaft(node, c.servers, app.apply)
	close(app.ready)
	c.rafts[id] = app.raft
	c.w.started(id, app.raft)
}

func (c *raftCluster) crash(ids ...labrpc.NodeID) {
	for _, id := range ids {
		c.s.Net.Crash(id)
	}
}

// startAll starts what is down.
func (c *raftCluster) startAll() {
	for _, id := range c.servers {
		if !c.s.Net.Up(id) {
			c.start(id)
		}
	}
}

// A testApplication is what a server applies commands to: it remembers them all, in
// eight bytes.
type testApplication struct {
	node    *labrpc.Node
	inc     int
	w       *invariantChecker
	options raftClusterOptions
	raft    *Raft
	ready   chan struct{} // closed when raft is set
	state   []byte
	since   int // entries since the last snapshot
}

// apply runs in the server's goroutine.
func (app *testApplication) apply(a Applied) {
	labrpc.Tell(app.node, a, func(at time.Duration, a Applied) { app.w.apply(app.node.ID(), app.inc, at, a) })
	if a.Snapshot != nil {
		app.state, app.since = a.Snapshot[:min(8, len(a.Snapshot))], 0
		return
	}
	app.state = stateDigest(app.state, a.Command)
	app.since++
	if app.options.SnapshotEvery > 0 && app.since >= app.options.SnapshotEvery {
		app.since = 0
		<-app.ready
		time.Sleep(snapshotTime)
		app.raft.Snapshot(a.Index, append(slices.Clone(app.state), make([]byte, app.options.SnapshotSize)...))
	}
}

// stateDigest is the state after one more command.
func stateDigest(state, command []byte) []byte {
	h := fnv.New64a()
	h.Write(state)
	h.Write([]byte{byte(len(command))})
	h.Write(command)
	return h.Sum(nil)
}

// digest is the state that all committed commands up to index lead to.
func (w *invariantChecker) digest(index int) []byte {
	var state []byte
	for _, c := range w.committed[:index] {
		state = stateDigest(state, c.command)
	}
	return state
}

// filterElections does not let others win an election than those who may.
func (c *raftCluster) filterElections(m *labrpc.Message) labrpc.Verdict {
	c.mu.Lock()
	defer c.mu.Unlock()
	req, ok := m.Body.(VoteRequest)
	switch {
	case !ok || c.allowed == nil || c.allowed[m.From]:
		return labrpc.Pass
	case c.dropVotes:
		return labrpc.Drop
	}
	// All shall hear of the new term, or who may win would always be behind.
	req.LastLogIndex, req.LastLogTerm = 0, -1
	m.Body = req
	return labrpc.Replace
}

// allowCandidates lets only these stand for election: the requests of others are lost.
// None means all.
func (c *raftCluster) allowCandidates(ids ...labrpc.NodeID) { c.allow(true, ids) }

// allowWinners lets others stand too, but with a log so old that nobody votes for them.
func (c *raftCluster) allowWinners(ids ...labrpc.NodeID) { c.allow(false, ids) }

func (c *raftCluster) allow(dropVotes bool, ids []labrpc.NodeID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dropVotes, c.allowed = dropVotes, nil
	for _, id := range ids {
		if c.allowed == nil {
			c.allowed = map[labrpc.NodeID]bool{}
		}
		c.allowed[id] = true
	}
}

// leader returns the server that a majority of the servers follows, itself
// included, each of which can talk to it; 0 if there is none.
func (c *raftCluster) leader() labrpc.NodeID {
	for _, id := range c.servers {
		if !c.s.Net.Up(id) {
			continue
		}
		st := c.rafts[id].Status()
		if st.Role != roleLeader {
			continue
		}
		follow := 0
		for _, o := range c.servers {
			if !c.s.Net.Up(o) || o != id && !(c.s.Net.Connected(id, o) && c.s.Net.Connected(o, id)) {
				continue
			}
			if other := c.rafts[o].Status(); other.Term == st.Term && (o == id || other.Leader == id) {
				follow++
			}
		}
		if follow > len(c.servers)/2 {
			return id
		}
	}
	return 0
}

// waitForLeader waits until a majority follows a leader.
func (c *raftCluster) waitForLeader() labrpc.NodeID { return c.waitForLeaderOf(electionBound) }

func (c *raftCluster) waitForLeaderOf(bound time.Duration) labrpc.NodeID {
	from := c.s.Net.Now()
	c.s.WaitFor(bound, labtest.Violation{
		What: fmt.Sprintf("no leader that a majority follows, from %v to %v", briefTime(from), briefTime(from+bound)),
		Rule: ruleLeader, Nodes: c.servers,
	}, func() bool { return c.leader() != 0 })
	return c.leader()
}

// elect makes a server lead a new term: no other can win, and whoever leads now
// is cut off until it has happened. Cuts that there are stay.
func (c *raftCluster) elect(id labrpc.NodeID) {
	c.allowWinners(id)
	var cut []labrpc.NodeID
	old := c.leader()
	if old == id {
		return
	}
	for _, o := range c.except(old) {
		if old != 0 && c.s.Net.Connected(old, o) && c.s.Net.Connected(o, old) {
			c.s.Net.CutBoth(old, o)
			cut = append(cut, o)
		}
	}
	from := c.s.Net.Now()
	c.s.WaitFor(healBound, labtest.Violation{
		What:  fmt.Sprintf("%v does not lead a majority, from %v to %v; no other server can win", id, briefTime(from), briefTime(from+healBound)),
		Rule:  ruleLeader,
		Nodes: c.servers,
	}, func() bool { return c.leader() == id })
	for _, o := range cut {
		c.s.Net.HealBoth(old, o)
	}
}

// submit gives a new command to a server, which must lead; it returns the command
// and its index.
func (c *raftCluster) submit(id labrpc.NodeID) ([]byte, int) {
	c.count++
	return c.submitText(id, fmt.Sprintf("c%d", c.count))
}

func (c *raftCluster) submitText(id labrpc.NodeID, command string) ([]byte, int) {
	st := c.rafts[id].Status()
	index, term, ok := c.rafts[id].Submit([]byte(command))
	if st.Role == roleLeader && c.s.Net.Up(id) && (!ok || term != st.Term || index <= lastIndexOf(st)) {
		c.s.Fail(labtest.Violation{
			What:  fmt.Sprintf("Submit on %v = %d, %d, %v, want an index after %d, %d, true: it leads that term", id, index, term, ok, lastIndexOf(st), st.Term),
			Rule:  "a leader takes every command, at the end of its log (rule 11)",
			Nodes: []labrpc.NodeID{id},
		})
	}
	return []byte(command), index
}

// waitApplied waits until these servers have applied the index.
func (c *raftCluster) waitApplied(bound time.Duration, rule string, index int, ids ...labrpc.NodeID) {
	from := c.s.Net.Now()
	if c.s.Until(bound, func() bool { return len(c.behind(index, ids)) == 0 }) {
		return
	}
	late := c.behind(index, ids)
	c.s.Fail(labtest.Violation{
		What:  fmt.Sprintf("%v has applied index %d and not %d at %v, %v after all could talk", late[0], c.appliedBy(late[0]), index, briefTime(c.s.Net.Now()), briefTime(c.s.Net.Now()-from)),
		Rule:  rule,
		Nodes: late,
	})
}

func (c *raftCluster) behind(index int, ids []labrpc.NodeID) []labrpc.NodeID {
	return slices.DeleteFunc(slices.Clone(ids), func(id labrpc.NodeID) bool { return c.appliedBy(id) >= index })
}

// appliedBy returns the last index that the running application on a server got.
func (c *raftCluster) appliedBy(id labrpc.NodeID) int {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	sv := c.w.servers[id-1]
	if sv.inc != c.s.Net.Incarnation(id) {
		return 0
	}
	return sv.applied
}

// agree submits a command to the leader and waits until these apply it. It
// returns the index.
func (c *raftCluster) agree(ids ...labrpc.NodeID) int {
	_, index := c.submit(c.waitForLeader())
	c.waitApplied(agreeBound, ruleAgree, index, ids...)
	return index
}

// converge ends a test: the network is calm and all servers are up, so one leads,
// and all apply one more command.
func (c *raftCluster) converge() {
	c.allowCandidates()
	c.s.Net.Heal()
	c.s.Net.SetLinks(labrpc.Reliable())
	for _, id := range c.servers {
		c.s.Net.CrashAtWrite(id, labrpc.CrashPoint{})
	}
	c.startAll()
	index, tried := 0, 0 // where the last command is, and the term of its leader
	from := c.s.Net.Now()
	done := c.s.Until(healBound, func() bool {
		if leader := c.leader(); leader != 0 && c.rafts[leader].Status().Term != tried {
			tried = c.rafts[leader].Status().Term
			_, index = c.submit(leader)
		}
		return index != 0 && len(c.behind(index, c.servers)) == 0
	})
	if done {
		return
	}
	if index == 0 {
		c.s.Fail(labtest.Violation{
			What: fmt.Sprintf("no leader that a majority follows, from %v to %v", briefTime(from), briefTime(c.s.Net.Now())),
			Rule: ruleLeader, Nodes: c.servers,
		})
	}
	if late := c.behind(index, c.servers); len(late) > 0 {
		c.s.Fail(labtest.Violation{
			What:  fmt.Sprintf("not all servers have applied index %d at %v: %v has applied %d", index, briefTime(c.s.Net.Now()), late[0], c.appliedBy(late[0])),
			Rule:  ruleConverge,
			Seen:  []string{fmt.Sprintf("the network is calm and all servers are up since %v", briefTime(from))},
			Nodes: late,
		})
	}
}

// but lists all servers except these.
func (c *raftCluster) except(ids ...labrpc.NodeID) []labrpc.NodeID {
	return slices.DeleteFunc(slices.Clone(c.servers), func(id labrpc.NodeID) bool { return slices.Contains(ids, id) })
}

// any picks a server.
func (c *raftCluster) any() labrpc.NodeID { return c.servers[c.s.Rand().IntN(len(c.servers))] }

// submitToLeaders gives a command to every server that thinks that it leads.
func (c *raftCluster) submitToLeaders() {
	for _, id := range c.servers {
		if c.s.Net.Up(id) && c.rafts[id].Status().Role == roleLeader {
			c.submit(id)
		}
	}
}
