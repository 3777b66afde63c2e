package consistency_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
)

// Three replicas that a person plays ("grade play 6C"): the person is the clients, too. After every step, replicas that have the same updates
// must have the same values, and a counter must count each add once.
func TestPlay6C(t *testing.T) {
	labtest.Play(t, labtest.SearchSpace{Nodes: 3, NoCrashes: true}, func(s *labtest.Sim) labtest.Scenario {
		p := &playedReplicas{gossipGroup: gossipGroupOf(s), adds: map[labrpc.NodeID][]int{}}
		s.Always(p.check)
		scenario := labtest.Scenario{Start: p.boot, BeforeStep: p.show(), Puzzles: eventualPuzzles(p)}
		for _, id := range s.Net.Nodes() {
			scenario.Actions = append(scenario.Actions,
				labtest.Action{Name: fmt.Sprintf("write x at %v", id), Do: func() { p.writes(id) }},
				labtest.Action{Name: fmt.Sprintf("add 1 to a counter at %v", id), Do: func() { p.counts(id) }})
		}
		return scenario
	})
}

// playedReplicas are the replicas, and which updates a person has made at each: the number that was added, or 0 for a write.
type playedReplicas struct {
	*gossipGroup
	adds   map[labrpc.NodeID][]int
	values int
}

func (p *playedReplicas) writes(id labrpc.NodeID) {
	p.values++
	p.adds[id] = append(p.adds[id], 0)
	_ = p.replicas[id].Put("x", fmt.Sprint("v", p.values)) // an error means that the node is down
}

func (p *playedReplicas) counts(id labrpc.NodeID) {
	p.adds[id] = append(p.adds[id], 1)
	_ = p.replicas[id].Add("c", 1)
}

// check checks rules 16, 19 and 21 as far as they hold at every instant.
func (p *playedReplicas) check() *labtest.Violation {
	nodes := p.s.Net.Nodes()
	for i, a := range nodes {
		if p.replicas[a] == nil {
			return nil // not all have started
		}
		have, want := p.replicas[a].Version(), 0
		for _, id := range slices.Sorted(maps.Keys(p.adds)) {
			adds := p.adds[id]
			if have[id] > uint64(len(adds)) {
				return &labtest.Violation{What: fmt.Sprintf("Version() at %v counts %d updates of %v, which has made %d", a, have[id], id, len(adds)), Rule: ruleVersion}
			}
			for _, n := range adds[:have[id]] {
				want += n
			}
		}
		if got := p.replicas[a].Count("c"); got != want {
			return &labtest.Violation{What: fmt.Sprintf("Count(c) = %d at %v, want %d: the sum of the adds that Version() says it has", got, a, want), Rule: ruleCounts}
		}
		for _, b := range nodes[:i] {
			other := p.replicas[b].Version()
			x, _ := p.replicas[a].Get("x")
			y, _ := p.replicas[b].Get("x")
			if have.Includes(other) && other.Includes(have) && x != y {
				return &labtest.Violation{What: fmt.Sprintf("%v and %v have the same updates, but x is %q at %v and %q at %v", b, a, y, b, x, a), Rule: ruleConverges}
			}
		}
	}
	return nil
}

// show records the values of each replica, where they have changed: the page shows them.
func (p *playedReplicas) show() func() bool {
	known := map[labrpc.NodeID]string{}
	return func() bool {
		for _, id := range p.s.Net.Nodes() {
			x, ok := p.replicas[id].Get("x")
			if !ok {
				x = "none"
			}
			if now := fmt.Sprintf("x is %s, counter %d", x, p.replicas[id].Count("c")); now != known[id] {
				known[id] = now
				p.s.Seen(id, "values", now)
			}
		}
		return false
	}
}

// everywhere reports whether all replicas have all updates, of which there are some.
func (p *playedReplicas) everywhere() bool {
	all := 0
	for _, at := range p.s.Net.Nodes() {
		have := p.replicas[at].Version()
		for id, adds := range p.adds {
			if all += len(adds); have[id] != uint64(len(adds)) {
				return false
			}
		}
	}
	return all > 0
}

// apart returns two replicas neither of which has all updates of the other; ok is false if there are none.
func (p *playedReplicas) apart(holds func(a, b labrpc.NodeID) bool) bool {
	for _, a := range p.s.Net.Nodes() {
		for b := labrpc.NodeID(1); b < a; b++ {
			v, w := p.replicas[a].Version(), p.replicas[b].Version()
			if !v.Includes(w) && !w.Includes(v) && holds(a, b) {
				return true
			}
		}
	}
	return false
}

// eventualPuzzles are those of part C.
func eventualPuzzles(p *playedReplicas) []labtest.Puzzle {
	conflict := false
	value := func(id labrpc.NodeID) string {
		x, _ := p.replicas[id].Get("x")
		return x
	}
	return []labtest.Puzzle{
		{
			ID: "spread", Title: "Eventually, everywhere",
			Goal: "Have a write of x at n1 reach all three replicas.",
			Hints: []string{
				"The replicas gossip: let time pass, and deliver what they send to each other.",
			},
			Reached:  func() bool { return p.everywhere() && len(p.adds[1]) > 0 && value(1) != "" },
			Solution: "w.d0.d0.w.w.d1.s0.w.w.d2.d3.d2.d2.w.d1.d1.d1",
		},
		{
			ID: "conflict", Title: "Two truths at one time",
			Goal: "Bring about a time at which two replicas have different values of x, and each of the two replicas has an update that the other lacks.",
			Hints: []string{
				"Every replica accepts writes, whatever other replicas it can reach.",
			},
			Reached: func() bool {
				return p.apart(func(a, b labrpc.NodeID) bool { return value(a) != "" && value(b) != "" && value(a) != value(b) })
			},
			Solution: "s2.s0",
		},
		{
			ID: "lost", Title: "Accepted, and overwritten unseen",
			Goal: "Have two concurrent writes of x, and afterwards all three replicas agree: one of the two values is nowhere, although its write returned nil.",
			Hints: []string{
				"Write x at two replicas before any message arrives. Then deliver gossip until all replicas have both updates.",
				"Any replica that has both updates has chosen a winner, and all choose the same.",
			},
			Reached: func() bool {
				conflict = conflict || p.apart(func(a, b labrpc.NodeID) bool { return value(a) != "" && value(b) != "" && value(a) != value(b) })
				return conflict && p.everywhere()
			},
			Solution: "w.d0.d0.s2.s4.w.w.d0.d0.d1.d0.w.d0.d0",
		},
		{
			ID: "indirect", Title: "From a third replica",
			Goal: "Have n3 get an update of n1, although no message of n1 has arrived at n3.",
			Hints: []string{
				"A replica passes on the updates of other replicas, too.",
				"Deliver gossip between n1 and n2 first, and then between n2 and n3.",
				"A replica asks for updates, and gives up the question after one gossip period: a late reply changes nothing. So deliver a new question.",
			},
			Reached: func() bool {
				return p.replicas[3].Version()[1] > 0 && p.s.Net.Stats(labrpc.Match{From: 1, To: 3}).Delivered == 0
			},
			Solution: "s0.w.w.w.w.w.w.d4.d5.x0.x0.x0.x0.x0.w.w.w.x0.x0.x0.w.w.w.d2.d2",
		},
		{
			ID: "twice", Title: "Counted twice",
			Goal: "Have a replica count one add twice: deliver the messages with it twice, on several ways, as late as you like.",
			Hints: []string{
				"How does a replica know whether it has an update already?",
			},
			Rules: []string{
				"Every method returns at once, whatever other replicas can be reached (rule 15)",
				"Of two concurrent writes either may win, but the same one at all replicas (rule 17)",
				"A deleted key stays deleted until it is written again (rule 18)",
				"A counter's value is the sum of all adds that the replica has, each counted exactly once (rule 19)",
			},
			Forbid: 3,
		},
	}
}
