package isolation

import (
	"cmp"
	"slices"
	"sort"
	"time"
)

// forced builds the graph of what every order of versions that agrees with the history has.
func (ix *index) forced() *graph {
	g := &graph{nodes: int32(len(ix.h.Txns))}
	for k := range ix.keys {
		ix.dependencies(g, int32(k), ix.keys[k].loose, false)
		if info := &ix.keys[k]; !info.list {
			ix.readThenWritten(g, int32(k))
			ix.writtenInRealTime(g, int32(k))
		}
	}
	ix.sessionOrder(g)
	ix.realTime(g)
	g.sort()
	return g
}

// total builds the graph for one order of the versions: order has the loose ones of each key.
func (ix *index) total(order [][]int32) *graph {
	g := &graph{nodes: int32(len(ix.h.Txns))}
	for k := range ix.keys {
		ix.dependencies(g, int32(k), order[k], true)
	}
	ix.sessionOrder(g)
	ix.realTime(g)
	g.sort()
	return g
}

// dependencies adds the ww, wr and rw edges of a key. If ordered is set, loose is an order of versions; otherwise all
// that is known is that they come after the chain.
func (ix *index) dependencies(g *graph, k int32, loose []int32, ordered bool) {
	info := &ix.keys[k]
	installed := make([]int32, 0, len(info.chain)+len(loose)) // transactions, in the order of their versions
	place := make([]int32, len(info.chain)+1)                 // how many of them are before a place in the chain
	for i, w := range info.chain {
		if w != initial && ix.in[info.writes[w].txn] {
			if t := info.writes[w].txn; len(installed) == 0 || installed[len(installed)-1] != t {
				installed = append(installed, t)
			}
		}
		place[i+1] = int32(len(installed))
	}
	fixed := len(installed)
	after := make(map[int32]int32, len(loose)) // of a loose version: how many are before its successor
	for _, w := range loose {
		installed = append(installed, info.writes[w].txn)
		after[w] = int32(len(installed))
	}
	known := len(installed)
	if !ordered && len(loose) > 1 {
		known = fixed
	}
	for i := 1; i < known; i++ {
		g.add(installed[i-1], installed[i], WW, k)
	}
	rest := installed[known:] // somewhere after the known ones
	var relay int32 = -1
	if len(rest) > 0 && known > 0 {
		for _, t := range rest {
			g.add(installed[known-1], t, WW, k)
		}
	}
	for _, r := range info.reads {
		if r.version != initial {
			g.add(info.writes[r.version].txn, r.txn, WR, k)
		}
		next := place[min(int(r.at), len(info.chain))]
		if !info.list {
			if r.version != initial {
				var final bool
				if next, final = after[ix.finalOf(info, r.version)]; !final {
					continue
				}
			}
		}
		kind := RW
		if r.predicate {
			kind = PredicateRW
		}
		switch {
		case int(next) < known:
			g.add(r.txn, installed[next], kind, k)
		case len(rest) == 0 || !info.list && r.version != initial:
		case slices.Contains(rest, r.txn):
			for _, t := range rest {
				g.add(r.txn, t, kind, k)
			}
		default:
			if relay < 0 {
				relay = g.relay()
				for _, t := range rest {
					g.add(relay, t, link, k)
				}
			}
			g.add(r.txn, relay, kind, k)
		}
	}
}

// finalOf returns the version that the writer of this one installed.
func (ix *index) finalOf(info *keyInfo, w int32) int32 {
	for !info.writes[w].final {
		w++
	}
	return w
}

// readThenWritten adds what follows from transactions that read a version of a register and replaced it: their own version
// is a later one.
func (ix *index) readThenWritten(g *graph, k int32) {
	info := &ix.keys[k]
	if len(info.loose) < 2 {
		return // the graph has everything already
	}
	replaced := map[int32][]int32{} // by the version read: transactions that read and replaced it
	for _, r := range info.reads {
		if r.version == initial {
			continue
		}
		v := ix.finalOf(info, r.version)
		if info.writtenBy(r.txn) && !slices.Contains(replaced[v], r.txn) {
			replaced[v] = append(replaced[v], r.txn)
			g.add(info.writes[v].txn, r.txn, follows, k)
		}
	}
	for _, r := range info.reads {
		if r.version == initial {
			continue
		}
		for _, t := range replaced[ix.finalOf(info, r.version)] {
			g.add(r.txn, t, RW, k)
		}
	}
}

// writtenInRealTime adds that a reader of a version is before each writer that was called after the version's own writer
// had returned: by real time, that version is a later one. Only the earliest such writers are needed.
func (ix *index) writtenInRealTime(g *graph, k int32) {
	info := &ix.keys[k]
	if len(info.loose) < 2 {
		return
	}
	byCall := make([]int32, 0, len(info.loose))
	for _, w := range info.loose {
		byCall = append(byCall, info.writes[w].txn)
	}
	slices.SortFunc(byCall, func(a, b int32) int { return cmp.Compare(ix.h.Txns[a].Call, ix.h.Txns[b].Call) })
	firstReturn := make([]time.Duration, len(byCall)+1) // of those from a place on
	firstReturn[len(byCall)] = never
	for i := len(byCall) - 1; i >= 0; i-- {
		firstReturn[i] = min(firstReturn[i+1], ix.returned(byCall[i]))
	}
	for _, r := range info.reads {
		if r.version == initial {
			continue
		}
		returned := ix.returned(info.writes[r.version].txn)
		i := sort.Search(len(byCall), func(i int) bool { return ix.h.Txns[byCall[i]].Call > returned })
		for bound := firstReturn[i]; i < len(byCall) && ix.h.Txns[byCall[i]].Call <= bound; i++ {
			g.add(r.txn, byCall[i], strictRW, k)
		}
	}
}

const never = time.Duration(1<<63 - 1)

// returned is when a transaction was certainly over.
func (ix *index) returned(t int32) time.Duration {
	if ix.h.Txns[t].Outcome != Committed {
		return never
	}
	return ix.h.Txns[t].Return
}

// sessionOrder adds the order of each session. Transactions with an unknown outcome, which may take effect later, are before nothing.
func (ix *index) sessionOrder(g *graph) {
	last := map[int]int32{}
	for t := range ix.h.Txns {
		if !ix.in[t] {
			continue
		}
		session := ix.h.Txns[t].Session
		if before, known := last[session]; known {
			g.add(before, int32(t), SessionOrder, 0)
		}
		if ix.h.Txns[t].Outcome == Committed {
			last[session] = int32(t)
		}
	}
}

// realTime adds that a transaction that returned is before those called later: through a chain of relays, one for each return.
func (ix *index) realTime(g *graph) {
	var byCall, byReturn []int32
	for t := range ix.h.Txns {
		if !ix.in[t] {
			continue
		}
		byCall = append(byCall, int32(t))
		if ix.returned(int32(t)) != never {
			byReturn = append(byReturn, int32(t))
		}
	}
	slices.SortStableFunc(byCall, func(a, b int32) int { return cmp.Compare(ix.h.Txns[a].Call, ix.h.Txns[b].Call) })
	slices.SortStableFunc(byReturn, func(a, b int32) int { return cmp.Compare(ix.h.Txns[a].Return, ix.h.Txns[b].Return) })
	last, next := int32(-1), 0
	for _, t := range byCall {
		for next < len(byReturn) && ix.h.Txns[byReturn[next]].Return < ix.h.Txns[t].Call {
			relay := g.relay()
			if last >= 0 {
				g.add(last, relay, chain, 0)
			}
			g.add(byReturn[next], relay, chain, 0)
			last = relay
			next++
		}
		if last >= 0 {
			g.add(last, t, RealTime, 0)
		}
	}
}
