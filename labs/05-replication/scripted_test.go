package replication_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/internal/harness/prevote"
	"distlabs/labrpc"
	. "distlabs/labs/05-replication"
)

// calmLink is a network with a delay of 1ms: a request of a scripted peer gets its reply long before
// an election timer fires.
var calmLink = labrpc.Link{Latency: labrpc.Fixed(oneWay)}

const oneWay = time.Millisecond

// A scriptedCluster has one server, n1, and peers that the test plays. So a test
// determines exactly what n1 receives, which a run of five servers would bring about once
// in a million.
type scriptedCluster struct {
	s     *labtest.Sim
	c     *raftCluster // of the servers
	peers map[labrpc.NodeID]*labrpc.Node
	last  time.Duration // when n1 last replied to a request of a leader
	heard span          // when n1 handled the last request
	mu    sync.Mutex
	votes func(voter labrpc.NodeID, req VoteRequest) VoteReply // how the peers reply to requests for their votes; nil if they are silent
	beat  AppendRequest                                        // the heartbeat that n1's leader would send next; its Leader is 0 if n1 has accepted nothing
}

// A span holds an instant: from the arrival of a request to the arrival of the reply, which may take replyBound (rule 13).
type span struct{ from, to time.Duration }

func instant(at time.Duration) span { return span{at, at} }

func newScriptedCluster(s *labtest.Sim) *scriptedCluster { return newScriptedServers(s, 1) }

// newScriptedServers starts so many servers; the other nodes are scripted peers.
func newScriptedServers(s *labtest.Sim, servers int) *scriptedCluster {
	c := &raftCluster{s: s, servers: s.Net.Nodes(), rafts: map[labrpc.NodeID]*Raft{}}
	c.w = checkInvariants(s, servers)
	p := &scriptedCluster{s: s, c: c, peers: map[labrpc.NodeID]*labrpc.Node{}}
	for _, id := range c.servers[servers:] {
		p.peers[id] = s.Start(id)
		p.registerVotes(p.peers[id])
	}
	for _, id := range c.servers[:servers] {
		c.start(id)
	}
	p.heard = instant(s.Net.Now())
	return p
}

// answerVotes makes the scripted peers vote as grant says.
func (p *scriptedCluster) answerVotes(grant func(voter labrpc.NodeID, req VoteRequest) bool) {
	p.replyToVotes(func(voter labrpc.NodeID, req VoteRequest) VoteReply {
		return VoteReply{Term: req.Term, Granted: grant(voter, req)}
	})
}

// replyToVotes makes the scripted peers reply so to requests for their votes. Before, they are silent.
func (p *scriptedCluster) replyToVotes(reply func(voter labrpc.NodeID, req VoteRequest) VoteReply) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.votes = reply
}

// registerVotes makes a scripted peer reply to RequestVote. It grants every pre-vote, which binds it to nothing and raises no term, also if it names
// the next one: then the term in the reply is the sender's.
func (p *scriptedCluster) registerVotes(node *labrpc.Node) {
	labrpc.Handle(node, "RequestVote", func(from labrpc.NodeID, req VoteRequest) VoteReply {
		if prevote.In(req) {
			term := 0
			if p.c.w != nil {
				term = p.c.w.termOf(from)
			} else { // nothing looks at n1 at every step: its log gets long
				term = p.c.rafts[from].Status().Term
			}
			return VoteReply{Term: min(req.Term, term), Granted: true}
		}
		p.mu.Lock()
		reply := p.votes
		p.mu.Unlock()
		if reply == nil {
			<-node.Context().Done()
			return VoteReply{}
		}
		return reply(node.ID(), req)
	})
}

// grantVotes makes all scripted peers vote for every candidate.
func (p *scriptedCluster) grantVotes() {
	p.answerVotes(func(labrpc.NodeID, VoteRequest) bool { return true })
}

// accept makes the scripted peers acknowledge all that a leader sends.
func (p *scriptedCluster) accept() {
	for _, node := range p.peers {
		labrpc.Handle(node, "AppendEntries", func(_ labrpc.NodeID, req AppendRequest) AppendReply {
			return AppendReply{Term: req.Term, Success: true, Index: req.PrevLogIndex + len(req.Entries)}
		})
	}
}

func (p *scriptedCluster) status() Status { return p.c.rafts[1].Status() }

// leads reports whether n1 is a leader.
func (p *scriptedCluster) leads() bool { return p.status().Role == roleLeader }

