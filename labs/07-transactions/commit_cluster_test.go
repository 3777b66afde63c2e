package transactions_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/07-transactions"
)

const (
	ruleOneOutcome  = "all participants that vote yes in a transaction call the same of Commit and Abort, Run returns no other outcome, and an outcome never changes (rule 22; Gray 1978)"
	ruleAllYes      = "a transaction commits only if every participant has voted yes or read-only in this transaction (rule 23; Gray 1978)"
	ruleVote        = "a participant calls Prepare once and replies with its first vote; before a vote yes leaves, the vote and the work are on the disk; after a restart, StartParticipant calls Restore for each transaction in doubt (rule 24; Gray 1978)"
	ruleSameVote    = "a participant replies to every further request with its first vote; a vote yes also after a crash (rule 24; Gray 1978)"
	ruleInDoubt     = "a participant in doubt calls neither Commit nor Abort until it learns the outcome from a node that knows it; meanwhile it keeps its locks, and InDoubt lists the transaction, and no other (rule 25; Bernstein, Hadzilacos, Goodman §7.4)"
	ruleListsDoubt  = "InDoubt lists a transaction from the vote yes until Commit or Abort is called, once, and no other; the list is sorted (rule 25)"
	ruleLearns      = "a participant in doubt has called Commit or Abort within 2s after a node that knows the outcome is up and connected to it in a calm network (rule 26; Bernstein, Hadzilacos, Goodman §7.4)"
	rulePresumed    = "a coordinator which has no decision to commit on its disk says that the transaction has aborted; while Run is under way, it gives no outcome (rule 27; Mohan, Lindsay, Obermarck 1986)"
	ruleForgets     = "a coordinator keeps a decision to commit until every participant that voted yes has the outcome on its disk; within 2s after that it forgets the decision, also while nodes of other transactions are down or cut off (rule 28; Mohan, Lindsay, Obermarck 1986)"
	ruleCost        = "if all vote yes, each participant sends and receives at most 4 messages together, and writes at most twice; the coordinator writes at most once until Run returns, and at most twice in all (rule 29; Mohan, Lindsay, Obermarck 1986)"
	ruleSilent      = "from 5s after every transaction has ended on, no node sends messages (rule 29; Mohan, Lindsay, Obermarck 1986)"
	ruleLossy       = "if links lose a fifth of the messages and each Prepare returns at once, 10s suffice for the votes (rule 31)"
	ruleReadOnly    = "a participant that votes read-only calls Release at its vote, writes nothing, and sends and receives at most 2 messages if the outcome is decided after its vote has arrived, and within 100ms; if all vote read-only, the coordinator writes nothing either (rule 30; Mohan, Lindsay, Obermarck 1986)"
	ruleRunReturns  = "Run asks all participants at once; in a calm network, it returns Aborted within 100ms of a vote no, Committed within 100ms of the last vote if all have voted yes or read-only, Aborted within 10ms of the end of its context, and not earlier without a vote no, and an error within 10ms of a crash of its node (rule 31)"
	ruleApart       = "a Prepare that takes long delays no other transaction, however many of them are under way (rule 32)"
	learnLimit      = 2 * time.Second        // rule 26
	calmRun         = 120 * time.Millisecond // rule 31, from the call of Run: a request takes 20ms, and 100ms are counted from the vote
	askTime         = 60 * time.Millisecond  // a request takes 20ms; the rest is for nodes that look at their messages now and then
	runReturn       = 10 * time.Millisecond  // rule 31, for a context that has ended
	lossyRun        = 10 * time.Second       // rule 31, if links lose a fifth of the messages
	coordinatorNode = labrpc.NodeID(1)
)

// A commitCluster is a coordinator, n1, and participants, the other nodes, whose resources are the test's. It checks rules 22 to 25 at
// every call of a resource.
type commitCluster struct {
	s *labtest.Sim

	mu           sync.Mutex
	coordinator  *Coordinator
	participants map[labrpc.NodeID]*Participant
	resources    map[labrpc.NodeID]*testResource // of the current incarnations
	txs          map[TxID]*testTx
	oneOutcome   string                              // the rule that two outcomes break
	mustWait     map[labrpc.NodeID]labtest.Violation // the participants that cannot know an outcome, with the rule and the reason
}

