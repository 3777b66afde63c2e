package replication_test

import (
	"bytes"
	"fmt"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/05-replication"
)

// leads checks Election Safety.
func (w *invariantChecker) leads(id labrpc.NodeID, term int) *labtest.Violation {
	other, known := w.leaders[term]
	if !known {
		if v := w.elected(id, term); v != nil {
			return v
		}
		w.leaders[term] = leadClaim{node: id, at: w.s.Net.Now()}
		w.s.Logf("%v leads term %d", id, term)
		for _, sv := range w.servers {
			if v := w.names(sv); v != nil {
				return v
			}
		}
		return nil
	}
	if other.node == id {
		return nil
	}
	v := w.violation(ruleElection, id, "term %d has two leaders: %v (from %v) and %v (from %v)", term, other.node, labtest.At(other.at), id, w.now())
	v.Nodes = append(v.Nodes, other.node)
	for _, sv := range w.servers {
		if c, ok := w.ballots[voteKey{sv.id, term}]; ok {
			v.Seen = append(v.Seen, fmt.Sprintf("%v voted for %v in term %d", sv.id, c, term))
		}
	}
	return v
}

// names checks that a server names no other server than the leader of its term.
func (w *invariantChecker) names(sv *checkedServer) *labtest.Violation {
	st := sv.seen
	claim, known := w.leaders[st.Term]
	if st.Leader == 0 || !known || claim.node == st.Leader {
		return nil
	}
	v := w.violation(ruleNames, sv.id, "%v has Leader = %v in term %d at %v, but %v leads this term", sv.id, st.Leader, st.Term, w.now(), claim.node)
	v.Nodes = append(v.Nodes, claim.node, st.Leader)
	return v
}

// elected checks that a new leader has been given a majority's votes.
func (w *invariantChecker) elected(id labrpc.NodeID, term int) *labtest.Violation {
	var voters []labrpc.NodeID
	for _, sv := range w.servers {
		if w.ballots[voteKey{sv.id, term}] == id {
			voters = append(voters, sv.id)
		}
	}
	if len(voters) > len(w.servers)/2 || len(w.servers) < len(w.s.Net.Nodes()) {
		return nil // scripted peers vote too
	}
	return w.violation(ruleElection, id, "%v is the leader of term %d at %v with the votes of only %v, of %d servers", id, term, w.now(), voters, len(w.servers))
}

// appendOnly checks Leader Append-Only.
func (w *invariantChecker) appendOnly(sv *checkedServer, was Status) *labtest.Violation {
	for index := max(was.SnapshotIndex, sv.seen.SnapshotIndex) + 1; index <= lastIndexOf(was); index++ {
		old := entryAt(was, index)
		if index > lastIndexOf(sv.seen) {
			return w.violation(ruleAppendOnly, sv.id, "%v, the leader of term %d, removed entry %d, of term %d, at %v", sv.id, was.Term, index, old.Term, w.now())
		}
		if e := entryAt(sv.seen, index); e.Term != old.Term || !sameCommand(e.Command, old.Command) {
			return w.violation(ruleAppendOnly, sv.id, "%v, the leader of term %d, changed entry %d, of term %d, to %q of term %d at %v", sv.id, was.Term, index, old.Term, shortText(e.Command), e.Term, w.now())
		}
	}
	return nil
}

