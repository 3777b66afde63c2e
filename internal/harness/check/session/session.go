// Package session checks the four session guarantees of Terry et al., *Session
// Guarantees for Weakly Consistent Replicated Data* (1994). They promise a client
// something about its own session, whichever servers it talks to:
//
//   - read your writes: its reads find its own earlier writes;
//   - monotonic reads: they find all that its earlier reads found;
//   - writes follow reads: a client that finds a write of the client's also finds what
//     the client had read before it;
//   - monotonic writes: a client that finds a write of the client's also finds the client's earlier ones.
//
// "Finds a write" means that it is in the database of the server at the time: a
// read of a key returns the last, in the order of the writes, that is there.
// That order is known only as far as the history tells it. A read that
// returns another's write after the client's own is no violation unless
// something says that the other's is the older one. The verdict is
// exact: nil if and only if there is an order of the writes, and for each read a
// database, with which the guarantees hold.
package session

import (
	"fmt"
	"strings"

	"distlabs/internal/harness/check/history"
)

// Guarantees is a set of session guarantees.
type Guarantees uint

// The guarantees.
const (
	ReadYourWrites Guarantees = 1 << iota
	MonotonicReads
	WritesFollowReads
	MonotonicWrites

	All = ReadYourWrites | MonotonicReads | WritesFollowReads | MonotonicWrites
)

var names = []struct {
	guarantee Guarantees
	name      string
}{
	{ReadYourWrites, "read your writes"},
	{MonotonicReads, "monotonic reads"},
	{WritesFollowReads, "writes follow reads"},
	{MonotonicWrites, "monotonic writes"},
}

// String names the guarantees of the set.
func (g Guarantees) String() string {
	var parts []string
	for _, n := range names {
		if g&n.guarantee != 0 {
			parts = append(parts, n.name)
		}
	}
	return strings.Join(parts, " + ")
}

// Options of a Check. The zero value is sensible.
type Options struct {
	// Guarantees are those that must hold together; 0 means All.
	//
	// Writes follow reads and monotonic writes speak of what others find, and one read of one
	// key does not tell: only a client whose reads are monotonic can bear witness. Ask for them together
	// with MonotonicReads.
	Guarantees Guarantees
	// OneOrder asks that all clients agree on the order of the writes, as the servers of Terry et
	// al. eventually do. Otherwise each client may see an order of its own.
	OneOrder bool
	// LinearWrites says that the order of the writes is that of real time, as in a store whose writes go
	// through a leader: one that was answered before another was called comes before it.
	LinearWrites bool
	MaxOps       int // refuses a longer history; 0 means 2000
}

// Check returns nil and nil if the guarantees hold, and a violation if they do
// not; its Model names those of them that are broken already without the
// others. The error wraps history.ErrUndecided for a history that is too long, and
// history.ErrMalformed for what is no history.
func Check(ops []history.Op, opts Options) (*history.Violation, error) {
	if opts.Guarantees == 0 {
		opts.Guarantees = All
	}
	if opts.MaxOps == 0 {
		opts.MaxOps = 2000
	}
	if len(ops) > opts.MaxOps {
		return nil, fmt.Errorf("session: %w: %d operations, more than %d", history.ErrUndecided, len(ops), opts.MaxOps)
	}
	ix, v, err := history.Prepare(opts.Guarantees.String(), ops)
	if err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	if v != nil || hold(ix, opts) {
		return v, nil
	}
	// The fewest guarantees first: the sentence is then the simplest.
	for n := 1; n <= len(names); n++ {
		for g := Guarantees(1); g <= All; g++ {
			if g&opts.Guarantees == g && g.count() == n {
				fewer := opts
				fewer.Guarantees = g
				if !hold(ix, fewer) {
					return explain(ops, fewer), nil
				}
			}
		}
	}
	panic("session: a set of guarantees is broken, but none of its subsets, not even itself")
}

func (g Guarantees) count() int {
	n := 0
	for ; g != 0; g &= g - 1 {
		n++
	}
	return n
}

// CheckReadYourWrites checks this guarantee alone.
func CheckReadYourWrites(ops []history.Op) (*history.Violation, error) {
	return Check(ops, Options{Guarantees: ReadYourWrites})
}

// CheckMonotonicReads checks this guarantee alone.
func CheckMonotonicReads(ops []history.Op) (*history.Violation, error) {
	return Check(ops, Options{Guarantees: MonotonicReads})
}

// CheckWritesFollowReads checks this guarantee, with the reads of the clients
// whose own reads are monotonic as witnesses. The reads of others are left out.
func CheckWritesFollowReads(ops []history.Op) (*history.Violation, error) {
	return Check(witnesses(ops), Options{Guarantees: WritesFollowReads | MonotonicReads})
}

// CheckMonotonicWrites checks this guarantee, with the reads of the clients
// whose own reads are monotonic as witnesses. The reads of others are left out.
func CheckMonotonicWrites(ops []history.Op) (*history.Violation, error) {
	return Check(witnesses(ops), Options{Guarantees: MonotonicWrites | MonotonicReads})
}

// witnesses returns the history without the reads of those clients whose reads
// are not monotonic.
func witnesses(ops []history.Op) []history.Op {
	ix, v, err := history.Prepare("", ops)
	if v != nil || err != nil {
		return ops // and Check will say so
	}
	bad := map[int]bool{}
	b := newConstraints(ix, Options{Guarantees: MonotonicReads})
	for _, client := range ix.Clients() {
		order := b.follows.Clone()
		bad[ix.Ops[client[0]].Client] = !b.explains(order, client) || order.Cyclic()
	}
	var left []history.Op
	for _, op := range ops {
		if op.Kind == history.Write || !bad[op.Client] {
			left = append(left, op)
		}
	}
	return left
}
