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

// A Phi keeps its window in a ring, with running sums, and approximates the
// normal distribution by a logistic function, as Akka's detector does. φ is then
// log10(1+exp(a)), which needs no small numbers at all.
type Phi struct {
	opts PhiOptions

	mu           sync.RWMutex
	heard        bool
	last         time.Time
	ring         []time.Duration
	next, filled int
	sum, squares float64 // of the intervals in the ring, in milliseconds
}

// NewPhi returns a Phi that has heard nothing yet.
func NewPhi(opts PhiOptions) *Phi {
	return &Phi{opts: opts, ring: make([]time.Duration, opts.Window)}
}

// Beat tells that a beat arrived.
func (p *Phi) Beat(at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.heard && !at.After(p.last) {
		return
	}
	if interval := at.Sub(p.last); p.heard && interval <= p.opts.MaxPause {
		p.remember(interval)
	}
	p.heard, p.last = true, at
}

func (p *Phi) remember(interval time.Duration) {
	if p.filled == len(p.ring) {
		old := millis(p.ring[p.next])
		p.sum -= old
		p.squares -= old * old
	} else {
		p.filled++
	}
	p.ring[p.next] = interval
	p.next = (p.next + 1) % len(p.ring)
	p.sum += millis(interval)
	p.squares += millis(interval) * millis(interval)
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// Phi returns the level of suspicion.
func (p *Phi) Phi(now time.Time) float64 {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if !p.heard {
		return 0
	}
	mean, deviation := millis(p.opts.Expected), millis(p.opts.Expected)/4
	if p.filled > 0 {
		n := float64(p.filled)
		mean = p.sum / n
		deviation = math.Sqrt(max(0, p.squares-n*mean*mean) / max(1, n-1))
	}
	y := (millis(now.Sub(p.last)) - mean) / max(deviation, millis(max(p.opts.MinDeviation, 1)))
	a := y * (1.5976 + 0.070566*y*y)
	if a > 30 {
		return a * math.Log10E
	}
	return math.Log1p(math.Exp(a)) * math.Log10E
}