// matching checks Log Matching: that an index and a term determine the command and
// the term of the entry before. From that it follows for all entries before.
func (w *invariantChecker) matching(sv *checkedServer, was Status) *labtest.Violation {
	now := sv.seen
	changed := false
	for i, e := range now.Log {
		index := now.SnapshotIndex + 1 + i
		if !changed && index > was.SnapshotIndex && index <= lastIndexOf(was) {
			old := entryAt(was, index)
			if old.Term == e.Term && sameCommand(old.Command, e.Command) {
				continue // looked at before
			}
		}
		changed = true
		before := now.SnapshotTerm
		if i > 0 {
			before = now.Log[i-1].Term
		}
		at := logPlace{index, e.Term}
		if want, known := w.commands[at]; known && want != string(e.Command) {
			return w.violation("the command of an entry is the one that Submit was given, and stays so (rules 3 and 11)", sv.id,
				"entry %d of term %d on %v is %q at %v, want %q, as submitted", index, e.Term, sv.id, shortText(e.Command), w.now(), shortText([]byte(want)))
		}
		c, known := w.places[at]
		if !known {
			w.places[at] = placeContent{command: bytes.Clone(e.Command), before: before, node: sv.id, at: w.s.Net.Now()}
			continue
		}
		if c.before == before && bytes.Equal(c.command, e.Command) {
			continue
		}
		v := w.violation(ruleMatching, sv.id, "entry %d of term %d is %q after an entry of term %d on %v at %v", index, e.Term, shortText(e.Command), before, sv.id, w.now())
		v.Seen = append(v.Seen, fmt.Sprintf("it was %q after an entry of term %d on %v at %v", shortText(c.command), c.before, c.node, labtest.At(c.at)))
		v.Nodes = append(v.Nodes, c.node)
		return v
	}
	return nil
}

// commits takes in what a server reports as committed. It may have learnt of an entry and
// put it into a snapshot in one step: then its log of the step before is used.
func (w *invariantChecker) commits(sv *checkedServer, was Status) *labtest.Violation {
	now := sv.seen
	for index := len(w.committed) + 1; index <= min(now.SnapshotIndex, lastIndexOf(was)); index++ {
		w.commit(sv, index, entryAt(was, index))
	}
	if index := now.SnapshotIndex; index > len(w.committed) {
		return w.violation(ruleQuorum, sv.id, "%v has a snapshot up to index %d at %v, but the highest index that any server had committed is %d", sv.id, index, w.now(), len(w.committed))
	} else if index > 0 && now.SnapshotTerm != w.committed[index-1].term {
		return w.violation(ruleMatching, sv.id, "%v has a snapshot up to index %d with term %d at %v, but that entry has the term %d", sv.id, index, now.SnapshotTerm, w.now(), w.committed[index-1].term)
	}
	for index := now.SnapshotIndex + 1; index <= now.CommitIndex; index++ {
		e := entryAt(now, index)
		if index > len(w.committed) {
			w.commit(sv, index, e)
			continue
		}
		c := &w.committed[index-1]
		if c.term == e.Term && bytes.Equal(c.command, e.Command) {
			c.in = min(c.in, now.Term)
			continue
		}
		v := w.violation(ruleStateMachine, sv.id, "%v committed %q of term %d at index %d, at %v in term %d", sv.id, shortText(e.Command), e.Term, index, w.now(), now.Term)
		v.Seen = append(v.Seen, fmt.Sprintf("%v had committed %q of term %d at that index, at %v in term %d", c.node, shortText(c.command), c.term, labtest.At(c.at), c.in))
		v.Nodes = append(v.Nodes, c.node)
		return v
	}
	return nil
}

// commit notes the first server that reports an entry as committed.
func (w *invariantChecker) commit(sv *checkedServer, index int, e Entry) {
	w.s.Logf("%v reports entry %d of term %d as committed", sv.id, index, e.Term)
	w.committed = append(w.committed, seenCommit{term: e.Term, command: bytes.Clone(e.Command), node: sv.id, in: sv.seen.Term, at: w.s.Net.Now()})
}

