package replication_test

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/05-replication"
)

// The application takes a snapshot every ten entries. The log, and all that the
// disk holds, stay small however many entries there were (§7): in one seed of ten there are 1100.
func TestLogStaysBounded5E(t *testing.T) {
	const every, most, bytes = 10, 30, 1500
	labtest.Run(t, labtest.Config{Nodes: 3, Seeds: raftSeeds}, func(s *labtest.Sim) {
		c := newRaftCluster(s, raftClusterOptions{SnapshotEvery: every})
		longest, biggest := 0, 0
		rounds := 12
		if s.Seed%10 == 1 {
			rounds = 110
		}
		for range rounds {
			leader := c.waitForLeader()
			for range every {
				c.submit(leader)
			}
			c.agree(c.servers...)
			for _, id := range c.servers {
				longest = max(longest, len(c.rafts[id].Status().Log))
				biggest = max(biggest, recordBytes(s.Net.Disk(id)))
				if longest > most || biggest > bytes {
					s.Failf(ruleSnapshot, "at %v, %v has %d entries in its log and %d bytes on its disk, want at most %d entries and %d bytes: it has applied %d entries",
						labtest.At(s.Net.Now()), id, longest, biggest, most, bytes, c.appliedBy(id))
				}
			}
		}
		s.Measure("entries in the longest log", float64(longest), "", fmt.Sprintf("≤ %d", most))
		s.Measure("bytes on the fullest disk", float64(biggest), "", fmt.Sprintf("≤ %d", bytes))
		c.converge()
	})
}

// recordBytes is how many bytes of records a disk holds.
func recordBytes(disk *labrpc.Disk) int {
	size := 0
	for _, name := range disk.Names() {
		data, _ := disk.Read(name)
		size += len(data)
	}
	return size
}

// A server that was away for longer than the others keep their logs gets the
// leader's snapshot, and then continues like the others (§7). The limit counts snapshots.
func TestLaggardGetsASnapshot5E(t *testing.T) {
	cfg := labtest.Config{Nodes: 3, Seeds: raftSeeds, MustCover: []string{"a snapshot was sent"}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		c := newRaftCluster(s, raftClusterOptions{SnapshotEvery: 5, SnapshotSize: 500})
		if s.Seed%5 < 2 {
			c.startLate(12, time.Second)
		}
		c.agree(c.servers...)
		for range 3 {
			leader := c.waitForLeader()
			lag := c.except(leader)[s.Rand().IntN(2)]
			c.allowCandidates(c.except(lag)...)
			s.Net.Isolate(lag)
			for range 12 {
				c.agree(c.except(lag)...)
			}
			s.Net.Heal()
			c.allowCandidates()
			sent := labrpc.Match{Method: "InstallSnapshot", Kind: labrpc.Request, To: lag}
			before := s.Net.Stats(sent).Sent
			index := lastIndexOf(c.rafts[c.waitForLeaderOf(healBound)].Status())
			c.waitApplied(healBound, ruleConverge, index, lag)
			used := s.Net.Stats(sent).Sent - before
			if c.rafts[lag].Status().SnapshotIndex > 0 && s.Net.Stats(sent).Sent > 0 {
				s.Cover("a snapshot was sent")
			}
			c.budget("snapshots sent to one lagging server", float64(used), 4)
			c.agree(c.servers...)
		}
		c.converge()
	})
}

// A server has been down and away, and the first request that reaches it from the leader is a snapshot. It learns who
// the leader is from the snapshot, and its election timer starts again. At the end it hears only of a leader of an earlier term, starts an election, and
// learns from a snapshot that another server has won. A reply with a newer term deposes the leader.
func TestSnapshotIsAHeartbeat5E(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 10, Link: calmLink}, func(s *labtest.Sim) {
		if s.Seed > 5 {
			checkLateSnapshotReply(s)
			return
		}
		p := newScriptedCluster(s)
		p.commits(entriesOf(1, 1, 1, 1, 1, 1, 1, 1))
		for i := range 12 { // 12 × 300ms; of the last four times, which are longer than any election timeout, the snapshot is an old one
			p.install(p.snapshot(2, 3, min(i+1, 8)))
			if st := p.status(); st.Leader != 2 || st.Term != 3 || st.Role != roleFollower {
				p.fail(ruleFollows, "n1 is %v with Leader = %v in term %d after InstallSnapshot of n2, the leader of term 3, want follower, n2 and 3", st.Role, st.Leader, st.Term)
			}
			p.runAfter(300 * time.Millisecond)
			if st := p.status(); st.Term != 3 {
				p.fail(ruleTimer, "n1 has started an election, and is in term %d: the last InstallSnapshot of its leader, n2, reached it only 300ms before", st.Term)
			}
		}
		p.waitApplied(8)
		p.answerVotes(func(labrpc.NodeID, VoteRequest) bool { return false })
		p.install(p.snapshot(2, 3, 8))
		p.standsWithin(p.heard, func() { p.install(p.snapshot(4, 2, 8)) })
		term := p.status().Term
		p.install(p.snapshot(3, max(term, 4), 8))
		if st := p.status(); st.Leader != 3 || st.Role != roleFollower {
			p.fail(ruleFollows, "n1, a candidate, is %v with Leader = %v in term %d after InstallSnapshot of n3, the leader of term %d, want follower and n3", st.Role, st.Leader, st.Term, max(term, 4))
		}
	})
}

