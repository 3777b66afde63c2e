package replication_test

import (
	"slices"
	"sync"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/05-replication"
)

// farIndexes are indexes and terms that narrow integers do not hold.
var farIndexes = []int{1<<8 - 1, 1<<16 - 1, 1<<32 - 1, 1 << 33, 1 << 40, 1<<31 - 1}

// edgeIndexes are indexes at which a log begins that crosses the edge of a narrow integer, or gets an index with one digit more.
var edgeIndexes = []int{206, 1<<15 - 100, 1<<15 - 180, 1<<15 - 273, 1<<15 - 285, 1<<31 - 180, 1 << 40, 1e5 - 200, 1e6 - 200, 1e8 - 200, 1e9 - 200, 1e10 - 200}

// indexOf is the index of a seed; two seeds have the same.
func indexOf(list []int, s *labtest.Sim) int { return list[(s.Seed-1)/2%uint64(len(list))] }

// A farFollower is a scripted follower with a log of which only the last index and the terms are known.
type farFollower struct {
	mu        sync.Mutex
	last      int
	commit    int         // the leader's, as it says
	terms     map[int]int // by index
	silent    bool        // it refuses without advice
	refusals  int
	installed SnapshotRequest
}

// checkFarLog: n1's log begins at an index that is near the edge of a narrow integer, or beyond. n1 compares logs, removes entries and takes a snapshot as
// at any other index (rules 3, 6, 8 and 15), and so it does as a leader: see farLog.leads.
func checkFarLog(s *labtest.Sim) {
	f := &farLog{s: s, far: indexOf(edgeIndexes, s)}
	f.p = &scriptedCluster{s: s, peers: map[labrpc.NodeID]*labrpc.Node{}, c: &raftCluster{s: s, rafts: map[labrpc.NodeID]*Raft{}}}
	f.start()
	for id := labrpc.NodeID(2); id <= 5; id++ {
		f.p.peers[id] = s.Start(id)
		f.p.registerVotes(f.p.peers[id])
	}
	p, far, term := f.p, f.far, f.far+1
	p.farSnapshot(far)
	terms := append([]int{far}, slices.Repeat([]int{term}, 299)...)
	p.append(2, AppendRequest{Term: term, PrevLogIndex: far, PrevLogTerm: far, Entries: entriesOf(terms...), Commit: far + 256}, true)
	p.append(2, AppendRequest{Term: term, PrevLogIndex: far + 300, PrevLogTerm: far}, false)
	p.append(2, AppendRequest{Term: term, PrevLogIndex: far + 256, PrevLogTerm: far}, false)
	p.append(2, AppendRequest{Term: term, PrevLogIndex: far + 301, PrevLogTerm: term}, false)
	p.append(2, AppendRequest{Term: term + 1, PrevLogIndex: far + 270, PrevLogTerm: term, Entries: entriesOf(term+1, term+1), Commit: far + 256}, true)
	p.expectTerms(append(terms[:270:270], term+1, term+1)...)
	p.beatUntil(func() bool { return f.raft.Status().LastApplied >= far+256 })
	if got := f.raft.Status().LastApplied; got != far+256 {
		p.fail(ruleApply, "n1 has LastApplied = %d, want %d: the entries up to there are committed", got, far+256)
	}
	before := recordBytes(s.Net.Disk(1))
	f.raft.Snapshot(far+150, []byte("state of the last snapshot"))
	s.Run(time.Millisecond) // it may be written right after Snapshot has returned
	if got, most := recordBytes(s.Net.Disk(1)), before*3/4; got > most {
		p.fail(ruleSnapshot, "n1 has %d bytes on its disk after a snapshot that replaces 150 of 272 entries, want at most %d", got, most)
	}
	s.Net.Crash(1)
	s.Run(time.Millisecond)
	f.start()
	s.Run(time.Millisecond)
	p.last = 0
	if st := p.status(); st.SnapshotIndex != far+150 || st.SnapshotTerm != term || lastIndexOf(st) != far+272 {
		p.fail(rulePromise, "after a restart n1 has a snapshot up to index %d, term %d, and entries up to index %d, want %d, %d and %d",
			st.SnapshotIndex, st.SnapshotTerm, lastIndexOf(st), far+150, term, far+272)
	}
	p.vote(VoteRequest{Term: p.quiet(), Candidate: 5, LastLogIndex: far + 271, LastLogTerm: term + 1}, false, "its log is one entry shorter")
	p.vote(VoteRequest{Term: p.quiet(), Candidate: 5, LastLogIndex: far + 999, LastLogTerm: term}, false, "its last entry has an earlier term")
	p.vote(VoteRequest{Term: p.quiet(), Candidate: 4, LastLogIndex: far + 272, LastLogTerm: term + 1}, true, "the logs end at the same index and term")
	f.leads(far+150, term)
}

// A farLog is a test of n1 whose log begins far from index 1.
type farLog struct {
	s       *labtest.Sim
	p       *scriptedCluster
	far     int
	raft    *Raft
	applied []Applied // in this incarnation
}

func (f *farLog) start() {
	node := f.s.Start(1)
	f.applied = nil
	f.raft = StartRaft(node, f.s.Net.Nodes(), func(a Applied) {
		labrpc.Tell(node, a, func(_ time.Duration, a Applied) { f.applied = append(f.applied, a) })
	})
	f.p.c.rafts[1] = f.raft
}

