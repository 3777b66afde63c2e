package clocks_test

import (
	"fmt"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	clocks "distlabs/labs/03-clocks"

	"pgregory.net/rapid"
)

const (
	ruleHybridOrder   = "rule 17: if a happened before b, a's stamp is before b's: by Wall, and within one Wall by Logical (Kulkarni et al. 2014)"
	ruleHybridWall    = "rule 18: Wall is the largest that a wall clock showed at the event or at one that happened before it"
	ruleHybridLogical = "rule 19: Logical is 0 if no earlier event has this Wall, else one more than the largest of those"
)

func hybridClock(wall func() time.Time) clock[clocks.HybridTime] {
	c := clocks.NewHybridClock(wall)
	return clock[clocks.HybridTime]{tick: c.Tick, receive: c.Receive}
}

// checkHybrid holds the stamps of an execution against rules 17 to 19. What they
// should be follows from what the wall clocks showed at each event, and from who sent and received what.
func checkHybrid(h history[clocks.HybridTime]) *labtest.Violation {
	if v := h.ordered(ruleHybridOrder, clocks.HybridTime.Before); v != nil {
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
			What: fmt.Sprintf("%v, want %v", e, want[i]), Rule: rule,
			Seen:  append([]string{fmt.Sprintf("the wall clock of %v showed %d", e.Node, e.Wall)}, h.list()...),
			Nodes: []labrpc.NodeID{e.Node},
		}
	}
	return nil
}

// One clock through all the cases: its own time is new, the past's is ahead, the
// message's is ahead, both are ahead and equal, and the wall clock is set back.
func TestHybridCases3E(t *testing.T) {
	labtest.Once(t, func(s *labtest.Sim) {
		var now int64
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
			{name: "the wall clock comes up", wall: 20, want: stamp{20, 12}},
			{name: "the wall clock goes on", wall: 21, want: stamp{21, 0}},
			{name: "the wall clock is set back", wall: 3, want: stamp{21, 1}},
			{name: "a message with the time of the wall clock", wall: 30, sent: stamp{30, 0}, want: stamp{30, 1}},
			{name: "a message behind the wall clock", wall: 31, sent: stamp{30, 8}, want: stamp{31, 0}},
		} {
			now = row.wall
			got := stamp{}
			if row.sent == got {
				got = c.Tick()
			} else {
				got = c.Receive(row.sent)
			}
			if got != row.want {
				s.Failf(ruleHybridWall+"; "+ruleHybridLogical, "%s: the stamp is %v, want %v", row.name, got, row.want)
			}
		}
		property(s, func(t *rapid.T) *labtest.Violation {
			draw := func(name string) stamp {
				return stamp{Wall: rapid.Int64Range(1, 3).Draw(t, name), Logical: rapid.IntRange(0, 3).Draw(t, name)}
			}
			a, b := draw("a"), draw("b")
			if got, want := a.Before(b), a.Wall < b.Wall || a.Wall == b.Wall && a.Logical < b.Logical; got != want {
				return &labtest.Violation{What: fmt.Sprintf("%v.Before(%v) = %t, want %t", a, b, got, want), Rule: ruleHybridOrder}
			}
			return nil
		})
	})
}

// Rules 17 to 19 hold on the network, with wall clocks that are off by up to 50 ms,
// drift, and are set forward and back.
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

// The counter does not grow with the run: it counts only while a wall clock is
// behind the fastest, and starts again. Four nodes are up to 100 ms apart, and each sends
// 200 letters a second; so no more than 200 events can share a wall time.
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
			s.Measure("largest distance from the wall clock", float64(ahead.Microseconds())/1000, "ms", "≤ 100ms")
			if e.Stamp.Logical > 200 || e.Stamp.Logical < 0 {
				s.Failf(ruleHybridLogical, "the counter has come to %d: %v", e.Stamp.Logical, e)
			}
			if ahead < 0 || ahead > 100*time.Millisecond {
				s.Failf(ruleHybridWall, "%v is ahead of the wall clock by %v, want 0 to 100ms", e, ahead)
			}
		}
	})
}

// Many goroutines of one node stamp at once: no two events get one stamp.
func TestHybridManyGoroutines3E(t *testing.T) {
	labtest.Once(t, func(s *labtest.Sim) {
		c := clocks.NewHybridClock(func() time.Time { return noon })
		ahead := clocks.HybridTime{Wall: noon.Add(time.Second).UnixNano()}
		seen := map[clocks.HybridTime]bool{}
		for _, st := range atOnce(c.Tick, func() clocks.HybridTime { return c.Receive(ahead) }) {
			if seen[st] {
				s.Failf(ruleLocking, "two events of one node have the stamp %v", st)
			}
			seen[st] = true
		}
	})
}
