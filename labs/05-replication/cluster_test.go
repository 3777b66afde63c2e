package replication_test

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/05-replication"
)

// A raftCluster is a server on every node of the network, each with a small
// application. The rules that hold always are checked at every step.
type raftCluster struct {
	s       *labtest.Sim
	w       *invariantChecker
	servers []labrpc.NodeID
	rafts   map[labrpc.NodeID]*Raft
	options raftClusterOptions
	count   int // commands so far

	mu        sync.Mutex
	allowed   map[labrpc.NodeID]bool // which servers may win an election; nil for all
	dropVotes bool                   // the others may not even start one
}

type raftClusterOptions struct {
	SnapshotEvery int // entries; 0 for no snapshots
	SnapshotSize  int // bytes that a snapshot has at least
}

// snapshotTime is how long the application needs for a snapshot. So its writes come at an instant of their own: at that of the
// commit, the server also sends, and whether it did before a crash at one of the writes would be up to the Go scheduler.
const snapshotTime = 20 * time.Microsecond

func newRaftCluster(s *labtest.Sim, options raftClusterOptions) *raftCluster {
	c := &raftCluster{s: s, servers: s.Net.Nodes(), rafts: map[labrpc.NodeID]*Raft{}, options: options}
	c.w = checkInvariants(s, len(c.servers))
	s.Net.Intercept(c.filterElections)
	s.Restarts(c.boot)
	for _, id := range c.servers {
		c.start(id)
	}
	return c
}

// start begins an incarnation of a server and of the application on it.
func (c *raftCluster) start(id labrpc.NodeID) { c.boot(c.s.Start(id)) }

// boot begins them on a node that has been started.
func (c *raftCluster) boot(node *labrpc.Node) { c.bootWith(node, c.servers) }