// waitForLead waits until n1, which all peers vote for, is a leader.
func (p *scriptedCluster) waitForLead() {
	p.waitUntil(electionBound, ruleLeader, "n1 received no heartbeat and every vote, but did not become leader", p.leads)
}

// restart crashes n1 and starts it again, with what its disk has.
func (p *scriptedCluster) restart() {
	p.c.crash(1)
	p.s.Run(time.Millisecond)
	p.c.start(1)
	p.s.Run(0)
	p.last = 0
}

// startRequest sends a request to a server as a scripted peer, and returns where the reply will be.
func startRequest[R, A any](p *scriptedCluster, from, to labrpc.NodeID, method string, args A) *pendingReply[R] {
	a := &pendingReply[R]{from: from, to: to, method: method, sent: p.s.Net.Now()}
	node := p.peers[from]
	go func() {
		if got, err := labrpc.Call[R](node.Context(), node, to, method, args); err == nil {
			labrpc.Tell(node, got, func(_ time.Duration, got R) { a.reply, a.here = got, true })
		}
	}()
	return a
}

type pendingReply[R any] struct {
	from, to labrpc.NodeID
	method   string
	sent     time.Duration
	reply    R
	here     bool
}

// wait waits until the reply is there.
func (a *pendingReply[R]) wait(p *scriptedCluster) R {
	p.s.WaitFor(a.due()-p.s.Net.Now(), labtest.Violation{
		What:  fmt.Sprintf("%v did not reply within %v to the %s that %v sent at %v", a.to, replyBound, a.method, a.from, labtest.At(a.sent)),
		Rule:  ruleReply,
		Nodes: []labrpc.NodeID{a.to, a.from},
	}, func() bool { return a.here })
	a.note(p)
	return a.reply
}

// waitUnlessDown waits until n1's reply is there or overdue, or n1 is down. It reports whether the reply is there.
func (a *pendingReply[R]) waitUnlessDown(p *scriptedCluster) bool {
	p.s.Until(a.due()-p.s.Net.Now(), func() bool { return a.here || !p.s.Net.Up(1) })
	a.note(p)
	return a.here
}

// due is when the reply must be there (rule 13).
func (a *pendingReply[R]) due() time.Duration { return a.sent + replyBound + 2*oneWay }

// note notes when n1 handled the request.
func (a *pendingReply[R]) note(p *scriptedCluster) {
	if a.to == 1 {
		p.heard = span{a.sent + oneWay, p.s.Net.Now()}
	}
}

// sendRequest sends a request to a server as a scripted peer, and waits for the reply.
func sendRequest[R, A any](p *scriptedCluster, from, to labrpc.NodeID, method string, args A) R {
	return startRequest[R](p, from, to, method, args).wait(p)
}

// append sends entries to n1 as a leader would, and checks whether n1 accepts them.
func (p *scriptedCluster) append(from labrpc.NodeID, req AppendRequest, want bool) AppendReply {
	req.Leader = from
	before := p.status()
	terms := termsOf(before)
	reply := sendRequest[AppendReply](p, from, 1, "AppendEntries", req)
	p.last = p.s.Net.Now()
	if now := termsOf(before); !slices.Equal(now, terms) {
		p.fail(ruleStatus, "the Log of a Status that n1 had returned had entries of the terms %v; after AppendEntries to n1, that same Log has %v, want it unchanged: it belongs to the caller", terms, now)
	}
	what := fmt.Sprintf("n1 replied to %v's AppendEntries(term %d, previous entry %d of term %d, %d entries)", from, req.Term, req.PrevLogIndex, req.PrevLogTerm, len(req.Entries))
	if reply.Success != want {
		p.fail(ruleAppend, "%s with Success = %v, want %v", what, reply.Success, want)
	}
	if end := req.PrevLogIndex + len(req.Entries); want && reply.Index != end {
		p.fail(ruleAppend, "%s with Index = %d, want %d", what, reply.Index, end)
	}
	if !want && reply.Index < 0 {
		p.fail(ruleAppend, "%s with Index = %d, want the index from which to send next, or 0", what, reply.Index)
	}
	p.expectReplyTerm(reply.Term)
	if want {
		p.beat = AppendRequest{Term: req.Term, Leader: from, PrevLogIndex: req.PrevLogIndex + len(req.Entries), PrevLogTerm: req.PrevLogTerm, Commit: req.Commit}
		if n := len(req.Entries); n > 0 {
			p.beat.PrevLogTerm = req.Entries[n-1].Term
		}
	}
	return reply
}

