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
	calmRun         = 220 * time.Millisecond // rule 31, from the call of Run: a node votes within askTime, and 100ms are counted from the vote
	askTime         = 120 * time.Millisecond // a request takes 20ms; the rest is for nodes that look at their messages now and then
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
	steps        int                                 // of checkLocks
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
			c.fail(ruleVote, "%v voted yes in %s, and %s called Commit, but after a crash %v does not know the transaction", id, idText(tx), commitNames(by), id)
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

// checkLocks checks that every participant lists what it has in doubt, and nothing else, and holds the locks of it (rule 25): at every instant, or
// now and then if there are so many transactions that the checks would take most of the test's time.
func (c *commitCluster) checkLocks() *labtest.Violation {
	c.mu.Lock()
	c.steps++
	skip := len(c.txs) > 150 && c.steps%16 > 0
	c.mu.Unlock()
	if skip {
		return nil
	}
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
