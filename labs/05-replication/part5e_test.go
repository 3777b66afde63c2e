package replication_test

import (
	"fmt"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/05-replication"
)

// The application takes a snapshot every ten entries. The log, and all that the
// disk holds, stay small however many entries there were (§7).
func TestLogStaysBounded5E(t *testing.T) {
	const every, most, bytes = 10, 30, 1500
	labtest.Run(t, labtest.Config{Nodes: 3, Seeds: raftSeeds}, func(s *labtest.Sim) {
		c := newRaftCluster(s, raftClusterOptions{SnapshotEvery: every})
		longest, biggest := 0, 0
		for range 20 {
			leader := c.waitForLeader()
			for range every {
				c.submit(leader)
			}
			c.agree(c.servers...)
			for _, id := range c.servers {
				longest = max(longest, len(c.rafts[id].Status().Log))
				biggest = max(biggest, recordBytes(s.Net.Disk(id)))
				if longest > most || biggest > bytes {
					s.Failf("the log holds no more than what came after the last snapshot, in memory and on the disk (rule 15)",
						"%v has a log of %d entries and a disk of %d bytes after index %d at %v, want at most %d and %d",
						id, longest, biggest, c.appliedBy(id), briefTime(s.Net.Now()), most, bytes)
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
// leader's snapshot, and then goes on as all do (§7). The budget counts snapshots.
func TestLaggardGetsASnapshot5E(t *testing.T) {
	cfg := labtest.Config{Nodes: 3, Seeds: raftSeeds, MustCover: []string{"a snapshot was sent"}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		c := newRaftCluster(s, raftClusterOptions{SnapshotEvery: 5, SnapshotSize: 500})
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
			before := s.Net.Stats(labrpc.Match{Method: "InstallSnapshot", Kind: labrpc.Request, To: lag}).Sent
			index := lastIndexOf(c.rafts[c.waitForLeaderOf(healBound)].Status())
			c.waitApplied(electionBound, ruleConverge, index, lag)
			sent := s.Net.Stats(labrpc.Match{Method: "InstallSnapshot", Kind: labrpc.Request, To: lag}).Sent - before
			if c.rafts[lag].Status().SnapshotIndex > 0 && s.Net.Stats(labrpc.Match{Method: "InstallSnapshot", To: lag}).Sent > 0 {
				s.Cover("a snapshot was sent")
			}
			c.budget("snapshots sent to one laggard", float64(sent), 4)
			c.agree(c.servers...)
		}
		c.converge()
	})
}

// A snapshot that was long under way may be older than what the server has. It must
// not take anything back; and a newer one must keep what continues it (figure 13).
func TestOldSnapshotChangesNothing5E(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: raftSeeds, Link: calmLink}, func(s *labtest.Sim) {
		p := newScriptedCluster(s)
		list := entriesOf(1, 1, 2, 2, 2, 3, 3, 3, 3, 3)
		p.append(2, AppendRequest{Term: 3, Entries: list[:8], Commit: 5}, true)
		s.Run(0)
		p.commits(list)
		p.install(p.snapshot(2, 3, 3)) // of entries that n1 has applied
		p.expectCommit(5)
		if st := p.status(); lastIndexOf(st) != 8 || st.LastApplied != 5 {
			p.fail(ruleSnapshot, "the last entry of n1 is %d and LastApplied = %d after an old snapshot, want 8 and 5", lastIndexOf(st), st.LastApplied)
		}
		p.install(p.snapshot(2, 2, 10)) // of a leader that was
		if st := p.status(); st.SnapshotIndex > 3 || lastIndexOf(st) != 8 {
			p.fail(ruleSnapshot, "n1 took a snapshot of a leader of term 2, in term %d", st.Term)
		}
		p.install(p.snapshot(2, 3, 6)) // newer than what n1 has committed, and part of its log
		p.expectSnapshot(6)
		p.expectTerms(3, 3)
		p.install(p.snapshot(2, 3, 10)) // longer than its log
		p.expectSnapshot(10)
		p.expectTerms()
		p.install(p.snapshot(2, 3, 6)) // late
		p.expectSnapshot(10)
		p.append(2, AppendRequest{Term: 3, PrevLogIndex: 10, PrevLogTerm: 3, Entries: entriesOf(3)}, true)
		p.restart()
		p.expectSnapshot(10)
		p.expectTerms(3)
	})
}

// The server's own application may be slow: a snapshot that it takes can be older
// than one that a leader has sent meanwhile.
func TestOwnOldSnapshotChangesNothing5E(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: raftSeeds, Link: calmLink}, func(s *labtest.Sim) {
		p := newScriptedCluster(s)
		list := entriesOf(1, 1, 1, 1, 2, 2)
		p.append(2, AppendRequest{Term: 2, Entries: list[:4], Commit: 4}, true)
		s.Run(0)
		p.commits(list)
		p.take(3)
		p.expectSnapshot(3)
		p.expectTerms(1)
		p.take(2)
		p.expectSnapshot(3)
		p.install(p.snapshot(2, 2, 6))
		p.take(4)
		p.expectSnapshot(6)
		p.append(2, AppendRequest{Term: 2, PrevLogIndex: 6, PrevLogTerm: 2, Entries: entriesOf(2)}, true)
		p.restart()
		p.expectSnapshot(6)
		p.expectTerms(2)
	})
}

