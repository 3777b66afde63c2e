package clocks_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	clocks "distlabs/labs/03-clocks"

	"pgregory.net/rapid"
)

const (
	ruleHybridOrder   = "if a happened before b, a's timestamp is Before b's: by Wall, and for equal Wall by Logical (rule 17; Kulkarni et al. 2014)"
	ruleHybridWall    = "Wall is the largest time that a wall clock showed at the event or at an event that happened before it (rule 18)"
	ruleHybridLogical = "Logical is 0 if no earlier event has the same Wall; otherwise it is one more than the largest Logical of those events (rule 19)"
	ruleHybridValues  = "Wall is the largest time that a wall clock showed so far; Logical counts the earlier events with that Wall (rules 18 and 19)"
)

func hybridClock(wall func() time.Time) clock[clocks.HybridTime] {
	c := clocks.NewHybridClock(wall)
	return clock[clocks.HybridTime]{tick: c.Tick, receive: c.Receive}
}

// checkHybrid checks the timestamps of an execution against rules 17 to 19. The expected timestamps follow from
// the times that the wall clocks showed, and from the messages that were sent and received.
func checkHybrid(h history[clocks.HybridTime]) *labtest.Violation {
	if v := h.ordered(ruleHybridOrder, "a later timestamp", clocks.HybridTime.Before); v != nil {
		return v
	}
	want := make([]clocks.HybridTime, len(h.events))
	for i, e := range h.events {
		want[i].Wall = e.Wall
		for past := range h.order.Past(i) {
			want[i].Wall = max(want[i].Wall, h.events[past].Wall)
		}
		for past := range h.order.Past(i) {
			if want[past].Wall == want[i].Wall {
				want[i].Logical = max(want[i].Logical, want[past].Logical+1)
			}
		}
		if e.Stamp == want[i] {
			continue
		}
		rule := ruleHybridLogical
		if e.Stamp.Wall != want[i].Wall {
			rule = ruleHybridWall
		}
		return &labtest.Violation{
			What: fmt.Sprintf("%v; want timestamp %s", e, stampText(want[i])), Rule: rule,
			Seen:  append([]string{fmt.Sprintf("the wall clock of %v showed %s", e.Node, wallText(e.Wall))}, h.list()...),
			Nodes: []labrpc.NodeID{e.Node},
		}
	}
	return nil
}