// A testTx is a transaction, and what the test has seen of it.
type testTx struct {
	branches []Branch
	script   map[labrpc.NodeID]scriptedVote
	votes    map[labrpc.NodeID]Vote
	lost     map[labrpc.NodeID]bool    // it voted yes, and did not know it after a crash
	outcome  map[labrpc.NodeID]Outcome // of each participant that voted yes: the call of its resource, which a crash does not undo
	returned Outcome
}

// A scriptedVote is what a resource does. Without one it votes yes at once.
type scriptedVote struct {
	vote  Vote
	takes time.Duration
}

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

func newCommitCluster(s *labtest.Sim) *commitCluster {
	c := &commitCluster{
		s: s, oneOutcome: ruleOneOutcome, participants: map[labrpc.NodeID]*Participant{}, resources: map[labrpc.NodeID]*testResource{},
		txs: map[TxID]*testTx{}, mustWait: map[labrpc.NodeID]labtest.Violation{},
	}
	s.Always(c.checkLocks)
	s.Restarts(func(node *labrpc.Node) { c.boot(node) })
	return c
}

// startAll starts every node.
func (c *commitCluster) startAll() {
	for _, id := range c.s.Net.Nodes() {
		c.start(id)
	}
}

func (c *commitCluster) start(id labrpc.NodeID) { c.boot(c.s.Start(id)) }

// restart crashes a node that is up, and starts it.
func (c *commitCluster) restart(id labrpc.NodeID) {
	c.s.Net.Crash(id)
	c.start(id)
}

// boot makes a node what it is. It reports whether the incarnation is not the first.
func (c *commitCluster) boot(node *labrpc.Node) (again bool) {
	id := node.ID()
	if id == coordinatorNode {
		coordinator := StartCoordinator(node)
		c.mu.Lock()
		defer c.mu.Unlock()
		again, c.coordinator = c.coordinator != nil, coordinator
		return again
	}
	r := &testResource{c: c, node: node, locks: map[string]TxID{}, asked: map[TxID]bool{}, prepared: map[TxID]Vote{}, open: map[TxID]bool{}, restored: map[TxID]bool{}, ended: map[TxID]bool{}}
	c.mu.Lock()
	again = c.resources[id] != nil
	c.resources[id] = r
	for _, t := range c.txs {
		if vote, voted := t.votes[id]; voted && vote == VoteNo {
			delete(t.votes, id) // a vote no need not survive
		}
	}
	c.mu.Unlock()
	p := StartParticipant(node, r)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.participants[id] = p
	r.started = true
	if !r.gone() {
		c.findLost(id, r)
	}
	return again
}

// findLost finds the votes of a node that its new incarnation does not know. The caller holds c.mu.
func (c *commitCluster) findLost(id labrpc.NodeID, r *testResource) {
	for _, tx := range slices.Sorted(maps.Keys(c.txs)) {
		t := c.txs[tx]
		if t.votes[id] != VoteYes || t.outcome[id] != Undecided || r.restored[tx] {
			continue
		}
		t.lost[id] = true
		delete(t.votes, id)
		if by := t.with(Committed); len(by) > 0 {
			c.fail(ruleVote, "%v voted yes in %s, and %s called Commit, but after a crash %v does not know the transaction", id, tx, commitNames(by), id)
		}
	}
}

// with returns the participants that have the outcome.
func (t *testTx) with(outcome Outcome) []labrpc.NodeID {
	var ids []labrpc.NodeID
	for _, b := range t.branches {
		if t.outcome[b.Participant] == outcome {
			ids = append(ids, b.Participant)
		}
	}
	return ids
}

// work returns the work of a participant, and whether it takes part.
func (t *testTx) work(id labrpc.NodeID) (work string, takesPart bool) {
	for _, b := range t.branches {
		if b.Participant == id {
			return b.Work, true
		}
	}
	return "", false
}

