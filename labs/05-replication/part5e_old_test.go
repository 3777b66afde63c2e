package replication_test

import (
	"bytes"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/05-replication"
)

// A snapshot that was long under way may be older than what the server has. It must
// not take anything back; and a newer snapshot must keep the entries after it (figure 13).
func TestOldSnapshotChangesNothing5E(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: raftSeeds, Link: calmLink}, func(s *labtest.Sim) {
		switch s.Seed % 4 {
		case 0:
			checkOldWhileApplyIsSlow(s)
			return
		case 1:
			checkSnapshotOfAnotherLog(s)
			return
		}
		p := newScriptedCluster(s)
		list := entriesOf(1, 1, 2, 2, 2, 3, 3, 3, 3, 3)
		p.append(2, AppendRequest{Term: 3, Entries: list[:8], Commit: 5}, true)
		p.waitApplied(5)
		p.commits(list)
		p.install(p.snapshot(2, 3, 3)) // of entries that n1 has applied
		p.install(p.snapshot(2, 3, 5))
		p.expectSnapshot(0)
		p.expectCommit(5)
		if st := p.status(); lastIndexOf(st) != 8 || st.LastApplied != 5 {
			p.fail(ruleSnapshot, "after an old snapshot the last entry of n1 is %d and LastApplied = %d, want 8 and 5", lastIndexOf(st), st.LastApplied)
		}
		p.install(p.snapshot(2, 2, 10)) // of a leader of an earlier term
		if st := p.status(); st.SnapshotIndex > 3 || lastIndexOf(st) != 8 {
			p.fail(ruleSnapshot, "n1 accepted a snapshot of a leader of term 2 although it is in term %d", st.Term)
		}
		p.install(p.snapshot(2, 3, 6)) // newer than what n1 has committed, and part of its log
		p.expectSnapshot(6)
		p.expectTerms(3, 3)
		p.waitApplied(6)
		p.install(p.snapshot(2, 3, 10)) // longer than its log
		p.expectSnapshot(10)
		p.expectTerms()
		p.install(p.snapshot(2, 3, 6)) // late
		p.expectSnapshot(10)
		term := p.quiet()
		p.install(p.snapshot(3, term, 6)) // late, and of a newer leader
		p.expectSnapshot(10)
		if st := p.status(); st.Term != term || st.Leader != 3 || st.Role != roleFollower {
			p.fail(ruleTerm, "n1 is %v with Leader = %v in term %d after InstallSnapshot of n3, the leader of term %d, with an old snapshot; want follower, n3, %[4]d", st.Role, st.Leader, st.Term, term)
		}
		p.append(3, AppendRequest{Term: term, PrevLogIndex: 10, PrevLogTerm: 3, Entries: entriesOf(3)}, true)
		p.restart()
		p.expectSnapshot(10)
		p.expectAfterCrash(3)
		p.replacesOnDisk(term, append(list, entriesOf(3)...))
	})
}

// checkOldWhileApplyIsSlow: n1 has committed entries whose turn for apply has not come. A snapshot of some of them is old all the same: apply gets the entries.
func checkOldWhileApplyIsSlow(s *labtest.Sim) {
	const last = 10
	release := make(chan struct{})
	p, calls := newSlowServer(s, release)
	p.append(2, AppendRequest{Term: 1, Entries: entriesOf(1, 1, 1, 1, 1, 1, 1, 1, 1, 1), Commit: last}, true)
	p.expectCommit(last)
	for _, index := range []int{last - 3, last} {
		p.install(SnapshotRequest{Term: 1, Leader: 2, LastIndex: index, LastTerm: 1, Data: []byte("state")})
		st := p.status()
		if n := len(st.Log); st.SnapshotIndex != 0 || n != last {
			p.fail(ruleSnapshot, "n1 had committed entries 1 to %d, and apply was busy with the first, when InstallSnapshot of its leader with last index %d arrived: SnapshotIndex = %d and %d entries in the log, want 0 and %[1]d",
				last, index, st.SnapshotIndex, n)
		}
	}
	close(release)
	p.beatUntil(func() bool { return calls.Load() >= last })
	s.Run(heartbeat)
	if got := calls.Load(); got != last {
		s.Failf(ruleApply, "n1 called apply %d times, want once for each of the entries 1 to %d: the snapshots that arrived meanwhile were older than its commit index", got, last)
	}
}

