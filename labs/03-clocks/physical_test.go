package clocks_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	clocks "distlabs/labs/03-clocks"

	"pgregory.net/rapid"
)

const (
	ruleHalfDelay = "rule 1: Delay is the time on the way, and Offset errs by at most half of it (RFC 5905 §8)"
	ruleFollows   = "rule 2: two minutes after the start, and after the server's clock was set, Now is within 25 ms of it"
	ruleWindow    = "rule 3: the exchange with the shortest delay of the last 8 counts: slow ones in between do not matter"
	ruleForward   = "rule 4: Now never goes back, and advances by at least 0.3 s in every second"
	ruleDrift     = "rule 5: after an hour, Drift is right within 6 ppm"
	rulePolls     = "rule 6: one question every 4 s, no more"

	maxError = 25 * time.Millisecond
	settled  = 2 * time.Minute // after which the clock is to be right
)

// noon is a moment to which the tables below refer.
var noon = time.Date(2030, 6, 1, 12, 0, 0, 0, time.UTC)

// exchange is what the four clocks show if the server is ahead by offset, and the
// way out, the server and the way back take that long.
func exchange(offset, out, server, back time.Duration) clocks.Exchange {
	return clocks.Exchange{
		Asked: noon, Received: noon.Add(out + offset), Answered: noon.Add(out + server + offset),
		Returned: noon.Add(out + server + back),
	}
}

// Offset and Delay are held against exchanges of which we know all.
func TestOffsetAndDelay3A(t *testing.T) {
	const ms = time.Millisecond
	labtest.Once(t, func(s *labtest.Sim) {
		check := func(offset, out, server, back time.Duration) *labtest.Violation {
			e := exchange(offset, out, server, back)
			v := &labtest.Violation{Rule: ruleHalfDelay, Seen: []string{fmt.Sprintf(
				"the server is ahead by %v; the way out took %v, the server %v, the way back %v", offset, out, server, back)}}
			if got := e.Delay(); got != out+back {
				v.What = fmt.Sprintf("Delay() = %v, want %v", got, out+back)
				return v
			}
			half := (out + back) / 2
			if got := e.Offset(); (got - offset).Abs() > half+1 {
				v.What = fmt.Sprintf("Offset() = %v, want %v give or take %v", got, offset, half)
				return v
			}
			return nil
		}
		for _, row := range []struct{ offset, out, server, back time.Duration }{
			{offset: 0, out: 5 * ms, server: 1 * ms, back: 5 * ms},
			{offset: 100 * ms, out: 0, server: 30 * ms, back: 0},
			{offset: -70 * ms, out: 4 * ms, server: 0, back: 4 * ms},
			{offset: 3 * time.Second, out: 80 * ms, server: 500 * ms, back: 2 * ms},
			{offset: -3 * time.Second, out: 2 * ms, server: 500 * ms, back: 80 * ms},
		} {
			if v := check(row.offset, row.out, row.server, row.back); v != nil {
				s.Fail(*v)
			}
		}
		property(s, func(t *rapid.T) *labtest.Violation {
			length := func(most int, name string) time.Duration {
				return time.Duration(rapid.IntRange(0, most).Draw(t, name)) * ms
			}
			offset := length(200_000, "offset") - 100*time.Second
			return check(offset, length(1000, "out"), length(1000, "server"), length(1000, "back"))
		})
	})
}

// A timekeeping is one client that follows one server: n2 and n1.
type timekeeping struct {
	s     *labtest.Sim
	clock *clocks.SyncedClock
	drift float64 // of the client's wall clock against the server's, in ppm
}

// newTimekeeping starts both. The server's clock is years away from the time
// of the machine that runs the test, so that nothing but asking tells it; the client's is
// ahead of the server's. Both drift by up to 100 ppm.
func newTimekeeping(s *labtest.Sim, ahead time.Duration) *timekeeping {
	epoch := 30*365*24*time.Hour + time.Duration(s.Rand().Int64N(int64(24*time.Hour)))
	serverDrift, clientDrift := 200*s.Rand().Float64()-100, 200*s.Rand().Float64()-100
	setClock(s, 1, epoch, serverDrift)
	setClock(s, 2, epoch+ahead, clientDrift)
	clocks.ServeTime(s.Start(1))
	clock := clocks.NewSyncedClock(s.Start(2), 1)
	return &timekeeping{s: s, clock: clock, drift: clientDrift - serverDrift}
}

// setClock sets a clock before the start. Minimising a failure tries what happens
// without: then the two clocks are years apart, of which no rule speaks.
func setClock(s *labtest.Sim, id labrpc.NodeID, skew time.Duration, drift float64) {
	s.Net.SetClock(id, skew, drift)
	if !s.Net.ReadClock(id).Equal(time.Now().Add(skew)) {
		s.Failf("the test sets both clocks before the start", "%v's clock was not set", id)
	}
}

// skew draws how far a client's clock is off at first.
func skew(s *labtest.Sim) time.Duration {
	d := 2*time.Second + time.Duration(s.Rand().Int64N(int64(8*time.Second)))
	if s.Rand().IntN(2) == 0 {
		return -d
	}
	return d
}

// err is how far the clock is ahead of the server's.
func (k *timekeeping) err() time.Duration { return k.clock.Now().Sub(k.s.Net.ReadClock(1)) }