// checkLocks checks that every participant lists what it has in doubt, and nothing else, and holds the locks of it (rule 25).
func (c *commitCluster) checkLocks() *labtest.Violation {
	for _, id := range c.s.Net.Nodes() {
		c.mu.Lock()
		p, r := c.participants[id], c.resources[id]
		c.mu.Unlock()
		if p == nil || !c.s.Net.Up(id) {
			continue
		}
		doubt := p.InDoubt()
		c.mu.Lock()
		v := r.checkDoubt(doubt)
		c.mu.Unlock()
		if v != nil {
			return v
		}
	}
	return nil
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

func breach(rule, format string, args ...any) *labtest.Violation {
	return &labtest.Violation{What: fmt.Sprintf(format, args...), Rule: rule}
}

// maxNames is how many participants a failure names.
const maxNames = 20

func commitNames(ids []labrpc.NodeID) string {
	var all []string
	for _, id := range ids[:min(len(ids), maxNames)] {
		all = append(all, id.String())
	}
	if more := len(ids) - maxNames; more > 0 {
		all = append(all, fmt.Sprintf("and %d others", more))
	}
	return strings.Join(all, ", ")
}

// fail may be called with c.mu held.
func (c *commitCluster) fail(rule, format string, args ...any) {
	c.s.Fail(*breach(rule, format, args...))
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

// A commitRun is a call of Run.
type commitRun struct {
	mu      sync.Mutex
	done    bool
	outcome Outcome
	err     error
}

func (r *commitRun) result() (Outcome, error, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.outcome, r.err, r.done
}

// add makes a transaction of all participants but those left out, with a key of its own.
func (c *commitCluster) add(tx TxID, script map[labrpc.NodeID]scriptedVote, leftOut ...labrpc.NodeID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &testTx{script: script, votes: map[labrpc.NodeID]Vote{}, lost: map[labrpc.NodeID]bool{}, outcome: map[labrpc.NodeID]Outcome{}}
	for _, id := range c.s.Net.Nodes() {
		if id != coordinatorNode && !slices.Contains(leftOut, id) {
			t.branches = append(t.branches, Branch{Participant: id, Work: fmt.Sprintf("%s-%v += %d", tx, id, id)})
		}
	}
	c.txs[tx] = t
}

// doesNothing gives a participant the empty work.
func (c *commitCluster) doesNothing(tx TxID, id labrpc.NodeID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, b := range c.txs[tx].branches {
		if b.Participant == id {
			c.txs[tx].branches[i].Work = ""
		}
	}
}

// run calls Run in a goroutine of its own, with a context that ends after limit, and a little more: not at the instant of a
// node's own timer, for which limits are round too.
func (c *commitCluster) run(tx TxID, limit time.Duration) *commitRun {
	c.mu.Lock()
	coordinator, branches := c.coordinator, slices.Clone(c.txs[tx].branches)
	c.mu.Unlock()
	call := &commitRun{}
	inc := c.s.Net.Incarnation(coordinatorNode)
	go func() {
		ctx, cancel := labtest.WithTimeout(context.Background(), limit+417*time.Microsecond)
		defer cancel()
		outcome, err := coordinator.Run(ctx, tx, branches)
		if c.s.Net.Up(coordinatorNode) && c.s.Net.Incarnation(coordinatorNode) == inc {
			c.checkReturn(tx, outcome, err)
		}
		call.mu.Lock()
		defer call.mu.Unlock()
		call.done, call.outcome, call.err = true, outcome, err
	}()
	return call
}

// checkReturn compares what Run has returned with what the participants do.
func (c *commitCluster) checkReturn(tx TxID, outcome Outcome, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.txs[tx]
	if err != nil || outcome == Undecided {
		if !errors.Is(err, labrpc.ErrDown) {
			c.fail(ruleRunReturns, "Run returned (%s, %v) for %s, although its node is up", outcomeName(outcome), err, tx)
		}
		return
	}
	t.returned = outcome
	other := Committed + Aborted - outcome
	if by := t.with(other); len(by) > 0 {
		c.fail(ruleOneOutcome, "Run returned that %s has %s, but %s called %s", tx, outcomeName(outcome), commitNames(by), outcomeCall(other))
	}
	for _, b := range t.branches {
		vote, voted := t.votes[b.Participant]
		if outcome == Committed && (!voted || vote == VoteNo) && t.outcome[b.Participant] != Committed {
			c.fail(ruleAllYes, "Run returned that %s has committed, but %v has not voted yes", tx, b.Participant)
		}
	}
}

// returns waits for Run, and checks what it returns.
func (c *commitCluster) returns(call *commitRun, tx TxID, limit time.Duration, want Outcome) {
	c.ends(call, tx, limit)
	if got, err, _ := call.result(); got != want {
		c.s.Failf(c.ruleOfRun(limit), "Run of %s returned (%s, %v), want %s: %s", tx, outcomeName(got), err, outcomeName(want), c.votesIn(tx))
	}
}

// ends waits for Run, whatever it returns.
func (c *commitCluster) ends(call *commitRun, tx TxID, limit time.Duration) {
	if !c.s.Until(limit, func() bool { _, _, done := call.result(); return done }) {
		c.s.Failf(c.ruleOfRun(limit), "Run of %s has not returned within %v of its call: %s", tx, limit, c.votesIn(tx))
	}
}

// ruleOfRun is the rule that gives Run so much time.
func (c *commitCluster) ruleOfRun(limit time.Duration) string {
	if limit == lossyRun {
		return ruleLossy
	}
	return ruleRunReturns
}

// votesIn says how each participant has voted. Of very many it names only those that did not vote yes.
func (c *commitCluster) votesIn(tx TxID) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.txs[tx]
	var all []string
	yes := 0 // not named
	for _, b := range t.branches {
		text := "has not voted"
		if vote, voted := t.votes[b.Participant]; voted {
			text = "voted " + map[Vote]string{VoteNo: "no", VoteYes: "yes", VoteReadOnly: "read-only"}[vote]
			if vote == VoteYes && len(t.branches) > maxNames {
				yes++
				continue
			}
		}
		all = append(all, fmt.Sprintf("%v %s", b.Participant, text))
	}
	if yes > 0 {
		all = append(all, fmt.Sprintf("%d others voted yes", yes))
	}
	return strings.Join(all, ", ")
}

// hearsNothing cuts a participant off. Only what it sends to the coordinator arrives: it has voted, and misses the decision.
func (c *commitCluster) hearsNothing(id labrpc.NodeID) {
	c.s.Net.Isolate(id)
	c.s.Net.HealBoth(id, coordinatorNode)
	c.s.Net.Cut(coordinatorNode, id)
}

// voted waits until the participants have voted.
func (c *commitCluster) voted(tx TxID, ids ...labrpc.NodeID) {
	c.votedWithin(5*time.Second, tx, ids...)
}

func (c *commitCluster) votedWithin(limit time.Duration, tx TxID, ids ...labrpc.NodeID) {
	c.s.WaitFor(limit, *breach(ruleRunReturns, "in %s, %s have not voted within %v, although all nodes are up and connected", tx, commitNames(ids), limit), func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, id := range ids {
			if _, voted := c.txs[tx].votes[id]; !voted {
				return false
			}
		}
		return true
	})
}

