// Package eventual checks eventual convergence: once writes have stopped and
// all replicas can talk, all reads of a key return one value (Terry et al. 1995;
// Vogels 2009). A history is finite, so the test must say by when.
package eventual

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"distlabs/internal/harness/check/history"
)

const model = "eventual convergence"

// Options of a Check.
type Options struct {
	// Settled is the instant at which the replicas must have converged. Reads that are called
	// from then on must agree. No write may be called after it.
	Settled time.Duration
	// NotOverwritten asks more of the value on which they agree: that no write of the key comes causally
	// after it. Last-writer-wins with a clock that is behind fails that.
	NotOverwritten bool
	MaxOps         int // refuses a longer history; 0 means 2000
}

// Check returns nil and nil if the history has converged, and a violation if it
// has not: two late reads of a key differ, or one finds nothing although a write was
// acknowledged. A key that was written and that nobody read once settled tells
// nothing: the error then wraps history.ErrUndecided, as it does for a history that is too
// long. history.ErrMalformed says that it is no history.
func Check(ops []history.Op, opts Options) (*history.Violation, error) {
	if opts.MaxOps == 0 {
		opts.MaxOps = 2000
	}
	if len(ops) > opts.MaxOps {
		return nil, fmt.Errorf("eventual: %w: %d operations, more than %d", history.ErrUndecided, len(ops), opts.MaxOps)
	}
	v, err := decide(ops, opts)
	if v == nil {
		return nil, err
	}
	minimal := history.Shrink(ops, func(part []history.Op) bool {
		v, _ := decide(part, opts)
		return v != nil
	})
	v, err = decide(minimal, opts)
	v.Minimal = minimal
	return v, err
}

func decide(ops []history.Op, opts Options) (*history.Violation, error) {
	ix, v, err := history.Prepare(model, ops)
	if err != nil {
		return nil, fmt.Errorf("eventual: %w", err)
	}
	if v != nil {
		return v, nil
	}
	late := map[string][]int{}
	for i, op := range ix.Ops {
		switch {
		case op.Kind == history.Write && (op.Invoke >= opts.Settled || !op.Indeterminate && op.Return > opts.Settled):
			return nil, fmt.Errorf("eventual: %w: a write after %s, by which all replicas must have converged: %v", history.ErrMalformed, history.Seconds(opts.Settled), op)
		case op.Kind == history.Read && op.Invoke >= opts.Settled:
			late[op.Key] = append(late[op.Key], i)
		}
	}
	writes := ix.Writes()
	for _, key := range slices.Sorted(maps.Keys(late)) {
		if v := converged(ix, late[key], writes[key], opts); v != nil {
			return v, nil
		}
	}
	for _, key := range slices.Sorted(maps.Keys(writes)) {
		if len(late[key]) == 0 {
			return nil, fmt.Errorf("eventual: %w: nobody read %s after %s", history.ErrUndecided, key, history.Seconds(opts.Settled))
		}
	}
	return nil, nil
}

// converged looks at the late reads of a key.
func converged(ix *history.Index, late, writes []int, opts Options) *history.Violation {
	first := ix.Ops[late[0]]
	for _, r := range late[1:] {
		if read := ix.Ops[r]; read.Value != first.Value {
			return violation(fmt.Sprintf("client %d %s, but client %d %s, although all replicas must have converged by %s",
				first.Client, first.Deed(), read.Client, read.Deed(), history.Seconds(opts.Settled)), first, read)
		}
	}
	for _, w := range writes {
		if write := ix.Ops[w]; first.Value == "" && !write.Indeterminate {
			return violation(fmt.Sprintf("client %d %s, although client %d %s", first.Client, first.Deed(), write.Client, write.Deed()), write, first)
		}
	}
	if !opts.NotOverwritten || first.Value == "" {
		return nil
	}
	causal, from := ix.Causal(), ix.From[late[0]]
	for _, w := range writes {
		if write, old := ix.Ops[w], ix.Ops[from]; causal.Has(from, w) {
			return violation(fmt.Sprintf("client %d %s, after %s, by which all replicas must have converged, although %s comes causally after it: client %d %s",
				first.Client, first.Deed(), history.Seconds(opts.Settled), write.Assignment(), write.Client, write.Deed()), old, write, first)
		}
	}
	return nil
}

func violation(sentence string, ops ...history.Op) *history.Violation {
	return &history.Violation{Model: model, Sentence: sentence, Ops: ops}
}
