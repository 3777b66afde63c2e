package replication_test

import (
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/05-replication"
)

// The consistency check: entries that do not continue the log are refused; those
// of a newer leader replace what conflicts with them, and all after it (§5.3,
// figure 7).
func TestConsistencyCheck5B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: raftSeeds, Link: calmLink}, func(s *labtest.Sim) {
		p := newScriptedCluster(s)
		p.append(2, AppendRequest{Term: 1, PrevLogIndex: 1, PrevLogTerm: 1, Entries: entriesOf(1)}, false)
		p.expectTerms()
		p.append(2, AppendRequest{Term: 1, Entries: entriesOf(1, 1, 1)}, true)
		p.append(3, AppendRequest{Term: 4, PrevLogIndex: 3, PrevLogTerm: 2}, false)
		p.append(3, AppendRequest{Term: 4, PrevLogIndex: 4, PrevLogTerm: 1}, false)
		p.append(3, AppendRequest{Term: 4, PrevLogIndex: 3, PrevLogTerm: 3, Entries: entriesOf(4)}, false)
		p.append(2, AppendRequest{Term: 3, PrevLogIndex: 3, PrevLogTerm: 1, Entries: entriesOf(3)}, false) // an older leader
		p.expectTerms(1, 1, 1)
		p.append(3, AppendRequest{Term: 4, PrevLogIndex: 3, PrevLogTerm: 1, Entries: entriesOf(4, 4, 4)}, true)
		p.append(4, AppendRequest{Term: 5, PrevLogIndex: 2, PrevLogTerm: 1, Entries: entriesOf(2, 5)}, true)
		p.expectTerms(1, 1, 2, 5)
		p.append(5, AppendRequest{Term: 6, Entries: entriesOf(3, 3)}, true)
		p.expectTerms(3, 3)
		// Entries of different terms conflict, also if their commands are equal, or empty.
		twice := func(term int) []Entry { return []Entry{{Term: term}, {Term: term, Command: []byte("same")}} }
		p.append(5, AppendRequest{Term: 6, PrevLogIndex: 2, PrevLogTerm: 3, Entries: twice(6)}, true)
		p.append(4, AppendRequest{Term: 7, PrevLogIndex: 2, PrevLogTerm: 3, Entries: twice(7)}, true)
		p.expectTerms(3, 3, 7, 7)
		p.refusesInPeace(AppendRequest{Term: 7, PrevLogIndex: 9, PrevLogTerm: 7}, 4)
	})
}

// refusesInPeace lets the leader of n1's term send requests that do not fit n1's log, for longer than any election timeout: they too
// reset its election timer (rule 16).
func (p *scriptedCluster) refusesInPeace(req AppendRequest, leader labrpc.NodeID) {
	for range 5 {
		p.append(leader, req, false)
		p.runAfter(electionTimeout - replyBound - 10*time.Millisecond) // until the next request is handled
		if st := p.status(); st.Term != req.Term {
			p.fail(ruleTimer, "n1 started an election at most %v after a request of its leader, which it had refused: it is in term %d", electionTimeout, st.Term)
		}
	}
}

// Entries of an old leader after those that a request has shown to be the same are not committed with them (figure 2,
// AppendEntries 5).
func TestCommitsNothingOfAnOldLeader5B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 5, Link: calmLink}, func(s *labtest.Sim) {
		p := newScriptedCluster(s)
		p.append(2, AppendRequest{Term: 1, Entries: entriesOf(1, 1, 1)}, true)
		// The next leader has the first entry alone, and four entries of its own.
		p.append(3, AppendRequest{Term: 2, PrevLogIndex: 1, PrevLogTerm: 1, Commit: 4}, true)
		p.expectCommit(1)
		p.append(3, AppendRequest{Term: 2, PrevLogIndex: 1, PrevLogTerm: 1, Entries: entriesOf(2, 2), Commit: 5}, true)
		p.expectCommit(3)
		p.append(3, AppendRequest{Term: 2, PrevLogIndex: 3, PrevLogTerm: 2, Entries: entriesOf(2, 2, 2), Commit: 4}, true)
		p.expectCommit(4)
		p.append(3, AppendRequest{Term: 2, PrevLogIndex: 6, PrevLogTerm: 2, Commit: 6}, true)
		p.expectCommit(6)
		p.expectTerms(1, 2, 2, 2, 2, 2)
	})
}