// checkSnapshotOfAnotherLog: n1 has entries of the leader of term 2, which a minority has. The leader of term 3 has others there, of term 1, and a snapshot
// of them. What n1 has after them does not continue the snapshot, although its terms do not decrease.
func checkSnapshotOfAnotherLog(s *labtest.Sim) {
	p := newScriptedCluster(s)
	list := entriesOf(1, 1, 1, 1, 1, 1, 3)
	p.append(2, AppendRequest{Term: 2, Entries: entriesOf(1, 1, 1, 1, 2, 2, 2, 2)}, true)
	p.commits(list)
	p.install(p.snapshot(3, 3, 6))
	p.expectSnapshot(6)
	if kept := termsOf(p.status()); len(kept) > 0 {
		p.fail("a snapshot whose last entry is not in the log replaces the whole log (rule 15; Raft figure 13)",
			"n1 had an entry of term 2 at index 6 when it installed a snapshot whose last entry is 6, of term 1; it has kept entries of the terms %v after it, want none", kept)
	}
	p.append(3, AppendRequest{Term: 3, PrevLogIndex: 6, PrevLogTerm: 1, Entries: list[6:], Commit: 7}, true)
	p.waitApplied(7)
	p.restart()
	p.expectSnapshot(6)
	p.expectAfterCrash(3)
}

// replacesOnDisk sends n1 twenty entries after those of the list, and then a snapshot that replaces them. They are not on n1's disk any more (rule 15).
func (p *scriptedCluster) replacesOnDisk(term int, list []Entry) {
	last := len(list)
	for range 20 {
		list = append(list, Entry{Term: term, Command: bytes.Repeat([]byte("long"), 50)})
	}
	p.append(3, AppendRequest{Term: term, PrevLogIndex: last, PrevLogTerm: list[last-1].Term, Entries: list[last:]}, true)
	before := recordBytes(p.s.Net.Disk(1))
	p.commits(list)
	p.install(p.snapshot(3, term, len(list)))
	if got, most := recordBytes(p.s.Net.Disk(1)), before/4; got > most {
		p.fail(ruleSnapshot, "n1 has %d bytes on its disk after a snapshot of its leader that replaces all entries, want at most %d: before, it had %d", got, most, before)
	}
}

// The server's own application may be slow: a snapshot that it takes can be older
// than one that a leader has sent meanwhile.
func TestOwnOldSnapshotChangesNothing5E(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: raftSeeds, Link: calmLink}, func(s *labtest.Sim) {
		p := newScriptedCluster(s)
		list := entriesOf(1, 1, 1, 1, 2, 2)
		p.append(2, AppendRequest{Term: 2, Entries: list[:4], Commit: 4}, true)
		p.waitApplied(4)
		p.commits(list)
		p.take(3)
		p.expectSnapshot(3)
		p.expectTerms(1)
		p.take(2)
		p.expectSnapshot(3)
		p.c.rafts[1].Snapshot(3, []byte("another state of index 3"))
		p.restart() // the invariant checker compares the snapshot that apply gets
		p.expectSnapshot(3)
		p.expectTerms(1)
		p.install(p.snapshot(2, 2, 6))
		p.take(4)
		p.expectSnapshot(6)
		p.append(2, AppendRequest{Term: 2, PrevLogIndex: 6, PrevLogTerm: 2, Entries: entriesOf(2)}, true)
		p.restart()
		p.expectSnapshot(6)
		p.expectAfterCrash(2)
	})
}

