package isolation

import (
	"cmp"
	"container/heap"
	"slices"
)

// maxSaturated is the largest history for which the consequences of serializability are drawn: this takes quadratic memory.
const maxSaturated = 4000

// maxOrders is how many orders of versions are tried one by one. A test sets it to 0.
var maxOrders = 20_000

// searchOrders looks for an order of the versions with which the history has the strongest level that is not refuted.
func (ix *index) searchOrders(g *graph, open []int32) {
	r := ix.report
	limit := r.Refuted - 1
	try := func(order [][]int32) bool {
		l, inSessions := levelOf(ix.total(order))
		l = min(l, limit)
		if l > r.Level {
			r.Level = l
		}
		r.Sessions = r.Sessions || l >= Serializable && inSessions
		return r.Level == limit
	}
	for _, m := range []mask{strict, saturated, flow} {
		if try(ix.byRank(ix.rank(g, m))) {
			return
		}
	}
	if all := ix.everyOrder(open, try); all && r.Level < limit {
		ix.refuteAll(open)
	}
}

// byRank orders the loose versions of each key by the ranks of their transactions.
func (ix *index) byRank(rank []int32) [][]int32 {
	order := make([][]int32, len(ix.keys))
	for k := range ix.keys {
		info := &ix.keys[k]
		order[k] = slices.SortedFunc(slices.Values(info.loose), func(a, b int32) int {
			return cmp.Compare(rank[info.writes[a].txn], rank[info.writes[b].txn])
		})
	}
	return order
}

// rank numbers the transactions in an order that agrees with the graph's edges, except within cycles; where the
// edges leave a choice, the one that returned first is first.
func (ix *index) rank(g *graph, m mask) []int32 {
	w := walk{g: g, mask: m}
	_, component := w.components()
	waits := make([]int32, g.nodes)
	eachEdge := func(n int32, do func(to int32)) {
		for _, e := range g.edges[g.off[n]:g.off[n+1]] {
			if to, ok := w.follow(n, e); ok && (component[n] < 0 || component[n] != component[to]) {
				do(to)
			}
		}
	}
	for n := range g.nodes {
		eachEdge(n, func(to int32) { waits[to]++ })
	}
	q := &byReturn{ix: ix}
	for n := range g.nodes {
		if waits[n] == 0 {
			q.nodes = append(q.nodes, n)
		}
	}
	heap.Init(q)
	rank := make([]int32, g.nodes)
	for next := int32(0); q.Len() > 0; next++ {
		n := heap.Pop(q).(int32)
		rank[n] = next
		eachEdge(n, func(to int32) {
			if waits[to]--; waits[to] == 0 {
				heap.Push(q, to)
			}
		})
	}
	return rank
}

// byReturn is a heap of nodes: relays first, then transactions by the time of their return.
type byReturn struct {
	ix    *index
	nodes []int32
}

func (q *byReturn) Len() int      { return len(q.nodes) }
func (q *byReturn) Swap(i, j int) { q.nodes[i], q.nodes[j] = q.nodes[j], q.nodes[i] }
func (q *byReturn) Push(n any)    { q.nodes = append(q.nodes, n.(int32)) }
func (q *byReturn) Pop() any {
	n := q.nodes[len(q.nodes)-1]
	q.nodes = q.nodes[:len(q.nodes)-1]
	return n
}

func (q *byReturn) Less(i, j int) bool {
	a, b := q.nodes[i], q.nodes[j]
	txns := int32(len(q.ix.h.Txns))
	if a >= txns || b >= txns {
		return a > b
	}
	return cmp.Or(cmp.Compare(q.ix.returned(a), q.ix.returned(b)), cmp.Compare(a, b)) < 0
}

