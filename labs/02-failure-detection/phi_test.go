package detector_test

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	. "distlabs/labs/02-failure-detection"
)

const (
	ruleValue  = "φ = −log10 of the probability of a later heartbeat, by mean and standard deviation of the window (rule 13; Hayashibara et al. 2004, §4.2)"
	ruleSound  = "φ is a number, never negative or infinite; until the next heartbeat it never falls, and it continues to rise (rule 14)"
	ruleWindow = "only the latest Window intervals count (rule 15)"
	rulePause  = "an interval longer than MaxPause is not remembered, and those before it still are (rule 16)"
	ruleCalls  = "all methods may be called by several goroutines at once (rule 23)"
	threshold  = 8.0
)

// A heart feeds a Phi, at times that it makes up.
type heart struct {
	phi  *Phi
	last time.Time
}

func newHeart(opts PhiOptions) *heart {
	return &heart{phi: NewPhi(opts), last: time.Now()}
}

// beat beats n times, after each of the intervals in turn.
func (h *heart) beat(n int, intervals ...time.Duration) {
	for i := range n {
		h.last = h.last.Add(intervals[i%len(intervals)])
		h.phi.Beat(h.last)
	}
}

// after asks for φ when the last beat is so long ago.
func (h *heart) after(silence time.Duration) float64 { return h.phi.Phi(h.last.Add(silence)) }

// near checks a value of φ. Approximations of the normal distribution may be
// used, and the deviation may be that of the sample or that of the population.
func near(s *labtest.Sim, rule string, got, want float64, format string, args ...any) {
	if math.IsNaN(got) || math.Abs(got-want) > 0.04*want+0.02 {
		when, why, _ := strings.Cut(fmt.Sprintf(format, args...), ": ")
		s.Failf(rule, "%s, Phi returned φ = %.4g, want %.4g: %s", when, got, want, why)
	}
}

// Known intervals give known levels: the tail of the normal distribution at z
// standard deviations past the mean.
func TestPhiOfKnownIntervals2D(t *testing.T) {
	tests := []struct {
		mean, deviation time.Duration // of the intervals
		floor           time.Duration
		counts          time.Duration // the deviation that should count
	}{
		{mean: time.Second, deviation: 100 * time.Millisecond, floor: 10 * time.Millisecond, counts: 100 * time.Millisecond},
		{mean: 100 * time.Millisecond, deviation: 40 * time.Millisecond, floor: time.Millisecond, counts: 40 * time.Millisecond},
		{mean: 100 * time.Millisecond, floor: 20 * time.Millisecond, counts: 20 * time.Millisecond},
		{mean: time.Second, deviation: 2 * time.Millisecond, floor: 50 * time.Millisecond, counts: 50 * time.Millisecond},
		{mean: 2500 * time.Microsecond, deviation: 300 * time.Microsecond, floor: 10 * time.Microsecond, counts: 300 * time.Microsecond},
		{mean: 90 * time.Minute, deviation: 30 * time.Minute, floor: time.Minute, counts: 30 * time.Minute},
	}
	tail := map[time.Duration]float64{-1: 0.07503, 0: 0.30103, 1: 0.79955, 2: 1.64302, 3: 2.86970} // -log10 of Q(z)
	labtest.Once(t, func(s *labtest.Sim) {
		for _, test := range tests {
			h := newHeart(PhiOptions{Window: 100, Expected: time.Minute, MinDeviation: test.floor, MaxPause: 24 * time.Hour})
			h.beat(101, test.mean+test.deviation, test.mean-test.deviation)
			for z := time.Duration(-1); z <= 3; z++ {
				silence := test.mean + z*test.counts
				near(s, ruleValue, h.after(silence), tail[z], "after %v without a heartbeat: the intervals were %v ± %v, and MinDeviation is %v", silence, test.mean, test.deviation, test.floor)
			}
		}
	})
}