// standsWithin checks that n1 asks for votes, or for pre-votes, within an election timeout of the last snapshot of its leader (rule 16).
// Meanwhile the test does something every 50ms that does not reset n1's election timer.
func (p *scriptedCluster) standsWithin(reset span, meanwhile func()) {
	s, asks := p.s, labrpc.Match{From: 1, Kind: labrpc.Request}
	before := s.Net.Stats(asks).Sent
	for s.Net.Now() < reset.to+longestTimeout && s.Net.Stats(asks).Sent == before {
		meanwhile()
		s.Until(min(50*time.Millisecond, reset.to+longestTimeout-s.Net.Now()), func() bool { return s.Net.Stats(asks).Sent > before })
	}
	p.expectElection(s.Net.Stats(asks).Sent > before, reset, "the last snapshot of its leader came")
}

// checkLateSnapshotReply: n1 leads, sends n5 its snapshot, is deposed and leads again. Then n5 replies to the first request, which it has received late and
// refused in the new term. That is no acknowledgement: n1 must send n5 the snapshot again (rules 6 and 12).
func checkLateSnapshotReply(s *labtest.Sim) {
	p := newScriptedCluster(s)
	p.append(2, AppendRequest{Term: 1, Entries: entriesOf(1, 1, 1, 1), Commit: 4}, true)
	p.waitApplied(4)
	p.take(4)
	p.grantVotes()
	for id := labrpc.NodeID(2); id <= 4; id++ {
		follower := &farFollower{last: 4, terms: map[int]int{4: 1}}
		follower.serve(p.peers[id])
	}
	f, n5 := &farFollower{terms: map[int]int{}}, p.peers[5] // it has no entry
	labrpc.Handle(n5, "AppendEntries", func(_ labrpc.NodeID, req AppendRequest) AppendReply { return f.append(req) })
	asked, replies := make(chan struct{}), make(chan struct{}) // closed when n5 receives its first snapshot, and when it replies to that
	var once sync.Once
	labrpc.Handle(n5, "InstallSnapshot", func(_ labrpc.NodeID, req SnapshotRequest) SnapshotReply {
		first := false
		once.Do(func() { first = true; close(asked) })
		if first {
			<-replies
			return SnapshotReply{Term: p.status().Term}
		}
		if !closed(replies) {
			<-n5.Context().Done() // lost on the way
		}
		return f.install(req)
	})
	p.waitForLead()
	p.waitUntil(electionBound, ruleCatchUp, "n1 did not send n5 a snapshot, although n5 has no entry", func() bool { return closed(asked) })
	p.append(2, AppendRequest{Term: p.status().Term + 1, PrevLogIndex: 4, PrevLogTerm: 1}, true)
	p.waitForLead()
	s.Run(10 * time.Millisecond)
	if s.Seed%2 == 0 {
		s.Run(3 * time.Second) // longer than n1 may wait for a reply: what is lost is no acknowledgement either
	}
	close(replies)
	refusals := func() int {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.refusals
	}
	if s.Until(healBound, func() bool { return f.has(4, 1) || refusals() > 300 }); !f.has(4, 1) {
		p.fail(ruleCatchUp, "n1 did not bring n5 to its log by %v: a late refusal of a snapshot is no acknowledgement, and a lost reply is none; n5 has refused %d requests since", labtest.At(s.Net.Now()), refusals())
	}
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// A leader that has discarded the entries that a follower lacks sends its snapshot. The reply has a newer term: the leader is deposed, and
// keeps that term over a crash.
func TestTermOfASnapshotReply5E(t *testing.T) {
	cfg := labtest.Config{Nodes: 5, Seeds: 10, Link: calmLink, MustCover: []string{"a reply to InstallSnapshot had a newer term"}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		p := newScriptedCluster(s)
		list := entriesOf(1, 1, 1, 1)
		p.append(2, AppendRequest{Term: 1, Entries: list, Commit: 4}, true)
		p.waitApplied(4)
		p.take(4)
		p.grantVotes()
		for id, node := range p.peers {
			labrpc.Handle(node, "AppendEntries", func(_ labrpc.NodeID, req AppendRequest) AppendReply {
				if id == 5 { // it has no entry
					return AppendReply{Term: req.Term, Success: false, Index: 1}
				}
				return AppendReply{Term: req.Term, Success: true, Index: req.PrevLogIndex + len(req.Entries)}
			})
		}
		labrpc.Handle(p.peers[5], "InstallSnapshot", func(_ labrpc.NodeID, req SnapshotRequest) SnapshotReply {
			return SnapshotReply{Term: 1000}
		})
		p.waitForLead()
		p.waitUntil(5*heartbeat, ruleTerm, "n1 received term 1000 in replies to InstallSnapshot but did not become a follower in term 1000", func() bool {
			st := p.status()
			return st.Term == 1000 && st.Role != roleLeader
		})
		s.Cover("a reply to InstallSnapshot had a newer term")
		p.append(2, AppendRequest{Term: 5}, false) // n1 tells n2 of term 1000
		p.restart()
		if got := p.status().Term; got != 1000 {
			p.fail(rulePromise, "n1 is in term %d after a crash, want 1000: it has told n2 of term 1000", got)
		}
	})
}

