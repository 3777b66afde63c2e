package consistency_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"distlabs/internal/harness/check/sequential"
	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	consistency "distlabs/labs/06-consistency"
)

// Includes and Merge of version vectors, also with numbers of 64 bits (rule 21).
func TestVersionVectors6C(t *testing.T) {
	type vector = consistency.VersionVector
	cases := []struct {
		name     string
		a, b     vector
		aIncB    bool
		bIncA    bool
		together vector
	}{
		{name: "nothing at all", aIncB: true, bIncA: true},
		{name: "nothing and something", a: vector{}, b: vector{1: 1}, bIncA: true, together: vector{1: 1}},
		{name: "the same", a: vector{1: 2, 2: 1}, b: vector{1: 2, 2: 1}, aIncB: true, bIncA: true, together: vector{1: 2, 2: 1}},
		{name: "a zero counts as nothing", a: vector{1: 2, 2: 0}, b: vector{1: 2}, aIncB: true, bIncA: true, together: vector{1: 2}},
		{name: "more of one", a: vector{1: 3, 2: 1}, b: vector{1: 2, 2: 1}, aIncB: true, together: vector{1: 3, 2: 1}},
		{name: "each has what the other lacks", a: vector{1: 9}, b: vector{2: 1}, together: vector{1: 9, 2: 1}},
		{name: "numbers of more than 32 bits", a: vector{1: 1 << 32}, b: vector{1: 1}, aIncB: true, together: vector{1: 1 << 32}},
		{name: "numbers of 64 bits", a: vector{1: math.MaxUint64, 2: 1}, b: vector{1: 5, 2: 1}, aIncB: true, together: vector{1: math.MaxUint64, 2: 1}},
		{name: "concurrent, whatever the sums", a: vector{1: 3, 2: 1}, b: vector{1: 1, 2: 2}, together: vector{1: 3, 2: 2}},
	}
	labtest.Run(t, labtest.Config{Nodes: 2, Seeds: 1}, func(s *labtest.Sim) {
		for _, c := range cases {
			before := gossipVector(c.a) + gossipVector(c.b)
			if got := c.a.Includes(c.b); got != c.aIncB {
				s.Failf(ruleVersion, "%s.Includes(%s) = %v, want %v (%s)", gossipVector(c.a), gossipVector(c.b), got, c.aIncB, c.name)
			}
			if got := c.b.Includes(c.a); got != c.bIncA {
				s.Failf(ruleVersion, "%s.Includes(%s) = %v, want %v (%s)", gossipVector(c.b), gossipVector(c.a), got, c.bIncA, c.name)
			}
			if got := c.a.Merge(c.b); gossipVector(got) != gossipVector(c.together) {
				s.Failf(ruleVersion, "%s.Merge(%s) = %s, want %s (%s)", gossipVector(c.a), gossipVector(c.b), gossipVector(got), gossipVector(c.together), c.name)
			}
			if gossipVector(c.a)+gossipVector(c.b) != before {
				s.Failf(ruleVersion, "Merge changed its arguments, to %s and %s", gossipVector(c.a), gossipVector(c.b))
			}
		}
		newGossipGroup(s).versionIsACopy()
	})
}

// versionIsACopy changes the vectors that Version and Merge returned, and looks whether anything else changes.
func (g *gossipGroup) versionIsACopy() {
	s := g.s
	g.put(1, "x")
	mine := g.replicas[1].Version()
	g.put(1, "x")
	if mine[1] != 1 {
		s.Failf(ruleVersion, "a Version of n1 was {n1:1}, and is %s after another update, want it to stay as it was", gossipVector(mine))
	}
	if mine = g.replicas[1].Version(); mine != nil {
		mine[1], mine[2] = 99, 99
	}
	if got := g.replicas[1].Version(); got[1] != 2 || got[2] != 0 {
		s.Failf(ruleVersion, "the caller of Version changed the map that it got, and now n1's own Version is %s, want {n1:2}", gossipVector(got))
	}
	g.put(2, "y")
	g.settle(gossipSettles, 1, 2)
	for _, pair := range [][2]consistency.VersionVector{{{1: 2}, nil}, {nil, {1: 2}}, {{1: 2}, {1: 1}}, {{1: 1}, {1: 2}}} {
		merged := pair[0].Merge(pair[1])
		if merged == nil {
			s.Failf(ruleVersion, "Merge returned nil, want {n1:2}")
			return
		}
		merged[1] = 99
		if pair[0][1] == 99 || pair[1][1] == 99 {
			s.Failf(ruleVersion, "the caller changed what Merge returned, and this changed a vector that was merged")
		}
	}
}

// Five replicas over lossy links are partitioned and crash, some in the middle of a
// write. All accept writes all the time. After the last fault, all have the same (rules 16 to 21).
func TestConverges6C(t *testing.T) {
	const (
		divided = "both sides of a partition took writes"
		crashed = "a replica crashed in the middle of an update"
		lost    = "messages were lost"
	)
	keys := []string{"x", "y", "z"}
	cfg := labtest.Config{Nodes: 5, Link: labrpc.FairLoss(0.2), MustCover: []string{divided, crashed, lost}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		g := newGossipGroup(s)
		for step := range 120 {
			switch step {
			case 20:
				s.Net.Partition([]labrpc.NodeID{1, 2}, []labrpc.NodeID{3, 4, 5})
			case 40:
				s.Net.Heal()
				s.Net.Isolate(4)
			case 80:
				s.Net.Heal()
			}
			id := labrpc.NodeID(1 + s.Rand().IntN(5))
			if s.Rand().IntN(8) == 0 {
				s.Net.CrashAtWrite(id, labrpc.CrashPoint{Write: s.Net.Writes(id) + 1 + s.Rand().IntN(3), After: s.Rand().IntN(2) == 0})
			}
			key := keys[s.Rand().IntN(len(keys))]
			if !s.Net.Up(id) {
				g.restart(id)
			}
			g.get(id, key)
			ok := true
			switch s.Rand().IntN(4) {
			case 0, 1:
				ok = g.put(id, key)
			case 2:
				ok = g.add(id, "total", s.Rand().IntN(20)-8)
			case 3:
				g.counts(id, "total")
			}
			if !ok {
				s.Cover(crashed)
				s.Run(50 * time.Millisecond)
				g.restart(id)
			}
			if 20 <= step && step < 40 && id > 2 {
				s.Cover(divided)
			}
			s.Run(time.Duration(s.Rand().IntN(80)) * time.Millisecond)
		}
		if s.Net.Stats(labrpc.Match{}).Lost > 0 {
			s.Cover(lost)
		}
		s.Net.Heal()
		s.Net.SetLinks(labrpc.Reliable())
		for _, id := range s.Net.Nodes() {
			s.Net.CrashAtWrite(id, labrpc.CrashPoint{})
			if !s.Net.Up(id) {
				g.restart(id)
			}
		}
		g.settle(gossipSettles, s.Net.Nodes()...)
		g.converged(keys...)
	})
}

// An isolated replica serves every request. So two clients can each write and
// then not see the other's write: no single order of the operations explains that, and
// rule 15 allows it. It is the price of a reply at once.
func TestAnswersAlone6C(t *testing.T) {
	const weaker = "the clients saw what is not sequentially consistent, and it was accepted"
	onlyReplica()
	labtest.Run(t, labtest.Config{Nodes: 3, Seeds: 3, MustCover: []string{weaker}}, func(s *labtest.Sim) {
		g := newGossipGroup(s)
		for _, id := range s.Net.Nodes() {
			s.Net.Isolate(id)
		}
		s.Run(time.Second)
		g.restartsAlone(3)
		for _, id := range []labrpc.NodeID{1, 2} {
			mine, other := []string{"", "x", "y"}[id], []string{"", "y", "x"}[id]
			g.put(id, mine)
			if g.get(id, mine) == "" {
				s.Failf(ruleAnswersAt, "%v has no value of %s at %v, although it has just acknowledged a Put of it", id, mine, labtest.At(s.Net.Now()))
			}
			g.get(id, other)
			g.add(id, "total", 2)
			g.counts(id, "total")
			if got := g.replicas[id].Count("total"); got != 2 {
				s.Failf(ruleCounts, "on %v, Count(\"total\") = %d at %v, want 2, its own add", id, got, labtest.At(s.Net.Now()))
			}
			s.Run(time.Second)
		}
		v, err := sequential.Check(g.ops, sequential.Options{})
		if err != nil {
			panic(err)
		}
		if v != nil {
			s.Cover(weaker)
		}
		s.Net.Heal()
		g.settle(gossipSettles, s.Net.Nodes()...)
		g.converged("x", "y", "z")
	})
}

// onlyReplica runs a store of one replica, which has no other to ask, for some gossip periods. It does so in real time: all nodes of a simulation are replicas.
func onlyReplica() {
	net := labrpc.New(labrpc.Options{Nodes: 1})
	defer net.Close()
	store := consistency.NewEventualStore(net.Start(1), consistency.EventualOptions{Gossip: time.Millisecond})
	_ = store.Put("x", "x")
	time.Sleep(20 * time.Millisecond)
}

// restartsAlone: a replica that has been isolated before it restarts serves every request at once, from its disk (rule 15).
func (g *gossipGroup) restartsAlone(id labrpc.NodeID) {
	g.put(id, "z")
	g.s.Net.Crash(id)
	g.restart(id)
	if g.get(id, "z") == "" {
		g.s.Failf(ruleSurvives, "after its restart, %v has no value of z at %v, although it had acknowledged a Put of it", id, labtest.At(g.s.Net.Now()))
	}
	g.add(id, "total", 2)
	g.counts(id, "total")
}

