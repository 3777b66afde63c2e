package transactions_test

import (
	"maps"
	"slices"
	"strings"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/07-transactions"
)

// A testResource is the resource of one incarnation of a participant.
type testResource struct {
	c        *commitCluster
	node     *labrpc.Node
	started  bool            // StartParticipant has returned
	locks    map[string]TxID // by key
	asked    map[TxID]bool   // Prepare is under way
	prepared map[TxID]Vote   // in this incarnation
	open     map[TxID]bool   // of these, the votes yes without an outcome
	restored map[TxID]bool
	ended    map[TxID]bool // Commit or Abort was called in this incarnation, after a vote yes
}

// checkDoubt compares the result of InDoubt with the calls of the resource. The caller holds c.mu.
func (r *testResource) checkDoubt(doubt []TxID) *labtest.Violation {
	id := r.node.ID()
	for _, tx := range doubt {
		switch t := r.c.txs[tx]; {
		case t == nil:
			return breach(ruleInDoubt, "InDoubt() at %v lists %q, which is no transaction", id, tx)
		case r.ended[tx]:
			return breach(ruleListsDoubt, "InDoubt() at %v lists %s, for which %v has called %s", id, tx, id, outcomeCall(t.outcome[id]))
		case t.outcome[id] == Undecided && !r.holds(t, tx):
			return breach(ruleInDoubt, "%v is in doubt about %s, but its resource does not hold the locks of %s", id, tx, tx)
		}
	}
	for i, tx := range doubt {
		if i > 0 && doubt[i-1] >= tx {
			return breach(ruleListsDoubt, "InDoubt() at %v lists %s before %s, want each once, sorted", id, doubt[i-1], tx)
		}
	}
	var missing []TxID
	for tx := range r.open {
		if _, listed := slices.BinarySearch(doubt, tx); !listed {
			missing = append(missing, tx)
		}
	}
	if len(missing) > 0 {
		return breach(ruleListsDoubt, "InDoubt() at %v does not list %s, in which %v has voted yes and called neither Commit nor Abort", id, slices.Min(missing), id)
	}
	return nil
}

// holds reports whether the transaction has its lock. The caller holds c.mu.
func (r *testResource) holds(t *testTx, tx TxID) bool {
	work, takesPart := t.work(r.node.ID())
	holder, held := r.locks[lockOf(work)]
	return takesPart && held && holder == tx
}

// lockOf returns the key that a work locks: its first word.
func lockOf(work string) string {
	key, _, _ := strings.Cut(work, " ")
	return key
}

// gone reports whether the incarnation is over: what its goroutines still do has no effect.
func (r *testResource) gone() bool { return r.node.Context().Err() != nil }

// knows returns the transaction, if the work is the one that the participant was given. The caller holds c.mu.
func (r *testResource) knows(call string, tx TxID, work string) *testTx {
	t := r.c.txs[tx]
	id := r.node.ID()
	var want string
	takesPart := false
	if t != nil {
		want, takesPart = t.work(id)
	}
	switch {
	case !takesPart:
		r.c.fail(ruleVote, "%v called %s for %q, in which it does not take part", id, call, tx)
		return nil
	case want != work:
		r.c.fail(ruleVote, "%v called %s for %s with the work %q, want %q", id, call, tx, work, want)
		return nil
	}
	return t
}

func (r *testResource) Prepare(tx TxID, work string) Vote {
	vote, takes := r.beginPrepare(tx, work)
	if takes > 0 {
		time.Sleep(takes)
	}
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	t := r.c.txs[tx]
	if r.gone() || t == nil {
		return VoteNo
	}
	delete(r.asked, tx)
	r.prepared[tx], t.votes[r.node.ID()] = vote, vote
	if vote == VoteYes && !r.ended[tx] {
		r.open[tx] = true
	}
	return vote
}

