package consistency_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	consistency "distlabs/labs/06-consistency"
)

// Two stores that a person plays ("grade play 6E"): n1, n2 and n3 choose CP, n4, n5 and n6 choose AP. After every step, what the first store's
// clients have seen must be linearizable, and the second store must have served every request.
func TestPlay6E(t *testing.T) {
	labtest.Play(t, labtest.SearchSpace{Nodes: 6, MaxWait: 2 * time.Second}, func(s *labtest.Sim) labtest.Scenario {
		p := &playedBaskets{cp: playedBasket(s, consistency.CP, 1, 2, 3), ap: playedBasket(s, consistency.AP, 4, 5, 6)}
		s.Always(p.check)
		scenario := labtest.Scenario{Start: func(node *labrpc.Node) { p.storeOf(node.ID()).boot(node) }, Puzzles: basketPuzzles(p)}
		for _, id := range s.Net.Nodes() {
			b := p.storeOf(id)
			scenario.Actions = append(scenario.Actions,
				labtest.Action{Name: fmt.Sprintf("%v: add an item at %v", b.policy, id), Can: func() bool { return s.Net.Up(id) }, Do: func() { b.add(id) }},
				labtest.Action{Name: fmt.Sprintf("%v: read the items at %v", b.policy, id), Can: func() bool { return s.Net.Up(id) }, Do: func() { b.read(id) }})
		}
		return scenario
	})
}

// playedBaskets are the two stores.
type playedBaskets struct {
	cp, ap *basketStore
	ended  int // how many calls had returned when they were checked last
}

func playedBasket(s *labtest.Sim, policy consistency.Policy, members ...labrpc.NodeID) *basketStore {
	b := stoppedBasketStore(s, policy, members...)
	b.period = 500 * time.Millisecond // at each, a person has time pass
	return b
}

func (p *playedBaskets) storeOf(id labrpc.NodeID) *basketStore {
	if slices.Contains(p.cp.members, id) {
		return p.cp
	}
	return p.ap
}

func (b *basketStore) add(at labrpc.NodeID) {
	b.added++
	call := &basketCall{at: at, item: fmt.Sprintf("%s-%d", b.name, b.added)}
	b.begin(call, func(basket *consistency.Basket) ([]string, error) { return nil, basket.Add(call.item) })
}

func (b *basketStore) read(at labrpc.NodeID) {
	b.begin(&basketCall{at: at, reads: true}, (*consistency.Basket).Items)
}

// end returns what a call has returned.
func (c *basketCall) end() (items []string, over bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.items, c.over, c.err
}

// check checks rules 31, 32, 33 and 35 as far as they hold at every instant, whenever a call has returned.
func (p *playedBaskets) check() *labtest.Violation {
	ended := 0
	for _, call := range slices.Concat(p.cp.calls, p.ap.calls) {
		if call.done() {
			ended++
		}
	}
	if ended == p.ended {
		return nil
	}
	p.ended = ended
	for _, call := range p.ap.calls {
		if _, over, err := call.end(); over && err != nil && !p.ap.crashed(call) {
			return &labtest.Violation{What: fmt.Sprintf("AP: %v: returned the error %q", call, err), Rule: ruleAlways, Nodes: []labrpc.NodeID{call.at}}
		}
	}
	return p.cp.nonlinear()
}

// basketPuzzles are the puzzles of part E.
func basketPuzzles(p *playedBaskets) []labtest.Puzzle {
	s := p.cp.s
	return []labtest.Puzzle{
		{
			ID: "alone", Title: "The choice",
			Goal: "Have n1 refuse an Add, and n4 acknowledge one, although no message from n1 and none from n4 has arrived anywhere.",
			Hints: []string{
				"Under CP, a member that reaches no majority waits for Timeout, and then refuses. Under AP, a member has all that it needs.",
				"Add an item at both. Deliver nothing, and let time pass.",
			},
			Solution: "s0.s6.w.w.w.w.w.w.w.w.w.w.w",
			Reached: func() bool {
				alone := func(id labrpc.NodeID) bool { return s.Net.Stats(labrpc.Match{From: id}).Delivered == 0 }
				return alone(1) && alone(4) && p.cp.some(func(c *basketCall, _ []string, err error) bool {
					return c.at == 1 && !c.reads && errors.Is(err, consistency.ErrRefused)
				}) && p.ap.some(func(c *basketCall, _ []string, err error) bool { return c.at == 4 && !c.reads && err == nil })
			},
		},
		{
			ID: "behind", Title: "Served, and out of date",
			Goal: "Have a read at n5 lack an item that n4 had acknowledged before the read began.",
			Hints: []string{
				"n4 acknowledges at once, and tells the others later.",
			},
			Solution: "s6.w.s9",
			Reached: func() bool {
				return p.ap.some(func(c *basketCall, items []string, err error) bool {
					return c.at == 5 && c.reads && p.ap.some(func(add *basketCall, _ []string, err error) bool {
						return add.at == 4 && !add.reads && err == nil && add.ended < c.began && !slices.Contains(items, add.item)
					})
				})
			},
		},
		{
			ID: "refused", Title: "Refused, and yet added",
			Goal: "Have an Add of the CP store return ErrRefused, and a read of the CP store return its item all the same.",
			Hints: []string{
				"A refusal says that no majority has replied in time. Where may the item be?",
				"Add an item at n1, and lose all replies to n1 until the Add is refused. Then read at another member.",
			},
			Solution: "s0.d1.x1.w.w.w.w.w.w.w.w.w.w.w.s3.d18.d18.d18.d18",
			Reached: func() bool {
				return p.cp.some(func(add *basketCall, _ []string, err error) bool {
					return !add.reads && errors.Is(err, consistency.ErrRefused) && p.cp.some(func(c *basketCall, items []string, err error) bool {
						return c.reads && err == nil && slices.Contains(items, add.item)
					})
				})
			},
		},
		{
			ID: "lie", Title: "A lie under CP",
			Goal: "Have a member of the CP store acknowledge an Add, and a read at another one that begins afterwards return the items without it.",
			Hints: []string{
				"The Add has reached a majority, and the read asks a majority.",
			},
			Rules: []string{
				"Under AP, every request is served at once, from what the member has (rule 33)",
				"Items returns the items sorted, each once (rule 35)",
				"40 gossip periods after the network has healed, all members have every item that was acknowledged (rule 34)",
				"Under CP, Add and Items are linearizable (rule 32)",
			},
			Forbid: 3,
		},
	}
}

// some reports whether f holds for a call that has returned.
func (b *basketStore) some(f func(c *basketCall, items []string, err error) bool) bool {
	return slices.ContainsFunc(b.calls, func(c *basketCall) bool {
		items, over, err := c.end()
		return over && f(c, items, err)
	})
}