// Indexes keep their meaning when the first entries are gone:
// the consistency check and the vote at the edge of the snapshot, where only its
// last index and term are known, before and after a crash (§7).
func TestEdgeOfTheSnapshot5E(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: raftSeeds, Link: calmLink}, func(s *labtest.Sim) {
		p, crash := newScriptedCluster(s), s.Seed%2 == 0
		list := entriesOf(1, 1, 2, 2, 2, 3, 3)
		p.append(2, AppendRequest{Term: 3, Entries: list[:5], Commit: 5}, true)
		p.waitApplied(5)
		p.take(5)
		if crash {
			p.restart()
		}
		p.expectSnapshot(5)
		p.expectTerms()
		p.vote(VoteRequest{Term: p.quiet(), Candidate: 3, LastLogIndex: 9, LastLogTerm: 1}, false, "its last entry, of term 2, is in the snapshot")
		p.vote(VoteRequest{Term: p.quiet(), Candidate: 3, LastLogIndex: 4, LastLogTerm: 2}, false, "its last entry, at index 5, is in the snapshot")
		term := p.quiet()
		p.vote(VoteRequest{Term: term, Candidate: 3, LastLogIndex: 5, LastLogTerm: 2}, true, "the logs end at the same index and term")
		p.append(3, AppendRequest{Term: term, PrevLogIndex: 6, PrevLogTerm: 3}, false)
		p.append(3, AppendRequest{Term: term, PrevLogIndex: 5, PrevLogTerm: 2, Entries: list[5:6]}, true)
		p.expectTerms(3)
		p.appendAcross(AppendRequest{Term: term, Leader: 3, PrevLogIndex: 3, PrevLogTerm: 2, Entries: list[3:5], Commit: 5}, list) // all of it is in the snapshot
		p.expectTerms(3)
		p.appendAcross(AppendRequest{Term: term, Leader: 3, PrevLogIndex: 3, PrevLogTerm: 2, Entries: list[3:], Commit: 6}, list)
		p.expectTerms(3, 3)
		p.expectCommit(6)
		p.waitApplied(6)
		p.append(3, AppendRequest{Term: term, PrevLogIndex: 7, PrevLogTerm: 2}, false)
		p.take(6)
		p.expectSnapshot(6)
		p.expectTerms(3)
		p.restart()
		p.expectSnapshot(6)
		p.expectAfterCrash(3)
	})
}

// appendAcross sends entries that begin inside n1's snapshot. n1 may accept them; or it refuses them, with the advice to continue after the
// snapshot, and then gets those.
func (p *scriptedCluster) appendAcross(req AppendRequest, list []Entry) {
	reply := sendRequest[AppendReply](p, req.Leader, 1, "AppendEntries", req)
	p.last = p.s.Net.Now()
	p.expectReplyTerm(reply.Term)
	end := req.PrevLogIndex + len(req.Entries)
	after := p.status().SnapshotIndex
	switch {
	case reply.Success && reply.Index != end:
		p.fail(ruleAppend, "n1 accepted entries up to index %d with Index = %d, want %d", end, reply.Index, end)
	case !reply.Success && reply.Index != 0 && reply.Index != after+1:
		p.fail(ruleAppend, "n1 refused entries that begin inside its snapshot with Index = %d, want %d (after the snapshot) or 0", reply.Index, after+1)
	case !reply.Success:
		p.append(req.Leader, AppendRequest{
			Term: req.Term, PrevLogIndex: after, PrevLogTerm: p.status().SnapshotTerm, Entries: list[after:end], Commit: req.Commit,
		}, true)
	}
}