// All that counts entries goes on counting from 1 when the first of them are gone:
// the consistency check and the vote at the edge of the snapshot, where only its
// last index and term are known, before and after a crash (§7).
func TestEdgeOfTheSnapshot5E(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: raftSeeds, Link: calmLink}, func(s *labtest.Sim) {
		p, crash := newScriptedCluster(s), s.Seed%2 == 0
		list := entriesOf(1, 1, 2, 2, 2, 3, 3)
		p.append(2, AppendRequest{Term: 3, Entries: list[:5], Commit: 5}, true)
		s.Run(0)
		p.take(5)
		if crash {
			p.restart()
		}
		p.expectSnapshot(5)
		p.expectTerms()
		p.vote(VoteRequest{Term: 4, Candidate: 3, LastLogIndex: 9, LastLogTerm: 1}, false, "its last entry, of term 2, is in the snapshot")
		p.vote(VoteRequest{Term: 5, Candidate: 3, LastLogIndex: 4, LastLogTerm: 2}, false, "its last entry, at index 5, is in the snapshot")
		p.vote(VoteRequest{Term: 6, Candidate: 3, LastLogIndex: 5, LastLogTerm: 2}, true, "the logs end alike")
		p.append(3, AppendRequest{Term: 6, PrevLogIndex: 6, PrevLogTerm: 3}, false)
		p.append(3, AppendRequest{Term: 6, PrevLogIndex: 5, PrevLogTerm: 2, Entries: list[5:6]}, true)
		p.expectTerms(3)
		p.append(3, AppendRequest{Term: 6, PrevLogIndex: 2, PrevLogTerm: 1, Entries: list[2:], Commit: 6}, true) // across the edge
		p.expectTerms(3, 3)
		p.expectCommit(6)
		p.append(3, AppendRequest{Term: 6, PrevLogIndex: 7, PrevLogTerm: 2}, false)
		p.take(6)
		p.expectSnapshot(6)
		p.expectTerms(3)
		p.restart()
		p.expectSnapshot(6)
		p.expectTerms(3)
	})
}

// A crash may come between the writes of a snapshot and of the log. Whichever it
// is, nothing that was accepted is gone, and nothing stands where it does not
// belong: n1 takes snapshots, its own and a leader's that contradicts its log, and
// crashes before or after the k-th write of it, for each k.
func TestCrashWithinASnapshot5E(t *testing.T) {
	cfg := labtest.Config{Nodes: 5, Seeds: raftSeeds, Link: calmLink, MustCover: []string{"n1 crashed as it took a snapshot", "n1 crashed as it was sent a snapshot"}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		write, after := 1+int(s.Seed-1)/2%10, s.Seed%2 == 0
		p := newScriptedCluster(s)
		crash := func() { s.Net.CrashAtWrite(1, labrpc.CrashPoint{Write: s.Net.Writes(1) + write, After: after}) }
		p.append(2, AppendRequest{Term: 1, Entries: entriesOf(1, 1, 1, 1, 1, 1), Commit: 4}, true)
		s.Run(0)
		crash()
		if !p.take(4) {
			s.Cover("n1 crashed as it took a snapshot")
			p.restart()
		}
		if st := p.status(); lastIndexOf(st) != 6 || st.SnapshotIndex != 4 && st.SnapshotIndex != 0 {
			p.fail(rulePromise, "n1 has a snapshot up to %d and entries up to %d after a crash, want 4 or 0, and 6", st.SnapshotIndex, lastIndexOf(st))
		}
		s.Net.CrashAtWrite(1, labrpc.CrashPoint{})

		// The leader of term 1 left entries 5 to 9 on n1, which nobody else has. The
		// others have gone on without n1, to index 7; their leader sends a snapshot.
		p.append(2, AppendRequest{Term: 1, PrevLogIndex: 6, PrevLogTerm: 1, Entries: entriesOf(1, 1, 1)}, true)
		p.commits(append(entriesOf(1, 1, 1, 1), entriesOf(2, 2, 2)...))
		crash()
		if !p.install(p.snapshot(3, 2, 7)) {
			s.Cover("n1 crashed as it was sent a snapshot")
			p.restart()
			st := p.status()
			for i, e := range st.Log {
				if st.SnapshotIndex == 7 && e.Term < 2 {
					p.fail(ruleMatching, "entry %d of term %d stands after a snapshot whose last entry has the term 2", 8+i, e.Term)
				}
			}
			if lastIndexOf(st) < 4 {
				p.fail(rulePromise, "the last entry of n1 is %d after a crash; four are committed", lastIndexOf(st))
			}
			p.askAgain(func() bool { return p.install(p.snapshot(3, 2, 7)) })
		}
		p.expectSnapshot(7)
		p.expectTerms()
		p.restart()
		p.expectSnapshot(7)
		p.expectTerms()
		p.vote(VoteRequest{Term: 3, Candidate: 4, LastLogIndex: 9, LastLogTerm: 1}, false, "n1 has a snapshot whose last entry has the term 2")
	})
}

// All crash at once, again and again: each application begins with the snapshot
// and goes on with the entries after it.
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
			c.waitApplied(agreeBound, ruleAgree, index, c.servers...)
		}
		if c.rafts[1].Status().SnapshotIndex == 0 {
			s.Failf(ruleSnapshot, "SnapshotIndex = 0 on n1 at %v, after snapshots every 4 entries", briefTime(s.Net.Now()))
		}
		c.converge()
	})
}

// Crashes at writes, cuts, losses, and snapshots all the while.
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
				s.Failf(ruleSnapshot, "SnapshotIndex = 0 on %v at %v, with CommitIndex = %d and snapshots every 3 entries", id, briefTime(s.Net.Now()), st.CommitIndex)
			}
		}
	})
}
