// Package happened computes Lamport's happened-before relation of a run from
// what was done in it: who did what in which order, and which message was
// received where. It looks at no clock, so clocks can be compared with it.
//
// a happened before b, a → b, if both happened on one node and a was first, or
// a sent the message that b received, or there is an event c with a → c and
// c → b (Lamport 1978). If neither a → b nor b → a, they are concurrent.
package happened

import (
	"fmt"
	"iter"
	"math/bits"

	"distlabs/labrpc"
)

// An Event is a step of one node.
type Event struct {
	Node     labrpc.NodeID
	Sends    int // the message that it sent, as the caller numbers them from 1; 0 for none
	Receives int // the message that it received; 0 for none
}

// A Relation is the happened-before relation of one run. Events go by their
// index in the slice that it was made from.
type Relation struct {
	past  [][]uint64 // past[e]: the events before e, a bit each
	chain []int
}

// Of returns the relation of a run. The events of one node come in the order in
// which they happened there; those of different nodes in any order. A message
// may be received several times, but is sent once. The error names a message
// that was sent twice or never, or an event that would have to happen before
// itself: then the run was recorded wrongly.
func Of(events []Event) (*Relation, error) {
	causes, err := directCauses(events)
	if err != nil {
		return nil, err
	}
	r := &Relation{past: make([][]uint64, len(events)), chain: make([]int, len(events))}
	for done := 0; done < len(events); {
		before := done
		for e := range events {
			if r.past[e] == nil && r.known(causes[e]) {
				r.add(e, causes[e])
				done++
			}
		}
		if done == before {
			return nil, fmt.Errorf("%s", r.stuck(events))
		}
	}
	return r, nil
}

// directCauses returns for each event the one before it on its node, and the
// sending of what it received.
func directCauses(events []Event) ([][]int, error) {
	sender := map[int]int{}
	for e, ev := range events {
		if ev.Sends == 0 {
			continue
		}
		if first, twice := sender[ev.Sends]; twice {
			return nil, fmt.Errorf("message %d is sent twice, by events %d and %d", ev.Sends, first, e)
		}
		sender[ev.Sends] = e
	}
	causes := make([][]int, len(events))
	last := map[labrpc.NodeID]int{}
	for e, ev := range events {
		if previous, ok := last[ev.Node]; ok {
			causes[e] = append(causes[e], previous)
		}
		last[ev.Node] = e
		if ev.Receives == 0 {
			continue
		}
		from, ok := sender[ev.Receives]
		if !ok {
			return nil, fmt.Errorf("event %d on %v receives message %d, which nobody sent", e, ev.Node, ev.Receives)
		}
		causes[e] = append(causes[e], from)
	}
	return causes, nil
}

func (r *Relation) known(events []int) bool {
	for _, e := range events {
		if r.past[e] == nil {
			return false
		}
	}
	return true
}

// add takes in e, whose causes are all in.
func (r *Relation) add(e int, causes []int) {
	past := make([]uint64, (len(r.past)+63)/64)
	for _, c := range causes {
		for i, w := range r.past[c] {
			past[i] |= w
		}
		past[c/64] |= 1 << (c % 64)
		r.chain[e] = max(r.chain[e], r.chain[c])
	}
	r.past[e] = past
	r.chain[e]++
}

func (r *Relation) stuck(events []Event) string {
	for e, past := range r.past {
		if past == nil {
			return fmt.Sprintf("event %d on %v would have to happen before itself", e, events[e].Node)
		}
	}
	return "" // not reached: somebody is stuck
}

// Before reports whether a → b.
func (r *Relation) Before(a, b int) bool { return r.past[b][a/64]&(1<<(a%64)) != 0 }

// Concurrent reports whether a and b are different events and neither happened
// before the other.
func (r *Relation) Concurrent(a, b int) bool {
	return a != b && !r.Before(a, b) && !r.Before(b, a)
}

// Past returns the events that happened before e, by ascending index.
func (r *Relation) Past(e int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i, w := range r.past[e] {
			for ; w != 0; w &= w - 1 {
				if !yield(i*64 + bits.TrailingZeros64(w)) {
					return
				}
			}
		}
	}
}

// Chain returns the length of the longest chain a → b → … → e that ends in e,
// counting e: 1 if nothing happened before it.
func (r *Relation) Chain(e int) int { return r.chain[e] }
