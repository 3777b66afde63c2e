package replication_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/05-replication"
)

// calmLink is a network without delay: what a puppet asks is answered at once, long
// before a server loses patience.
var calmLink = labrpc.Link{Latency: labrpc.Fixed(time.Millisecond)}

// A scriptedCluster has one server, n1, among puppets: nodes that the test plays. So a test
// can say exactly what n1 hears, which a run of five servers would bring about once
// in a million.
type scriptedCluster struct {
	s       *labtest.Sim
	c       *raftCluster // of the servers
	peers   map[labrpc.NodeID]*labrpc.Node
}

func newScriptedCluster(s *labtest.Sim) *scriptedCluster { return newScriptedServers(s, 1) }

// newScriptedServers starts so many servers; the other nodes are puppets.
func newScriptedServers(s *labtest.Sim, servers int) *scriptedCluster {
	c := &raftCluster{s: s, servers: s.Net.Nodes(), rafts: map[labrpc.NodeID]*Raft{}}
	c.w = checkInvariants(s, servers)
	p := &scriptedCluster{s: s, c: c, peers: map[labrpc.NodeID]*labrpc.Node{}}
	for _, id := range c.servers[servers:] {
		p.peers[id] = s.Start(id)
	}
	for _, id := range c.servers[:servers] {
		c.start(id)
	}
	return p
}

// answerVotes makes the puppets vote as grant says.
func (p *scriptedCluster) answerVotes(grant func(voter labrpc.NodeID, req VoteRequest) bool) {
	for id, node := range p.peers {
		labrpc.Handle(node, "RequestVote", func(_ labrpc.NodeID, req VoteRequest) VoteReply {
			return VoteReply{Term: req.Term, Granted: grant(id, req)}
		})
	}
}

func (p *scriptedCluster) status() Status { return p.c.rafts[1].Status() }

// restart crashes n1 and starts it again, with what its disk has.
func (p *scriptedCluster) restart() {
	p.c.crash(1)
	p.s.Run(time.Millisecond)
	p.c.start(1)
	p.s.Run(0)
}

// startRequest sends a request to a server as a puppet, and returns where the reply will be.
func startRequest[R, A any](p *scriptedCluster, from, to labrpc.NodeID, method string, args A) *pendingReply[R] {
	a := &pendingReply[R]{}
	node := p.peers[from]
	go func() {
		if got, err := labrpc.Call[R](node.Context(), node, to, method, args); err == nil {
			labrpc.Tell(node, got, func(_ time.Duration, got R) { a.reply, a.here = got, true })
		}
	}()
	return a
}

type pendingReply[R any] struct {
	reply R
	here  bool
}

// sendRequest sends a request to a server as a puppet, and waits for the reply.
func sendRequest[R, A any](p *scriptedCluster, from, to labrpc.NodeID, method string, args A) R {
	a := startRequest[R](p, from, to, method, args)
	p.s.WaitFor(100*time.Millisecond, labtest.Violation{
		What:  fmt.Sprintf("%v does not answer the %s of %v at %v", to, method, from, briefTime(p.s.Net.Now())),
		Rule:  ruleAnswer,
		Nodes: []labrpc.NodeID{to, from},
	}, func() bool { return a.here })
	return a.reply
}

// append sends entries to n1 as a leader would, and checks whether it accepts them.
func (p *scriptedCluster) append(from labrpc.NodeID, req AppendRequest, want bool) AppendReply {
	req.Leader = from
	reply := sendRequest[AppendReply](p, from, 1, "AppendEntries", req)
	what := fmt.Sprintf("n1 answers %v's AppendEntries(term %d, after entry %d of term %d, %d entries)", from, req.Term, req.PrevLogIndex, req.PrevLogTerm, len(req.Entries))
	if reply.Success != want {
		p.fail(ruleAppend, "%s with Success = %v, want %v", what, reply.Success, want)
	}
	if end := req.PrevLogIndex + len(req.Entries); want && reply.Index != end {
		p.fail(ruleAppend, "%s with Index = %d, want %d", what, reply.Index, end)
	}
	p.expectTerm(reply.Term)
	return reply
}

const (
	ruleAppend   = "a server accepts the entries that continue its log, of a leader of the newest term, and no others (figure 2, §5.3; rule 3)"
	ruleTerm     = "who learns of a newer term, by a request or a reply, is a follower in it (§5.1; rule 1)"
	ruleAnswer   = "a handler answers at once (rule 13)"
	ruleSnapshot = "a snapshot stands for the entries up to its index; an older one changes nothing (§7, figure 13; rule 15)"
	ruleVote     = "a server votes once a term, for a candidate whose log is no older than its own (§5.2, §5.4.1; rules 1 and 4)"
)

// vote asks n1 for its vote as a candidate would, and checks whether it grants it.
func (p *scriptedCluster) vote(req VoteRequest, want bool, why string) {
	reply := sendRequest[VoteReply](p, req.Candidate, 1, "RequestVote", req)
	if reply.Granted != want {
		p.fail(ruleVote, "n1 answers %v's RequestVote(term %d, last entry %d of term %d) with Granted = %v, want %v: %s",
			req.Candidate, req.Term, req.LastLogIndex, req.LastLogTerm, reply.Granted, want, why)
	}
	p.expectTerm(reply.Term)
}

// expectTerm checks that a reply has the term of who sent it, after the request.
func (p *scriptedCluster) expectTerm(told int) {
	if now := p.status().Term; told != now {
		p.fail(rulePromise, "n1 answers with Term = %d, and is in term %d", told, now)
	}
}

