package replication_test

import (
	"bytes"
	"fmt"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/05-replication"
)

// A voteKey is a vote that a server can give once.
type voteKey struct {
	voter labrpc.NodeID
	term  int
}

// recordMessage keeps a message that was sent for the next check.
func (w *invariantChecker) recordMessage(m *labrpc.Message) labrpc.Verdict {
	if int(m.From) <= len(w.servers) { // a server under test, not a client or a scripted peer
		w.inbox.Lock()
		defer w.inbox.Unlock()
		w.heard = append(w.heard, *m)
	}
	return labrpc.Pass
}

// recordPromise notes what a server has told others: its receivers build
// on it, so it must hold after a crash too. Methods of the submission's own and pre-votes promise nothing.
func (w *invariantChecker) recordPromise(m labrpc.Message) *labtest.Violation {
	if w.preVotes.Has(m) {
		return nil
	}
	sv := w.servers[m.From-1]
	if body, ok := bodyOf[VoteRequest](&m, "RequestVote", labrpc.Request); ok {
		w.saysTerm(sv, body.Term)
		return w.votes(sv, body.Term, body.Candidate)
	}
	if body, ok := bodyOf[VoteReply](&m, "RequestVote", labrpc.Reply); ok {
		w.saysTerm(sv, body.Term)
		if body.Granted {
			return w.votes(sv, body.Term, m.To)
		}
	}
	if body, ok := bodyOf[AppendRequest](&m, "AppendEntries", labrpc.Request); ok {
		return w.fromLeader(sv, m.Method, body.Leader, body.Term)
	}
	if body, ok := bodyOf[SnapshotRequest](&m, "InstallSnapshot", labrpc.Request); ok {
		return w.fromLeader(sv, m.Method, body.Leader, body.Term)
	}
	if body, ok := bodyOf[AppendReply](&m, "AppendEntries", labrpc.Reply); ok {
		w.saysTerm(sv, body.Term)
		if body.Success {
			w.accepts(sv, body.Term, body.Index)
		}
	}
	if body, ok := bodyOf[SnapshotReply](&m, "InstallSnapshot", labrpc.Reply); ok {
		w.saysTerm(sv, body.Term)
	}
	return nil
}

func (w *invariantChecker) saysTerm(sv *checkedServer, term int) {
	sv.sentTerm = max(sv.sentTerm, term)
}

// fromLeader checks a request that only the leader of its term may send.
func (w *invariantChecker) fromLeader(sv *checkedServer, method string, leader labrpc.NodeID, term int) *labtest.Violation {
	w.saysTerm(sv, term)
	if leader != sv.id {
		return w.violation("a leader names itself in its requests (rules 1 and 10; Raft figures 2 and 13)", sv.id, "%v sent %s with Leader = %v at %v, want %v", sv.id, method, leader, w.now(), sv.id)
	}
	return w.leads(leader, term)
}

func (w *invariantChecker) votes(sv *checkedServer, term int, candidate labrpc.NodeID) *labtest.Violation {
	before, voted := w.ballots[voteKey{sv.id, term}]
	w.ballots[voteKey{sv.id, term}] = candidate
	if !voted || before == candidate {
		return nil
	}
	v := w.violation("a server votes once per term, crashes or not (rules 1 and 8; Raft §5.2, §5.6)", sv.id, "%v voted for %v in term %d at %v, but had voted for %v in that term", sv.id, candidate, term, w.now(), before)
	v.Nodes = append(v.Nodes, candidate, before)
	return v
}

func (w *invariantChecker) accepts(sv *checkedServer, term, index int) {
	if a := sv.accepted; a.term > term || a.term == term && a.index >= index {
		return
	}
	a := acknowledged{term: term, index: index, at: w.s.Net.Now()}
	if leader, known := w.leaders[term]; known && int(leader.node) <= len(w.servers) {
		if l := w.servers[leader.node-1].seen; l.Term == term && index > l.SnapshotIndex && index <= lastIndexOf(l) {
			a.entryTerm = entryAt(l, index).Term
		}
	}
	sv.accepted = a
}

// checkPersistence checks that a server is as it has told others.
func (w *invariantChecker) checkPersistence(sv *checkedServer) *labtest.Violation {
	now := sv.seen
	if now.Term < sv.sentTerm {
		return w.violation(rulePromise, sv.id, "%v is in term %d at %v, but has sent a message of term %d", sv.id, now.Term, w.now(), sv.sentTerm)
	}
	if c, voted := w.ballots[voteKey{sv.id, now.Term}]; voted && now.VotedFor != c {
		return w.violation(rulePromise, sv.id, "%v has VotedFor = %v in term %d at %v, but has voted for %v", sv.id, now.VotedFor, now.Term, w.now(), c)
	}
	a := sv.accepted
	if a.term != now.Term {
		return nil // a leader of another term may have had it removed
	}
	var what string
	switch {
	case lastIndexOf(now) < a.index:
		what = fmt.Sprintf("its log ends at index %d", lastIndexOf(now))
	case a.index > now.SnapshotIndex && a.entryTerm != 0 && entryAt(now, a.index).Term != a.entryTerm:
		what = fmt.Sprintf("its entry at that index has the term %d, the leader's had the term %d", entryAt(now, a.index).Term, a.entryTerm)
	default:
		return nil
	}
	v := w.violation(rulePromise, sv.id, "%v acknowledged the entries of the leader of term %d up to index %d, but at %v %s", sv.id, a.term, a.index, w.now(), what)
	v.Seen = append(v.Seen, fmt.Sprintf("the acknowledgement was sent at %v", labtest.At(a.at)))
	return v
}

// lastIndexOf returns the index of a server's last entry.
func lastIndexOf(st Status) int { return st.SnapshotIndex + len(st.Log) }

// entryAt returns an entry after the snapshot.
func entryAt(st Status, index int) Entry { return st.Log[index-st.SnapshotIndex-1] }

// holdsEntry reports whether a server has an entry, itself or in its snapshot.
func holdsEntry(st Status, index, term int) bool {
	return index <= st.SnapshotIndex || index <= lastIndexOf(st) && entryAt(st, index).Term == term
}

// sameStatus reports whether nothing has changed.
func sameStatus(a, b Status) bool {
	if len(a.Log) != len(b.Log) || a.Term != b.Term || a.Role != b.Role || a.Leader != b.Leader || a.VotedFor != b.VotedFor ||
		a.CommitIndex != b.CommitIndex || a.LastApplied != b.LastApplied || a.SnapshotIndex != b.SnapshotIndex || a.SnapshotTerm != b.SnapshotTerm {
		return false
	}
	for i := range a.Log {
		if a.Log[i].Term != b.Log[i].Term || !sameCommand(a.Log[i].Command, b.Log[i].Command) {
			return false
		}
	}
	return true
}

// sameCommand compares two commands. Most are one and the same piece of memory,
// and looking at all bytes of all entries at every step would take long.
func sameCommand(a, b []byte) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0] || bytes.Equal(a, b))
}

// shortText shortens a command to what a reader can use.
func shortText(command []byte) string {
	if len(command) > 24 {
		return fmt.Sprintf("%s… (%d bytes, to …%s)", command[:12], len(command), command[len(command)-4:])
	}
	return string(command)
}

// briefTime cuts a time to what a reader can use.
func briefTime(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }
