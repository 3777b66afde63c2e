package consistency_test

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	consistency "distlabs/labs/06-consistency"
)

const (
	quorumRetry   = 100 * time.Millisecond
	timerLate     = 11 * time.Millisecond   // a timer may look at the time every 10 ms (rules 23 and 31)
	quorumTimeout = 1050 * time.Millisecond // no multiple of that: no two timers of a request fall on one instant

	ruleLevels     = "a request succeeds if and only if as many different replicas as its level requires reply within Timeout; if not, it returns ErrUnavailable at the end of Timeout (rule 23)"
	ruleOverlap    = "if the levels of a write and of a later read require more than N replicas together, the read returns that write or a newer one (rule 24)"
	ruleNewer      = "a Put is newer than every earlier Put of its coordinator, and than every earlier Put if the levels of the two together require more than N replicas; no two have one timestamp (rule 25)"
	ruleMayBeStale = "a Get at ONE returns with the first reply, which may be an old cell (rule 23)"
	ruleReaches    = "a Put sends its cell to all replicas until Timeout, whatever its level (rule 26)"
	ruleRepairs    = "a Get at QUORUM or ALL returns a cell only when as many replicas as its level requires have it; it repairs those that are behind, and stores nothing if all have the same (rule 27)"
	ruleHolds      = "a replica replies to a Store when it has that cell, or a newer one, on its disk, and never returns to an older one (rule 28)"
	ruleAtLeast    = "a Get returns nothing older than AtLeast: it waits for a replica that has it, or fails (rule 29)"
	ruleStaleness  = "a Get with MaxStale returns what a majority had at most MaxStale before its call: from memory and without a message if it can, otherwise by a read at QUORUM, or at Level if that is higher (rule 30)"
)

var errQuorumCrashed = errors.New("the coordinator has crashed")

// A quorumStore is N replicas, the nodes from 1 on, some coordinators after
// them, and one node more, from which the test looks at the replicas.
type quorumStore struct {
	s            *labtest.Sim
	replicas     []labrpc.NodeID
	first        labrpc.NodeID // of the coordinators
	stores       map[labrpc.NodeID]*consistency.Replica
	coordinators map[labrpc.NodeID]*consistency.Coordinator
	probe        *labrpc.Node
	shown        *callRecord
	writes       int
	timeout      time.Duration // of the coordinators that start from now on; 0 for quorumTimeout
}

// limit returns the Timeout of the coordinators.
func (q *quorumStore) limit() time.Duration { return cmp.Or(q.timeout, quorumTimeout) }

// newQuorumStore takes for replicas all nodes but the coordinators and the last.
func newQuorumStore(s *labtest.Sim, coordinators int) *quorumStore {
	return newQuorumStoreOf(s, len(s.Net.Nodes())-coordinators-1, coordinators)
}

// newQuorumStoreOf takes the first n nodes for replicas, and the next for coordinators.
func newQuorumStoreOf(s *labtest.Sim, n, coordinators int) *quorumStore {
	nodes, q := s.Net.Nodes(), stoppedQuorumStore(s, n)
	for _, id := range nodes[:n+coordinators] {
		q.start(id)
	}
	q.probe = s.Start(nodes[len(nodes)-1])
	s.Run(0)
	return q
}

// stoppedQuorumStore is a store of which no node has started.
func stoppedQuorumStore(s *labtest.Sim, n int) *quorumStore {
	nodes := s.Net.Nodes()
	q := &quorumStore{
		s: s, replicas: nodes[:n], first: nodes[n], shown: newCallRecord(s),
		stores: map[labrpc.NodeID]*consistency.Replica{}, coordinators: map[labrpc.NodeID]*consistency.Coordinator{},
	}
	s.Restarts(q.boot)
	return q
}

func (q *quorumStore) start(id labrpc.NodeID) { q.boot(q.s.Start(id)) }

// boot makes a node that has been started a replica or a coordinator.
func (q *quorumStore) boot(node *labrpc.Node) {
	id := node.ID()
	if id < q.first {
		q.stores[id] = consistency.NewReplica(node)
		return
	}
	q.coordinators[id] = consistency.NewCoordinator(node, consistency.CoordinatorOptions{
		Replicas: slices.Clone(q.replicas), Timeout: q.limit(), Retry: quorumRetry,
	})
}

// value returns a value that is not written yet.
func (q *quorumStore) value() string {
	q.writes++
	return fmt.Sprint("v", q.writes)
}