// A request that a later one has overtaken must undo nothing: the server has said
// that it has the entries of the later one (figure 2, AppendEntries 3).
func TestStaleAppendUndoesNothing5B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: raftSeeds, Link: calmLink}, func(s *labtest.Sim) {
		p := newScriptedCluster(s)
		list := entriesOf(1, 1, 2, 2, 2)
		p.append(2, AppendRequest{Term: 2, Entries: list}, true)
		p.append(2, AppendRequest{Term: 2, Entries: list[:3]}, true)
		p.expectTerms(1, 1, 2, 2, 2)
		p.append(2, AppendRequest{Term: 2, PrevLogIndex: 2, PrevLogTerm: 1}, true)
		p.expectTerms(1, 1, 2, 2, 2)
		p.append(2, AppendRequest{Term: 2, PrevLogIndex: 4, PrevLogTerm: 2, Entries: list[4:]}, true)
		p.append(2, AppendRequest{Term: 2}, true)
		p.expectTerms(1, 1, 2, 2, 2)
		// A new leader may look first for where the logs agree: what it has not named does not conflict.
		p.append(3, AppendRequest{Term: 3, PrevLogIndex: 2, PrevLogTerm: 1}, true)
		p.expectTerms(1, 1, 2, 2, 2)
		p.append(4, AppendRequest{Term: 4, PrevLogIndex: 2, PrevLogTerm: 1, Entries: list[2:3]}, true)
		p.expectTerms(1, 1, 2, 2, 2)
	})
}

// A vote is for one candidate per term, whose log is at least as up-to-date: the later last term
// wins, and of equal terms the longer log (§5.4.1).
func TestVotesForTheNewerLog5B(t *testing.T) {
	const older, same, newer = -1, 0, 1 // than the term of the row before
	tests := []struct {
		name        string
		term        int
		candidate   labrpc.NodeID
		last, lastT int // lastT counts from the term before the first
		want        bool
	}{
		{"the candidate's log is longer, but its last term is older", newer, 2, 9, 1, false},
		{"a shorter log with the same last term", newer, 3, 4, 2, false},
		{"the same log", newer, 4, 5, 2, true},
		{"already voted for another candidate in this term", same, 5, 9, 3, false},
		{"the same candidate asks again", same, 4, 5, 2, true},
		{"an earlier term", older, 3, 9, 3, false},
		{"a longer log with the same last term", newer, 2, 6, 2, true},
		{"a shorter log with a later last term", newer, 5, 1, 3, true},
		{"an empty log", newer, 2, 0, 0, false},
		{"a much longer log with the same last term", newer, 3, 1<<15 + 1<<7, 2, true},
	}
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: raftSeeds, Link: calmLink}, func(s *labtest.Sim) {
		p := newScriptedCluster(s)
		base := highTerm(s)
		p.append(2, AppendRequest{Term: base + 2, Entries: entriesOf(base+1, base+1, base+2, base+2, base+2)}, true)
		term := 0
		for _, tt := range tests {
			if tt.term == newer {
				term = p.quiet()
			}
			asked := term + min(tt.term, 0)
			lastTerm := 0
			if tt.lastT > 0 {
				lastTerm = base + tt.lastT
			}
			p.vote(VoteRequest{Term: asked, Candidate: tt.candidate, LastLogIndex: tt.last, LastLogTerm: lastTerm}, tt.want, tt.name)
		}
		const far = 1<<41 + 1
		p.append(2, AppendRequest{Term: far}, true)
		p.append(3, AppendRequest{Term: 100}, false)
		p.vote(VoteRequest{Term: 100, Candidate: 3, LastLogIndex: 9, LastLogTerm: far}, false, "a term that is lower, but not in a narrow type")
	})
}

// wrapOf is after how many numbers a narrow integer begins again: by the seed that of a length.
func wrapOf(s *labtest.Sim) int { return []int{1 << 32, 1 << 16, 1 << 8}[s.Seed/2%3] }

// highTerm is a term to begin with: 0, or by the seed one that no narrow integer holds.
func highTerm(s *labtest.Sim) int {
	return []int{0, 1<<8 - 2, 1<<16 - 2, 1<<32 - 2, 1 << 40}[s.Seed%5]
}

// n1 leads with an entry of an earlier term, which two followers acknowledge, and one of its own term, which none has. The
// older entry is on a majority, but is not committed (figure 8).
func TestOwnTermMustBeStored5B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 10, Link: calmLink}, func(s *labtest.Sim) {
		p := newScriptedCluster(s)
		p.append(2, AppendRequest{Term: 1, Entries: entriesOf(1)}, true)
		p.grantVotes()
		for id, node := range p.peers {
			labrpc.Handle(node, "AppendEntries", func(_ labrpc.NodeID, req AppendRequest) AppendReply {
				end := req.PrevLogIndex + len(req.Entries)
				switch {
				case req.PrevLogIndex > 1 || id > 3 && end > 0:
					return AppendReply{Term: req.Term, Index: 1} // n2 and n3 have entry 1 at most, n4 and n5 have none
				case end > 1:
					<-node.Context().Done() // lost on the way
				}
				return AppendReply{Term: req.Term, Success: true, Index: end}
			})
		}
		p.waitForLead()
		if lastIndexOf(p.status()) == 1 {
			p.submit()
		}
		s.Run(3 * heartbeat)
		if got := p.status().CommitIndex; got != 0 {
			p.fail(ruleCounting, "n1 has CommitIndex = %d in term %d, want 0: entry 1 is of term 1, and no follower has stored an entry of n1's term", got, p.status().Term)
		}
	})
}