// mustNotEnd says why the participants cannot know an outcome: they must wait.
func (c *commitCluster) mustNotEnd(rule, why string, ids ...labrpc.NodeID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range ids {
		c.mustWait[id] = labtest.Violation{Rule: rule, What: why}
	}
}

// mayEnd ends that.
func (c *commitCluster) mayEnd(ids ...labrpc.NodeID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range ids {
		delete(c.mustWait, id)
	}
}

// inDoubt checks that the participants are in doubt about tx, and about nothing else.
func (c *commitCluster) inDoubt(tx TxID, ids ...labrpc.NodeID) {
	for _, id := range ids {
		if got := c.participants[id].InDoubt(); !slices.Equal(got, []TxID{tx}) {
			c.s.Failf(ruleInDoubt, "InDoubt() = %v at %v, which has voted yes in %s and knows no outcome, want [%s]", got, id, tx, tx)
		}
	}
}

// learns waits until the participants have the outcome.
func (c *commitCluster) learns(limit time.Duration, tx TxID, want Outcome, ids ...labrpc.NodeID) {
	for _, id := range ids {
		c.s.WaitFor(limit, *breach(ruleLearns, "%v has not called %s for %s within %v, although a node that knows the outcome is connected to it",
			id, outcomeCall(want), tx, limit), func() bool { return c.outcome(tx, id) == want })
	}
}