func (r *testResource) beginPrepare(tx TxID, work string) (vote Vote, takes time.Duration) {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	t := r.knows("Prepare", tx, work)
	if r.gone() || t == nil {
		return VoteNo, 0
	}
	id := r.node.ID()
	before, again := r.prepared[tx]
	switch {
	case t.outcome[id] != Undecided:
		r.c.fail(ruleVote, "%v called Prepare for %s, although it called %s before", id, tx, outcomeCall(t.outcome[id]))
	case r.restored[tx]:
		r.c.fail(ruleVote, "%v called Prepare for %s again after a crash, although it called Restore", id, tx)
	case r.asked[tx]:
		r.c.fail(ruleVote, "%v called Prepare for %s a second time, while the first call was under way", id, tx)
	case again && before != VoteReadOnly:
		r.c.fail(ruleVote, "%v called Prepare for %s a second time, want its first vote again", id, tx)
	}
	r.asked[tx] = true
	plan, scripted := t.script[id]
	if !scripted {
		plan.vote = VoteYes
	}
	key := lockOf(work)
	if holder, held := r.locks[key]; held && holder != tx {
		return VoteNo, plan.takes
	}
	if plan.vote != VoteNo {
		r.locks[key] = tx
	}
	return plan.vote, plan.takes
}

func (r *testResource) Restore(tx TxID, work string) {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	t := r.knows("Restore", tx, work)
	if r.gone() || t == nil {
		return
	}
	switch id := r.node.ID(); {
	case t.votes[id] != VoteYes:
		r.c.fail(ruleVote, "%v called Restore for %s, but it has not voted yes", id, tx)
	case r.started:
		r.c.fail(ruleVote, "%v called Restore for %s after StartParticipant had returned", id, tx)
	}
	r.restored[tx] = true
	r.locks[lockOf(work)] = tx
}

func (r *testResource) Commit(tx TxID, work string) {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	t := r.knows("Commit", tx, work)
	if r.gone() || t == nil {
		return
	}
	id := r.node.ID()
	if r.prepared[tx] == VoteReadOnly {
		r.c.fail(ruleReadOnly, "%v called Commit for %s, in which it voted read-only", id, tx)
		return
	}
	for _, b := range t.branches {
		vote, voted := t.votes[b.Participant]
		switch {
		case t.lost[b.Participant] && !voted:
			r.c.fail(ruleVote, "%v called Commit for %s, but after a crash %v does not know that it voted yes", id, tx, b.Participant)
		case !voted:
			r.c.fail(ruleAllYes, "%v called Commit for %s, but %v has not voted", id, tx, b.Participant)
		case vote == VoteNo:
			r.c.fail(ruleAllYes, "%v called Commit for %s, but %v has voted no", id, tx, b.Participant)
		}
	}
	r.end(t, tx, Committed)
}

func (r *testResource) Abort(tx TxID) {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	t := r.c.txs[tx]
	if r.gone() || t == nil {
		return
	}
	if t.votes[r.node.ID()] != VoteYes {
		r.unlock(tx) // it has undone its work already
		return
	}
	r.end(t, tx, Aborted)
}

// end records an outcome. The caller holds c.mu.
func (r *testResource) end(t *testTx, tx TxID, outcome Outcome) {
	id := r.node.ID()
	call := outcomeCall(outcome)
	other := Committed + Aborted - outcome
	if wait, must := r.c.mustWait[id]; must && t.outcome[id] == Undecided {
		r.c.fail(wait.Rule, "%v called %s for %s, although %s", id, call, tx, wait.What)
	}
	if by := t.with(other); len(by) > 0 {
		r.c.fail(r.c.oneOutcome, "%v called %s for %s, but %s called %s", id, call, tx, commitNames(by), outcomeCall(other))
	}
	if t.returned == other {
		r.c.fail(ruleOneOutcome, "%v called %s for %s, but Run has returned that it has %s", id, call, tx, outcomeName(other))
	}
	t.outcome[id], r.ended[tx] = outcome, true
	delete(r.open, tx)
	r.unlock(tx)
}

func (r *testResource) Release(tx TxID) {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	if r.gone() {
		return
	}
	if r.prepared[tx] != VoteReadOnly {
		r.c.fail(ruleReadOnly, "%v called Release for %s, but it has not voted read-only", r.node.ID(), tx)
	}
	r.unlock(tx)
}

func (r *testResource) unlock(tx TxID) {
	maps.DeleteFunc(r.locks, func(_ string, holder TxID) bool { return holder == tx })
}

func outcomeName(o Outcome) string {
	return map[Outcome]string{Undecided: "no outcome", Committed: "committed", Aborted: "aborted"}[o]
}

// outcomeCall is the method of a resource that gives it an outcome.
func outcomeCall(o Outcome) string {
	return map[Outcome]string{Committed: "Commit", Aborted: "Abort"}[o]
}
