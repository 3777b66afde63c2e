package clocks_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	clocks "distlabs/labs/03-clocks"

	"pgregory.net/rapid"
)

const (
	ruleClockCondition = "rule 9: if a happened before b, L(a) < L(b) (Lamport 1978, the clock condition)"
	ruleLamportCount   = "rule 10: L(e) is one more than the largest that e follows: the length of the longest chain of events that ends in e"
	ruleTotalOrder     = "rule 11: stamps are in a total order, by time and then by node"
	ruleLocking        = "rule 20: all methods may be called by several goroutines at once"
)

func lamportClock(id labrpc.NodeID) clock[clocks.Timestamp] {
	c := clocks.NewLamportClock(id)
	return clock[clocks.Timestamp]{tick: c.Tick, receive: c.Receive}
}

// checkLamport holds the stamps of an execution against rules 9 and 10.
func checkLamport(h history[clocks.Timestamp]) *labtest.Violation {
	if v := h.ordered(ruleClockCondition, func(a, b clocks.Timestamp) bool { return a.Time < b.Time }); v != nil {
		return v
	}
	for i, e := range h.events {
		if want := (clocks.Timestamp{Time: uint64(h.order.Chain(i)), Node: e.Node}); e.Stamp != want {
			return &labtest.Violation{
				What: fmt.Sprintf("%v, want %v", e, want), Rule: ruleLamportCount,
				Seen: h.list(), Nodes: []labrpc.NodeID{e.Node},
			}
		}
	}
	return nil
}

// figure plays the drawing of the README: A and B on n1, C and D on n2, E
// and F on n3; B sends to C, and D to F.
func figure[T any](newClock func(id labrpc.NodeID) clock[T]) history[T] {
	return play([]step{
		{Node: 0}, {Node: 0, Do: 1}, {Node: 1, Do: 2}, {Node: 1, Do: 1}, {Node: 2}, {Node: 2, Do: 2},
	}, newClock)
}

// The drawing's events by their place in figure's history.
const (
	figureC = 2
	figureE = 4
)

var figureNames = []string{"A", "B", "C", "D", "E", "F"}

// The figure of the README has the numbers that the book gives it. E has 1 and C has
// 3, and yet E did not happen before C: the clock condition has no converse.
func TestLamportFigure3C(t *testing.T) {
	labtest.Once(t, func(s *labtest.Sim) {
		h := figure(lamportClock)
		for i, want := range []uint64{1, 2, 3, 4, 1, 5} {
			if got := h.events[i].Stamp.Time; got != want {
				s.Failf(ruleLamportCount, "event %s of the figure has the time %d, want %d", figureNames[i], got, want)
			}
		}
		c, e := h.events[figureC], h.events[figureE]
		if !h.order.Concurrent(figureC, figureE) || c.Stamp.Time <= e.Stamp.Time {
			s.Failf("E and C of the figure are concurrent, though L(E) < L(C)", "E is %v and C is %v", e, c)
		}
		if !e.Stamp.Before(c.Stamp) || c.Stamp.Before(e.Stamp) {
			s.Failf(ruleTotalOrder, "%v is not before %v, which has the later time", e.Stamp, c.Stamp)
		}
	})
}

// A counter-example to rules 9 and 10 is small: we search for the smallest.
func TestLamportSmallExecutions3C(t *testing.T) {
	labtest.Once(t, func(s *labtest.Sim) {
		property(s, func(t *rapid.T) *labtest.Violation { return checkLamport(play(script(t), lamportClock)) })
	})
}

// Rules 9 and 10 hold on the network, whose letters overtake each other; and the
// total order extends the order in which things happened.
func TestLamportOnTheNetwork3C(t *testing.T) {
	cfg := labtest.Config{Nodes: 4, Link: unruly, MustCover: []string{wasConcurrent, wasCaused}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		x := newExecution(s, func(node *labrpc.Node) clock[clocks.Timestamp] { return lamportClock(node.ID()) })
		x.random(150, 10*time.Millisecond, func(h history[clocks.Timestamp]) *labtest.Violation {
			if v := checkLamport(h); v != nil {
				return v
			}
			return h.ordered(ruleTotalOrder, clocks.Timestamp.Before)
		})
	})
}

// unruly makes messages overtake each other.
var unruly = labrpc.Link{Latency: labrpc.Uniform(time.Millisecond, 60*time.Millisecond)}

// Any stamps can be put into one order, by whoever does it and in whatever order
// they came in.
func TestLamportTotalOrder3C(t *testing.T) {
	labtest.Once(t, func(s *labtest.Sim) {
		stamp := rapid.Custom(func(t *rapid.T) clocks.Timestamp {
			return clocks.Timestamp{
				Time: rapid.Uint64Range(1, 4).Draw(t, "time"),
				Node: labrpc.NodeID(rapid.IntRange(1, 4).Draw(t, "node")),
			}
		})
		property(s, func(t *rapid.T) *labtest.Violation {
			a, b := stamp.Draw(t, "a"), stamp.Draw(t, "b")
			want := a.Time < b.Time || a.Time == b.Time && a.Node < b.Node
			if got := a.Before(b); got != want {
				return &labtest.Violation{What: fmt.Sprintf("%v.Before(%v) = %t, want %t", a, b, got, want), Rule: ruleTotalOrder}
			}
			return nil
		})
	})
}

// Many goroutines of one node stamp at once: no two events get one stamp, none is
// left out.
func TestLamportManyGoroutines3C(t *testing.T) {
	labtest.Once(t, func(s *labtest.Sim) {
		c := clocks.NewLamportClock(1)
		stamps := atOnce(c.Tick, func() clocks.Timestamp { return c.Receive(clocks.Timestamp{Time: 1, Node: 2}) })
		times := map[uint64]bool{}
		for _, st := range stamps {
			if times[st.Time] {
				s.Failf(ruleLocking, "two events of one node have the stamp %v", st)
			}
			times[st.Time] = true
		}
		// The first receipt may skip 1.
		latest := slices.MaxFunc(stamps, func(a, b clocks.Timestamp) int { return int(a.Time) - int(b.Time) })
		if n := uint64(len(stamps)); latest.Time < n || latest.Time > n+1 {
			s.Failf(ruleLocking, "after %d events the clock is at %v, want %d or %d", n, latest, n, n+1)
		}
	})
}

// atOnce calls tick and receive from many goroutines at once, and returns what
// they returned.
func atOnce[T any](tick, receive func() T) []T {
	const goroutines, each = 16, 50
	var all sync.WaitGroup
	stamps := make([]T, goroutines*each)
	for g := range goroutines {
		all.Go(func() {
			for i := range each {
				if (g+i)%2 == 0 {
					stamps[g*each+i] = tick()
				} else {
					stamps[g*each+i] = receive()
				}
			}
		})
	}
	all.Wait()
	return stamps
}
