package clocks_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	clocks "distlabs/labs/03-clocks"

	"pgregory.net/rapid"
)

const (
	ruleVectorCount = "rule 12: entry k of V(e) counts the events of node k that are e or happened before e"
	ruleCompare     = "rule 13: a happened before b exactly if V(a) < V(b): no entry larger and some entry smaller (Mattern 1988)"
	ruleStamps      = "rule 14: a stamp never changes, and Receive, Merge and Compare do not alter what they are given"
)

// vectorClock is the clock of one of n nodes.
func vectorClock(id labrpc.NodeID, n int) clock[clocks.Vector] {
	c := clocks.NewVectorClock(id, n)
	return clock[clocks.Vector]{tick: c.Tick, receive: c.Receive}
}

// checkVector holds the stamps of an execution against rules 12 and 13.
func checkVector(h history[clocks.Vector], n int) *labtest.Violation {
	for i, e := range h.events {
		want := make(clocks.Vector, n)
		want[e.Node-1]++
		for past := range h.order.Past(i) {
			want[h.events[past].Node-1]++
		}
		if !slices.Equal(e.Stamp, want) {
			return &labtest.Violation{
				What: fmt.Sprintf("%v, want %v", e, want), Rule: ruleVectorCount,
				Seen: h.list(), Nodes: []labrpc.NodeID{e.Node},
			}
		}
	}
	for i, a := range h.events {
		for j, b := range h.events {
			if got, want := a.Stamp.Compare(b.Stamp), truth(h, i, j); got != want {
				return &labtest.Violation{
					What: fmt.Sprintf("%v.Compare(%v) = %v, want %v", a.Stamp, b.Stamp, got, want), Rule: ruleCompare,
					Seen: append([]string{"first: " + a.String(), "second: " + b.String()}, h.list()...),
				}
			}
		}
	}
	return nil
}

// truth is how two events lie to each other, by who sent and received what.
func truth[T any](h history[T], a, b int) clocks.Order {
	switch {
	case a == b:
		return clocks.Equal
	case h.order.Before(a, b):
		return clocks.Before
	case h.order.Before(b, a):
		return clocks.After
	}
	return clocks.Concurrent
}

// The figure of the README has the vectors that the book gives it, and they tell
// what Lamport's numbers cannot: E and C are concurrent.
func TestVectorFigure3D(t *testing.T) {
	labtest.Once(t, func(s *labtest.Sim) {
		h := figure(func(id labrpc.NodeID) clock[clocks.Vector] { return vectorClock(id, 3) })
		for i, want := range []clocks.Vector{{1, 0, 0}, {2, 0, 0}, {2, 1, 0}, {2, 2, 0}, {0, 0, 1}, {2, 2, 2}} {
			if got := h.events[i].Stamp; !slices.Equal(got, want) {
				s.Failf(ruleVectorCount, "event %s of the figure has the stamp %v, want %v", figureNames[i], got, want)
			}
		}
		if got := h.events[figureE].Stamp.Compare(h.events[figureC].Stamp); got != clocks.Concurrent {
			s.Failf(ruleCompare, "E compared to C is %q, want %q", got, clocks.Concurrent)
		}
	})
}

// Vectors are in a partial order: one comparison tells of the other way round,
// and "before" leads on.
func TestVectorCompare3D(t *testing.T) {
	labtest.Once(t, func(s *labtest.Sim) {
		for _, row := range []struct {
			v, o clocks.Vector
			want clocks.Order
		}{
			{v: clocks.Vector{2, 1, 0}, o: clocks.Vector{2, 1, 0}, want: clocks.Equal},
			{v: clocks.Vector{0, 0, 0}, o: clocks.Vector{0, 0, 1}, want: clocks.Before},
			{v: clocks.Vector{2, 1, 0}, o: clocks.Vector{2, 2, 0}, want: clocks.Before},
			{v: clocks.Vector{3, 4, 5}, o: clocks.Vector{2, 4, 5}, want: clocks.After},
			{v: clocks.Vector{0, 0, 1}, o: clocks.Vector{2, 1, 0}, want: clocks.Concurrent},
			{v: clocks.Vector{9, 9, 0}, o: clocks.Vector{0, 0, 1}, want: clocks.Concurrent},
		} {
			if got := row.v.Compare(row.o); got != row.want {
				s.Failf(ruleCompare, "%v.Compare(%v) = %v, want %v", row.v, row.o, got, row.want)
			}
		}
		vector := rapid.Map(rapid.SliceOfN(rapid.Uint64Range(0, 3), 3, 3), func(v []uint64) clocks.Vector { return v })
		property(s, func(t *rapid.T) *labtest.Violation {
			a, b := vector.Draw(t, "a"), vector.Draw(t, "b")
			var smaller, larger bool
			for i := range a {
				smaller, larger = smaller || a[i] < b[i], larger || a[i] > b[i]
			}
			want := map[[2]bool]clocks.Order{
				{false, false}: clocks.Equal, {true, false}: clocks.Before,
				{false, true}: clocks.After, {true, true}: clocks.Concurrent,
			}[[2]bool{smaller, larger}]
			if got := a.Compare(b); got != want {
				return &labtest.Violation{What: fmt.Sprintf("%v.Compare(%v) = %v, want %v", a, b, got, want), Rule: ruleCompare}
			}
			return nil
		})
	})
}

// A counter-example to rules 12 and 13 is small: we search for the smallest.
func TestVectorSmallExecutions3D(t *testing.T) {
	labtest.Once(t, func(s *labtest.Sim) {
		property(s, func(t *rapid.T) *labtest.Violation {
			h := play(script(t), func(id labrpc.NodeID) clock[clocks.Vector] { return vectorClock(id, scriptNodes) })
			return checkVector(h, scriptNodes)
		})
	})
}

// Rules 12 and 13 hold for every two events on the network, whose letters overtake
// each other.
func TestVectorOnTheNetwork3D(t *testing.T) {
	cfg := labtest.Config{Nodes: 4, Link: unruly, MustCover: []string{wasConcurrent, wasCaused}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		newClock := func(node *labrpc.Node) clock[clocks.Vector] { return vectorClock(node.ID(), cfg.Nodes) }
		newExecution(s, newClock).random(120, 10*time.Millisecond, func(h history[clocks.Vector]) *labtest.Violation {
			return checkVector(h, cfg.Nodes)
		})
	})
}

// Who is given a stamp may keep it: what the clock does later does not change
// it, and what is done to it does not change the clock.
func TestVectorStampsAreKept3D(t *testing.T) {
	labtest.Once(t, func(s *labtest.Sim) {
		kept := func(what string, got, want clocks.Vector) {
			if !slices.Equal(got, want) {
				s.Failf(ruleStamps, "%s is %v, want %v", what, got, want)
			}
		}
		c := clocks.NewVectorClock(1, 3)
		first, sent := c.Tick(), clocks.Vector{0, 4, 1}
		second := c.Receive(sent)
		third := c.Tick()
		kept("the first stamp, two events later,", first, clocks.Vector{1, 0, 0})
		kept("the received stamp after Receive", sent, clocks.Vector{0, 4, 1})
		kept("the second stamp, an event later,", second, clocks.Vector{2, 4, 1})
		for _, stamp := range []clocks.Vector{sent, second, third} {
			clear(stamp)
		}
		kept("the stamp after others were overwritten", c.Tick(), clocks.Vector{4, 4, 1})

		a, b := clocks.Vector{1, 5, 2}, clocks.Vector{3, 0, 2}
		merged := a.Merge(b)
		kept("the merger of [1 5 2] and [3 0 2]", merged, clocks.Vector{3, 5, 2})
		merged[0], merged[1] = 9, 9
		kept("a merged vector", a, clocks.Vector{1, 5, 2})
		kept("a merged vector", b, clocks.Vector{3, 0, 2})
	})
}

// Many goroutines of one node stamp at once: each event counts.
func TestVectorManyGoroutines3D(t *testing.T) {
	labtest.Once(t, func(s *labtest.Sim) {
		c := clocks.NewVectorClock(2, 3)
		stamps := atOnce(c.Tick, func() clocks.Vector { return c.Receive(clocks.Vector{7, 0, 1}) })
		seen := map[uint64]bool{}
		for _, st := range stamps {
			if len(st) != 3 || st[1] < 1 || st[1] > uint64(len(stamps)) || seen[st[1]] {
				s.Failf(ruleLocking, "of %d events of one node, one has the stamp %v, which is another's or nobody's", len(stamps), st)
			}
			seen[st[1]] = true
		}
	})
}
