package consistency_test

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"distlabs/internal/harness/check/linear"
	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	consistency "distlabs/labs/06-consistency"
)

const (
	basketGossip  = 100 * time.Millisecond
	basketTimeout = 1050 * time.Millisecond // no multiple of that: no two timers of a request fall on one instant
	// basketSettles is the time in which all members that can talk have the same.
	basketSettles = 40 * basketGossip

	ruleRefuses    = "under CP, a member without a majority returns ErrRefused at the end of Timeout, which counts for all rounds together (rule 31)"
	ruleServed     = "under CP, a member that is connected to a majority for the last third of Timeout serves every request (rule 31)"
	ruleNoLies     = "under CP, Add and Items are linearizable (rule 32)"
	ruleAlways     = "under AP, every request is served at once, from what the member has (rule 33)"
	ruleReconciles = "40 gossip periods after the network has healed and all members are up, all have every item that was acknowledged (rule 34)"
	ruleOnDisk     = "an item that Add has acknowledged, or that Items has returned under CP, survives every crash (rule 34)"
	ruleInvents    = "Items returns what was added and nothing else, sorted, each once; the slice belongs to the caller (rule 35)"
)

// A basketStore is the members of one store, with what was added to it.
type basketStore struct {
	s            *labtest.Sim
	policy       consistency.Policy
	members      []labrpc.NodeID
	baskets      map[labrpc.NodeID]*consistency.Basket
	name         string // begins its items
	added        int
	acknowledged []string
	calls        []*basketCall
	shown        *callRecord
	period       time.Duration // of gossip; 0 for basketGossip
	timeout      time.Duration // of the members that start from now on; 0 for basketTimeout
}

// limit returns the Timeout of the members.
func (b *basketStore) limit() time.Duration { return cmp.Or(b.timeout, basketTimeout) }

func newBasketStore(s *labtest.Sim, policy consistency.Policy, members ...labrpc.NodeID) *basketStore {
	b := stoppedBasketStore(s, policy, members...)
	for _, id := range members {
		b.start(id)
	}
	return b
}

// stoppedBasketStore is a store of which no member has started.
func stoppedBasketStore(s *labtest.Sim, policy consistency.Policy, members ...labrpc.NodeID) *basketStore {
	b := &basketStore{s: s, policy: policy, members: members, baskets: map[labrpc.NodeID]*consistency.Basket{}, name: strings.ToLower(policy.String()), shown: newCallRecord(s)}
	s.Restarts(b.boot, members...)
	return b
}

func (b *basketStore) start(id labrpc.NodeID) {
	b.boot(b.s.Start(id))
	// A request made at once would ask again whenever gossip is due: two goroutines would send the
	// same message at one instant, and the Go scheduler would choose which of them gets the reply.
	b.s.Run(time.Microsecond)
}

// boot makes a node that has been started a member.
func (b *basketStore) boot(node *labrpc.Node) {
	b.baskets[node.ID()] = consistency.NewBasket(node, consistency.BasketOptions{
		Policy: b.policy, Members: slices.Clone(b.members), Timeout: b.limit(), Gossip: cmp.Or(b.period, basketGossip),
	})
}

// A basketCall is a request under way, or answered.
type basketCall struct {
	at    labrpc.NodeID
	inc   int
	item  string
	reads bool // it is a call of Items
	began time.Duration
	known []string // what had been acknowledged by then

	mu    sync.Mutex
	over  bool
	items []string
	err   error
	ended time.Duration
}

func (c *basketCall) String() string {
	return fmt.Sprintf("%s at %v, called at %v", c.what(), c.at, labtest.At(c.began))
}

func (c *basketCall) what() string {
	if c.reads {
		return "Items"
	}
	return fmt.Sprintf("Add(%q)", c.item)
}

// result describes what the call returned; false if it has not returned.
func (c *basketCall) result() (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.over && c.err != nil:
		return c.err.Error(), true
	case c.reads:
		return fmt.Sprintf("%q", c.items), c.over
	}
	return "nil", c.over
}

func (c *basketCall) done() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.over
}

// newItem names an item that nobody has added.
func (b *basketStore) newItem() string {
	b.added++
	return fmt.Sprintf("%s-%03d", b.name, b.added)
}

// goAdd begins to add a new item.
func (b *basketStore) goAdd(at labrpc.NodeID) *basketCall { return b.goAddItem(at, b.newItem()) }

func (b *basketStore) goAddItem(at labrpc.NodeID, item string) *basketCall {
	return b.call(&basketCall{at: at, item: item}, func(basket *consistency.Basket) ([]string, error) { return nil, basket.Add(item) })
}

