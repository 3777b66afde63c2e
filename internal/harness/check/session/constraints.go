package session

import (
	"fmt"

	"distlabs/internal/harness/check/history"
)

// A constraints has what the guarantees force in every execution that explains the
// history.
type constraints struct {
	ix   *history.Index
	opts Options
	// follows has what writes follow reads and monotonic writes force: if a comes before b, then
	// wherever b is, a is too.
	follows *history.Order
	writes  map[string][]int
}

func newConstraints(ix *history.Index, opts Options) *constraints {
	b := &constraints{ix: ix, opts: opts, follows: history.NewOrder(len(ix.Ops)), writes: ix.Writes()}
	for w, op := range ix.Ops {
		if op.Kind != history.Write {
			continue
		}
		for e := w - 1; e >= 0 && ix.Ops[e].Client == op.Client; e-- {
			switch {
			case !ix.Before(e, w):
			case ix.Ops[e].Kind == history.Write && opts.Guarantees&MonotonicWrites != 0:
				b.follows.Add(e, w)
			case ix.From[e] != history.Nothing && opts.Guarantees&WritesFollowReads != 0:
				b.follows.Add(ix.From[e], w)
			}
		}
	}
	return b
}

// hold reports whether the guarantees hold.
func hold(ix *history.Index, opts Options) bool {
	b := newConstraints(ix, opts)
	start := b.follows.Clone()
	if opts.LinearWrites {
		ix.RealTime(start)
	}
	order := start
	for _, client := range ix.Clients() {
		if !opts.OneOrder {
			order = start.Clone()
		}
		if !b.explains(order, client) || order.Cyclic() {
			return false
		}
	}
	return true
}

// explains adds to an order of the writes what the reads of a client force: all
// writes of the key that the read must find are before the one that it
// returned. It reports false if a read found nothing where something must be.
func (b *constraints) explains(order *history.Order, client [2]int) bool {
	for r := client[0]; r < client[1]; r++ {
		if b.ix.Ops[r].Kind != history.Read {
			continue
		}
		for _, w := range b.writes[b.ix.Ops[r].Key] {
			switch {
			case w == b.ix.From[r] || b.reason(w, r) == history.Nothing:
			case b.ix.From[r] == history.Nothing:
				return false
			default:
				order.Add(w, b.ix.From[r])
			}
		}
	}
	return true
}

// reason returns why the write must be in the database that the read met: the
// operation of its client, or the read itself, which brings it along; or Nothing.
func (b *constraints) reason(w, r int) int {
	for e := r; e >= 0 && b.ix.Ops[e].Client == b.ix.Ops[r].Client; e-- {
		if brings := b.brings(e, r); brings != history.Nothing && (brings == w || b.follows.Has(w, brings)) {
			return e
		}
	}
	return history.Nothing
}

// brings returns the write that must be in the database of the read r on account
// of the operation e, or Nothing.
func (b *constraints) brings(e, r int) int {
	switch {
	case e == r:
		return b.ix.From[r]
	case !b.ix.Before(e, r):
	case b.ix.Ops[e].Kind == history.Write && b.opts.Guarantees&ReadYourWrites != 0:
		return e
	case b.ix.Ops[e].Kind == history.Read && b.opts.Guarantees&MonotonicReads != 0:
		return b.ix.From[e]
	}
	return history.Nothing
}

// explain makes the violation of guarantees that do not hold, but do without any
// one of them.
func explain(ops []history.Op, opts Options) *history.Violation {
	model := opts.Guarantees.String()
	minimal := history.Shrink(ops, func(part []history.Op) bool {
		ix, v, err := history.Prepare(model, part)
		return err == nil && (v != nil || !hold(ix, opts))
	})
	v := &history.Violation{Model: model, Minimal: minimal, Ops: minimal}
	ix, _, err := history.Prepare(model, minimal)
	if err != nil {
		panic(fmt.Sprintf("session: a part of a history is none: %v", err))
	}
	v.Sentence = fmt.Sprintf("no order of the writes has %s: %s", model, history.Tell(minimal))
	b := newConstraints(ix, opts)
	order := b.follows.Clone()
	if opts.LinearWrites {
		ix.RealTime(order)
	}
	for _, client := range ix.Clients() {
		b.explains(order, client)
	}
	last := history.Op{Invoke: -1}
	for r, read := range ix.Ops {
		for _, w := range b.writes[read.Key] {
			e := history.Nothing
			if read.Kind == history.Read && w != ix.From[r] && read.Invoke > last.Invoke {
				e = b.reason(w, r)
			}
			if e == history.Nothing || ix.From[r] != history.Nothing && !order.Has(ix.From[r], w) {
				continue
			}
			if s := b.sentence(e, w, r); s != "" {
				v.Sentence, last = s, read
			}
		}
	}
	return v
}

// sentence tells that the read r must have found the write w, for the operation
// e has brought it; "" if that is no short story.
func (b *constraints) sentence(e, w, r int) string {
	read, write, cause := b.ix.Ops[r], b.ix.Ops[w], b.ix.Ops[e]
	who := fmt.Sprintf("client %d %s", read.Client, read.Deed())
	brought := b.brings(e, r)
	switch {
	case e == w:
		return fmt.Sprintf("%s after its own write %s had finished at %s", who, write.Assignment(), history.Seconds(write.Return))
	case brought == w:
		return fmt.Sprintf("%s after it had %s, which is newer", who, cause.Deed())
	}
	after := b.ix.Ops[brought]
	how := "after"
	if !b.ix.Before(w, brought) {
		how = "" // by a read in between
		for x := range b.ix.Ops {
			if b.ix.From[x] == w && b.ix.Before(x, brought) {
				how = "after reading"
			}
		}
	}
	switch {
	case how == "":
		return ""
	case e == r:
		return fmt.Sprintf("%s, which client %d wrote %s %s, the newer", who, after.Client, how, write.Assignment())
	case e == brought:
		return fmt.Sprintf("%s after its own write %s at %s, which it made %s %s", who, cause.Assignment(), history.Seconds(cause.Return), how, write.Assignment())
	}
	return fmt.Sprintf("%s after it had %s, which client %d wrote %s %s", who, cause.Deed(), after.Client, how, write.Assignment())
}
