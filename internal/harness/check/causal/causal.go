// Package causal checks whether a history is causally consistent.
//
// a comes causally before b if both are of one client in this order, or b read
// what a wrote, or by a chain of these. A store is causally consistent if nobody
// sees an effect without its cause. Writes of which neither comes before the other
// may be seen in different orders; whether by different clients differently is
// where two models part:
//
//   - causal memory (Ahamad et al. 1995): each client may have an order of its own;
//   - causal convergence, known from COPS as causal+ (Lloyd et al. 2011): all
//     clients have one order of the writes of a key, as last-writer-wins gives.
//
// Neither implies the other in full; sequential consistency implies both.
// As every value is written once, both are decided exactly and in polynomial time
// (Bouajjani et al. 2017).
package causal

import (
	"fmt"
	"slices"
	"strings"

	"distlabs/internal/harness/check/history"
)

// Options of a Check. The zero value is sensible.
type Options struct {
	// Convergent asks for causal convergence in place of causal memory.
	Convergent bool
	MaxOps     int // refuses a longer history; 0 means 2000
}

func (o Options) model() string {
	if o.Convergent {
		return "causal convergence"
	}
	return "causal consistency"
}

// Check returns nil and nil if the history is causally consistent, and a
// violation if it is not. The error wraps history.ErrUndecided for a history that
// is too long, and history.ErrMalformed for what is no history.
func Check(ops []history.Op, opts Options) (*history.Violation, error) {
	if opts.MaxOps == 0 {
		opts.MaxOps = 2000
	}
	if len(ops) > opts.MaxOps {
		return nil, fmt.Errorf("causal: %w: %d operations, more than %d", history.ErrUndecided, len(ops), opts.MaxOps)
	}
	ix, v, err := history.Prepare(opts.model(), ops)
	if err != nil {
		return nil, fmt.Errorf("causal: %w", err)
	}
	if v != nil || legal(ix, opts) {
		return v, nil
	}
	minimal := history.Shrink(ops, func(part []history.Op) bool {
		ix, v, err := history.Prepare(opts.model(), part)
		return err == nil && (v != nil || !legal(ix, opts))
	})
	v = &history.Violation{Model: opts.model(), Ops: minimal, Minimal: minimal}
	if ix, _, _ := history.Prepare(opts.model(), minimal); ix != nil {
		v.Sentence = explain(ix, opts)
	}
	return v, nil
}

func legal(ix *history.Index, opts Options) bool {
	causal := ix.Causal()
	switch {
	case causal.Cyclic():
		return false
	case opts.Convergent:
		return converges(ix, causal)
	}
	for _, client := range ix.Clients() {
		if !explains(ix, causal, client) {
			return false
		}
	}
	return true
}

// converges reports whether one order of the writes agrees with causal order and
// with all reads: what comes causally before a read is not after what it saw.
func converges(ix *history.Index, causal *history.Order) bool {
	order := causal.Clone()
	writes := ix.Writes()
	for r, op := range ix.Ops {
		if op.Kind != history.Read {
			continue
		}
		for _, w := range writes[op.Key] {
			if w == ix.From[r] || !causal.Has(w, r) {
				continue
			}
			if ix.From[r] == history.Nothing {
				return false
			}
			order.Add(w, ix.From[r])
		}
	}
	return !order.Cyclic()
}

// explains reports whether one order of all writes and of one client's reads
// agrees with causal order and has the answers that the client saw. Its reads
// are a chain, so it suffices to add what they force until nothing is new.
func explains(ix *history.Index, causal *history.Order, client [2]int) bool {
	order := causal.Clone()
	writes := ix.Writes()
	for grown := true; grown; {
		grown = false
		for r := client[0]; r < client[1]; r++ {
			if ix.Ops[r].Kind != history.Read {
				continue
			}
			for _, w := range writes[ix.Ops[r].Key] {
				if w == ix.From[r] || !order.Has(w, r) {
					continue
				}
				if ix.From[r] == history.Nothing {
					return false
				}
				grown = order.Add(w, ix.From[r]) || grown
			}
		}
		if order.Cyclic() {
			return false
		}
	}
	return true
}

// explain makes the sentence for a minimal history.
func explain(ix *history.Index, opts Options) string {
	causal := ix.Causal()
	if causal.Cyclic() {
		return "each of these would have to come before itself: " + history.Tell(ix.Ops)
	}
	for r, read := range ix.Ops {
		for w, write := range ix.Ops {
			if read.Kind != history.Read || write.Kind != history.Write || read.Key != write.Key || !causal.Has(w, r) {
				continue
			}
			switch from := ix.From[r]; {
			case from == history.Nothing:
				return fmt.Sprintf("client %d %s, although %s comes causally before: %s", read.Client, read.Deed(), write.Assignment(), chain(ix, w, r))
			case causal.Has(from, w):
				return fmt.Sprintf("client %d %s, although %s comes causally before and has overwritten it: %s",
					read.Client, read.Deed(), write.Assignment(), chain(ix, from, w, r))
			}
		}
	}
	if opts.Convergent {
		return "no one order of the writes has what the clients saw: " + history.Tell(ix.Ops)
	}
	for _, client := range ix.Clients() {
		if !explains(ix, causal, client) {
			return fmt.Sprintf("no order of the writes has what client %d saw: %s", ix.Ops[client[0]].Client, history.Tell(ix.Ops))
		}
	}
	return history.Tell(ix.Ops)
}

// chain tells how each of the stops comes causally before the next.
func chain(ix *history.Index, stops ...int) string {
	path := stops[:1]
	for i := range len(stops) - 1 {
		path = append(slices.Clone(path), walk(ix, stops[i], stops[i+1])...)
	}
	var b strings.Builder
	for i, op := range path {
		switch {
		case i > 0 && ix.Ops[op].Client == ix.Ops[path[i-1]].Client:
			b.WriteString(", then ")
		case i > 0:
			fmt.Fprintf(&b, "; client %d ", ix.Ops[op].Client)
		default:
			fmt.Fprintf(&b, "client %d ", ix.Ops[op].Client)
		}
		b.WriteString(ix.Ops[op].Deed())
	}
	return b.String()
}

// walk returns a shortest way in causal steps, without its start.
func walk(ix *history.Index, from, to int) []int {
	next := map[int][]int{}
	for _, step := range ix.CausalSteps() {
		next[step[0]] = append(next[step[0]], step[1])
	}
	came := map[int]int{from: from}
	for queue := []int{from}; len(queue) > 0; queue = queue[1:] {
		for _, n := range next[queue[0]] {
			if _, seen := came[n]; !seen {
				came[n] = queue[0]
				queue = append(queue, n)
			}
		}
	}
	var path []int
	for at := to; at != from; at = came[at] {
		path = append(path, at)
	}
	slices.Reverse(path)
	return path
}
