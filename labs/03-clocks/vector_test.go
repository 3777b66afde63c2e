package clocks_test

import (
	"cmp"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	clocks "distlabs/labs/03-clocks"

	"pgregory.net/rapid"
)

const (
	ruleVectorCount = "entry k of V(e) is the number of events of node k that are e or happened before e (rule 12; Mattern 1988)"
	ruleCompare     = "a happened before b if and only if V(a) < V(b): no entry is larger and at least one is smaller (rule 13; Mattern 1988)"
	ruleMerge       = "each entry of the merged vector is the larger of the two entries (rule 14)"
	ruleStamps      = "a vector that was returned never changes; Receive, Merge and Compare do not change their arguments (rule 14)"
)

// vectorClock is the clock of one of n nodes.
func vectorClock(id labrpc.NodeID, n int) clock[clocks.Vector] {
	c := clocks.NewVectorClock(id, n)
	return clock[clocks.Vector]{tick: c.Tick, receive: c.Receive}
}

// checkVector checks the vectors of an execution against rules 12 and 13.
func checkVector(h history[clocks.Vector], n int) *labtest.Violation {
	for i, e := range h.events {
		want := make(clocks.Vector, n)
		want[e.Node-1]++
		for past := range h.order.Past(i) {
			want[h.events[past].Node-1]++
		}
		if !slices.Equal(e.Stamp, want) {
			return &labtest.Violation{
				What: fmt.Sprintf("%v; want vector %v", e, want), Rule: ruleVectorCount,
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

// truth returns the order of two events. It follows from the messages that were sent and received.
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

// The README states the vectors of the figure's events. They show what Lamport's times cannot: E
// and C are concurrent.
func TestVectorFigure3D(t *testing.T) {
	labtest.Once(t, func(s *labtest.Sim) {
		h := figure(func(id labrpc.NodeID) clock[clocks.Vector] { return vectorClock(id, 3) })
		for i, want := range []clocks.Vector{{1, 0, 0}, {2, 0, 0}, {2, 1, 0}, {2, 2, 0}, {0, 0, 1}, {2, 2, 2}} {
			if got := h.events[i].Stamp; !slices.Equal(got, want) {
				s.Failf(ruleVectorCount, "event %s of the README's figure has vector %v, want %v", figureNames[i], got, want)
			}
		}
		if got := h.events[figureE].Stamp.Compare(h.events[figureC].Stamp); got != clocks.Concurrent {
			s.Failf(ruleCompare, "V(E).Compare(V(C)) = %v in the README's figure, want %v", got, clocks.Concurrent)
		}
	})
}

// Compare is a partial order on vectors of any length, with entries of any size.
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
			{v: clocks.Vector{1}, o: clocks.Vector{2}, want: clocks.Before},
			{v: clocks.Vector{255, 1}, o: clocks.Vector{256, 1}, want: clocks.Before},
			{v: clocks.Vector{1 << 16, 1}, o: clocks.Vector{1<<16 - 1, 1}, want: clocks.After},
			{v: clocks.Vector{1, 1}, o: clocks.Vector{3 << 30, 1}, want: clocks.Before},
			{v: clocks.Vector{1 << 32, 1}, o: clocks.Vector{0, 1}, want: clocks.After},
			{v: clocks.Vector{1<<53 + 1, 0}, o: clocks.Vector{1 << 53, 1}, want: clocks.Concurrent},
			{v: clocks.Vector{1 << 63, 1}, o: clocks.Vector{1, 1}, want: clocks.After},
		} {
			if got := row.v.Compare(row.o); got != row.want {
				s.Failf(ruleCompare, "%v.Compare(%v) = %v, want %v", row.v, row.o, got, row.want)
			}
		}
		for differing := range 300 { // one of many entries decides
			v, o := make(clocks.Vector, 300), make(clocks.Vector, 300)
			o[differing] = 1
			if got := v.Compare(o); got != clocks.Before {
				s.Failf(ruleCompare, "Compare = %v of two vectors of 300 entries, of which entry %d is 0 and 1 and all others are equal, want %v",
					got, differing+1, clocks.Before)
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

// We search for a small execution that breaks rule 12 or 13, and report the smallest.
func TestVectorSmallExecutions3D(t *testing.T) {
	labtest.Once(t, func(s *labtest.Sim) {
		property(s, func(t *rapid.T) *labtest.Violation {
			h := play(script(t), func(id labrpc.NodeID) clock[clocks.Vector] { return vectorClock(id, scriptNodes) })
			return checkVector(h, scriptNodes)
		})
	})
}

// Rules 12 and 13 hold for every two events on a network on which messages overtake each other.
func TestVectorOnTheNetwork3D(t *testing.T) {
	cfg := labtest.Config{Nodes: 4, Link: unruly, MustCover: []string{wasConcurrent, wasCaused}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		newClock := func(node *labrpc.Node) clock[clocks.Vector] { return vectorClock(node.ID(), cfg.Nodes) }
		newExecution(s, newClock).random(120, 10*time.Millisecond, func(h history[clocks.Vector]) *labtest.Violation {
			return checkVector(h, cfg.Nodes)
		})
	})
}

// The caller may keep a vector and may overwrite it: the clock and its vectors share no memory.
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
		kept("what Tick of n1's clock returned first, two events later,", first, clocks.Vector{1, 0, 0})
		kept("the argument of Receive, after the call,", sent, clocks.Vector{0, 4, 1})
		kept("what Receive of n1's clock returned, an event later,", second, clocks.Vector{2, 4, 1})
		for _, stamp := range []clocks.Vector{sent, second, third} {
			clear(stamp)
		}
		kept("what Tick of n1's clock returns, after the caller has overwritten what Receive and Tick returned before,", c.Tick(), clocks.Vector{4, 4, 1})

		// Here the message knows more than the clock in each entry, then the clock more than the message.
		c, sent = clocks.NewVectorClock(2, 3), clocks.Vector{7, 0, 9}
		got := c.Receive(sent)
		clear(sent)
		kept("what Receive of n2's clock returned, after the caller has overwritten its argument,", got, clocks.Vector{7, 1, 9})
		old := clocks.Vector{1, 0, 0}
		got = c.Receive(old)
		kept("the argument of Receive, after the call,", old, clocks.Vector{1, 0, 0})
		clear(got)
		kept("what Tick of n2's clock returns, after the caller has overwritten what Receive returned before,", c.Tick(), clocks.Vector{7, 3, 9})
	})
}

// Merge returns a vector of its own, whichever of the two arguments knows more.
func TestVectorMerge3D(t *testing.T) {
	labtest.Once(t, func(s *labtest.Sim) {
		for _, row := range []struct{ a, b, want clocks.Vector }{
			{a: clocks.Vector{1, 5, 2}, b: clocks.Vector{3, 0, 2}, want: clocks.Vector{3, 5, 2}},
			{a: clocks.Vector{4, 5, 6}, b: clocks.Vector{1, 2, 3}, want: clocks.Vector{4, 5, 6}},
			{a: clocks.Vector{1, 2, 3}, b: clocks.Vector{4, 5, 6}, want: clocks.Vector{4, 5, 6}},
			{a: clocks.Vector{1, 2, 3}, b: clocks.Vector{1, 2, 3}, want: clocks.Vector{1, 2, 3}},
			{a: clocks.Vector{0, 0, 0}, b: clocks.Vector{0, 0, 0}, want: clocks.Vector{0, 0, 0}},
			{a: clocks.Vector{1 << 40, 300}, b: clocks.Vector{255, 1 << 63}, want: clocks.Vector{1 << 40, 1 << 63}},
		} {
			a, b := slices.Clone(row.a), slices.Clone(row.b)
			merged := a.Merge(b)
			if !slices.Equal(merged, row.want) {
				s.Failf(ruleMerge, "%v.Merge(%v) = %v, want %v", row.a, row.b, merged, row.want)
			}
			clear(merged)
			if !slices.Equal(a, row.a) || !slices.Equal(b, row.b) {
				s.Failf(ruleStamps, "the caller overwrote the result of %v.Merge(%v), and then these two vectors are %v and %v, want them unchanged", row.a, row.b, a, b)
			}
		}
	})
}

// A clock counts on without an end: many events, many nodes, and vectors that are far ahead.
func TestVectorLargeCounts3D(t *testing.T) {
	const events, nodes, own = 70_000, 300, 290 // more than 16 bits can count; more nodes than 8 bits can
	labtest.Once(t, func(s *labtest.Sim) {
		c := clocks.NewVectorClock(2, 2)
		for i := range uint64(events) {
			if got := c.Tick(); got[0] != 0 || got[1] != i+1 {
				s.Failf(ruleVectorCount, "event %d of n2 has vector %v, want %v", i+1, got, clocks.Vector{0, i + 1})
			}
		}
		far := clocks.Vector{1<<40 + 1, 3}
		if got, want := c.Receive(far), (clocks.Vector{far[0], events + 1}); !slices.Equal(got, want) {
			s.Failf(ruleVectorCount, "the receipt of a message with vector %v has vector %v, want %v", far, got, want)
		}
		if got, want := c.Tick(), (clocks.Vector{far[0], events + 2}); !slices.Equal(got, want) {
			s.Failf(ruleVectorCount, "the event after that receipt has vector %v, want %v", got, want)
		}
		wide, sent, want := clocks.NewVectorClock(own, nodes), make(clocks.Vector, nodes), make(clocks.Vector, nodes)
		for i := range sent {
			sent[i] = uint64(1000 + i)
		}
		sent[own-1] = 0
		copy(want, sent)
		want[own-1] = 1
		if got := wide.Receive(sent); !slices.Equal(got, want) {
			s.Failf(ruleVectorCount, "on node %d of %d, a receipt has vector %v, want %v", own, nodes, got, want)
		}
	})
}

// Many goroutines of one node call the clock at once. Rule 12 then says which own entries the events have: each
// number once. The vectors are long, so that a call takes its time and others wait for it.
func TestVectorManyGoroutines3D(t *testing.T) {
	const nodes, goroutines, rounds, each = 4_000, 6, 8, 8
	labtest.Once(t, func(s *labtest.Sim) {
		c := clocks.NewVectorClock(2, nodes)
		var sent atomic.Uint64
		all := make([]clocks.Vector, rounds*each*goroutines)
		inParallel(s, goroutines, rounds, each, func(g, i int) {
			var v clocks.Vector
			if (g+i)%2 == 0 {
				v = c.Tick()
			} else {
				message := make(clocks.Vector, nodes)
				message[0] = sent.Add(1)
				if v = c.Receive(message); v[0] < message[0] {
					v[1] = 0 // the receipt lacks what the message knows: reported below
				}
			}
			all[i*goroutines+g] = v[:2]
		})
		// What an event knows, each later event of the node knows.
		slices.SortFunc(all, func(a, b clocks.Vector) int { return cmp.Compare(a[1], b[1]) })
		known := uint64(0)
		for i, v := range all {
			if v[1] != uint64(i+1) || v[0] < known {
				s.Failf(ruleLocking, "several goroutines of n2 made %d events, and event %d has entries %d of n1 and %d of n2, want at least %d of n1 and exactly %d of n2",
					len(all), i+1, v[0], v[1], known, i+1)
			}
			known = v[0]
		}
	})
}
