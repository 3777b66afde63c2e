package replication

import (
	"fmt"
	"sync"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
)

// The five properties of figure 3, and what else every Raft must do at every
// moment. The numbers are those of the README's rules.
const (
	ruleElection     = "Election Safety: at most one leader a term (figure 3, §5.2; rule 1)"
	ruleAppendOnly   = "Leader Append-Only: a leader never changes or removes entries of its own log (figure 3, §5.3; rule 2)"
	ruleMatching     = "Log Matching: entries of one index and term have the same command, and all before them are the same too (figure 3, §5.3; rule 3)"
	ruleCompleteness = "Leader Completeness: a leader has all entries that were committed in its term or before (figure 3, §5.4; rule 4)"
	ruleStateMachine = "State Machine Safety: no two servers apply different commands at one index (figure 3, §5.4.3; rule 5)"
	ruleQuorum       = "an entry is committed when a majority of the servers has it (§5.3; rule 6)"
	ruleApply        = "each committed entry is applied once, in the order of the log, and no other (§5.3; rule 7)"
	rulePromise      = "a server keeps what it has said: its term, its vote in that term, the entries that it has accepted (§5.6; rule 8)"
	ruleStatus       = "Status tells the truth: of one moment, LastApplied ≤ CommitIndex ≤ the last entry, terms that only grow (rule 9)"
)

// A raftWatcher sees all servers at every step, through Status, and every message. It
// knows incarnations: it asks the one that runs, and a message is a promise of the
// incarnation that sent it, when it sent it.
type raftWatcher struct {
	s *labtest.Sim

	// What arrives in the network's goroutine waits here for the next check: there
	// one may not ask the network anything. Nothing else is done under inbox.
	inbox sync.Mutex
	heard []labrpc.Message
	given []handedOver

	mu        sync.Mutex
	servers   []*watchedServer          // server i is node i+1
	leaders   map[int]leadClaim         // by term
	places    map[logPlace]placeContent // every entry that was ever in a log
	committed []seenCommit              // committed[i] is index i+1
	ballots   map[castVote]labrpc.NodeID
}

// A watchedServer is what the watcher knows of one node.
type watchedServer struct {
	id       labrpc.NodeID
	raft     *Raft  // the incarnation that runs; nil if none does
	seen     Status // last; of an earlier incarnation if since is later
	inc      int    // the incarnation of seen
	applied  int    // the last index that this incarnation's apply got
	led      int    // Leader Completeness is checked up to here ...
	ledTerm  int    // ... in this term
	sentTerm int    // the highest term that the node has told anybody
	accepted saidAccept
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
	node    labrpc.NodeID // who was the first to say so
	in      int           // the lowest term of a server that said so
	at      time.Duration
}

// A saidAccept is a server's word, in a term, to have the leader's log up to index.
type saidAccept struct {
	term, index int
	entryTerm   int // of the entry at index; 0 if not known
	at          time.Duration
}

type handedOver struct {
	node labrpc.NodeID
	inc  int
	at   time.Duration
	a    Applied
}

// watchRafts begins to watch the servers 1 to n.
func watchRafts(s *labtest.Sim, n int) *raftWatcher {
	w := &raftWatcher{
		s: s, leaders: map[int]leadClaim{}, places: map[logPlace]placeContent{}, ballots: map[castVote]labrpc.NodeID{},
	}
	for i := range n {
		w.servers = append(w.servers, &watchedServer{id: labrpc.NodeID(i + 1)})
	}
	s.Net.Intercept(w.overhear)
	s.Always(w.check)
	return w
}

// started tells of a new incarnation. What the disk gave it is looked at at once.
func (w *raftWatcher) started(id labrpc.NodeID, raft *Raft) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.servers[id-1].raft = raft
}

// apply takes what a server's apply was called with.
func (w *raftWatcher) apply(node labrpc.NodeID, inc int, at time.Duration, a Applied) {
	if w.s.Recording() {
		what := fmt.Sprintf("%d: %q", a.Index, shortText(a.Command))
		if a.Snapshot != nil {
			what = fmt.Sprintf("a snapshot up to %d", a.Index)
		}
		w.s.Delivered(node, what)
	}
	w.inbox.Lock()
	defer w.inbox.Unlock()
	w.given = append(w.given, handedOver{node: node, inc: inc, at: at, a: a})
}

// check takes in what was said since the last step, and looks at every server
// that runs.
func (w *raftWatcher) check() *labtest.Violation {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.inbox.Lock()
	heard, given := w.heard, w.given
	w.heard, w.given = nil, nil
	w.inbox.Unlock()
	for _, m := range heard {
		if v := w.promises(m); v != nil {
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

// record puts a server's log into the record of the run.
func (w *raftWatcher) record(id labrpc.NodeID, now Status) {
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
func (w *raftWatcher) look(sv *watchedServer) *labtest.Violation {
	now, inc := sv.raft.Status(), w.s.Net.Incarnation(sv.id)
	was, same := sv.seen, sv.inc == inc
	if same && sameStatus(was, now) {
		return w.keeps(sv) // it may have said something new
	}
	w.record(sv.id, now)
	if v := w.consistent(sv, was, now, same); v != nil {
		return v
	}
	if !same {
		sv.applied = 0
	}
	sv.seen, sv.inc = now, inc
	if v := w.keeps(sv); v != nil {
		return v
	}
	if now.Role == Leader {
		if v := w.leads(sv.id, now.Term); v != nil {
			return v
		}
		if same && was.Role == Leader && was.Term == now.Term {
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
func (w *raftWatcher) consistent(sv *watchedServer, was, now Status, same bool) *labtest.Violation {
	wrong := ""
	switch {
	case now.Term < was.Term:
		return w.violation(rulePromise, sv.id, "%v is in term %d at %v, and was in term %d before", sv.id, now.Term, w.now(), was.Term)
	case now.SnapshotIndex < was.SnapshotIndex:
		return w.violation(rulePromise, sv.id, "%v has a snapshot up to index %d at %v, and had one up to %d before", sv.id, now.SnapshotIndex, w.now(), was.SnapshotIndex)
	case same && now.CommitIndex < was.CommitIndex:
		wrong = fmt.Sprintf("CommitIndex went back from %d to %d", was.CommitIndex, now.CommitIndex)
	case same && now.LastApplied < was.LastApplied:
		wrong = fmt.Sprintf("LastApplied went back from %d to %d", was.LastApplied, now.LastApplied)
	case now.CommitIndex > lastIndexOf(now):
		wrong = fmt.Sprintf("CommitIndex = %d, and the last entry has the index %d", now.CommitIndex, lastIndexOf(now))
	case now.LastApplied > now.CommitIndex:
		wrong = fmt.Sprintf("LastApplied = %d, and CommitIndex = %d", now.LastApplied, now.CommitIndex)
	}
	term := now.SnapshotTerm
	for i, e := range now.Log {
		if e.Term < term || e.Term > now.Term || e.Term < 1 {
			wrong = fmt.Sprintf("entry %d has the term %d, after one of term %d, in term %d", now.SnapshotIndex+1+i, e.Term, term, now.Term)
		}
		term = e.Term
	}
	if wrong == "" {
		return nil
	}
	return w.violation(ruleStatus, sv.id, "%v at %v: %s", sv.id, w.now(), wrong)
}

func (w *raftWatcher) now() time.Duration { return briefTime(w.s.Net.Now()) }

func (w *raftWatcher) violation(rule string, node labrpc.NodeID, format string, args ...any) *labtest.Violation {
	return &labtest.Violation{What: fmt.Sprintf(format, args...), Rule: rule, Nodes: []labrpc.NodeID{node}}
}