// appendToBoth sends entries to n1 and n2, which must accept them: at the same time, so that the election timer of neither fires while the other replies.
func (p *scriptedCluster) appendToBoth(toN1, toN2 AppendRequest) {
	second := startRequest[AppendReply](p, toN2.Leader, 2, "AppendEntries", toN2)
	replies := []AppendReply{sendRequest[AppendReply](p, toN1.Leader, 1, "AppendEntries", toN1), second.wait(p)}
	for i, req := range []AppendRequest{toN1, toN2} {
		if !replies[i].Success {
			p.s.Failf(ruleAppend, "at %v, n%d refused entries of term %d after entry %d of term %d, which it has", labtest.At(p.s.Net.Now()), 1+i, req.Term, req.PrevLogIndex, req.PrevLogTerm)
		}
	}
}

// quiet waits until n1's election timer has fired since the last request of a leader: a server may ignore candidates before that (Raft dissertation,
// §4.2.3). It returns a term that is newer than n1's, even if n1 starts an election just now.
func (p *scriptedCluster) quiet() int {
	if p.last > 0 {
		p.s.Run(max(0, p.last+longestTimeout+20*time.Millisecond-p.s.Net.Now()))
		p.last = 0
	}
	return p.status().Term + 2
}

// vote asks n1 for its vote as a candidate would, and checks whether n1 grants it.
func (p *scriptedCluster) vote(req VoteRequest, want bool, why string) {
	reply := sendRequest[VoteReply](p, req.Candidate, 1, "RequestVote", req)
	if reply.Granted != want {
		p.fail(ruleVote, "n1 replied to %v's RequestVote(term %d, last entry %d of term %d) with Granted = %v, want %v: %s",
			req.Candidate, req.Term, req.LastLogIndex, req.LastLogTerm, reply.Granted, want, why)
	}
	p.expectReplyTerm(reply.Term)
}

// expectReplyTerm checks that a reply has the term that n1 is in.
func (p *scriptedCluster) expectReplyTerm(told int) {
	st := p.status()
	justStarted := st.Role != roleFollower && st.Term == told+1 // an election, while the reply was under way
	if now := st.Term; told != now && !justStarted {
		p.fail("every reply carries the term of the server that sends it (rules 1 and 8; Raft §5.1)", "n1 replied with Term = %d, want %d, its term", told, now)
	}
}

func (p *scriptedCluster) expectCommit(want int) {
	if got := p.status().CommitIndex; got != want {
		p.fail(ruleCommit, "CommitIndex = %d on n1, want %d", got, want)
	}
}

// expectTerms checks the terms of n1's entries, from index 1 or after its snapshot.
func (p *scriptedCluster) expectTerms(want ...int) {
	if got := termsOf(p.status()); !slices.Equal(got, want) {
		p.fail(ruleAppend, "the log of n1 has entries of the terms %v, want %v", got, want)
	}
}

// expectAfterCrash is expectTerms for a log that n1 has read from its disk.
func (p *scriptedCluster) expectAfterCrash(want ...int) {
	if got := termsOf(p.status()); !slices.Equal(got, want) {
		p.fail(rulePromise, "after a restart the log of n1 has entries of the terms %v, want %v", got, want)
	}
}

func termsOf(st Status) []int {
	var terms []int
	for _, e := range st.Log {
		terms = append(terms, e.Term)
	}
	return terms
}