// quorum checks that what has been committed since is on a majority: for a server
// that is down, the log that it had last counts.
func (w *invariantChecker) quorum(since int) *labtest.Violation {
	if len(w.servers) < len(w.s.Net.Nodes()) {
		return nil // scripted peers have it
	}
	for i := since; i < len(w.committed); i++ {
		c := w.committed[i]
		var holders []labrpc.NodeID
		for _, sv := range w.servers {
			// A server that crashed just after its acknowledgement was not seen with the entry.
			said := !w.s.Net.Up(sv.id) && sv.accepted.term == c.in && sv.accepted.index > i
			if said || holdsEntry(sv.seen, i+1, c.term) {
				holders = append(holders, sv.id)
			}
		}
		if len(holders) <= len(w.servers)/2 {
			return w.violation(ruleQuorum, c.node, "%v committed entry %d, of term %d, at %v in term %d, but at %v only %v of %d servers have stored it",
				c.node, i+1, c.term, labtest.At(c.at), c.in, w.now(), holders, len(w.servers))
		}
	}
	return nil
}

// wasCommitted compares one call of apply with what is committed.
func (w *invariantChecker) wasCommitted(h applyCall) *labtest.Violation {
	sv := w.servers[h.node-1]
	if sv.inc != h.inc || !w.s.Net.Up(h.node) {
		return nil // it has crashed: the last steps of that incarnation were not seen
	}
	a, expect := h.a, sv.applied+1
	switch {
	case a.Index > len(w.committed):
		return w.violation(ruleApply, h.node, "%v applied index %d at %v, but the highest index that any server had committed is %d", h.node, a.Index, labtest.At(h.at), len(w.committed))
	case a.Snapshot == nil && a.Index != expect:
		return w.violation(ruleApply, h.node, "%v applied index %d at %v, want %d: since its last start %[1]v has applied everything up to index %[5]d", h.node, a.Index, labtest.At(h.at), expect, sv.applied)
	case a.Snapshot != nil && a.Index < expect:
		return w.violation(ruleApply, h.node, "%v went back to a snapshot of index %d at %v, after it applied index %d", h.node, a.Index, labtest.At(h.at), sv.applied)
	}
	c := w.committed[a.Index-1]
	if a.Snapshot != nil {
		if want := w.digest(a.Index); !bytes.HasPrefix(a.Snapshot, want) {
			return w.violation("the snapshot of an index is the state that the entries up to it lead to (rules 5 and 15; Raft §7)", h.node,
				"%v applied a snapshot of index %d at %v whose data are %s, want the state at index %d", h.node, a.Index, labtest.At(h.at), w.stateIn(a.Snapshot), a.Index)
		}
		if a.Term != c.term {
			return w.violation(ruleApply, h.node, "%v applied a snapshot of index %d with Term = %d at %v, want %d, the term of that entry", h.node, a.Index, a.Term, labtest.At(h.at), c.term)
		}
	} else if a.Term != c.term || !bytes.Equal(a.Command, c.command) {
		v := w.violation(ruleStateMachine, h.node, "%v applied %q of term %d at index %d, at %v", h.node, shortText(a.Command), a.Term, a.Index, labtest.At(h.at))
		v.Seen = append(v.Seen, fmt.Sprintf("%v committed %q of term %d there, at %v", c.node, shortText(c.command), c.term, labtest.At(c.at)))
		v.Nodes = append(v.Nodes, c.node)
		return v
	}
	sv.applied = a.Index
	return nil
}

// complete checks Leader Completeness.
func (w *invariantChecker) complete() *labtest.Violation {
	for _, sv := range w.servers {
		now := sv.seen
		if now.Role != roleLeader || !w.s.Net.Up(sv.id) {
			continue
		}
		if sv.ledTerm != now.Term {
			sv.led, sv.ledTerm = 0, now.Term
		}
		for sv.led < len(w.committed) && w.committed[sv.led].in <= now.Term {
			c := w.committed[sv.led]
			if !holdsEntry(now, sv.led+1, c.term) {
				v := w.violation(ruleCompleteness, sv.id, "%v is the leader of term %d at %v without entry %d, of term %d", sv.id, now.Term, w.now(), sv.led+1, c.term)
				v.Seen = append(v.Seen, fmt.Sprintf("%v committed it at %v, in term %d", c.node, labtest.At(c.at), c.in))
				v.Nodes = append(v.Nodes, c.node)
				return v
			}
			sv.led++
		}
	}
	return nil
}
