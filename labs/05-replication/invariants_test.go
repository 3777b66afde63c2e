package replication_test

import (
	"fmt"
	"sync"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/internal/harness/prevote"
	"distlabs/labrpc"
	. "distlabs/labs/05-replication"
)

// An invariantChecker checks the rules that hold at every instant: it sees all servers at every step, through Status, and
// every message. It knows incarnations: it asks the one that runs, and a message binds the server
// from the instant at which it was sent.
type invariantChecker struct {
	s        *labtest.Sim
	preVotes *prevote.Seen // a RequestVote that is a pre-vote promises nothing

	// What arrives in the network's goroutine waits here for the next check, because
	// the network may not be asked anything there. Nothing else is done under inbox.
	inbox sync.Mutex
	heard []labrpc.Message
	given []applyCall

	mu        sync.Mutex
	servers   []*checkedServer          // server i is node i+1
	leaders   map[int]leadClaim         // by term
	places    map[logPlace]placeContent // every entry that was ever in a log
	commands  map[logPlace]string       // the commands that Submit was given
	committed []seenCommit              // committed[i] is index i+1
	ballots   map[voteKey]labrpc.NodeID
}

// A checkedServer is what the checker knows of one node.
type checkedServer struct {
	id       labrpc.NodeID
	raft     *Raft  // the incarnation that runs; nil if none does
	seen     Status // last; of an earlier incarnation if since is later
	inc      int    // the incarnation of seen
	applied  int    // the last index that this incarnation's apply got
	led      int    // Leader Completeness is checked up to here ...
	ledTerm  int    // ... in this term
	sentTerm int    // the highest term that the node has sent in a message
	accepted acknowledged
}

type leadClaim struct {
	node labrpc.NodeID
	at   time.Duration
}

type logPlace struct{ index, term int }

type placeContent struct {
	command []byte
	before  int // the term of the entry before it
	node    labrpc.NodeID
	at      time.Duration
}

type seenCommit struct {
	term    int // of the entry
	command []byte
	node    labrpc.NodeID // the server that reported it first
	in      int           // the lowest term of a server that reported it
	at      time.Duration
}

// An acknowledged is that a server has told, in a term, that it has the leader's log up to index.
type acknowledged struct {
	term, index int
	entryTerm   int // of the entry at index; 0 if not known
	at          time.Duration
}

type applyCall struct {
	node labrpc.NodeID
	inc  int
	at   time.Duration
	a    Applied
}

// checkInvariants begins to check the servers 1 to n.
func checkInvariants(s *labtest.Sim, n int) *invariantChecker {
	w := &invariantChecker{
		s: s, preVotes: prevote.Watch(s.Net), leaders: map[int]leadClaim{}, commands: map[logPlace]string{}, places: map[logPlace]placeContent{}, ballots: map[voteKey]labrpc.NodeID{},
	}
	for i := range n {
		w.servers = append(w.servers, &checkedServer{id: labrpc.NodeID(i + 1)})
	}
	s.Net.Intercept(w.recordMessage)
	s.Always(w.check)
	return w
}

// started tells of a new incarnation. What the disk gave it is looked at at once.
func (w *invariantChecker) started(id labrpc.NodeID, raft *Raft) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.servers[id-1].raft = raft
}

// termOf returns the term in which a server was seen last.
func (w *invariantChecker) termOf(id labrpc.NodeID) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.servers[id-1].seen.Term
}

// submitted notes which command a leader was given for which place of the log.
func (w *invariantChecker) submitted(node labrpc.NodeID, at logPlace, command string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if other, known := w.commands[at]; known {
		w.s.Failf(ruleSubmit, "Submit on %v returned index %d in term %d for %q, and earlier for %q", node, at.index, at.term, shortText([]byte(command)), shortText([]byte(other)))
	}
	w.commands[at] = command
}

// apply takes what a server's apply was called with.
func (w *invariantChecker) apply(node labrpc.NodeID, inc int, at time.Duration, a Applied) {
	if w.s.Recording() {
		what := fmt.Sprintf("entry %d: %q", a.Index, shortText(a.Command))
		if a.Snapshot != nil {
			what = fmt.Sprintf("a snapshot up to entry %d", a.Index)
		}
		w.s.Delivered(node, what)
	}
	w.inbox.Lock()
	defer w.inbox.Unlock()
	w.given = append(w.given, applyCall{node: node, inc: inc, at: at, a: a})
}

// check takes in the messages since the last step, and looks at every server
// that runs.
func (w *invariantChecker) check() *labtest.Violation {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.inbox.Lock()
	heard, given := w.heard, w.given
	w.heard, w.given = nil, nil
	w.inbox.Unlock()
	for _, m := range heard {
		if v := w.recordPromise(m); v != nil {
			return v
		}
	}
	since := len(w.committed)
	for _, sv := range w.servers {
		if sv.raft == nil || !w.s.Net.Up(sv.id) {
			continue
		}
		if sv.inc != w.s.Net.Incarnation(sv.id) {
			since = 0 // what is committed must be on a majority still
		}
		if v := w.look(sv); v != nil {
			return v
		}
	}
	if v := w.quorum(since); v != nil {
		return v
	}
	for _, h := range given {
		if v := w.wasCommitted(h); v != nil {
			return v
		}
	}
	return w.complete()
}

