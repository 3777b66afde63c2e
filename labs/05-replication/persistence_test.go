package replication_test

import (
	"bytes"
	"fmt"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/05-replication"
)

// A voteKey is what a server can give once.
type voteKey struct {
	voter labrpc.NodeID
	term  int
}

// recordMessage keeps what is put on the wire for the next check.
func (w *invariantChecker) recordMessage(m *labrpc.Message) labrpc.Verdict {
	if int(m.From) <= len(w.servers) { // not of a client, or of one that the test plays
		w.inbox.Lock()
		defer w.inbox.Unlock()
		w.heard = append(w.heard, *m)
	}
	return labrpc.Pass
}

// promises takes what a server put on the wire for its word: whoever hears it
// builds on it, so it must hold after a crash too.
func (w *invariantChecker) recordPromise(m labrpc.Message) *labtest.Violation {
	sv := w.servers[m.From-1]
	switch body := m.Body.(type) {
	case VoteRequest:
		w.saysTerm(sv, body.Term)
		return w.votes(sv, body.Term, body.Candidate)
	case VoteReply:
		w.saysTerm(sv, body.Term)
		if body.Granted {
			return w.votes(sv, body.Term, m.To)
		}
	case AppendRequest:
		return w.leads(body.Leader, body.Term)
	case AppendReply:
		w.saysTerm(sv, body.Term)
		if body.Success {
			w.accepts(sv, body.Term, body.Index)
		}
	case SnapshotReply:
		w.saysTerm(sv, body.Term)
	}
	return nil
}

func (w *invariantChecker) saysTerm(sv *checkedServer, term int) { sv.sentTerm = max(sv.sentTerm, term) }

func (w *invariantChecker) votes(sv *checkedServer, term int, candidate labrpc.NodeID) *labtest.Violation {
	before, voted := w.ballots[voteKey{sv.id, term}]
	w.ballots[voteKey{sv.id, term}] = candidate
	if !voted || before == candidate {
		return nil
	}
	v := w.violation(rulePromise, sv.id, "%v votes for %v in term %d at %v, and has voted for %v in that term", sv.id, candidate, term, w.now(), before)
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

// keeps checks that a server is as it has said that it is.
func (w *invariantChecker) checkPersistence(sv *checkedServer) *labtest.Violation {
	now := sv.seen
	if now.Term < sv.sentTerm {
		return w.violation(rulePromise, sv.id, "%v is in term %d at %v, and has told others of term %d", sv.id, now.Term, w.now(), sv.sentTerm)
	}
	if c, voted := w.ballots[voteKey{sv.id, now.Term}]; voted && now.VotedFor != c {
		return w.violation(rulePromise, sv.id, "%v has VotedFor = %v in term %d at %v, and has voted for %v", sv.id, now.VotedFor, now.Term, w.now(), c)
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
		what = fmt.Sprintf("the term of its entry there is %d, and the leader's was %d", entryAt(now, a.index).Term, a.entryTerm)
	default:
		return nil
	}
	v := w.violation(rulePromise, sv.id, "%v has told the leader of term %d that it has its entries up to index %d; at %v, %s", sv.id, a.term, a.index, w.now(), what)
	v.Seen = append(v.Seen, fmt.Sprintf("it said so at %v", briefTime(a.at)))
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
		return string(command[:21]) + "..."
	}
	return string(command)
}

// briefTime cuts a time to what a reader can use.
func briefTime(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }
