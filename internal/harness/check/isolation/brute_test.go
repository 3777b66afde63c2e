package isolation

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// bruteState is a store on which transactions are executed one after another.
type bruteState map[string][]int64

func (m bruteState) clone() bruteState {
	c := bruteState{}
	for k, v := range m {
		c[k] = slices.Clone(v)
	}
	return c
}

// run executes the transaction's operations, and reports whether it could have seen what it saw. It writes to into.
func (t *Txn) run(see, into bruteState) bool {
	own := see.clone()
	for _, op := range t.Ops {
		switch op.Kind {
		case Write:
			own[op.Key], into[op.Key] = []int64{op.Value}, []int64{op.Value}
		case Append:
			own[op.Key] = append(own[op.Key], op.Value)
			into[op.Key] = append(slices.Clone(into[op.Key]), op.Value)
		case Read:
			if !matches(op, own[op.Key]) {
				return false
			}
		case Scan:
			for key, value := range own {
				f, found := op.finds(key)
				if op.inRange(key) && (!found || !matches(f, value)) {
					return false
				}
			}
			for _, f := range op.Found {
				if !matches(f, own[f.Key]) {
					return false
				}
			}
		}
	}
	return true
}

func matches(op Op, value []int64) bool {
	switch {
	case op.List != nil:
		return slices.Equal(op.List, value)
	case op.Absent:
		return len(value) == 0
	}
	return len(value) == 1 && value[0] == op.Value
}

// committed returns what may count as the committed transactions: those that were, with every choice of the unknown ones.
func choices(h *History) (sets [][]*Txn) {
	var sure, unknown []*Txn
	for i := range h.Txns {
		switch h.Txns[i].Outcome {
		case Committed:
			sure = append(sure, &h.Txns[i])
		case Unknown:
			unknown = append(unknown, &h.Txns[i])
		}
	}
	for bits := range 1 << len(unknown) {
		set := slices.Clone(sure)
		for i, t := range unknown {
			if bits&(1<<i) != 0 {
				set = append(set, t)
			}
		}
		sets = append(sets, set)
	}
	return sets
}

func before(a, b *Txn) bool {
	return a.Outcome == Committed && (a.Return < b.Call || a.Session == b.Session && a.Call < b.Call)
}

// bruteSerial tries all serial orders; strictly: those that agree with real time and sessions.
func bruteSerial(h *History, strictly bool) bool {
	for _, set := range choices(h) {
		used := make([]bool, len(set))
		var try func(state bruteState, left int) bool
		try = func(state bruteState, left int) bool {
			if left == 0 {
				return true
			}
		next:
			for i, t := range set {
				if used[i] {
					continue
				}
				for j, o := range set {
					if strictly && !used[j] && i != j && before(o, t) {
						continue next
					}
				}
				after := state.clone()
				if !t.run(state, after) {
					continue
				}
				used[i] = true
				if try(after, left-1) {
					return true
				}
				used[i] = false
			}
			return false
		}
		if try(bruteState{}, len(set)) {
			return true
		}
	}
	return false
}

// bruteSnapshot tries all orders of the starts and commits of transactions under snapshot isolation.
func bruteSnapshot(h *History) bool {
	for _, set := range choices(h) {
		snapshots, begun, ended := make([]bruteState, len(set)), make([]int, len(set)), make([]bool, len(set))
		wrote := map[string]int{} // when a key was last committed
		var try func(state bruteState, clock, left int) bool
		try = func(state bruteState, clock, left int) bool {
			if left == 0 {
				return true
			}
			for i, t := range set {
				switch {
				case ended[i]:
				case snapshots[i] == nil:
					snapshots[i], begun[i] = state, clock
					if try(state, clock+1, left) {
						return true
					}
					snapshots[i] = nil
				default:
					conflict := false
					for _, op := range t.Ops {
						conflict = conflict || (op.Kind == Write || op.Kind == Append) && wrote[op.Key] > begun[i]
					}
					after := state.clone()
					if conflict || !t.run(snapshots[i], after) {
						continue
					}
					old := map[string]int{}
					for _, op := range t.Ops {
						if op.Kind == Write || op.Kind == Append {
							old[op.Key] = wrote[op.Key]
						}
					}
					for key := range old {
						wrote[key] = clock
					}
					ended[i] = true
					if try(after, clock+1, left-1) {
						return true
					}
					ended[i] = false
					for key, at := range old {
						wrote[key] = at
					}
				}
			}
			return false
		}
		if try(bruteState{}, 1, len(set)) {
			return true
		}
	}
	return false
}

// randomHistory makes a small history of any sort: mostly wrong ones, some right.
func randomHistory(r *rand.Rand, txns int) *History {
	h := &History{}
	lists, scans := r.IntN(2) == 0, r.IntN(3) == 0
	keys := []string{"a", "b", "c"}[:1+r.IntN(3)]
	written := map[string][]int64{}
	next := int64(0)
	for i := range txns {
		t := Txn{ID: i + 1, Session: 1 + r.IntN(3), Call: time.Duration(10*i + r.IntN(10)), Outcome: Committed}
		if r.IntN(12) == 0 {
			t.Outcome = Unknown
		}
		for range 1 + r.IntN(3) {
			k := keys[r.IntN(len(keys))]
			if r.IntN(2) == 0 {
				next++
				written[k] = append(written[k], next)
				if lists {
					t.Ops = append(t.Ops, A(k, next))
				} else {
					t.Ops = append(t.Ops, W(k, next))
				}
				continue
			}
			t.Ops = append(t.Ops, Op{Kind: Read, Key: k})
			if scans && r.IntN(2) == 0 {
				t.Ops[len(t.Ops)-1] = Op{Kind: Scan, From: "a", To: k}
			}
		}
		t.Return = t.Call + time.Duration(1+r.IntN(25))
		h.Txns = append(h.Txns, t)
	}
	guess := func(k string) Op {
		w := written[k]
		if !lists {
			if n := r.IntN(len(w) + 1); n < len(w) {
				return R(k, w[n])
			}
			return Missing(k)
		}
		order := slices.Clone(w)
		if r.IntN(6) == 0 {
			r.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		}
		return L(k, order[:r.IntN(len(order)+1)]...)
	}
	for i := range h.Txns {
		own := map[string][]int64{}
		for o := range h.Txns[i].Ops {
			op := &h.Txns[i].Ops[o]
			switch op.Kind {
			case Write:
				own[op.Key] = []int64{op.Value}
			case Append:
				own[op.Key] = append(own[op.Key], op.Value)
			case Read:
				*op = guess(op.Key)
				if mine := own[op.Key]; len(mine) > 0 && r.IntN(8) > 0 {
					if !lists {
						*op = R(op.Key, mine[0])
					} else {
						others := slices.DeleteFunc(slices.Clone(op.List), func(v int64) bool { return slices.Contains(mine, v) })
						*op = L(op.Key, append(others, mine...)...)
					}
				}
			case Scan:
				for _, k := range keys {
					if k < op.To {
						if f := guess(k); !f.Absent {
							op.Found = append(op.Found, f)
						}
					}
				}
			}
		}
	}
	// Sessions have one transaction at a time.
	for i := range h.Txns {
		for j := range i {
			if h.Txns[j].Session == h.Txns[i].Session && h.Txns[j].Return >= h.Txns[i].Call {
				h.Txns[j].Return = h.Txns[i].Call - 1
				h.Txns[j].Call = min(h.Txns[j].Call, h.Txns[j].Return-1)
			}
		}
	}
	return h
}

// bruteHistories is how many random histories are compared; the figures in this package's documentation are from 100 000.
var bruteHistories = flag.Int("brute", 800, "how many random histories to compare with brute force")

// The checker agrees with brute force over all serial orders, and over all orders of snapshots and commits.
func TestAgreesWithBruteForce(t *testing.T) {
	seen := map[string]int{}
	for seed := range uint64(*bruteHistories) {
		r := rand.New(rand.NewPCG(seed, 17))
		h := randomHistory(r, 2+r.IntN(5))
		if err := agrees(h, seen); err != nil {
			for i := range h.Txns {
				t.Log(h.Describe(&h.Txns[i]), h.Txns[i].Call, h.Txns[i].Return)
			}
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
	t.Log(seen)
	for _, l := range []Level{NoLevel, ReadUncommitted, ReadCommitted, SnapshotIsolation, Serializable, StrictSerializable} {
		require.NotZero(t, seen[l.String()], "no history with %v", l)
	}
}

// Where the orders of versions are too many to try, what follows from reads and real time is never wrong, and misses few violations.
func TestAgreesWithoutTryingOrders(t *testing.T) {
	orders := maxOrders
	defer func() { maxOrders = orders }()
	maxOrders = 0
	violations, missed := 0, 0
	for seed := range uint64(4 * *bruteHistories) {
		r := rand.New(rand.NewPCG(seed, 18))
		h := nearlyRight(r, 3+r.IntN(4))
		if seed%4 == 0 {
			h = randomHistory(r, 3+r.IntN(4))
		}
		report, err := Check(h)
		require.NoError(t, err)
		holds := bruteSerial(h, true)
		if report.Refuted <= StrictSerializable {
			require.False(t, holds, "seed %d: %v", seed, report.Anomalies)
		} else if !holds {
			missed++
		}
		if !holds {
			violations++
		}
	}
	t.Logf("%d violations of strict serializability, of which %d were missed", violations, missed)
	require.NotZero(t, violations)
	require.Less(t, 100*missed, violations)
}

// nearlyRight makes a small history of registers that a store has which is strictly serializable, except that one read may have seen another value,
// and the client of one transaction may not know its outcome.
func nearlyRight(r *rand.Rand, txns int) *History {
	s := &store{level: StrictSerializable, rand: r}
	h := s.history(txns, 2+r.IntN(3), 1+r.IntN(2), 3)
	written := map[string][]int64{}
	for _, t := range h.Txns {
		for _, op := range t.Ops {
			if op.Kind == Write {
				written[op.Key] = append(written[op.Key], op.Value)
			}
		}
	}
	t := &h.Txns[r.IntN(len(h.Txns))]
	if op := &t.Ops[r.IntN(len(t.Ops))]; op.Kind == Read && len(written[op.Key]) > 0 {
		*op = R(op.Key, written[op.Key][r.IntN(len(written[op.Key]))])
	}
	if t := &h.Txns[r.IntN(len(h.Txns))]; t.Outcome == Committed && r.IntN(3) == 0 {
		t.Outcome = Unknown
	}
	return h
}

func agrees(h *History, seen map[string]int) error {
	report, err := Check(h)
	if err != nil {
		return err
	}
	seen[report.Level.String()]++
	if !report.Exact {
		seen["not exact"]++
	}
	holds := false // a level that holds includes the weaker ones
	for _, c := range []struct {
		level Level
		brute func() bool
	}{
		{StrictSerializable, func() bool { return bruteSerial(h, true) }},
		{Serializable, func() bool { return bruteSerial(h, false) }},
		{SnapshotIsolation, func() bool { return bruteSnapshot(h) }},
	} {
		if c.level == SnapshotIsolation && !holds && len(h.Txns) > 5 {
			break // too many orders
		}
		holds = holds || c.brute()
		switch {
		case holds && report.Refuted <= c.level:
			return fmt.Errorf("%v is refuted, and it holds: %v", c.level, report.Anomalies)
		case !holds && report.Level >= c.level:
			return fmt.Errorf("%v is said to hold, and it does not", c.level)
		}
	}
	return nil
}
