package detector

import "time"

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
type Phi struct{}

// NewPhi returns a Phi that has heard nothing yet.
func NewPhi(opts PhiOptions) *Phi {
	// TODO(2D): make room for the window.
	return &Phi{}
}

// Beat tells that a beat arrived. A beat that is not later than the one before
// is ignored.
func (p *Phi) Beat(at time.Time) {
	// TODO(2D): learn.
}

// Phi returns -log10 of the probability that a beat arrives later than now,
// given the normal distribution that the remembered intervals suggest (their
// mean, their standard deviation), counted from the last beat. Before the
// first beat it is 0.
//
// It is always a number, never negative and never infinite; and it does not
// fall from one beat to the next.
func (p *Phi) Phi(now time.Time) float64 {
	// TODO(2D): judge.
	return 0 // suspects no peer
}