// One clock meets all cases: the wall clock is ahead, the last event is ahead, the message is ahead, two
// of them are equal, and the wall clock is set back.
func TestHybridCases3E(t *testing.T) {
	labtest.Once(t, func(s *labtest.Sim) {
		var now int64
		var last clocks.HybridTime
		c := clocks.NewHybridClock(func() time.Time { return time.Unix(0, now) })
		type stamp = clocks.HybridTime
		for _, row := range []struct {
			name string
			wall int64
			sent stamp // zero: not a receipt
			want stamp
		}{
			{name: "the first event", wall: 10, want: stamp{10, 0}},
			{name: "the wall clock has moved", wall: 11, want: stamp{11, 0}},
			{name: "the wall clock has not moved", wall: 11, want: stamp{11, 1}},
			{name: "a message from the past", wall: 11, sent: stamp{5, 7}, want: stamp{11, 2}},
			{name: "a message from the future", wall: 12, sent: stamp{20, 3}, want: stamp{20, 4}},
			{name: "the wall clock is behind", wall: 13, want: stamp{20, 5}},
			{name: "a message with the same time and a larger counter", wall: 14, sent: stamp{20, 9}, want: stamp{20, 10}},
			{name: "a message with the same time and a smaller counter", wall: 15, sent: stamp{20, 2}, want: stamp{20, 11}},
			{name: "the wall clock has caught up", wall: 20, want: stamp{20, 12}},
			{name: "the wall clock is ahead again", wall: 21, want: stamp{21, 0}},
			{name: "the wall clock is set back", wall: 3, want: stamp{21, 1}},
			{name: "a message with the time of the wall clock", wall: 30, sent: stamp{30, 0}, want: stamp{30, 1}},
			{name: "a message behind the wall clock", wall: 31, sent: stamp{30, 8}, want: stamp{31, 0}},
		} {
			now = row.wall
			got, call := stamp{}, "Tick()"
			if row.sent == got {
				got = c.Tick()
			} else {
				got, call = c.Receive(row.sent), fmt.Sprintf("Receive(%+v)", row.sent)
			}
			if got != row.want {
				s.Failf(ruleHybridValues, "%s: %s = %+v, want %+v; the wall clock shows %d, and the event before has %+v", row.name, call, got, row.want, row.wall, last)
			}
			last = got
		}
		property(s, func(t *rapid.T) *labtest.Violation {
			draw := func(name string) stamp {
				return stamp{
					Wall:    rapid.OneOf(rapid.Int64Range(1, 3), rapid.Int64Min(1)).Draw(t, name),
					Logical: rapid.OneOf(rapid.IntRange(0, 3), rapid.IntMin(0)).Draw(t, name),
				}
			}
			a, b := draw("a"), draw("b")
			if rapid.Bool().Draw(t, "equal Wall") {
				a.Wall = b.Wall
			}
			if got, want := a.Before(b), a.Wall < b.Wall || a.Wall == b.Wall && a.Logical < b.Logical; got != want {
				return &labtest.Violation{What: fmt.Sprintf("%+v.Before(%+v) = %t, want %t", a, b, got, want), Rule: ruleHybridOrder}
			}
			return nil
		})
	})
}

// Rules 17 to 19 hold on a network with wall clocks that are off by up to 50 ms, drift, and are set
// forward and back.
func TestHybridOnTheNetwork3E(t *testing.T) {
	const back = "a wall clock was set back"
	cfg := labtest.Config{Nodes: 4, Link: unruly, MustCover: []string{wasConcurrent, wasCaused, back}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		for _, id := range s.Net.Nodes() {
			s.Net.SetClock(id, time.Duration(s.Rand().Int64N(int64(100*time.Millisecond)))-50*time.Millisecond, 400*s.Rand().Float64()-200)
		}
		x := newExecution(s, func(node *labrpc.Node) clock[clocks.HybridTime] { return hybridClock(node.Clock().Now) })
		x.random(60, 10*time.Millisecond, checkHybrid)
		for _, id := range s.Net.Nodes()[:2] {
			s.Net.JumpClock(id, time.Duration(s.Rand().Int64N(int64(200*time.Millisecond)))-150*time.Millisecond)
		}
		s.Net.JumpClock(3, -100*time.Millisecond)
		s.Cover(back)
		x.random(60, 10*time.Millisecond, checkHybrid)
	})
}

// Logical does not grow with the length of the run: it counts only while a wall clock is behind the fastest, and
// starts again. Four clocks are up to 100 ms apart, and each node sends 200 messages per second, so at most 200
// events can have the same Wall.
func TestHybridCounterStaysSmall3E(t *testing.T) {
	const apart = "a node's wall clock was behind a stamp that it received"
	cfg := labtest.Config{Nodes: 4, Seeds: 3, MustCover: []string{apart}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		for _, id := range s.Net.Nodes() {
			s.Net.SetClock(id, time.Duration(id-1)*100*time.Millisecond/3, 0)
		}
		x := newExecution(s, func(node *labrpc.Node) clock[clocks.HybridTime] { return hybridClock(node.Clock().Now) })
		for range 600 {
			for _, p := range x.nodes {
				peers := p.node.Peers()
				p.send(peers[s.Rand().IntN(len(peers))])
			}
			s.Run(5 * time.Millisecond)
		}
		s.Run(time.Second)
		for _, e := range x.recorded() {
			ahead := time.Duration(e.Stamp.Wall - e.Wall)
			if ahead > 0 {
				s.Cover(apart)
			}
			s.Measure("largest counter", float64(e.Stamp.Logical), "", "≤ 200")
			s.Measure("largest distance from the wall clock", float64(ahead.Microseconds())/1000, "ms", "≤ 100")
			if e.Stamp.Logical > 200 || e.Stamp.Logical < 0 {
				s.Failf(ruleHybridLogical, "Logical = %d, want 0 to 200: %v", e.Stamp.Logical, e)
			}
			if ahead < 0 || ahead > 100*time.Millisecond {
				s.Failf(ruleHybridWall, "Wall is ahead of the node's wall clock by %v, want 0s to 100ms: %v", ahead, e)
			}
		}
	})
}