// everyOrder tries all orders of the loose versions until one is good enough. It reports whether it tried all; it
// tries none if there are too many.
func (ix *index) everyOrder(open []int32, try func([][]int32) bool) bool {
	count := 1
	for _, k := range open {
		for n := 2; n <= len(ix.keys[k].loose); n++ {
			if count *= n; count > maxOrders {
				return false
			}
		}
	}
	order := make([][]int32, len(ix.keys))
	for k := range ix.keys {
		order[k] = slices.Clone(ix.keys[k].loose)
	}
	var permute func(i, at int) bool // reports whether to go on
	permute = func(i, at int) bool {
		if i == len(open) {
			return !try(order)
		}
		o := order[open[i]]
		if at == len(o) {
			return permute(i+1, 0)
		}
		for j := at; j < len(o); j++ {
			o[at], o[j] = o[j], o[at]
			more := permute(i, at+1)
			o[at], o[j] = o[j], o[at]
			if !more {
				return false
			}
		}
		return true
	}
	permute(0, 0)
	return true
}

// refuteAll records what is wrong with the history in one of its best orders, after all orders were tried.
func (ix *index) refuteAll(open []int32) {
	best, level := [][]int32(nil), ix.report.Level
	ix.everyOrder(open, func(order [][]int32) bool {
		if l, _ := levelOf(ix.total(order)); l < level {
			return false
		}
		best = make([][]int32, len(order))
		for k := range order {
			best[k] = slices.Clone(order[k])
		}
		return true
	})
	before := len(ix.report.Anomalies)
	ix.cycles(ix.total(best))
	for i := range ix.report.Anomalies[before:] {
		a := &ix.report.Anomalies[before+i]
		a.Text += ", in one order of the versions; every other order has an anomaly too"
	}
}

// saturate returns the graph with what must hold besides if the history is serializable, and if it is strictly serializable: of a reader of a version
// and another writer of the key, the writer is before the version's own writer, or the reader is before it. So versions that nobody has read get their places
// too, where real time leaves only one.
func (ix *index) saturate(g *graph) *graph {
	if len(ix.h.Txns) > maxSaturated {
		return g
	}
	ix.derive(g, saturated, derived, derivedRW)
	ix.derive(g, strict, strictDerived, strictDerivedRW)
	return g
}

// derive adds the edges, of two kinds, that follow from what reaches what along the edges of the mask.
func (ix *index) derive(g *graph, m mask, ww, rw EdgeKind) {
	for range 8 {
		reach := g.closure(m)
		if reach == nil || !ix.deriveOnce(g, reach, ww, rw) {
			return
		}
		g.sort()
	}
}

// deriveOnce adds the edges that follow from what reaches what, and reports whether there were any.
func (ix *index) deriveOnce(g *graph, reach []bitset, ww, rw EdgeKind) bool {
	var more []edge
	for k := range ix.keys {
		info := &ix.keys[k]
		if len(info.loose) < 2 || info.list {
			continue
		}
		for _, r := range info.reads {
			if r.version == initial {
				continue
			}
			own := info.writes[r.version].txn
			for _, l := range info.loose {
				other := info.writes[l].txn
				if other == own || other == r.txn {
					continue
				}
				if reach[own].has(other) && !reach[r.txn].has(other) {
					more = append(more, edge{r.txn, other, int32(k), rw})
				}
				if reach[other].has(r.txn) && !reach[other].has(own) {
					more = append(more, edge{other, own, int32(k), ww})
				}
			}
		}
	}
	g.edges = append(g.edges, more...)
	return len(more) > 0
}

type bitset []uint64

func (b bitset) has(i int32) bool { return b[i/64]&(1<<(i%64)) != 0 }

// closure returns what each node reaches; nil if the graph has a cycle, where there is nothing more to derive.
func (g *graph) closure(m mask) []bitset {
	w := walk{g: g, mask: m}
	if lists, _ := w.components(); len(lists) > 0 {
		return nil
	}
	words := (g.nodes + 63) / 64
	reach := make([]bitset, g.nodes)
	var visit func(n int32)
	visit = func(n int32) {
		reach[n] = make(bitset, words)
		for _, e := range g.edges[g.off[n]:g.off[n+1]] {
			to, ok := w.follow(n, e)
			if !ok {
				continue
			}
			if reach[to] == nil {
				visit(to)
			}
			reach[n][to/64] |= 1 << (to % 64)
			for i, word := range reach[to] {
				reach[n][i] |= word
			}
		}
	}
	for n := range g.nodes {
		if reach[n] == nil {
			visit(n)
		}
	}
	return reach
}