// follow checks for a while that the clock is right.
func (k *timekeeping) follow(d time.Duration, rule string) {
	for range int(d / time.Second) {
		k.s.Run(time.Second)
		off := k.err()
		k.s.Measure("error of the clock", float64(off.Abs().Microseconds())/1000, "ms", "≤ 25ms")
		if off.Abs() > maxError {
			k.s.Fail(labtest.Violation{
				What: fmt.Sprintf("n2's clock is off from its server's by %v, %v after the start", off, k.s.Net.Now().Round(time.Second)),
				Rule: rule,
				Seen: []string{fmt.Sprintf("n2's own wall clock is off by %v", k.s.Net.ReadClock(2).Sub(k.s.Net.ReadClock(1)))},
			})
		}
	}
}

// A clock that was seconds off and drifts follows its server, though every fifth
// message is lost.
func TestFollowsTheServer3A(t *testing.T) {
	const lost = "a message was lost"
	cfg := labtest.Config{Nodes: 2, Link: labrpc.FairLoss(0.2), MustCover: []string{lost}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		k := newTimekeeping(s, skew(s))
		s.Run(settled)
		k.follow(5*time.Minute, ruleFollows)
		if s.Net.Stats(labrpc.Match{}).Lost > 0 {
			s.Cover(lost)
		}
	})
}

// The way to the server is congested for 18 of every 24 seconds: a question then
// takes 700 ms, the answer 5 ms, and the exchange is wrong by a third of a second. At least one of
// eight is not.
func TestBestOfTheWindow3A(t *testing.T) {
	const slow = "an exchange was lopsided"
	labtest.Run(t, labtest.Config{Nodes: 2, MustCover: []string{slow}}, func(s *labtest.Sim) {
		phase := time.Duration(s.Rand().Int64N(int64(24 * time.Second)))
		congested := func(sent time.Duration) bool { return (sent+phase)%(24*time.Second) < 18*time.Second }
		s.Net.SetLink(1, 2, labrpc.Link{Latency: labrpc.Uniform(4*time.Millisecond, 6*time.Millisecond)})
		s.Net.SetLink(2, 1, labrpc.Link{Latency: func(_ float64, sent time.Duration) time.Duration {
			if congested(sent) {
				return 700 * time.Millisecond
			}
			return 5 * time.Millisecond
		}})
		began := time.Now().Add(-s.Net.Now())
		s.Net.Intercept(func(m *labrpc.Message) labrpc.Verdict {
			if m.From == 2 && congested(time.Since(began)) {
				s.Cover(slow)
			}
			return labrpc.Pass
		})
		k := newTimekeeping(s, skew(s))
		s.Run(settled)
		k.follow(3*time.Minute, ruleWindow)
	})
}

// The client is ahead at first; later the server's clock is set back by five
// seconds, and then forward by three. The client's goes forward all the time, and is right soon.
func TestNeverGoesBack3A(t *testing.T) {
	const back = "the clock was ahead of its server's"
	labtest.Run(t, labtest.Config{Nodes: 2, Seeds: 5, MustCover: []string{back}}, func(s *labtest.Sim) {
		k := newTimekeeping(s, 8*time.Second)
		w := &watch{k: k}
		w.look()
		for _, step := range []time.Duration{0, -5 * time.Second, 3 * time.Second} {
			if step != 0 {
				s.Net.JumpClock(1, step)
			}
			if k.err() > time.Second {
				s.Cover(back)
			}
			for began := s.Net.Now(); s.Net.Now() < began+settled; {
				s.Run(100 * time.Millisecond)
				w.look()
			}
			k.follow(10*time.Second, ruleFollows)
		}
	})
}

// A watch reads a clock ten times a second and knows what it has shown.
type watch struct {
	k     *timekeeping
	shown []time.Time
}

func (w *watch) look() {
	const perSecond = 10
	s, now := w.k.s, w.k.clock.Now()
	if n := len(w.shown); n > 0 && now.Before(w.shown[n-1]) {
		s.Failf(ruleForward, "n2's clock went back by %v within 100ms, %v after the start", w.shown[n-1].Sub(now), s.Net.Now())
	}
	w.shown = append(w.shown, now)
	if n := len(w.shown); n > perSecond && n%perSecond == 0 {
		if ran := now.Sub(w.shown[n-1-perSecond]); ran < 300*time.Millisecond {
			s.Failf(ruleForward, "n2's clock advanced by %v within a second, %v after the start", ran, s.Net.Now())
		}
	}
}

// After an hour the client knows how fast its own clock runs, and has not worn
// the server out. Any two exchanges an hour apart tell it: over links of 1 to 20 ms
// each errs by at most 9.5 ms, both together by 5.3 ppm of an hour.
func TestDriftOverAnHour3A(t *testing.T) {
	const apart = "the two clocks ran apart by more than 20 ppm"
	cfg := labtest.Config{Nodes: 2, Limit: 2 * time.Hour, MustCover: []string{apart}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		k := newTimekeeping(s, skew(s))
		if math.Abs(k.drift) > 20 {
			s.Cover(apart)
		}
		s.Run(time.Hour)
		got := k.clock.Drift()
		s.Measure("error of the drift", math.Abs(got-k.drift), "ppm", "≤ 6ppm")
		if !(math.Abs(got-k.drift) <= 6) {
			s.Failf(ruleDrift, "Drift() = %.1f, want %.1f: n2's wall clock runs that many ppm faster than n1's", got, k.drift)
		}
		asked := s.Net.Stats(labrpc.Match{From: 2}).Sent
		s.Measure("questions in an hour", float64(asked), "", "≤ 902")
		if asked > 902 {
			s.Failf(rulePolls, "n2 sent %d messages in an hour, want at most 902", asked)
		}
		k.follow(10*time.Second, ruleFollows)
	})
}