// Indexes and terms are as large as the machine's int: after a snapshot whose index no narrow integer holds, the log continues. A snapshot of no
// bytes is a snapshot.
func TestSpecialSnapshots5E(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 2 * len(edgeIndexes), Link: calmLink}, func(s *labtest.Sim) {
		if s.Seed%2 == 0 {
			checkFarLog(s)
			return
		}
		checkEmptySnapshot(s)
		node := s.Start(1)
		peer := s.Start(2)
		var got []Applied
		start := func(node *labrpc.Node) *Raft {
			got = nil
			return StartRaft(node, s.Net.Nodes(), func(a Applied) {
				sleep(node.Context(), 150*time.Millisecond) // n1 replies within 100ms all the same
				labrpc.Tell(node, a, func(_ time.Duration, a Applied) { got = append(got, a) })
			})
		}
		raft := start(node)
		p := &scriptedCluster{s: s, peers: map[labrpc.NodeID]*labrpc.Node{2: peer}, c: &raftCluster{s: s, rafts: map[labrpc.NodeID]*Raft{1: raft}}}
		big := indexOf(farIndexes, s)
		expect := func(when string) {
			p.beatUntil(func() bool { return len(got) >= 2 })
			st := raft.Status()
			if st.Term != big+1 || st.SnapshotIndex != big || st.SnapshotTerm != big || lastIndexOf(st) != big+2 {
				s.Failf("indexes and terms are of the type int (rule 15)", "%s, n1 is in term %d with a snapshot up to index %d, term %d, and entries up to index %d, want %d, %d, %d and %d",
					when, st.Term, st.SnapshotIndex, st.SnapshotTerm, lastIndexOf(st), big+1, big, big, big+2)
			}
			if len(got) < 2 || got[0].Index != big || got[0].Term != big || got[0].Snapshot == nil || got[1].Index != big+1 || got[1].Term != big+1 {
				s.Failf(ruleApply, "%s, apply was called with %v, want the snapshot of index %d, and then entry %d", when, briefApplied(got), big, big+1)
			}
		}
		p.farSnapshot(big)
		p.append(2, AppendRequest{Term: big + 1, PrevLogIndex: big, PrevLogTerm: big, Entries: entriesOf(big+1, big+1), Commit: big + 1}, true)
		expect("after a snapshot and two entries")
		s.Net.Crash(1)
		s.Run(time.Millisecond)
		raft = start(s.Start(1))
		p.c.rafts[1] = raft
		s.Run(time.Millisecond)
		p.append(2, AppendRequest{Term: big + 1, PrevLogIndex: big + 2, PrevLogTerm: big + 1, Commit: big + 2}, true)
		expect("after a restart")
	})
}

// checkEmptySnapshot: a snapshot of no bytes is a snapshot: after a restart apply gets it, and not nil.
func checkEmptySnapshot(s *labtest.Sim) {
	var got []Applied
	start := func(node *labrpc.Node) *Raft {
		got = nil
		return StartRaft(node, []labrpc.NodeID{3}, func(a Applied) {
			labrpc.Tell(node, a, func(_ time.Duration, a Applied) { got = append(got, a) })
		})
	}
	raft := start(s.Start(3))
	s.WaitFor(electionBound, labtest.Violation{What: "n3, the only server, is not leader", Rule: ruleLeader}, func() bool { return raft.Status().Role == roleLeader })
	index, term, _ := raft.Submit([]byte("a"))
	s.WaitFor(agreeBound, labtest.Violation{What: "n3, the only server, has not applied its command", Rule: ruleAgree}, func() bool { return raft.Status().LastApplied >= index })
	var data []byte
	if s.Seed%4 == 1 {
		data = []byte{}
	}
	raft.Snapshot(index, data)
	s.Run(time.Millisecond) // it may be written right after Snapshot has returned
	s.Net.Crash(3)
	s.Run(time.Millisecond)
	start(s.Start(3))
	s.Until(electionBound+agreeBound, func() bool { return len(got) > 0 }) // it may wait until it leads
	if len(got) == 0 || got[0].Snapshot == nil || got[0].Index != index || got[0].Term != term {
		s.Failf(ruleRestart, "after a restart apply was called with %v, want first the snapshot of no bytes at index %d, term %d", briefApplied(got), index, term)
	}
}