func (p *scriptedCluster) fail(rule, format string, args ...any) {
	v := labtest.Violation{What: fmt.Sprintf(format, args...), Rule: rule, Nodes: []labrpc.NodeID{1}}
	st := p.status()
	terms := strings.Trim(fmt.Sprint(termsOf(st)), "[]")
	if len(terms) > 80 {
		terms = terms[:77] + "..."
	}
	has := "no entries"
	if terms != "" {
		has = "entries of the terms " + terms
	}
	v.Seen = []string{fmt.Sprintf("at %v, n1 is in term %d and has %s after index %d", labtest.At(p.s.Net.Now()), st.Term, has, st.SnapshotIndex)}
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

// waitUntil waits until cond holds; otherwise says what did not happen.
func (p *scriptedCluster) waitUntil(bound time.Duration, rule, otherwise string, cond func() bool) {
	from := p.s.Net.Now()
	if !p.s.Until(bound, cond) {
		p.fail(rule, "from %v to %v, %s", labtest.At(from), labtest.At(p.s.Net.Now()), otherwise)
	}
}

// waitApplied waits until n1 has applied the entries up to index. When a server learns that an entry is committed it
// need not apply it in that instant.
func (p *scriptedCluster) waitApplied(index int) {
	p.beatUntil(func() bool { return p.c.appliedBy(1) >= index })
	p.c.waitApplied(0, ruleCatchUp, index, 1)
}

// beatUntil waits until cond holds, for at most the time that rule 12 gives a follower. Meanwhile n1's leader sends heartbeats.
func (p *scriptedCluster) beatUntil(cond func() bool) {
	for from := p.s.Net.Now(); !p.s.Until(heartbeat, cond) && p.s.Net.Now()-from < healBound; {
		if p.beat.Leader != 0 {
			sendRequest[AppendReply](p, p.beat.Leader, 1, "AppendEntries", p.beat)
			p.last = p.s.Net.Now()
		}
	}
}

// submit gives n1, which leads, a command; it returns the index.
func (p *scriptedCluster) submit() int {
	_, index := p.c.submit(1)
	return index
}

// askAgain asks n1 until it replies; it reports whether n1 crashed over it. ask
// reports whether a reply came; if not, n1 should be down.
func (p *scriptedCluster) askAgain(ask func() bool) bool {
	if ask() {
		return false
	}
	if !p.s.Net.Up(1) {
		p.c.start(1)
		p.s.Run(0)
	}
	if !ask() {
		p.fail(ruleReply, "n1 did not reply by %v", labtest.At(p.s.Net.Now()))
	}
	return true
}

// tryAppend sends entries to n1; it reports whether n1 was up to reply. It must
// accept them.
func (p *scriptedCluster) tryAppend(req AppendRequest) bool {
	a := startRequest[AppendReply](p, req.Leader, 1, "AppendEntries", req)
	here := a.waitUnlessDown(p)
	p.last = p.s.Net.Now()
	if here && !a.reply.Success {
		p.fail(ruleAppend, "n1 refused the entries of %v, of term %d, after index %d", req.Leader, req.Term, req.PrevLogIndex)
	}
	return here
}

// tryVote asks n1 for its vote; it reports whether n1 was up to reply.
func (p *scriptedCluster) tryVote(req VoteRequest) bool {
	return startRequest[VoteReply](p, req.Candidate, 1, "RequestVote", req).waitUnlessDown(p)
}

// commits tells the checker of entries, from index 1, that the scripted peers have
// committed, and that n1 may learn only from a snapshot.
func (p *scriptedCluster) commits(list []Entry) {
	p.c.w.mu.Lock()
	defer p.c.w.mu.Unlock()
	for _, e := range list[len(p.c.w.committed):] {
		p.c.w.committed = append(p.c.w.committed, seenCommit{term: e.Term, command: e.Command, in: e.Term, at: p.s.Net.Now()})
	}
}

// snapshot is the application's state after the entries up to index that the
// scripted peers have committed, as a request of a leader.
func (p *scriptedCluster) snapshot(from labrpc.NodeID, term, index int) SnapshotRequest {
	p.c.w.mu.Lock()
	defer p.c.w.mu.Unlock()
	return SnapshotRequest{Term: term, Leader: from, LastIndex: index, LastTerm: p.c.w.committed[index-1].term, Data: p.c.w.digest(index)}
}

// install sends a snapshot to n1; it reports whether n1 was up to reply.
func (p *scriptedCluster) install(req SnapshotRequest) bool {
	a := startRequest[SnapshotReply](p, req.Leader, 1, "InstallSnapshot", req)
	here := a.waitUnlessDown(p)
	p.last = p.s.Net.Now()
	if here {
		p.expectReplyTerm(a.reply.Term)
		p.beat = AppendRequest{Term: req.Term, Leader: req.Leader, PrevLogIndex: req.LastIndex, PrevLogTerm: req.LastTerm, Commit: req.LastIndex}
	} else if p.s.Net.Up(1) {
		p.fail(ruleReply, "n1 did not reply within %v to InstallSnapshot", replyBound)
	}
	return here
}

// expectSnapshot checks up to which entry n1's snapshot goes.
func (p *scriptedCluster) expectSnapshot(index int) {
	if st := p.status(); st.SnapshotIndex != index {
		p.fail(ruleSnapshot, "SnapshotIndex = %d on n1, want %d", st.SnapshotIndex, index)
	}
}

// take makes n1's application take a snapshot of all up to index, which n1 has applied; it reports
// whether n1 stayed up.
func (p *scriptedCluster) take(index int) bool {
	p.c.rafts[1].Snapshot(index, p.snapshot(1, 0, index).Data)
	p.s.Run(0)
	return p.s.Net.Up(1)
}