// Over random histories: φ never falls while nothing is heard, goes on rising
// for an hour, and remains a number all the time.
func TestNeverFallsNeverBreaks2D(t *testing.T) {
	labtest.Once(t, func(s *labtest.Sim) {
		for range 40 {
			mean := time.Duration(1+s.Rand().IntN(1000)) * time.Millisecond
			jitter := 1 + int64(mean)*s.Rand().Int64N(3)/2
			h := newHeart(PhiOptions{Window: 20, Expected: mean, MinDeviation: mean / 10, MaxPause: time.Hour})
			for range 1 + s.Rand().IntN(40) {
				h.beat(1, mean/10+time.Duration(s.Rand().Int64N(jitter)))
			}
			before, minute := -1.0, 0.0
			for silence := time.Duration(0); silence < time.Hour; silence += max(mean/200, silence/400) {
				phi := h.after(silence)
				if math.IsNaN(phi) || math.IsInf(phi, 0) || phi < 0 {
					s.Failf(ruleSound, "Phi returned φ = %v after %v without a heartbeat, want a finite number that is not negative", phi, silence)
				}
				if phi < before-1e-9 {
					s.Failf(ruleSound, "Phi = %v after %v without a heartbeat, want at least %v, which it had returned earlier in the same silence", phi, silence, before)
				}
				if before = phi; silence < time.Minute {
					minute = phi
				}
			}
			if minute < threshold || before <= minute {
				s.Failf("until the next heartbeat φ continues to rise (rule 14)",
					"Phi returned φ = %.1f after a minute without a heartbeat and %.1f after an hour, want at least %v and then more: the intervals before were about %v", minute, before, threshold, mean)
			}
		}
	})
}

// When a peer has changed its rhythm for the length of the window, the old one is forgotten.
func TestWindowForgets2D(t *testing.T) {
	opts := PhiOptions{Window: 50, Expected: time.Second, MinDeviation: 20 * time.Millisecond, MaxPause: time.Minute}
	labtest.Once(t, func(s *labtest.Sim) {
		faster := newHeart(opts)
		faster.beat(400, time.Second)
		near(s, ruleWindow, faster.after(time.Second), 0.30103, "after 1s without a heartbeat: all heartbeats came every second")
		faster.beat(50, period)
		if phi := faster.after(5 * period); phi < threshold {
			s.Failf(ruleWindow, "Phi returned φ = %.4g after %v without a heartbeat, want more than %v: the last 50 heartbeats came every %v", phi, 5*period, threshold, period)
		}
		slower := newHeart(opts)
		slower.beat(400, period)
		slower.after(period)
		slower.beat(50, time.Second)
		near(s, ruleWindow, slower.after(time.Second), 0.30103, "after 1s without a heartbeat: the last 50 heartbeats came every second")
	})
}

// A peer was away for a minute: suspended, or cut off. It comes back with its old rhythm.
// What was learnt of that rhythm still holds: a second absence must be noticed as quickly.
func TestPauseIsNotLearnt2D(t *testing.T) {
	labtest.Once(t, func(s *labtest.Sim) {
		h := newHeart(PhiOptions{Window: 50, Expected: 3 * period, MinDeviation: 10 * time.Millisecond, MaxPause: 5 * time.Second})
		h.beat(60, period+20*time.Millisecond, period-20*time.Millisecond)
		for range 3 {
			h.beat(1, time.Minute)
			near(s, rulePause, h.after(period), 0.30103, "%v after the first heartbeat that followed a pause of a minute: the intervals before were %[1]v ± 20ms", period)
			h.beat(10, period-20*time.Millisecond, period+20*time.Millisecond)
			if phi := h.after(5 * period); phi < threshold {
				s.Failf(rulePause, "Phi returned φ = %.4g after %v without a heartbeat, want more than %v: heartbeats arrive every %v, except for pauses of a minute",
					phi, 5*period, threshold, period)
			}
		}
	})
}