func (p *scriptedCluster) expectCommit(want int) {
	if got := p.status().CommitIndex; got != want {
		p.fail("a follower commits what its leader has committed, as far as the request showed both logs to be the same (figure 2; rule 6)",
			"CommitIndex = %d on n1, want %d", got, want)
	}
}

// expectTerms checks the terms of n1's entries, from index 1 or after its snapshot.
func (p *scriptedCluster) expectTerms(want ...int) {
	var got []int
	for _, e := range p.status().Log {
		got = append(got, e.Term)
	}
	if !slices.Equal(got, want) {
		p.fail(ruleAppend, "the log of n1 has entries of the terms %v, want %v", got, want)
	}
}

func (p *scriptedCluster) fail(rule, format string, args ...any) {
	v := labtest.Violation{What: fmt.Sprintf(format, args...), Rule: rule, Nodes: []labrpc.NodeID{1}}
	st := p.status()
	var terms []string
	for _, e := range st.Log {
		terms = append(terms, fmt.Sprint(e.Term))
	}
	v.Seen = []string{fmt.Sprintf("n1 is in term %d at %v; its log: [%s] after index %d", st.Term, briefTime(p.s.Net.Now()), strings.Join(terms, " "), st.SnapshotIndex)}
	p.s.Fail(v)
}

// entriesOf makes entries of these terms. Each has a command of its own by its term
// and its place in the list.
func entriesOf(terms ...int) []Entry {
	var list []Entry
	for i, term := range terms {
		list = append(list, Entry{Term: term, Command: fmt.Appendf(nil, "%d.%d", term, i)})
	}
	return list
}

// accept makes the puppets acknowledge all that a leader sends.
func (p *scriptedCluster) accept() {
	for _, node := range p.peers {
		labrpc.Handle(node, "AppendEntries", func(_ labrpc.NodeID, req AppendRequest) AppendReply {
			return AppendReply{Term: req.Term, Success: true, Index: req.PrevLogIndex + len(req.Entries)}
		})
	}
}

// expect waits until something is so.
func (p *scriptedCluster) expect(bound time.Duration, rule, otherwise string, cond func() bool) {
	if !p.s.Until(bound, cond) {
		p.fail(rule, "%s for %v, until %v", otherwise, bound, briefTime(p.s.Net.Now()))
	}
}

// submit gives n1, which leads, a command; it returns the index.
func (p *scriptedCluster) submit() int {
	_, index := p.c.submit(1)
	return index
}

// askAgain asks n1 until it answers; it reports whether n1 crashed over it. ask
// reports whether an answer came, or that n1 went down.
func (p *scriptedCluster) askAgain(ask func() bool) bool {
	if ask() {
		return false
	}
	if !p.s.Net.Up(1) {
		p.c.start(1)
		p.s.Run(0)
	}
	if !ask() {
		p.fail(ruleAnswer, "n1 does not answer at %v", briefTime(p.s.Net.Now()))
	}
	return true
}

// tryAppend sends entries to n1; it reports whether n1 lived to answer. It must
// accept them.
func tryAppend(p *scriptedCluster, req AppendRequest) bool {
	a := startRequest[AppendReply](p, req.Leader, 1, "AppendEntries", req)
	p.s.Until(100*time.Millisecond, func() bool { return a.here || !p.s.Net.Up(1) })
	if a.here && !a.reply.Success {
		p.fail(ruleAppend, "n1 refuses the entries of %v, of term %d, after index %d", req.Leader, req.Term, req.PrevLogIndex)
	}
	return a.here
}

// tryVote asks n1 for its vote; it reports whether n1 lived to answer.
func tryVote(p *scriptedCluster, req VoteRequest) bool {
	a := startRequest[VoteReply](p, req.Candidate, 1, "RequestVote", req)
	p.s.Until(100*time.Millisecond, func() bool { return a.here || !p.s.Net.Up(1) })
	return a.here
}

// commits tells the watcher of entries, from index 1, that the puppets have
// committed, and that n1 may come to know only by a snapshot.
func (p *scriptedCluster) commits(list []Entry) {
	p.c.w.mu.Lock()
	defer p.c.w.mu.Unlock()
	for _, e := range list[len(p.c.w.committed):] {
		p.c.w.committed = append(p.c.w.committed, seenCommit{term: e.Term, command: e.Command, in: e.Term, at: p.s.Net.Now()})
	}
}

// snapshot is the application's state after the entries up to index that the
// puppets have committed, as a request of a leader.
func (p *scriptedCluster) snapshot(from labrpc.NodeID, term, index int) SnapshotRequest {
	p.c.w.mu.Lock()
	defer p.c.w.mu.Unlock()
	return SnapshotRequest{Term: term, Leader: from, LastIndex: index, LastTerm: p.c.w.committed[index-1].term, Data: p.c.w.digest(index)}
}

// install sends a snapshot to n1; it reports whether n1 lived to answer.
func (p *scriptedCluster) install(req SnapshotRequest) bool {
	a := startRequest[SnapshotReply](p, req.Leader, 1, "InstallSnapshot", req)
	p.s.Until(100*time.Millisecond, func() bool { return a.here || !p.s.Net.Up(1) })
	return a.here
}

// expectSnapshot checks up to which entry n1's snapshot goes.
func (p *scriptedCluster) expectSnapshot(index int) {
	if st := p.status(); st.SnapshotIndex != index {
		p.fail(ruleSnapshot, "SnapshotIndex = %d on n1, want %d", st.SnapshotIndex, index)
	}
}

// take makes n1's application take a snapshot of all up to index; it reports
// whether n1 lived.
func (p *scriptedCluster) take(index int) bool {
	p.c.rafts[1].Snapshot(index, p.snapshot(1, 0, index).Data)
	p.s.Run(0)
	return p.s.Net.Up(1)
}