// fromNoon writes a timestamp with its Wall as a distance from noon, which the wall clock shows.
func fromNoon(t clocks.HybridTime) string {
	wall := "noon"
	if d := time.Duration(t.Wall - noon.UnixNano()); d < 0 {
		wall = fmt.Sprintf("noon - %v", -d)
	} else if d > 0 {
		wall = fmt.Sprintf("noon + %v", d)
	}
	return fmt.Sprintf("{Wall: %s, Logical: %d}", wall, t.Logical)
}

// A message counts however far its Wall is ahead of the node's wall clock, and however far behind.
func TestHybridBelievesEveryMessage3E(t *testing.T) {
	const year = 365 * 24 * time.Hour
	labtest.Once(t, func(s *labtest.Sim) {
		for _, ahead := range []time.Duration{
			1, time.Millisecond, 300 * time.Millisecond, time.Second, 10 * time.Second, 2 * time.Minute, 2 * time.Hour,
			30 * time.Hour, 40 * 24 * time.Hour, year, 100 * year, 200 * year,
		} {
			c := clocks.NewHybridClock(func() time.Time { return noon })
			sent := clocks.HybridTime{Wall: noon.Add(ahead).UnixNano(), Logical: 3}
			first := c.Tick()
			names := []string{"Receive", "the next Tick", "Receive of an older message after that"}
			for i, got := range []clocks.HybridTime{c.Receive(sent), c.Tick(), c.Receive(first)} {
				want := clocks.HybridTime{Wall: sent.Wall, Logical: sent.Logical + 1 + i}
				if !sent.Before(got) {
					s.Failf(ruleHybridOrder, "a message with the timestamp %s was passed to Receive of a HybridClock whose wall clock shows noon: %s returned %s, want a later timestamp", fromNoon(sent), names[i], fromNoon(got))
				}
				if got != want {
					s.Failf(ruleHybridValues, "a message with the timestamp %s was passed to Receive of a HybridClock whose wall clock shows noon: %s returned %s, want %s", fromNoon(sent), names[i], fromNoon(got), fromNoon(want))
				}
			}
		}
		now := noon
		c := clocks.NewHybridClock(func() time.Time { return now })
		first := c.Tick()
		now = now.Add(-50 * year) // the clock is set back, and counts from there
		if got, want := c.Tick(), (clocks.HybridTime{Wall: first.Wall, Logical: 1}); got != want {
			s.Failf(ruleHybridValues, "after the wall clock was set back by 50 years an event has timestamp %s, want %s", fromNoon(got), fromNoon(want))
		}
		old := clocks.HybridTime{Wall: noon.Add(-60 * year).UnixNano(), Logical: 1 << 20}
		if got, want := c.Receive(old), (clocks.HybridTime{Wall: first.Wall, Logical: 2}); got != want {
			s.Failf(ruleHybridValues, "the receipt of a message with timestamp %s has timestamp %s, want %s", fromNoon(old), fromNoon(got), fromNoon(want))
		}
	})
}

// Logical counts on without an end while the wall clock stands still, and continues a message's Logical.
func TestHybridLargeLogical3E(t *testing.T) {
	const events = 70_000 // more than 16 bits can count
	labtest.Once(t, func(s *labtest.Sim) {
		c := clocks.NewHybridClock(func() time.Time { return noon })
		want := clocks.HybridTime{Wall: noon.UnixNano()}
		for range events {
			if got := c.Tick(); got != want {
				s.Failf(ruleHybridLogical, "call %d of Tick of a HybridClock whose wall clock shows noon returned %s, want %s", want.Logical+1, fromNoon(got), fromNoon(want))
			}
			want.Logical++
		}
		for _, logical := range []int{1 << 17, 1<<24 + 1, 1 << 31, 1 << 32, 1<<53 + 1} {
			want.Logical = logical + 1
			if got := c.Receive(clocks.HybridTime{Wall: want.Wall, Logical: logical}); got != want {
				s.Failf(ruleHybridLogical, "the receipt of a message with Logical %d has timestamp %s, want %s", logical, fromNoon(got), fromNoon(want))
			}
		}
	})
}

// The wall clock may be set at any instant, also between two readings for one event: it shows another time at each. Every event is after the
// event before it, and after the message that it receives.
func TestHybridClockSetMeanwhile3E(t *testing.T) {
	labtest.Once(t, func(s *labtest.Sim) {
		r := s.Rand()
		var about time.Duration // what the wall clock shows, more or less
		var shown []string      // for the next event
		c := clocks.NewHybridClock(func() time.Time {
			at := about + time.Duration(r.IntN(200)-100)*time.Millisecond
			shown = append(shown, fmt.Sprintf("noon%+dms", at.Milliseconds()))
			return noon.Add(at)
		})
		last := c.Tick()
		for i := range 500 {
			about, shown = about+10*time.Millisecond, nil
			heard := clocks.HybridTime{Wall: noon.Add(about).UnixNano(), Logical: r.IntN(3)}
			next, what := c.Tick, "Tick"
			if i%2 == 0 {
				next, what = func() clocks.HybridTime { return c.Receive(heard) }, "Receive of "+fromNoon(heard)
			}
			got := next()
			if !last.Before(got) || i%2 == 0 && !heard.Before(got) {
				s.Failf(ruleHybridOrder, "after %s, %s returned %s, want a later timestamp: for this event, the wall clock was read as %s", fromNoon(last), what, fromNoon(got), strings.Join(shown, ", then "))
			}
			last = got
		}
	})
}

// Many goroutines of one node call the clock at once, and others run whenever it reads the wall clock: each event
// has a timestamp of its own, and Logical counts them without a gap.
func TestHybridManyGoroutines3E(t *testing.T) {
	labtest.Once(t, func(s *labtest.Sim) {
		for _, ahead := range []time.Duration{0, time.Second} {
			c := clocks.NewHybridClock(func() time.Time { runtime.Gosched(); return noon })
			sent := clocks.HybridTime{Wall: noon.Add(ahead).UnixNano()}
			stamps := stampInParallel(s, 20, 100, c.Tick, func() clocks.HybridTime { return c.Receive(sent) })
			checkDistinct(s, stamps)
			// The first receipt may skip 0.
			if n, last := len(stamps), c.Tick(); ahead == 0 && last.Logical != n && last.Logical != n+1 {
				s.Failf(ruleLocking, "event %d at one wall time has Logical = %d, want %d or %d", n+1, last.Logical, n, n+1)
			}
		}
	})
}

// checkDistinct checks that no two events of one node have the same timestamp.
func checkDistinct(s *labtest.Sim, stamps []clocks.HybridTime) {
	seen := make(map[clocks.HybridTime]int, len(stamps))
	for at, st := range stamps {
		if before, twice := seen[st]; twice {
			s.Failf(ruleLocking, "goroutines called one clock at once: %s and %s returned the same timestamp, %s, want a timestamp of its own for each", stampedBy(before), stampedBy(at), fromNoon(st))
		}
		seen[st] = at
	}
}