// A peer may crash after its first beat, when nothing is known of its rhythm yet.
func TestFirstBeats2D(t *testing.T) {
	const rule = "while no interval is remembered, Expected ± Expected/4 counts, or Expected ± MinDeviation if that is more (rule 17)"
	labtest.Once(t, func(s *labtest.Sim) {
		h := newHeart(PhiOptions{Window: 50, Expected: period, MinDeviation: 10 * time.Millisecond, MaxPause: 5 * time.Second})
		if phi := h.after(time.Hour); phi != 0 {
			s.Failf("before the first heartbeat φ is 0 (rule 17)", "Phi returned φ = %v before the first heartbeat, want 0", phi)
		}
		h.beat(1, time.Hour)
		h.phi.Beat(h.last)                                       // the same beat, again
		h.phi.Beat(h.last.In(time.FixedZone("elsewhere", 3600))) // and once more: the same instant on another clock face
		near(s, rule, h.after(period), 0.30103, "%v after the first heartbeat: no interval is remembered, as Beat was called three times with one instant, the last time in another time zone, and Expected is %[1]v", period)
		near(s, rule, h.after(period+period/2), 1.64302, "%v after the first heartbeat: no interval is remembered, as Beat was called three times with one instant, the last time in another time zone, and Expected is %v", period+period/2, period)
		h.beat(1, 2*period)
		h.phi.Beat(h.last.Add(-period)) // an old beat
		near(s, ruleValue, h.after(2*period), 0.30103, "%v after the second of two heartbeats: they came %[1]v apart, and then Beat was called with an earlier instant", 2*period)
		near(s, ruleValue, h.after(2*period+20*time.Millisecond), 1.64302, "%v after the second of two heartbeats: they came %v apart, then Beat was called with an earlier instant, and MinDeviation is 10ms", 2*period+20*time.Millisecond, 2*period)
		early := newHeart(PhiOptions{Window: 50, Expected: period, MinDeviation: 10 * time.Millisecond, MaxPause: 5 * time.Second})
		early.last = time.Date(1969, time.July, 20, 20, 17, 0, 0, time.UTC)
		early.beat(1, period)
		near(s, rule, early.after(period), 0.30103, "%v after the first heartbeat, which arrived in 1969: Expected is %[1]v", period)
		unbounded := newHeart(PhiOptions{Window: 50, Expected: period, MinDeviation: period, MaxPause: math.MaxInt64})
		unbounded.beat(1, time.Hour)
		near(s, rule, unbounded.after(period), 0.30103, "%v after the first heartbeat, which ends no interval: Expected is %[1]v, and MaxPause is the longest time", period)
		near(s, rule, unbounded.after(2*period), 0.79955, "%v after the first heartbeat: Expected and MinDeviation are %v", 2*period, period)
	})
}

// The window has exactly Window intervals, and an interval of exactly MaxPause is remembered. The least deviation is so
// large here that φ depends on the mean alone.
func TestEdgesOfTheWindow2D(t *testing.T) {
	labtest.Once(t, func(s *labtest.Sim) {
		for _, size := range []int{1, 2, 4, 1000} {
			opts := PhiOptions{Window: size, Expected: period, MinDeviation: time.Duration(size) * time.Second, MaxPause: time.Hour}
			full, over := newHeart(opts), newHeart(opts)
			full.beat(1, time.Second)
			full.beat(1, time.Duration(size)*time.Second)
			full.beat(size-1, time.Second)
			mean := time.Second + time.Duration(size-1)*time.Second/time.Duration(size)
			near(s, ruleWindow, full.after(mean), 0.30103, "after %v without a heartbeat: Window is %d, and the mean of the last %[2]d intervals is %[1]v", mean, size)
			over.beat(1, time.Second)
			over.beat(1, time.Duration(3*size)*time.Second)
			over.beat(size, time.Second)
			near(s, ruleWindow, over.after(time.Second), 0.30103, "after 1s without a heartbeat: Window is %d, and the last %[1]d intervals were 1s long", size)
		}
		for _, test := range []struct{ interval, mean time.Duration }{{2 * time.Second, 1500 * time.Millisecond}, {2*time.Second + 1, time.Second}} {
			h := newHeart(PhiOptions{Window: 10, Expected: time.Second, MinDeviation: time.Second, MaxPause: 2 * time.Second})
			h.beat(2, time.Second)
			h.beat(1, test.interval)
			near(s, rulePause, h.after(test.mean), 0.30103, "%v after intervals of 1s and %v: MaxPause is 2s", test.mean, test.interval)
		}
		// A pause takes no place in the window either.
		h := newHeart(PhiOptions{Window: 2, Expected: time.Second, MinDeviation: time.Second, MaxPause: 2 * time.Second})
		h.beat(4, time.Second, time.Second, 2*time.Second, time.Minute)
		near(s, rulePause, h.after(1500*time.Millisecond), 0.30103, "1.5s after intervals of 1s and 2s and a pause of a minute: Window is 2, and MaxPause is 2s")
	})
}

