// Package sequential checks whether a history is sequentially consistent: as if
// all operations had been executed one after another, those of each client in
// the client's own order (Lamport 1979). It is linearizability without the clock:
// an operation may appear to happen before its call or after its return.
//
// To decide is NP-complete even if every value is written once (Gibbons and
// Korach 1997), so the check has two steps. First it collects what every
// order must obey: the causal order, and for a read of w and another write w' of the
// same key, that w' is not between them. A cycle is a proof that there is no order. Otherwise
// it searches for one, in at most Options.Steps steps, and the order
// that it finds is a proof.
package sequential

import (
	"fmt"

	"distlabs/internal/harness/check/history"
)

const model = "sequential consistency"

// Options of a Check. The zero value is sensible.
type Options struct {
	Steps  int // bounds the search; 0 means 200 000
	MaxOps int // refuses a longer history; 0 means 2000
	// LinearWrites asks for more: that the writes are in the order of real time, as ZooKeeper has it. Only
	// reads may then be behind.
	LinearWrites bool
}

// Check returns nil and nil if the history is sequentially consistent, and a
// violation if it is not. Where it cannot tell within its limits, the error
// wraps history.ErrUndecided; history.ErrMalformed says that it is no history.
func Check(ops []history.Op, opts Options) (*history.Violation, error) {
	if opts.Steps == 0 {
		opts.Steps = 200_000
	}
	if opts.MaxOps == 0 {
		opts.MaxOps = 2000
	}
	if len(ops) > opts.MaxOps {
		return nil, fmt.Errorf("sequential: %w: %d operations, more than %d", history.ErrUndecided, len(ops), opts.MaxOps)
	}
	ix, v, err := history.Prepare(model, ops)
	if err != nil {
		return nil, fmt.Errorf("sequential: %w", err)
	}
	if v != nil {
		return v, nil
	}
	switch decide(ix, opts) {
	case legal:
		return nil, nil
	case undecided:
		return nil, fmt.Errorf("sequential: %w: %d operations, %d steps", history.ErrUndecided, len(ix.Ops), opts.Steps)
	}
	minimal := history.Shrink(ops, func(part []history.Op) bool {
		ix, v, err := history.Prepare(model, part)
		return err == nil && (v != nil || decide(ix, opts) == illegal)
	})
	return &history.Violation{
		Model:    model,
		Sentence: "no one order of all operations has what the clients saw: " + history.Tell(minimal),
		Ops:      minimal, Minimal: minimal,
	}, nil
}

type verdict int

const (
	legal verdict = iota
	illegal
	undecided
)

func decide(ix *history.Index, opts Options) verdict {
	must := ix.Causal()
	if opts.LinearWrites {
		ix.RealTime(must)
	}
	if !saturate(ix, must) {
		return illegal
	}
	s := newSearch(ix, must, opts.Steps)
	switch found := s.run(); {
	case found:
		return legal
	case s.left < 0:
		return undecided
	}
	return illegal
}

// saturate adds to an order what every order that contains it and explains the
// history must obey. It reports whether that is free of contradiction.
func saturate(ix *history.Index, must *history.Order) bool {
	writes := ix.Writes()
	for grown := true; grown && !must.Cyclic(); {
		grown = false
		for r, op := range ix.Ops {
			if op.Kind != history.Read {
				continue
			}
			from := ix.From[r]
			for _, w := range writes[op.Key] {
				switch {
				case w == from:
				case from == history.Nothing: // found nothing: before all writes
					grown = must.Add(r, w) || grown
				case must.Has(w, r): // before the read, so before what it saw
					grown = must.Add(w, from) || grown
				case must.Has(from, w): // after what it saw, so after the read
					grown = must.Add(r, w) || grown
				}
			}
		}
	}
	return !must.Cyclic()
}