// A quorumCall is a request under way, or answered.
type quorumCall struct {
	what  string
	via   labrpc.NodeID
	began time.Duration
	inc   int    // of via
	early string // the rule that it breaks if it fails before the end of Timeout

	mu    sync.Mutex
	over  bool
	cell  consistency.Cell
	err   error
	ended time.Duration
}

func (c *quorumCall) done() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.over
}

// result describes what the call returned; false if it has not returned.
func (c *quorumCall) result() (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over && c.err != nil {
		return c.err.Error(), true
	}
	return quorumCell(c.cell), c.over
}

func (q *quorumStore) call(via labrpc.NodeID, what string, f func(c *consistency.Coordinator) (consistency.Cell, error)) *quorumCall {
	call := q.begin(via, what, f)
	q.s.Run(0) // so that what it does at once comes before what the test does next
	return call
}

func (q *quorumStore) begin(via labrpc.NodeID, what string, f func(c *consistency.Coordinator) (consistency.Cell, error)) *quorumCall {
	q.s.Logf("%s", what)
	call := &quorumCall{what: what, via: via, began: q.s.Net.Now(), inc: q.s.Net.Incarnation(via)}
	q.shown.called(via, what, call.result)
	coordinator := q.coordinators[via]
	go func() {
		cell, err := f(coordinator)
		call.mu.Lock()
		defer call.mu.Unlock()
		call.over, call.cell, call.err, call.ended = true, cell, err, q.s.Net.Now()
	}()
	return call
}

// crashed reports whether the coordinator of a call has crashed since.
func (q *quorumStore) crashed(call *quorumCall) bool {
	return !q.s.Net.Up(call.via) || q.s.Net.Incarnation(call.via) != call.inc
}

// goPut begins a write. The cell of its answer has the timestamp.
func (q *quorumStore) goPut(via labrpc.NodeID, key, value string, level consistency.Level) *quorumCall {
	return q.call(via, fmt.Sprintf("put %q=%q at %v through %v", key, value, level, via), func(c *consistency.Coordinator) (consistency.Cell, error) {
		timestamp, err := c.Put(key, value, level)
		return consistency.Cell{Value: value, Timestamp: timestamp}, err
	})
}

// goGet begins a read.
func (q *quorumStore) goGet(via labrpc.NodeID, key string, opts consistency.ReadOptions) *quorumCall {
	what := fmt.Sprintf("get %s at %v through %v", key, opts.Level, via)
	if opts.AtLeast != (consistency.Timestamp{}) {
		what += fmt.Sprintf(" (at least %v)", opts.AtLeast)
	}
	if opts.MaxStale != 0 {
		what += fmt.Sprintf(" (at most %v old)", opts.MaxStale)
	}
	call := q.call(via, what, func(c *consistency.Coordinator) (consistency.Cell, error) { return c.Get(key, opts) })
	if opts.AtLeast != (consistency.Timestamp{}) {
		call.early = ruleAtLeast
	}
	return call
}

// wait waits for a call, which must end within Timeout.
func (q *quorumStore) wait(call *quorumCall) (consistency.Cell, error) {
	limit := call.began + q.limit() + timerLate - q.s.Net.Now()
	if !q.s.Until(max(limit, 0), call.done) && !q.crashed(call) {
		q.s.Fail(labtest.Violation{
			What: fmt.Sprintf("%s had not returned %v after its call at %v", call.what, q.limit(), labtest.At(call.began)),
			Rule: ruleLevels, Nodes: []labrpc.NodeID{call.via},
		})
	}
	call.mu.Lock()
	defer call.mu.Unlock()
	if !call.over {
		return consistency.Cell{}, errQuorumCrashed
	}
	if call.err != nil && !errors.Is(call.err, consistency.ErrUnavailable) && !q.crashed(call) {
		q.s.Failf(ruleLevels, "%s returned the error %q, want one that wraps ErrUnavailable", call.what, call.err)
	}
	if took := call.ended - call.began; call.err != nil && took < q.limit()-time.Millisecond && !q.crashed(call) {
		q.s.Failf(cmp.Or(call.early, ruleLevels), "%s failed with the error %q after %v, want success, or this error at the end of Timeout, which is %v", call.what, call.err, took.Round(time.Millisecond), q.limit())
	}
	return call.cell, call.err
}