// learnsAll waits until the participants have the outcomes of all these transactions, all within the limit of rule 26.
func (c *commitCluster) learnsAll(txs []TxID, want Outcome, ids ...labrpc.NodeID) {
	end := c.s.Net.Now() + learnLimit
	for _, tx := range txs {
		for _, id := range ids {
			if !c.s.Until(max(0, end-c.s.Net.Now()), func() bool { return c.outcome(tx, id) == want }) {
				c.s.Failf(ruleLearns, "%v has not called %s for %s within %v, although a node that knows the outcome is connected to it",
					id, outcomeCall(want), tx, learnLimit)
			}
		}
	}
}

// outcome is the outcome that a participant has given to its resource.
func (c *commitCluster) outcome(tx TxID, id labrpc.NodeID) Outcome {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.txs[tx].outcome[id]
}

// settles waits until no participant is in doubt or holds a lock. All nodes are up and connected.
func (c *commitCluster) settles(limit time.Duration) {
	if c.s.Until(limit, func() bool { return c.unsettled() == nil }) {
		return
	}
	v := c.unsettled()
	v.What += fmt.Sprintf(", %v after all nodes were up and connected", limit)
	c.s.Fail(*v)
}

func (c *commitCluster) unsettled() *labtest.Violation {
	for _, id := range slices.Sorted(maps.Keys(c.participants)) {
		if doubt := c.participants[id].InDoubt(); len(doubt) > 0 {
			return breach(ruleLearns, "%v is in doubt about %s", id, doubt[0])
		}
		if v := c.keepsLock(id); v != nil {
			return v
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, tx := range slices.Sorted(maps.Keys(c.txs)) {
		t := c.txs[tx]
		for _, b := range t.branches {
			if t.votes[b.Participant] == VoteYes && t.outcome[b.Participant] == Undecided {
				return breach(ruleLearns, "%v voted yes in %s, but has called neither Commit nor Abort", b.Participant, tx)
			}
		}
	}
	return nil
}

func (c *commitCluster) keepsLock(id labrpc.NodeID) *labtest.Violation {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.resources[id]
	keys := slices.Sorted(maps.Keys(r.locks))
	if len(keys) == 0 {
		return nil
	}
	holder := r.locks[keys[0]]
	if r.prepared[holder] == VoteReadOnly {
		return breach(ruleReadOnly, "at %s, %v has voted read-only in %s, but still holds the locks of %[3]s", labtest.At(c.s.Net.Now()), id, holder)
	}
	return breach(ruleLearns, "at %s, %v still holds the locks of %s", labtest.At(c.s.Net.Now()), id, holder)
}

// has checks the outcome at every participant that voted yes.
func (c *commitCluster) has(tx TxID, want Outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.txs[tx]
	for _, b := range t.branches {
		if t.votes[b.Participant] == VoteYes && t.outcome[b.Participant] != want {
			c.s.Failf(ruleOneOutcome, "%s has %s at %v, want %s", tx, outcomeName(t.outcome[b.Participant]), b.Participant, outcomeName(want))
		}
	}
}

// isSilent checks that no node sends when nothing is left to do.
func (c *commitCluster) isSilent() {
	before := c.s.Net.Stats(labrpc.Match{}).Sent
	c.s.Run(time.Minute)
	if n := c.s.Net.Stats(labrpc.Match{}).Sent - before; n > 0 {
		c.s.Failf(ruleSilent, "the nodes sent %d messages in a minute, although every transaction has ended", n)
	}
}
