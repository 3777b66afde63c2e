package detector

import (
	"math"
	"sync"
	"time"
)

// PhiOptions say what a Phi learns from.
type PhiOptions struct {
	Window       int           // how many intervals between beats it remembers: the latest
	Expected     time.Duration // the interval that it assumes, give or take a quarter, while it remembers none
	MinDeviation time.Duration // a standard deviation below this counts as this
	MaxPause     time.Duration // a longer interval says that the peer was away, not how it beats
}

// A Phi judges how likely it is that one peer has crashed, from the times at
// which its beats arrived: the φ accrual detector of Hayashibara and others
// (2004). It sends nothing, waits for nothing and reads no clock. The caller
// it draws the line.
//
// All methods may be called from several goroutines at once.
type Phi struct {
	opts PhiOptions

	mu        sync.Mutex
	last      time.Time // when the last beat arrived; zero before the first
	intervals []float64 // in seconds, oldest first, at most opts.Window
}

// NewPhi returns a Phi that has heard nothing yet.
func NewPhi(opts PhiOptions) *Phi {
	return &Phi{opts: opts}
}

// Beat tells that a beat arrived. A beat that is not later than the one before
// is ignored.
func (p *Phi) Beat(at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !at.After(p.last) {
		return
	}
	interval := at.Sub(p.last)
	if !p.last.IsZero() && interval <= p.opts.MaxPause {
		p.intervals = append(p.intervals, interval.Seconds())
		if len(p.intervals) > p.opts.Window {
			p.intervals = p.intervals[1:]
		}
	}
	p.last = at
}

// Phi returns -log10 of the probability that a beat arrives later than now,
// given the normal distribution that the remembered intervals suggest (their
// mean, their standard deviation), counted from the last beat. Before the
// first beat it is 0.
//
// It is always a number, never negative and never infinite; and it does not
// fall from one beat to the next.
func (p *Phi) Phi(now time.Time) float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last.IsZero() {
		return 0
	}
	mean, deviation := p.distribution()
	return minusLogTail((now.Sub(p.last).Seconds() - mean) / deviation)
}

// distribution returns mean and standard deviation of the intervals, in
// seconds. The caller holds p.mu.
func (p *Phi) distribution() (mean, deviation float64) {
	floor := max(p.opts.MinDeviation, 1).Seconds() // 1 ns: φ is divided by the deviation, which is 0 if all intervals are equal
	n := float64(len(p.intervals))
	if n == 0 {
		mean = p.opts.Expected.Seconds()
		return mean, max(mean/4, floor)
	}
	for _, x := range p.intervals {
		mean += x / n
	}
	variance := 0.0
	for _, x := range p.intervals {
		variance += (x - mean) * (x - mean) / n
	}
	return mean, max(math.Sqrt(variance), floor)
}

// minusLogTail returns -log10 of the probability that a standard normal
// variable is greater than z.
//
// That probability is too small for a float64 from z = 38 on. Long before, at
// z = 20, we change over to its lower bound density(z)·z/(1+z²), whose
// logarithm needs no such number; it is wrong by about one part in 10⁵ of
// a probability of 10⁻⁸⁹, and on the side that keeps φ from falling.
func minusLogTail(z float64) float64 {
	if z < 20 {
		return -math.Log10(math.Erfc(z/math.Sqrt2) / 2)
	}
	logDensity := -z*z/2 - math.Log(2*math.Pi)/2
	return -(logDensity + math.Log(z/(1+z*z))) / math.Ln10
}