// addAlone adds a new item at each of these members, at the same time, and waits for the results. No item leaves its member: every message with one of the
// items is lost, and every other message arrives. So a member has its item alone, also one that looks for a majority before it stores an item. It reports
// whether each of the members wrote to its disk meanwhile: one that stores an item only when other members have it has not.
func (b *basketStore) addAlone(members ...labrpc.NodeID) (calls []*basketCall, stored bool) {
	items, before := map[labrpc.NodeID]string{}, map[labrpc.NodeID]int{}
	for _, id := range members {
		items[id], before[id] = b.newItem(), b.s.Net.Writes(id)
	}
	drops := newDropper(b.s)
	drops.set(func(m *labrpc.Message) bool {
		body, _ := labrpc.Marshal(m.Body)
		return m.From != m.To && items[m.From] != "" && bytes.Contains(body, []byte(items[m.From]))
	})
	for _, id := range members {
		calls = append(calls, b.goAddItem(id, items[id]))
	}
	stored = true
	for i, id := range members {
		_, _ = b.wait(calls[i])
		stored = stored && b.s.Net.Writes(id) > before[id]
	}
	drops.set(nil)
	return calls, stored
}

// goItems begins to read.
func (b *basketStore) goItems(at labrpc.NodeID) *basketCall {
	return b.call(&basketCall{at: at, reads: true}, (*consistency.Basket).Items)
}

func (b *basketStore) call(call *basketCall, f func(*consistency.Basket) ([]string, error)) *basketCall {
	b.begin(call, f)
	b.s.Run(0) // so that what it does at once comes before what the test does next
	return call
}

func (b *basketStore) begin(call *basketCall, f func(*consistency.Basket) ([]string, error)) *basketCall {
	call.began, call.inc, call.known = b.s.Net.Now(), b.s.Net.Incarnation(call.at), slices.Clone(b.acknowledged)
	b.s.Logf("%v, %v", b.policy, call)
	b.shown.called(call.at, call.what(), call.result)
	basket := b.baskets[call.at]
	b.calls = append(b.calls, call)
	go func() {
		items, err := f(basket)
		call.mu.Lock()
		defer call.mu.Unlock()
		call.over, call.items, call.err, call.ended = true, items, err, b.s.Net.Now()
	}()
	return call
}

func (b *basketStore) crashed(call *basketCall) bool {
	return !b.s.Net.Up(call.at) || b.s.Net.Incarnation(call.at) != call.inc
}

// wait waits for a call, and checks what can be checked of any. It reports
// whether it was served.
func (b *basketStore) wait(call *basketCall) ([]string, bool) {
	limit, late, rule, soon, wrapped := b.limit(), timerLate, ruleRefuses, fmt.Sprintf("within Timeout, which is %v", b.limit()), "one that wraps ErrRefused"
	if b.policy == consistency.AP {
		limit, late, rule, soon, wrapped = 0, time.Millisecond, ruleAlways, "at once", "nil"
	}
	left := max(call.began+limit+late-b.s.Net.Now(), 0)
	if !b.s.Until(left, call.done) && !b.crashed(call) {
		b.s.Fail(labtest.Violation{What: fmt.Sprintf("under %v, %v, had not returned by %v, want it to return %s", b.policy, call, labtest.At(b.s.Net.Now()), soon), Rule: rule, Nodes: []labrpc.NodeID{call.at}})
	}
	call.mu.Lock()
	defer call.mu.Unlock()
	switch {
	case !call.over:
		return nil, false
	case call.err == nil && !call.reads:
		if !slices.Contains(b.acknowledged, call.item) {
			b.acknowledged = append(b.acknowledged, call.item)
		}
	case call.err == nil:
		b.sound(call)
	case b.crashed(call):
	case b.policy == consistency.AP || !errors.Is(call.err, consistency.ErrRefused):
		b.s.Fail(labtest.Violation{What: fmt.Sprintf("under %v, %v, returned the error %q, want %s", b.policy, call, call.err, wrapped), Rule: rule, Nodes: []labrpc.NodeID{call.at}})
	}
	return call.items, call.err == nil
}

// sound checks that a read has returned a sorted set of items that were added.
func (b *basketStore) sound(call *basketCall) {
	for i, item := range call.items {
		switch {
		case i > 0 && call.items[i-1] >= item:
			b.s.Failf(ruleInvents, "under %v, %v, returned %q before %q", b.policy, call, call.items[i-1], item)
		case !slices.ContainsFunc(b.calls, func(c *basketCall) bool { return !c.reads && c.item == item }):
			b.s.Failf(ruleInvents, "under %v, %v, returned %q, which no client has added", b.policy, call, item)
		}
	}
}

// mustAdd and mustRead are for requests that must be served.
func (b *basketStore) mustAdd(at labrpc.NodeID) string {
	call := b.goAdd(at)
	b.mustServe(call)
	return call.item
}

func (b *basketStore) mustRead(at labrpc.NodeID) []string {
	return b.mustServe(b.goItems(at))
}

func (b *basketStore) mustServe(call *basketCall) []string {
	items, ok := b.wait(call)
	if !ok {
		rule := ruleServed
		if b.policy == consistency.AP {
			rule = ruleAlways
		}
		want := "want no error"
		if b.policy == consistency.CP {
			want += fmt.Sprintf(": %v is connected to a majority for the last part of Timeout, which is %v", call.at, b.limit())
		}
		b.s.Fail(labtest.Violation{What: fmt.Sprintf("under %v, %v, refused at %v with the error %q, %s", b.policy, call, labtest.At(call.ended), call.err, want), Rule: rule, Nodes: []labrpc.NodeID{call.at}})
	}
	return items
}

