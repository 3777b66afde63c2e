package clocks_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	clocks "distlabs/labs/03-clocks"

	"pgregory.net/rapid"
)

const (
	ruleClockCondition = "if a happened before b, then L(a) < L(b) (rule 9; Lamport 1978, the clock condition)"
	ruleLamportCount   = "L(e) is 1 if no event happened before e; otherwise it is one more than the largest time of the events before e (rule 10)"
	ruleTotalOrder     = "Before compares the times, and for equal times the nodes (rule 11; Lamport 1978, the total order)"
	ruleLocking        = "all methods may be called by several goroutines at once; each call is one event (rule 20)"
)

func lamportClock(id labrpc.NodeID) clock[clocks.Timestamp] {
	c := clocks.NewLamportClock(id)
	return clock[clocks.Timestamp]{tick: c.Tick, receive: c.Receive}
}

// checkLamport checks the timestamps of an execution against rules 9 and 10.
func checkLamport(h history[clocks.Timestamp]) *labtest.Violation {
	if v := h.ordered(ruleClockCondition, "a larger Time", func(a, b clocks.Timestamp) bool { return a.Time < b.Time }); v != nil {
		return v
	}
	for i, e := range h.events {
		if want := (clocks.Timestamp{Time: uint64(h.order.Chain(i)), Node: e.Node}); e.Stamp != want {
			return &labtest.Violation{
				What: fmt.Sprintf("%v; want timestamp %+v", e, want), Rule: ruleLamportCount,
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

// The indexes of two of the drawing's events in figure's history.
const (
	figureC = 2
	figureE = 4
)

var figureNames = []string{"A", "B", "C", "D", "E", "F"}

// The README states the times of the figure's events. E has time 1 and C has time 3, although E
// did not happen before C: the converse of the clock condition is false.
func TestLamportFigure3C(t *testing.T) {
	labtest.Once(t, func(s *labtest.Sim) {
		h := figure(lamportClock)
		for i, want := range []uint64{1, 2, 3, 4, 1, 5} {
			if got := h.events[i].Stamp.Time; got != want {
				s.Failf(ruleLamportCount, "event %s of the README's figure, of n%d, has time %d, want %d", figureNames[i], i/2+1, got, want)
			}
		}
		c, e := h.events[figureC], h.events[figureE]
		if !e.Stamp.Before(c.Stamp) || c.Stamp.Before(e.Stamp) {
			s.Failf(ruleTotalOrder, "%+v.Before(%+v) = %t, and the reverse = %t, want true and false: the first has the smaller Time", e.Stamp, c.Stamp, e.Stamp.Before(c.Stamp), c.Stamp.Before(e.Stamp))
		}
	})
}

// We search for a small execution that breaks rule 9 or 10, and report the smallest.
func TestLamportSmallExecutions3C(t *testing.T) {
	labtest.Once(t, func(s *labtest.Sim) {
		property(s, func(t *rapid.T) *labtest.Violation { return checkLamport(play(script(t), lamportClock)) })
	})
}

// Rules 9 and 10 hold on a network on which messages overtake each other. The total order
// agrees with the order in which the events happened.
func TestLamportOnTheNetwork3C(t *testing.T) {
	cfg := labtest.Config{Nodes: 4, Link: unruly, MustCover: []string{wasConcurrent, wasCaused}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		x := newExecution(s, func(node *labrpc.Node) clock[clocks.Timestamp] { return lamportClock(node.ID()) })
		x.random(150, 10*time.Millisecond, func(h history[clocks.Timestamp]) *labtest.Violation {
			if v := checkLamport(h); v != nil {
				return v
			}
			return h.ordered(ruleTotalOrder, "a later timestamp", clocks.Timestamp.Before)
		})
	})
}

// unruly makes messages overtake each other.
var unruly = labrpc.Link{Latency: labrpc.Uniform(time.Millisecond, 60*time.Millisecond)}

// Any two timestamps can be ordered, however large they are.
func TestLamportTotalOrder3C(t *testing.T) {
	labtest.Once(t, func(s *labtest.Sim) {
		check := func(a, b clocks.Timestamp) *labtest.Violation {
			want := a.Time < b.Time || a.Time == b.Time && a.Node < b.Node
			if got := a.Before(b); got != want {
				return &labtest.Violation{What: fmt.Sprintf("%+v.Before(%+v) = %t, want %t", a, b, got, want), Rule: ruleTotalOrder}
			}
			return nil
		}
		var large []clocks.Timestamp
		for _, time := range []uint64{1, 255, 256, 1 << 15, 1 << 16, 1 << 31, 3 << 30, 1 << 32, 1<<32 + 1, 1 << 53, 1<<53 + 1, 1 << 63, 1<<64 - 1} {
			for _, node := range []labrpc.NodeID{1, 127, 128, 255, 256, 1 << 15, 1 << 16, 1 << 30} {
				large = append(large, clocks.Timestamp{Time: time, Node: node})
			}
		}
		for _, a := range large {
			for _, b := range large {
				if v := check(a, b); v != nil {
					s.Fail(*v)
				}
			}
		}
		stamp := rapid.Custom(func(t *rapid.T) clocks.Timestamp {
			return clocks.Timestamp{
				Time: rapid.Uint64Range(1, 4).Draw(t, "time"),
				Node: labrpc.NodeID(rapid.IntRange(1, 4).Draw(t, "node")),
			}
		})
		property(s, func(t *rapid.T) *labtest.Violation { return check(stamp.Draw(t, "a"), stamp.Draw(t, "b")) })
	})
}

// A clock counts on without an end: many events on one node, and timestamps that are far ahead.
func TestLamportLargeTimes3C(t *testing.T) {
	const events = 70_000 // more than 16 bits can count
	labtest.Once(t, func(s *labtest.Sim) {
		c, want := clocks.NewLamportClock(1), uint64(0)
		check := func(got clocks.Timestamp, format string, arg any) {
			if want := (clocks.Timestamp{Time: want, Node: 1}); got != want {
				s.Failf(ruleLamportCount, format+" has timestamp %v, want %v", arg, got, want)
			}
		}
		for range events {
			want++
			check(c.Tick(), "event %d of n1", want)
		}
		for _, sent := range []uint64{1 << 20, 1<<31 - 1, 1 << 32, 1<<32 - 1, 1<<53 + 1, 1 << 62, 1} {
			want = max(want, sent) + 1
			check(c.Receive(clocks.Timestamp{Time: sent, Node: 2}), "the receipt of a message with time %d", sent)
			want++
			check(c.Tick(), "the event after the receipt of a message with time %d", sent)
		}
	})
}

// Four goroutines of one node call the clock at once. Rule 10 then says which times the events have: each time once,
// without a gap. A machine that has other work lets the goroutines meet rarely: then the test is longer.
func TestLamportManyGoroutines3C(t *testing.T) {
	const rounds, each, batches, enough = 4, 1000, 100, 10000
	labtest.Once(t, func(s *labtest.Sim) {
		c := clocks.NewLamportClock(1)
		stamps := stampInParallel(s, rounds, each, c.Tick, func() clocks.Timestamp { return c.Receive(clocks.Timestamp{Time: 1, Node: 2}) })
		checkTimes(s, stamps, 0, 1) // the first receipt may skip time 1
		// Each message is ahead of the clock, so that the receipts compete for the same times.
		met := 0
		for batch := 0; batch < batches && met < enough; batch++ {
			base, sent := c.Tick().Time, atomic.Uint64{}
			receipts := make([]clocks.Timestamp, 1+stampers*rounds*each) // of each message, by half its time
			ahead := stampInParallel(s, rounds, each, c.Tick, func() clocks.Timestamp {
				i := sent.Add(1)
				receipts[i] = c.Receive(clocks.Timestamp{Time: base + 2*i, Node: 2})
				return receipts[i]
			})
			checkTimes(s, ahead, base, len(ahead))
			checkJumps(s, ahead, base, receipts[1:1+sent.Load()])
			met += meetings(ahead)
		}
	})
}

// checkJumps checks that each time follows that of an event of the node or, if it is a receipt, of its message. Receipt i is of the message with time
// base+2(i+1).
func checkJumps(s *labtest.Sim, stamps []clocks.Timestamp, base uint64, receipts []clocks.Timestamp) {
	follows := map[uint64]bool{base + 1: true}
	for _, st := range stamps {
		follows[st.Time+1] = true
	}
	for i, st := range receipts {
		if sent := base + 2*uint64(i+1); st.Time == sent+1 {
			follows[st.Time] = true
		}
	}
	for at, st := range stamps {
		if !follows[st.Time] {
			s.Failf(ruleLocking, "%s returned time %d, but no event of n%d had time %d, and no message with this time was received then", stampedBy(at), st.Time, int(st.Node), st.Time-1)
		}
	}
}

// meetings counts how often an event of another goroutine fell between two successive events of one.
func meetings(stamps []clocks.Timestamp) (n int) {
	by := make(map[uint64]int, len(stamps)) // the goroutine of each time
	for i, st := range stamps {
		by[st.Time] = i % stampers
	}
	for i, st := range stamps[:len(stamps)-stampers] {
		for time := st.Time + 1; time < stamps[i+stampers].Time; time++ {
			if other, known := by[time]; known && other != i%stampers {
				n++
				break
			}
		}
	}
	return n
}

// checkTimes checks that no two events have the same time, and that all times are above base, with at most so many
// gaps.
func checkTimes(s *labtest.Sim, stamps []clocks.Timestamp, base uint64, gaps int) {
	seen := make([]int, len(stamps)+gaps) // the place among the stamps, from 1
	for at, st := range stamps {
		i := st.Time - base - 1
		if i >= uint64(len(seen)) {
			s.Failf(ruleLocking, "one of %d events has time %d, want %d to %d", len(stamps), st.Time, base+1, base+uint64(len(seen)))
		}
		if seen[i] > 0 {
			s.Failf(ruleLocking, "goroutines called the clock of n%d at once: %s and %s returned the same timestamp, %v, want a timestamp of its own for each", int(st.Node), stampedBy(seen[i]-1), stampedBy(at), st)
		}
		seen[i] = at + 1
	}
}