// show puts a server's log into the record of the run.
func (w *invariantChecker) show(id labrpc.NodeID, now Status) {
	if !w.s.Recording() {
		return
	}
	log := labtest.Log{
		Snapshot: now.SnapshotIndex, SnapshotTerm: now.SnapshotTerm, First: now.SnapshotIndex + 1,
		Committed: now.CommitIndex, Applied: now.LastApplied,
	}
	for _, e := range now.Log {
		log.Terms = append(log.Terms, e.Term)
	}
	w.s.SeenLog(id, log)
}

// look compares a server with what it was a step before.
func (w *invariantChecker) look(sv *checkedServer) *labtest.Violation {
	now, inc := sv.raft.Status(), w.s.Net.Incarnation(sv.id)
	was, same := sv.seen, sv.inc == inc
	if same && sameStatus(was, now) {
		return w.checkPersistence(sv) // it may have said something new
	}
	w.show(sv.id, now)
	if v := w.consistent(sv, was, now, same); v != nil {
		return v
	}
	if !same {
		sv.applied = 0
	}
	sv.seen, sv.inc = now, inc
	if v := w.names(sv); v != nil {
		return v
	}
	if v := w.checkPersistence(sv); v != nil {
		return v
	}
	if now.Role == roleLeader {
		if v := w.leads(sv.id, now.Term); v != nil {
			return v
		}
		if same && was.Role == roleLeader && was.Term == now.Term {
			if v := w.appendOnly(sv, was); v != nil {
				return v
			}
		}
	}
	if v := w.matching(sv, was); v != nil {
		return v
	}
	return w.commits(sv, was)
}

// consistent checks what can be seen from one server alone.
func (w *invariantChecker) consistent(sv *checkedServer, was, now Status, same bool) *labtest.Violation {
	wrong, before := "", "before"
	if !same {
		before = "before its crash"
	}
	switch {
	case now.Term < was.Term:
		return w.violation("Term never decreases, not even in a crash (rules 8 and 9; Raft §5.6)", sv.id, "at %s, %v is in term %d, but was in term %d %s", w.now(), sv.id, now.Term, was.Term, before)
	case now.SnapshotIndex < was.SnapshotIndex:
		return w.violation("SnapshotIndex never decreases, not even in a crash (rules 8, 9 and 15)", sv.id, "at %s, %v has a snapshot up to index %d, but had a snapshot up to index %d %s", w.now(), sv.id, now.SnapshotIndex, was.SnapshotIndex, before)
	case same && now.CommitIndex < was.CommitIndex:
		wrong = fmt.Sprintf("CommitIndex went back from %d to %d", was.CommitIndex, now.CommitIndex)
	case same && now.LastApplied < was.LastApplied:
		wrong = fmt.Sprintf("LastApplied went back from %d to %d", was.LastApplied, now.LastApplied)
	case now.CommitIndex > lastIndexOf(now):
		wrong = fmt.Sprintf("CommitIndex = %d, but the last entry has the index %d", now.CommitIndex, lastIndexOf(now))
	case now.Role == roleCandidate && now.Leader == sv.id:
		return w.violation(ruleNames, sv.id, "%v has Leader = %v in term %d at %v, want 0: %[1]v is a candidate in this term, not the leader", sv.id, now.Leader, now.Term, w.now())
	case now.LastApplied > now.CommitIndex:
		wrong = fmt.Sprintf("LastApplied = %d, but CommitIndex = %d", now.LastApplied, now.CommitIndex)
	}
	term := now.SnapshotTerm
	for i, e := range now.Log {
		if e.Term < term || e.Term > now.Term || e.Term < 1 {
			wrong = fmt.Sprintf("entry %d has the term %d, want at least %d, the term of the entry before it, and at most %d, its own term", now.SnapshotIndex+1+i, e.Term, max(term, 1), now.Term)
		}
		term = e.Term
	}
	if wrong == "" {
		return nil
	}
	rule := ruleStatus
	if !same {
		rule = ruleRestored
	}
	return w.violation(rule, sv.id, "%v at %v: %s", sv.id, w.now(), wrong)
}

func (w *invariantChecker) now() string { return labtest.At(w.s.Net.Now()) }

func (w *invariantChecker) violation(rule string, node labrpc.NodeID, format string, args ...any) *labtest.Violation {
	return &labtest.Violation{What: fmt.Sprintf(format, args...), Rule: rule, Nodes: []labrpc.NodeID{node}}
}