// A clock that is behind may ask for a time before the last heartbeat, and one that is far ahead for one years later, further than a
// time.Duration reaches. Equal intervals have no deviation, and MinDeviation may be 0: φ is a number even then.
func TestPhiAtAnyTime2D(t *testing.T) {
	labtest.Once(t, func(s *labtest.Sim) {
		h := newHeart(PhiOptions{Window: 50, Expected: period, MinDeviation: time.Millisecond, MaxPause: time.Hour})
		for range 3 {
			h.beat(1, period)
			before := 0.0
			for _, silence := range []time.Duration{-1000 * time.Hour, -time.Hour, -time.Second, -period, -1, 0, 1, period, time.Minute, 1000 * time.Hour, 100 * 365 * 24 * time.Hour} {
				phi, when := h.after(silence), fmt.Sprintf("%v after", silence)
				if silence < 0 {
					when = fmt.Sprintf("%v before", -silence)
				}
				if math.IsNaN(phi) || math.IsInf(phi, 0) || phi < 0 || phi < before-1e-9 {
					s.Failf(ruleSound, "Phi returned φ = %v for a time %s the last heartbeat, want a number of at least %v", phi, when, before)
				}
				before = phi
			}
			for _, years := range []int{300, 2000} {
				phi := h.phi.Phi(h.last.AddDate(years, 0, 0))
				if math.IsNaN(phi) || math.IsInf(phi, 0) || phi < before-1e-9 {
					s.Failf(ruleSound, "Phi returned φ = %v for a time %d years after the last heartbeat, want a number of at least %v", phi, years, before)
				}
			}
			if phi, last := h.phi.Phi(time.Time{}), h.after(0); math.IsNaN(phi) || phi < 0 || phi > last+1e-9 {
				s.Failf(ruleSound, "Phi returned φ = %v for the zero time, long before the last heartbeat, want a number from 0 to %v, as at the last heartbeat", phi, last)
			}
			if before < 1 {
				s.Failf(ruleSound, "Phi returned φ = %v for a time 100 years after the last heartbeat, want at least 1: heartbeats came every %v", before, period)
			}
		}
		equal := newHeart(PhiOptions{Window: 50, Expected: period, MaxPause: time.Hour})
		equal.beat(10, period)
		before := 0.0
		for _, silence := range []time.Duration{-time.Second, 0, period - 1, period, period + 1, 2 * period, time.Minute, time.Hour, 100 * 365 * 24 * time.Hour} {
			phi := equal.after(silence)
			if math.IsNaN(phi) || math.IsInf(phi, 0) || phi < before-1e-9 {
				s.Failf(ruleSound, "Phi returned φ = %v for a time %v after the last heartbeat, want a number of at least %v: heartbeats came every %v, without a deviation, and MinDeviation is 0", phi, silence, before, period)
			}
			before = phi
		}
	})
}

// Several goroutines report each heartbeat, and others ask: each heartbeat counts once, since one that is not later than
// the one before is ignored.
func TestPhiManyGoroutines2D(t *testing.T) {
	const goroutines, old, recent = 4, 300, 500
	labtest.Once(t, func(s *labtest.Sim) {
		defer labtest.Threads(goroutines)()
		h := newHeart(PhiOptions{Window: old + recent, Expected: period, MinDeviation: time.Second, MaxPause: time.Hour})
		h.beat(old+1, 9*time.Second)
		for range recent {
			h.last = h.last.Add(time.Second)
			var all sync.WaitGroup
			for range goroutines {
				all.Go(func() {
					h.phi.Beat(h.last)
					h.phi.Phi(h.last)
				})
			}
			all.Wait()
		}
		near(s, ruleCalls, h.after(4*time.Second), 0.30103, "after 4s without a heartbeat: %d intervals of 9s and then %d of 1s, each reported by %d goroutines at once", old, recent, goroutines)
	})
}