// A snapshot that was long under way may be older than what the server has. It must
// not take anything back; and a newer snapshot must keep the entries after it (figure 13).
func TestOldSnapshotChangesNothing5E(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: raftSeeds, Link: calmLink}, func(s *labtest.Sim) {
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

func briefApplied(list []Applied) []string {
	var lines []string
	for _, a := range list {
		kind := "entry"
		if a.Snapshot != nil {
			kind = "snapshot"
		}
		lines = append(lines, fmt.Sprintf("%s %d of term %d", kind, a.Index, a.Term))
	}
	return lines
}

// A crash may come between the writes of a snapshot and of the log. At whichever write it
// comes, no accepted entry is lost, and no entry of the replaced log remains: n1 takes its own snapshot, and
// is sent a leader's that conflicts with its log, and
// crashes before or after the k-th write, for each k.
func TestCrashWithinASnapshot5E(t *testing.T) {
	cfg := labtest.Config{Nodes: 5, Seeds: raftSeeds, Link: calmLink, MustCover: []string{"n1 crashed as it took a snapshot", "n1 crashed as it was sent a snapshot"}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		write, after := 1+int((s.Seed-1)/2%10), s.Seed%2 == 0
		p := newScriptedCluster(s)
		crash := func() { s.Net.CrashAtWrite(1, labrpc.CrashPoint{Write: s.Net.Writes(1) + write, After: after}) }
		p.append(2, AppendRequest{Term: 1, Entries: entriesOf(1, 1, 1, 1, 1, 1), Commit: 4}, true)
		p.waitApplied(4)
		crash()
		if !p.take(4) {
			s.Cover("n1 crashed as it took a snapshot")
			p.restart()
		}
		if st := p.status(); lastIndexOf(st) != 6 || st.SnapshotIndex != 4 && st.SnapshotIndex != 0 {
			p.fail(rulePromise, "after a crash n1 has a snapshot up to index %d and entries up to index %d, want 4 or 0, and 6", st.SnapshotIndex, lastIndexOf(st))
		}
		s.Net.CrashAtWrite(1, labrpc.CrashPoint{})

		// The leader of term 1 left entries 5 to 9 on n1 alone. The
		// others have continued without n1, to index 7; their leader sends a snapshot.
		p.append(2, AppendRequest{Term: 1, PrevLogIndex: 6, PrevLogTerm: 1, Entries: entriesOf(1, 1, 1)}, true)
		p.commits(append(entriesOf(1, 1, 1, 1), entriesOf(2, 2, 2)...))
		crash()
		if !p.install(p.snapshot(3, 2, 7)) {
			s.Cover("n1 crashed as it was sent a snapshot")
			p.restart()
			st := p.status()
			for i, e := range st.Log {
				if st.SnapshotIndex == 7 && e.Term < 2 {
					p.fail(ruleMatching, "entry %d has the term %d but follows a snapshot whose last entry has the term 2", 8+i, e.Term)
				}
			}
			if lastIndexOf(st) < 4 {
				p.fail(rulePromise, "after a crash the last entry of n1 is %d, want at least 4: four entries are committed", lastIndexOf(st))
			}
			p.askAgain(func() bool { return p.install(p.snapshot(3, 2, 7)) })
		}
		p.expectSnapshot(7)
		p.expectTerms()
		p.restart()
		p.expectSnapshot(7)
		p.expectAfterCrash()
		p.vote(VoteRequest{Term: 3, Candidate: 4, LastLogIndex: 9, LastLogTerm: 1}, false, "n1 has a snapshot whose last entry has the term 2")
	})
}