// put writes a new value, which must succeed.
func (q *quorumStore) put(via labrpc.NodeID, key string, level consistency.Level) consistency.Cell {
	call := q.goPut(via, key, q.value(), level)
	return q.mustDo(call)
}

// get reads, which must succeed.
func (q *quorumStore) get(via labrpc.NodeID, key string, opts consistency.ReadOptions) consistency.Cell {
	return q.mustDo(q.goGet(via, key, opts))
}

func (q *quorumStore) mustDo(call *quorumCall) consistency.Cell {
	cell, err := q.wait(call)
	if err != nil {
		q.s.Fail(labtest.Violation{
			What: fmt.Sprintf("%s, called at %v, failed at %v with the error %q, although as many replicas as it needs are up and connected to %v; Timeout is %v", call.what, labtest.At(call.began), labtest.At(call.ended), err, call.via, q.limit()),
			Rule: ruleLevels, Nodes: []labrpc.NodeID{call.via},
			Seen: []string{fmt.Sprintf("messages can be lost: %v is to ask a replica that has not replied again every Retry, which is %v", call.via, quorumRetry)},
		})
	}
	return cell
}

// want checks what a read has returned.
func (q *quorumStore) want(rule string, call *quorumCall, want consistency.Cell, why string) {
	got, err := q.wait(call)
	if err != nil && (rule == ruleStaleness || rule == ruleAtLeast) {
		q.s.Failf(rule, "%s returned an error at %v, want %s: %s", call.what, labtest.At(call.ended), quorumCell(want), why)
	}
	got = q.mustDo(call)
	if got.Value != want.Value {
		q.s.Fail(labtest.Violation{
			What: fmt.Sprintf("%s returned %s at %v, want %s: %s", call.what, quorumCell(got), labtest.At(call.ended), quorumCell(want), why),
			Rule: rule, Nodes: []labrpc.NodeID{call.via},
		})
	}
}

func quorumCell(c consistency.Cell) string {
	if c == (consistency.Cell{}) {
		return "a cell without a value"
	}
	return fmt.Sprintf("%q (timestamp %d of %v)", c.Value, c.Timestamp.Counter, c.Timestamp.Node)
}

// quorumCompare is what Timestamp.Compare is to be; the tests do not rely on that.
func quorumCompare(a, b consistency.Timestamp) int {
	return cmp.Or(cmp.Compare(a.Counter, b.Counter), cmp.Compare(a.Node, b.Node))
}

// reaches leaves a coordinator only the links to the given replicas.
func (q *quorumStore) reaches(via labrpc.NodeID, ids ...labrpc.NodeID) {
	for _, id := range q.replicas {
		q.s.Net.HealBoth(via, id)
		if !slices.Contains(ids, id) {
			q.s.Net.CutBoth(via, id)
		}
	}
}

// peek asks one replica what it has.
func (q *quorumStore) peek(id labrpc.NodeID, key string) consistency.Cell {
	return quorumAsk[consistency.Cell](q, id, "Fetch", consistency.FetchRequest{Key: key})
}

// store gives one replica a cell, and waits for the answer.
func (q *quorumStore) store(id labrpc.NodeID, key string, cell consistency.Cell) {
	quorumAsk[consistency.StoreReply](q, id, "Store", consistency.StoreRequest{Key: key, Cell: cell})
}

// quorumAsk sends a request from the test's own node.
func quorumAsk[R, A any](q *quorumStore, id labrpc.NodeID, method string, args A) R {
	reply, ok := quorumTry[R](q, id, method, args)
	if !ok {
		q.s.Failf(ruleHolds, "%v had not replied to a %s by %v", id, method, labtest.At(q.s.Net.Now()))
	}
	return reply
}

// quorumTry reports whether there was an answer.
func quorumTry[R, A any](q *quorumStore, id labrpc.NodeID, method string, args A) (R, bool) {
	var mu sync.Mutex
	var reply R
	var err error
	over := false
	go func() {
		ctx, cancel := labtest.WithTimeout(q.probe.Context(), 200*time.Millisecond)
		defer cancel()
		r, e := labrpc.Call[R](ctx, q.probe, id, method, args)
		mu.Lock()
		defer mu.Unlock()
		reply, err, over = r, e, true
	}()
	q.s.Until(time.Second, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return over
	})
	mu.Lock()
	defer mu.Unlock()
	return reply, over && err == nil
}