func (c *raftCluster) bootWith(node *labrpc.Node, servers []labrpc.NodeID) {
	id := node.ID()
	app := &testApplication{node: node, inc: c.s.Net.Incarnation(id), w: c.w, options: c.options, ready: make(chan struct{})}
	app.raft = StartRaft(node, servers, app.apply)
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

// A testApplication is what a server applies commands to: its state is a digest of
// all of them, in eight bytes.
type testApplication struct {
	node    *labrpc.Node
	inc     int
	w       *invariantChecker
	options raftClusterOptions
	raft    *Raft
	ready   chan struct{} // closed when raft is set
	state   []byte
	since   int // entries since the last snapshot

	applying atomic.Bool
}

// apply runs in the server's goroutine. It overwrites all that it was given or has given away: those bytes are its own.
func (app *testApplication) apply(a Applied) {
	if !app.applying.CompareAndSwap(false, true) {
		app.w.s.Failf(ruleNoLock, "apply was called on %v for index %d before an earlier call had returned", app.node.ID(), a.Index)
	}
	defer app.applying.Store(false)
	labrpc.Tell(app.node, a, func(at time.Duration, a Applied) { app.w.apply(app.node.ID(), app.inc, at, a) })
	if a.Snapshot != nil {
		app.state, app.since = slices.Clone(a.Snapshot[:min(8, len(a.Snapshot))]), 0
		clear(a.Snapshot)
		return
	}
	app.state = stateDigest(app.state, a.Command)
	clear(a.Command)
	app.since++
	if app.options.SnapshotEvery > 0 && app.since >= app.options.SnapshotEvery {
		app.since = 0
		<-app.ready
		time.Sleep(snapshotTime)
		data := append(slices.Clone(app.state), make([]byte, app.options.SnapshotSize)...)
		app.raft.Snapshot(a.Index, data)
		clear(data)
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

// stateIn says to which index the data of a snapshot belong.
func (w *invariantChecker) stateIn(data []byte) string {
	for index := range w.committed {
		if bytes.HasPrefix(data, w.digest(index+1)) {
			return fmt.Sprintf("the state at index %d", index+1)
		}
	}
	return "the state at no index"
}

// filterElections lets only the allowed servers win an election.
func (c *raftCluster) filterElections(m *labrpc.Message) labrpc.Verdict {
	c.mu.Lock()
	defer c.mu.Unlock()
	req, ok := bodyOf[VoteRequest](m, "RequestVote", labrpc.Request)
	switch {
	case !ok || c.allowed == nil || c.allowed[m.From] || c.w.preVotes.Has(*m):
		return labrpc.Pass
	case c.dropVotes:
		return labrpc.Drop
	}
	// All servers must receive the new term, or an allowed server would always be behind.
	req.LastLogIndex, req.LastLogTerm = 0, -1
	m.Body = req
	return labrpc.Replace
}

// bodyOf returns the body of a message, if it is of that method, kind and type. A method of the submission's own may
// carry the same type, and says something else by it.
func bodyOf[T any](m *labrpc.Message, method string, kind labrpc.MessageKind) (T, bool) {
	if m.Method == method && m.Kind == kind {
		switch body := m.Body.(type) {
		case T:
			return body, true
		case *T:
			return *body, true
		}
	}
	var none T
	return none, false
}

// allowCandidates lets only these servers start an election: the vote requests of others are lost.
// None means all.
func (c *raftCluster) allowCandidates(ids ...labrpc.NodeID) { c.allow(true, ids) }

// allowWinners lets others start elections too, but with a log so old that no server votes for them.
func (c *raftCluster) allowWinners(ids ...labrpc.NodeID) { c.allow(false, ids) }

// whoMayWin says what the test does to elections, for messages; it is empty if any server may win one.
func (c *raftCluster) whoMayWin() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.allowed == nil {
		return ""
	}
	return fmt.Sprintf(": the test lets only %v win an election", slices.Sorted(maps.Keys(c.allowed)))
}

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

// leader returns the server that a majority of the servers knows as the leader, itself
// included, each of which is connected to it; 0 if there is none.
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

// waitForLeader waits until a majority knows a leader.
func (c *raftCluster) waitForLeader() labrpc.NodeID { return c.waitForLeaderOf(electionBound) }

func (c *raftCluster) waitForLeaderOf(bound time.Duration) labrpc.NodeID {
	from := c.s.Net.Now()
	c.s.WaitFor(bound, labtest.Violation{
		What: fmt.Sprintf("from %v to %v no server was the leader that a majority of the servers knows%s", labtest.At(from), labtest.At(from+bound), c.whoMayWin()),
		Rule: ruleLeader, Nodes: c.servers,
	}, func() bool { return c.leader() != 0 })
	return c.leader()
}

// elect makes a server the leader of a new term: no other server can win, and the present leader
// is isolated until then. Cuts that there were before stay.
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
		What:  fmt.Sprintf("%v was not elected from %v to %v, although no other server can win", id, labtest.At(from), labtest.At(from+healBound)),
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
	given := []byte(command)
	index, term, ok := c.rafts[id].Submit(given)
	clear(given) // the caller's to use again
	if ok && c.s.Net.Up(id) {
		c.w.submitted(id, logPlace{index, term}, command)
	}
	if st.Role == roleLeader && c.s.Net.Up(id) && (!ok || term != st.Term || index <= lastIndexOf(st)) {
		c.s.Fail(labtest.Violation{
			What:  fmt.Sprintf("Submit on %v = %d, %d, %v, want an index higher than %d, %d, true: it is the leader of that term", id, index, term, ok, lastIndexOf(st), st.Term),
			Rule:  ruleSubmit,
			Nodes: []labrpc.NodeID{id},
		})
	}
	return []byte(command), index
}

// waitApplied waits until these servers have applied the index.
func (c *raftCluster) waitApplied(bound time.Duration, rule string, index int, ids ...labrpc.NodeID) {
	c.waitAppliedWhile(func() {}, bound, rule, index, ids)
}

// waitAppliedWhile is waitApplied, and calls a function at every step meanwhile.
func (c *raftCluster) waitAppliedWhile(meanwhile func(), bound time.Duration, rule string, index int, ids []labrpc.NodeID) {
	from := c.s.Net.Now()
	if c.s.Until(bound, func() bool { meanwhile(); return len(c.behind(index, ids)) == 0 }) {
		return
	}
	late := c.behind(index, ids)
	c.s.Fail(labtest.Violation{
		What:  fmt.Sprintf("at %v, %v has applied entries up to index %d, want %d", labtest.At(c.s.Net.Now()), late[0], c.appliedBy(late[0]), index),
		Rule:  rule,
		Seen:  append(c.logsOf(late[0]), fmt.Sprintf("the test has waited for this since %v, for %v", labtest.At(from), bound)),
		Nodes: late,
	})
}

// logsOf describes the logs of a server and of every server that leads. A peer that the test plays has none.
func (c *raftCluster) logsOf(id labrpc.NodeID) (lines []string) {
	for _, o := range c.servers {
		if !c.s.Net.Up(o) || c.rafts[o] == nil {
			continue
		}
		if st := c.rafts[o].Status(); o == id || st.Role == roleLeader {
			lines = append(lines, fmt.Sprintf("%v is %v in term %d, with a snapshot up to index %d, %d entries after it, and CommitIndex %d",
				o, st.Role, st.Term, st.SnapshotIndex, len(st.Log), st.CommitIndex))
		}
	}
	return lines
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

// agree submits a command to the leader and waits until these servers have applied it. It
// returns the index. If the leader is deposed meanwhile, the next one gets another command.
func (c *raftCluster) agree(ids ...labrpc.NodeID) int {
	for {
		leader := c.waitForLeaderOf(healBound)
		term := c.rafts[leader].Status().Term
		_, index := c.submit(leader)
		if !c.s.Until(agreeBound, func() bool { return len(c.behind(index, []labrpc.NodeID{leader})) == 0 }) {
			if st := c.rafts[leader].Status(); st.Term != term || st.Role != roleLeader {
				continue
			}
			c.s.Fail(labtest.Violation{
				What: fmt.Sprintf("at %v, %v after Submit, the leader %v has applied entries up to index %d, want %d", labtest.At(c.s.Net.Now()), agreeBound, leader, c.appliedBy(leader), index),
				Rule: ruleAgree, Nodes: c.servers,
			})
		}
		c.catchUp(term, index, ids...)
		return index
	}
}

// catchUp waits until these servers have applied up to an index, which the leader of a term has committed. The leader of a newer term gets another command: it may
// commit the entries of earlier terms only with one of its own (§5.4.2).
func (c *raftCluster) catchUp(term, index int, ids ...labrpc.NodeID) {
	c.waitAppliedWhile(func() {
		if leader := c.leader(); leader != 0 && c.rafts[leader].Status().Term > term {
			term = c.rafts[leader].Status().Term
			c.submit(leader)
		}
	}, healBound, ruleCatchUp, index, ids)
}

// converge ends a test: the network is calm and all servers are up. Any server may win an election.
func (c *raftCluster) converge() {
	c.allowCandidates()
	c.convergeUnder()
}

// convergeUnder is converge with the same servers allowed to win as before. First every server must get the leader's log, without a
// new command; then all servers must apply one more.
func (c *raftCluster) convergeUnder() {
	s := c.s
	s.Net.Heal()
	s.Net.SetLinks(labrpc.Reliable())
	for _, id := range c.servers {
		s.Net.CrashAtWrite(id, labrpc.CrashPoint{})
	}
	c.startAll()
	from := s.Net.Now()
	seen := []string{fmt.Sprintf("the network has been calm and all servers have been up since %v", labtest.At(from))}
	if !s.Until(healBound, func() bool { return c.leader() != 0 && len(c.different()) == 0 }) {
		c.noLeader(from)
		if id := c.different(); len(id) > 0 {
			leader := c.leader()
			s.Fail(labtest.Violation{
				What: fmt.Sprintf("at %v the log of %v (last index %d) does not contain the log of the leader, %v (last index %d)",
					labtest.At(s.Net.Now()), id[0], lastIndexOf(c.rafts[id[0]].Status()), leader, lastIndexOf(c.rafts[leader].Status())),
				Rule: ruleConverge, Seen: seen, Nodes: []labrpc.NodeID{leader, id[0]},
			})
		}
	}
	index, tried := 0, 0 // where the last command is, and the term of its leader
	if s.Until(healBound, func() bool {
		if leader := c.leader(); leader != 0 && c.rafts[leader].Status().Term != tried {
			tried = c.rafts[leader].Status().Term
			_, index = c.submit(leader)
		}
		return index != 0 && len(c.behind(index, c.servers)) == 0
	}) {
		c.compareBytes()
		return
	}
	if index == 0 {
		c.noLeader(from)
	}
	if late := c.behind(index, c.servers); len(late) > 0 {
		s.Fail(labtest.Violation{
			What: fmt.Sprintf("at %v, %v has applied entries up to index %d, want %d", labtest.At(s.Net.Now()), late[0], c.appliedBy(late[0]), index),
			Rule: ruleConverge, Seen: seen, Nodes: late,
		})
	}
}

// compareBytes compares the commands in all logs with those that were committed, byte for byte: the checks at every step
// do not look again at memory that they know.
func (c *raftCluster) compareBytes() {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	for _, id := range c.servers {
		st := c.rafts[id].Status()
		for index := st.SnapshotIndex + 1; index <= min(st.CommitIndex, len(c.w.committed)); index++ {
			if got, want := entryAt(st, index).Command, c.w.committed[index-1].command; !bytes.Equal(got, want) {
				c.s.Failf("the command of an entry is the one that Submit was given, and stays so (rules 3 and 11)",
					"entry %d on %v is %q, but was committed as %q: apply's caller shares no memory with the log", index, id, shortText(got), shortText(want))
			}
		}
	}
}

func (c *raftCluster) noLeader(from time.Duration) {
	if c.leader() == 0 {
		c.s.Fail(labtest.Violation{
			What: fmt.Sprintf("from %v to %v no server was the leader that a majority of the servers knows", labtest.At(from), labtest.At(c.s.Net.Now())),
			Rule: ruleLeader, Nodes: c.servers,
		})
	}
}

// different returns the servers whose log does not contain the leader's. (More entries after the leader's last are
// removed only when a new entry conflicts with them.)
func (c *raftCluster) different() []labrpc.NodeID {
	leader := c.leader()
	if leader == 0 {
		return nil
	}
	want := c.rafts[leader].Status()
	return slices.DeleteFunc(slices.Clone(c.servers), func(id labrpc.NodeID) bool {
		got := c.rafts[id].Status()
		last := lastIndexOf(want)
		return lastIndexOf(got) >= last && (last <= max(got.SnapshotIndex, want.SnapshotIndex) || entryAt(got, last).Term == entryAt(want, last).Term)
	})
}

// except lists all servers except these.
func (c *raftCluster) except(ids ...labrpc.NodeID) []labrpc.NodeID {
	return slices.DeleteFunc(slices.Clone(c.servers), func(id labrpc.NodeID) bool { return slices.Contains(ids, id) })
}

// any picks a server.
func (c *raftCluster) any() labrpc.NodeID { return c.servers[c.s.Rand().IntN(len(c.servers))] }

// submitToLeaders gives a command to every server that reports to be the leader.
func (c *raftCluster) submitToLeaders() {
	for _, id := range c.servers {
		if c.s.Net.Up(id) && c.rafts[id].Status().Role == roleLeader {
			c.submit(id)
		}
	}
}
