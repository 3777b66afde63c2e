package replication_test

import (
	"fmt"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/05-replication"
)

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