// n1 and n3 are connected to n2 only, one after the other: updates of n1 reach n3 through n2. Then five replicas are a chain: after a long time without updates, an
// update of n1 reaches n5 through the three others (rule 16).
func TestThroughOthers6C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5}, func(s *labtest.Sim) {
		g := newGossipGroup(s)
		s.Net.Isolate(4)
		s.Net.Isolate(5)
		s.Net.CutBoth(1, 3)
		s.Net.CutBoth(2, 3)
		g.put(1, "x")
		g.put(1, "gone")
		g.add(1, "total", 3)
		s.Run(gossipSettles)
		g.get(2, "x")
		g.delete(2, "gone")
		s.Net.Crash(1)
		s.Net.HealBoth(2, 3)
		s.Run(gossipSettles)
		if got, want := g.replicas[3].Version()[1], g.updates[1]; got != want {
			s.Failf(ruleConverges, "at %[3]v, n3 has %[1]d of the %[2]d updates of n1, want all: n2 has them and is connected to n3", got, want, labtest.At(s.Net.Now()))
		}
		g.counts(3, "total")
		if got := g.get(3, "x"); got == "" {
			s.Failf(ruleConverges, "n3 has no value of x at %v, although its Version %s counts the Put of n1", labtest.At(s.Net.Now()), gossipVector(g.replicas[3].Version()))
		}
		if got, ok := g.replicas[3].Get("gone"); ok {
			s.Failf(ruleDeletes, "n3: Get(\"gone\") = %q, true at %v, although n2 has deleted it", got, labtest.At(s.Net.Now()))
		}
		if wide(s) {
			g.alongAChain()
		}
	})
}

// alongAChain connects each replica to its neighbours only: n1 to n2, n2 to n3, and so on. After 300 gossip periods without updates, an update at one end reaches
// the other end in time, and so do as many as rule 16 allows at a time.
func (g *gossipGroup) alongAChain() {
	const rest = 300 * gossipPeriod
	s, nodes := g.s, g.s.Net.Nodes()
	g.restart(nodes[0])
	s.Net.Heal()
	for i, id := range nodes {
		for _, other := range nodes[min(i+2, len(nodes)):] {
			s.Net.CutBoth(id, other)
		}
	}
	s.Run(rest)
	reached := func(first, last labrpc.NodeID, made string) {
		if got, want := g.replicas[last].Version()[first], g.updates[first]; got < want {
			s.Failf(ruleConverges, "at %v, %v has %d of the %d updates of %v, want all: %s, and n1 to n5 are connected as a chain", labtest.At(s.Net.Now()), last, got, want, first, made)
		}
	}
	first, last := nodes[0], nodes[len(nodes)-1]
	for range 2 {
		first, last = last, first
		g.put(first, "along the chain")
		s.Run(gossipSettles)
		reached(first, last, fmt.Sprintf("the last was made 40 gossip periods ago, after %v without updates", rest))
		s.Run(rest)
	}
	g.putsMany(updatesAtOnce, func(i int) string { return fmt.Sprint("key ", i) })
	s.Run(gossipSettles)
	reached(nodes[0], nodes[len(nodes)-1], fmt.Sprintf("the last %d were made at once 40 gossip periods ago", updatesAtOnce))
	g.settle(0, nodes...)
}

// Replicas that are down or cut off delay no other replica (rule 16).
func TestDeadPeers6C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5}, func(s *labtest.Sim) {
		g := newGossipGroup(s)
		live := []labrpc.NodeID{1 + labrpc.NodeID(s.Rand().IntN(2)), 4 + labrpc.NodeID(s.Rand().IntN(2))}
		for _, id := range s.Net.Nodes() {
			switch {
			case slices.Contains(live, id):
			case id%2 == 0:
				s.Net.Stop(id)
			default:
				s.Net.Isolate(id)
			}
		}
		s.Run(time.Second)
		g.put(live[0], "x")
		g.add(live[1], "total", 4)
		g.settle(gossipSettles, live...)
		a, _ := g.replicas[live[0]].Get("x")
		if b, _ := g.replicas[live[1]].Get("x"); a != b || a == "" {
			s.Failf(ruleConverges, "on %v, Get(\"x\") = %q, and on %v, Get(\"x\") = %q at %v, want the same value", live[0], a, live[1], b, labtest.At(s.Net.Now()))
		}
		g.underLoad(live[0], live[1])
	})
}

// underLoad writes at two replicas without a pause. Each update of one reaches the other in time (rule 16).
func (g *gossipGroup) underLoad(at, other labrpc.NodeID) {
	type mark struct {
		at      time.Duration
		updates uint64
	}
	var marks []mark
	for i := range 1200 {
		g.putValue(at, fmt.Sprint("key ", i%50), fmt.Sprint(i))
		g.putValue(other, fmt.Sprint("own key ", i%50), fmt.Sprint(i))
		marks = append(marks, mark{g.s.Net.Now(), g.updates[at]})
		g.s.Run(5 * time.Millisecond)
		for marks[0].at < g.s.Net.Now()-gossipSettles {
			if got := g.replicas[other].Version()[at]; got < marks[0].updates {
				g.s.Failf(ruleConverges, "at %v, %v has %d updates of %v, want at least %d: %[4]v made that many more than %[6]v ago", labtest.At(g.s.Net.Now()), other, got, at, marks[0].updates, gossipSettles)
			}
			marks = marks[1:]
		}
	}
}