// n1 takes one snapshot after the other and crashes before or after the k-th write of each, for the seed's k. The entries that
// a snapshot replaces are not on the disk after the restart, and do not add up over many crashes (rule 15).
func TestDiskIsTidiedAfterACrash5E(t *testing.T) {
	cfg := labtest.Config{Nodes: 5, Seeds: raftSeeds, Link: calmLink, MustCover: []string{"n1 crashed as it took a snapshot"}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		const rounds, each, size = 6, 6, 600
		p := newScriptedCluster(s)
		term := 1 + int(s.Seed/4%2)*999 // lower or higher than any index
		for round := range rounds {
			done, last := round*each, (round+1)*each
			var list []Entry
			for i := range each {
				list = append(list, Entry{Term: term, Command: fmt.Appendf(nil, "%0*d", size, done+i)})
			}
			p.append(2, AppendRequest{Term: term, PrevLogIndex: done, PrevLogTerm: min(done, 1) * term, Entries: list, Commit: last}, true)
			p.waitApplied(last)
			s.Net.CrashAtWrite(1, labrpc.CrashPoint{Write: s.Net.Writes(1) + 1 + int((s.Seed-1)/2%(each+1)), After: s.Seed%2 == 0})
			if !p.take(last) {
				s.Cover("n1 crashed as it took a snapshot")
				p.restart()
			}
			s.Net.CrashAtWrite(1, labrpc.CrashPoint{})
			st := p.status()
			if lastIndexOf(st) != last {
				p.fail(rulePromise, "after a crash the log of n1 ends at index %d, want %d", lastIndexOf(st), last)
			}
			kept := last - st.SnapshotIndex
			if got, most := recordBytes(s.Net.Disk(1)), 400+3*size*kept; got > most {
				p.fail(ruleSnapshot, "n1 has %d bytes on its disk, want at most %d: n1 has a snapshot up to index %d, and %d entries of %d bytes after it", got, most, st.SnapshotIndex, kept, size)
			}
			p.append(2, AppendRequest{Term: term, PrevLogIndex: last, PrevLogTerm: term, Commit: last}, true)
			p.waitApplied(last)
			p.take(last) // if the crash came before it
		}
	})
}

// All servers crash at once, several times: each application begins with the snapshot
// and continues with the entries after it.
func TestAllRestartFromSnapshots5E(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 3, Seeds: raftSeeds}, func(s *labtest.Sim) {
		c := newRaftCluster(s, raftClusterOptions{SnapshotEvery: 4})
		for range 4 {
			index := 0
			for range 3 + s.Rand().IntN(4) {
				index = c.agree(c.servers...)
			}
			c.crash(c.servers...)
			s.Run(50 * time.Millisecond)
			c.startAll()
			c.waitForLeader()
			c.agree(c.servers...)
			c.waitApplied(healBound, ruleCatchUp, index, c.servers...)
		}
		if c.rafts[1].Status().SnapshotIndex == 0 {
			s.Failf(ruleSnapshot, "SnapshotIndex = 0 on n1 at %v, want more: the application takes a snapshot every 4 entries", labtest.At(s.Net.Now()))
		}
		c.converge()
	})
}

// Crashes at writes, partitions and losses, with a snapshot every three entries.
func TestSnapshotsComeAndGo5E(t *testing.T) {
	cfg := labtest.Config{
		Nodes: 5, Seeds: raftSeeds, Link: labrpc.FairLoss(0.05),
		MustCover: []string{"a server crashed at a write", "a snapshot was sent"},
	}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		c := newRaftCluster(s, raftClusterOptions{SnapshotEvery: 3})
		c.waitForLeaderOf(healBound)
		c.injectFaults(15)
		if s.Net.Stats(labrpc.Match{Method: "InstallSnapshot"}).Sent > 0 {
			s.Cover("a snapshot was sent")
		}
		c.converge()
		for _, id := range c.servers {
			if st := c.rafts[id].Status(); st.CommitIndex > 10 && st.SnapshotIndex == 0 {
				s.Failf(ruleSnapshot, "SnapshotIndex = 0 on %v at %v, want more: CommitIndex = %d and the application takes a snapshot every 3 entries", id, labtest.At(s.Net.Now()), st.CommitIndex)
			}
		}
	})
}