// orNil says what a request without an error has returned: items, or nothing.
func orNil(items []string) string {
	if len(items) == 0 {
		return "no error"
	}
	return fmt.Sprintf("%q", items)
}

// mustRefuse is for requests that cannot be served under CP.
func (b *basketStore) mustRefuse(call *basketCall) {
	if items, ok := b.wait(call); ok {
		b.s.Fail(labtest.Violation{
			What: fmt.Sprintf("under %v, %v, returned %s at %v, want ErrRefused: the member is connected to no majority", b.policy, call, orNil(items), labtest.At(call.ended)),
			Rule: ruleRefuses, Nodes: []labrpc.NodeID{call.at},
		})
	}
	if took := call.ended - call.began; took < b.limit()-time.Millisecond {
		b.s.Failf(ruleRefuses, "under %v, %v, was refused after %v, want ErrRefused at the end of Timeout, which is %v", b.policy, call, took.Round(time.Millisecond), b.limit())
	}
}

// missing returns the first acknowledged item that a read should have, and has not.
func (b *basketStore) missing(call *basketCall, items []string) string {
	for _, item := range call.known {
		if !slices.Contains(items, item) {
			return item
		}
	}
	return ""
}

// reconciled checks that all members have everything that was acknowledged, and
// the same.
func (b *basketStore) reconciled() {
	var first []string
	for i, id := range b.members {
		call := b.goItems(id)
		items := b.mustServe(call)
		if lost := b.missing(call, items); lost != "" {
			b.s.Fail(labtest.Violation{
				What: fmt.Sprintf("under %v, %v, returned %s, without %q, which %s", b.policy, call, itemsText(items), lost, b.acknowledgement(lost)),
				Rule: ruleReconciles, Nodes: []labrpc.NodeID{id},
			})
		}
		if i == 0 {
			first = items
		}
		if !slices.Equal(first, items) {
			b.s.Fail(labtest.Violation{
				What: fmt.Sprintf("under %v, at %v, Items at %v returned %s, as at %v", b.policy, labtest.At(b.s.Net.Now()), id, itemsDiffer(items, first), b.members[0]),
				Rule: ruleReconciles, Nodes: []labrpc.NodeID{b.members[0], id},
			})
		}
	}
}

// itemsText quotes items, or counts them if they are many.
func itemsText(items []string) string {
	const few = 20
	if len(items) > few {
		return fmt.Sprintf("%d items, from %q to %q", len(items), items[0], items[len(items)-1])
	}
	return fmt.Sprintf("%q", items)
}

// acknowledgement says who acknowledged an item, and when.
func (b *basketStore) acknowledgement(item string) string {
	for _, c := range b.calls {
		c.mu.Lock()
		acked := !c.reads && c.item == item && c.over && c.err == nil
		at, ended := c.at, c.ended
		c.mu.Unlock()
		if acked {
			return fmt.Sprintf("Add at %v had acknowledged at %v", at, labtest.At(ended))
		}
	}
	return "was acknowledged"
}

// A basketAccess is an Add of an item, or Items, for "".
type basketAccess struct{ item string }

func (a basketAccess) String() string {
	if a.item == "" {
		return "Items"
	}
	return "Add " + a.item
}

// basketModel is a set that only grows: its items, sorted, each followed by a space.
var basketModel = linear.Model[string, basketAccess, string]{
	Step: func(state string, in basketAccess, out *string) (string, bool) {
		if in.item == "" {
			return state, out == nil || *out == state
		}
		items := append(strings.Fields(state), in.item)
		slices.Sort(items)
		return basketState(slices.Compact(items)), true
	},
}

func basketState(items []string) string { return strings.Join(items, " ") }

// linearizable checks all calls with Porcupine.
func (b *basketStore) linearizable() {
	if v := b.nonlinear(); v != nil {
		b.s.Fail(*v)
	}
}

// nonlinear returns a violation if no order of all calls explains their results.
func (b *basketStore) nonlinear() *labtest.Violation {
	var history []linear.Op[basketAccess, string]
	for _, call := range b.calls {
		call.mu.Lock()
		op := linear.Op[basketAccess, string]{Client: int(call.at), In: basketAccess{call.item}, Call: call.began, Pending: true}
		if call.over && call.err == nil {
			op.Pending, op.Return, op.Out = false, call.ended, basketState(call.items)
		}
		if !op.Pending || !call.reads {
			history = append(history, op)
		}
		call.mu.Unlock()
	}
	err := linear.Check(basketModel, history, linear.Options{})
	var v *linear.Violation[basketAccess, string]
	switch {
	case errors.As(err, &v):
		var seen []string
		for _, op := range v.Before {
			seen = append(seen, op.String())
		}
		return &labtest.Violation{
			What: fmt.Sprintf("the history is not linearizable, because no order of the operations allows this result: %v", v.Op),
			Rule: ruleNoLies, Seen: quorumTail(seen), At: v.Op.Return,
			Page: func(w io.Writer) error { return linear.Page(w, basketModel, v, nil, linear.Options{}) },
		}
	case err != nil:
		panic(err) // the check, not the student
	}
	return nil
}
