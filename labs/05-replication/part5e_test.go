package replication_test

import (
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
	labtest.Run(t, labtest.Config{Nodes: 3, Seeds: raftSeeds, Limit: time.Hour}, func(s *labtest.Sim) {
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
	cfg := labtest.Config{Nodes: 3, Seeds: raftSeeds, Limit: time.Hour, MustCover: []string{"a snapshot was sent"}}
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
		w := watchElections(s)
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
		p.standsWithin(w, p.heard, func() { p.install(p.snapshot(4, 2, 8)) })
		term := p.status().Term
		p.install(p.snapshot(3, max(term, 4), 8))
		if st := p.status(); st.Leader != 3 || st.Role != roleFollower {
			p.fail(ruleFollows, "n1, a candidate, is %v with Leader = %v in term %d after InstallSnapshot of n3, the leader of term %d, want follower and n3", st.Role, st.Leader, st.Term, max(term, 4))
		}
	})
}

// standsWithin checks that n1 asks for votes, or for pre-votes, within an election timeout of the last snapshot of its leader (rule 16).
// Meanwhile the test does something every 50ms that does not reset n1's election timer.
func (p *scriptedCluster) standsWithin(w *electionWatch, reset span, meanwhile func()) {
	w.ready()
	stands := func() bool { _, seen := w.sign(1); return seen }
	for p.s.Net.Now() < reset.to+longestTimeout && !stands() {
		meanwhile()
		p.s.Until(min(50*time.Millisecond, reset.to+longestTimeout-p.s.Net.Now()), stands)
	}
	p.expectElection(stands(), reset, "the last snapshot of its leader came")
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
	p.waitUntil(healBound, ruleCatchUp, "n1 did not send n5 a snapshot, although n5 has no entry", func() bool { return closed(asked) })
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
		p.waitUntil(healBound, ruleTerm, "n5, which has no entry, replies to InstallSnapshot with term 1000, but n1 did not become a follower in that term", func() bool {
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