// leads checks that n1 is elected, and brings n2, which has all entries, n3, which has one entry less, and n4, which has nothing, to its log (rules 4, 6, 7 and 12).
// n1's snapshot has that index and term.
func (f *farLog) leads(snapshot, term int) {
	p, end := f.p, f.far+272
	followers := map[labrpc.NodeID]*farFollower{2: {last: end}, 3: {last: end - 1}, 4: {}}
	for id, follower := range followers {
		follower.terms = map[int]int{}
		for index := snapshot; index <= follower.last; index++ {
			follower.terms[index] = term
			if index > end-2 {
				follower.terms[index] = term + 1
			}
		}
		follower.serve(p.peers[id])
	}
	p.answerVotes(func(_ labrpc.NodeID, req VoteRequest) bool {
		return req.Term > term+1 && req.LastLogIndex == end && req.LastLogTerm == term+1
	})
	p.waitForLead()
	f.s.Run(3 * heartbeat) // until n2 and n3 have acknowledged everything
	// The replies to a heartbeat come when there is one entry more, which reaches nobody.
	held := f.s.Net.Hold(labrpc.Match{To: 1, Kind: labrpc.Reply})
	f.s.Run(heartbeat + 10*time.Millisecond)
	for id := labrpc.NodeID(2); id <= 4; id++ {
		f.s.Net.Cut(1, id)
	}
	index, _, ok := f.raft.Submit([]byte("far"))
	held.Deliver(nil)
	held.Release()
	f.s.Run(heartbeat)
	if got := f.raft.Status().CommitIndex; ok && got >= index {
		p.fail(ruleCommit, "CommitIndex = %d on n1, want at most %d: no follower has acknowledged entry %d", got, index-1, index)
	}
	f.s.Net.Heal()
	if !ok || index <= end {
		p.fail(ruleSubmit, "Submit on n1 returned index %d and %v, want an index of at least %d, and true: n1 is the leader", index, ok, end+1)
	}
	has := func(id labrpc.NodeID) bool { return followers[id].has(index, f.raft.Status().Term) }
	p.waitUntil(agreeBound, ruleAgree, "n1 did not commit its entry, although n2 and n3 acknowledge it", func() bool { return f.raft.Status().CommitIndex >= index })
	p.waitUntil(healBound, ruleCatchUp, "n1 did not bring n3 and n4 to its log and its commit index", func() bool { return has(3) && has(4) })
	if got := followers[4].snapshot(); got.LastIndex != snapshot || got.LastTerm != term || string(got.Data) != "state of the last snapshot" {
		p.fail(ruleSnapshot, "n1 sent n4 a snapshot up to index %d, term %d (%q), want index %d, term %d", got.LastIndex, got.LastTerm, got.Data, snapshot, term)
	}
	p.waitUntil(agreeBound, ruleApply, "n1 did not apply its entry", func() bool { return len(f.applied) > index-snapshot })
	for i, a := range f.applied {
		if a.Index != snapshot+i || (a.Snapshot != nil) != (i == 0) {
			p.fail(ruleApply, "call %d of apply was for index %d, want the snapshot of index %d first, and then every entry", i+1, a.Index, snapshot)
		}
	}
}

// farSnapshot sends n1 the snapshot of an index.
func (p *scriptedCluster) farSnapshot(index int) {
	for _, term := range []int{index, index - 1} { // the second is of a leader of an earlier term
		reply := sendRequest[SnapshotReply](p, 2, 1, "InstallSnapshot", SnapshotRequest{Term: term, Leader: 2, LastIndex: index, LastTerm: index, Data: []byte("state")})
		p.expectReplyTerm(reply.Term)
	}
}

// serve makes the node reply to a leader as figures 2 and 13 say.
func (f *farFollower) serve(node *labrpc.Node) {
	labrpc.Handle(node, "AppendEntries", func(_ labrpc.NodeID, req AppendRequest) AppendReply { return f.append(req) })
	labrpc.Handle(node, "InstallSnapshot", func(_ labrpc.NodeID, req SnapshotRequest) SnapshotReply { return f.install(req) })
}

func (f *farFollower) append(req AppendRequest) AppendReply {
	f.mu.Lock()
	defer f.mu.Unlock()
	if req.PrevLogIndex > f.last {
		f.refusals++
		if f.silent {
			return AppendReply{Term: req.Term}
		}
		return AppendReply{Term: req.Term, Index: f.last + 1}
	}
	if f.terms[req.PrevLogIndex] != req.PrevLogTerm {
		return AppendReply{Term: req.Term, Index: req.PrevLogIndex}
	}
	for i, e := range req.Entries {
		f.terms[req.PrevLogIndex+1+i] = e.Term
	}
	end := req.PrevLogIndex + len(req.Entries)
	f.last, f.commit = max(f.last, end), max(f.commit, req.Commit)
	return AppendReply{Term: req.Term, Success: true, Index: end}
}

func (f *farFollower) install(req SnapshotRequest) SnapshotReply {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.installed, f.terms[req.LastIndex] = req, req.LastTerm
	f.last, f.commit = max(f.last, req.LastIndex), max(f.commit, req.LastIndex)
	return SnapshotReply{Term: req.Term}
}

// has reports whether the follower has an entry, and knows that it is committed.
func (f *farFollower) has(index, term int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last >= index && f.terms[index] == term && f.commit >= index
}

// snapshot returns the last snapshot that the follower was sent.
func (f *farFollower) snapshot() SnapshotRequest {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.installed
}
