package isolation

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

const (
	// maxSteps bounds the search for the shortest cycle of a component, in edges looked at.
	maxSteps = 10_000_000
	// maxComponents bounds how many components are searched for one kind: there are that many anomalies already.
	maxComponents = 1000
)

// cycles reports the cycles of the graph, for each component at most one of each kind, the shortest.
func (ix *index) cycles(g *graph) {
	ix.inComponents(walk{g: g, mask: itemWrites}, ReadUncommitted, itemWrites, func(cycle) bool { return true })
	ix.inComponents(walk{g: g, mask: flow}, ReadCommitted, of(WR, follows), func(cycle) bool { return true })
	ix.skews(walk{g: g, mask: full | of(follows), apart: true})
	lists := ix.inComponents(walk{g: g, mask: saturated}, Serializable, rws|of(derived), func(c cycle) bool { return c.adjacent || c.derived })
	for _, m := range []mask{sessions, strict} {
		known := marked{}
		known.mark(lists)
		wanted := func(c cycle) bool { return c.order != "" && !known.any(c) }
		lists = append(lists, ix.inComponents(walk{g: g, mask: m}, StrictSerializable, saturated|of(strictRW, strictDerived, strictDerivedRW), wanted)...)
	}
}

// marked has the transactions among which there are cycles already.
type marked map[int32]bool

func (m marked) mark(lists [][]int32) {
	for _, l := range lists {
		for _, t := range l {
			m[t] = true
		}
	}
}

func (m marked) any(c cycle) bool {
	return slices.ContainsFunc(c.edges, func(e edge) bool { return m[e.from] })
}

// inComponents looks in each component of the walk for the shortest cycle through an edge of the kinds in through,
// and reports those that wanted accepts. A component refutes the level. It returns the components, as nodes.
func (ix *index) inComponents(w walk, refutes Level, through mask, wanted func(cycle) bool) [][]int32 {
	lists, component := w.components()
	if len(lists) > 0 {
		ix.report.Refuted = min(ix.report.Refuted, refutes)
	}
	s := newSearch(w, component)
	for _, list := range lists[:min(len(lists), maxComponents)] {
		s.steps = maxSteps
		best := ix.shortest(s, list, through, wanted)
		if best.edges != nil {
			ix.reportCycle(w.g, best, s.steps > 0)
		}
	}
	return lists
}

// shortest returns the shortest cycle of a component that begins with an edge of the kinds in through.
func (ix *index) shortest(s *search, list []int32, through mask, wanted func(cycle) bool) (best cycle) {
	for _, state := range list {
		n := s.node(state)
		for _, e := range s.g.edges[s.g.off[n]:s.g.off[n+1]] {
			if through&(1<<e.kind) == 0 {
				continue
			}
			to, ok := walk{g: s.g, mask: s.mask | through, apart: s.apart}.follow(state, e)
			if !ok || s.component[to] != s.component[state] {
				continue
			}
			path, ok := s.path(to, state)
			if !ok {
				continue
			}
			c := ix.newCycle(s.g, e, path)
			if wanted(c) && (best.edges == nil || len(c.edges) < len(best.edges)) {
				best = c
			}
		}
	}
	return best
}

// skews reports the cycles in which no two rw edges are adjacent: where there is one with a single rw, that one.
func (ix *index) skews(w walk) {
	lists, component := w.components()
	if len(lists) > 0 {
		ix.report.Refuted = min(ix.report.Refuted, SnapshotIsolation)
	}
	single := newSearch(walk{g: w.g, mask: flow | of(link), apart: true}, component)
	several := newSearch(w, component)
	for _, list := range lists[:min(len(lists), maxComponents)] {
		for _, s := range []*search{single, several} {
			s.steps = maxSteps
			if best := ix.shortest(s, list, rws, func(c cycle) bool { return c.rw > 0 }); best.edges != nil {
				ix.reportCycle(w.g, best, s.steps > 0)
				break
			}
		}
	}
}

// A cycle is a cycle of dependencies between transactions, without relays.
type cycle struct {
	edges    []edge
	rw       int    // how many
	adjacent bool   // two rw edges are adjacent
	range_   bool   // one is of a range read
	wr       bool   // there is a wr
	derived  bool   // an edge is forced only if the history is serializable
	order    string // SessionSuffix or RealtimeSuffix, if it needs one
}

// newCycle makes a cycle of an edge and the path from its end to its beginning.
func (ix *index) newCycle(g *graph, first edge, path []int32) cycle {
	raw := []edge{first}
	for _, i := range path {
		raw = append(raw, g.edges[i])
	}
	txns := int32(len(ix.h.Txns))
	for raw[0].from >= txns { // begin at a transaction
		raw = append(raw[1:], raw[0])
	}
	c := cycle{edges: ix.withoutRelays(raw)}
	for i, e := range c.edges {
		isRW := rws&(1<<e.kind) != 0
		if isRW {
			c.rw++
			c.adjacent = c.adjacent || len(c.edges) > 1 && rws&(1<<c.edges[(i+1)%len(c.edges)].kind) != 0
		}
		c.range_ = c.range_ || e.kind == PredicateRW
		c.wr = c.wr || e.kind == WR || e.kind == follows
		c.derived = c.derived || e.kind == derived || e.kind == derivedRW || e.kind == strictDerived
		switch {
		case of(e.kind)&of(RealTime, strictRW, strictDerived, strictDerivedRW) != 0:
			c.order = RealtimeSuffix
		case e.kind == SessionOrder && c.order == "":
			c.order = SessionSuffix
		}
	}
	return c
}

// withoutRelays joins the edges to and from relays of a path between transactions.
func (ix *index) withoutRelays(raw []edge) (edges []edge) {
	txns := int32(len(ix.h.Txns))
	for i := 0; i < len(raw); i++ {
		e := raw[i]
		for e.to >= txns { // go on to the end of the relays
			i++
			if e.kind == chain {
				e.kind = raw[i].kind
			}
			e.to = raw[i].to
		}
		edges = append(edges, e)
	}
	return edges
}

// kind names the cycle, and the weakest level that forbids it.
func (c *cycle) kind() (Kind, Level) {
	kind, level := G0, ReadUncommitted
	switch {
	case c.rw == 0 && !c.wr && !c.derived:
	case c.rw == 0 && !c.derived:
		kind, level = G1c, ReadCommitted
	case c.lostUpdate():
		kind, level = LostUpdate, SnapshotIsolation
	case c.rw == 1 && !c.derived:
		kind, level = GSingle, SnapshotIsolation
	case !c.adjacent && !c.derived:
		kind, level = GNonadjacent, SnapshotIsolation
	case c.range_:
		kind, level = G2, Serializable
	default:
		kind, level = G2Item, Serializable
	}
	if c.order != "" {
		return kind + Kind(c.order), StrictSerializable
	}
	return kind, level
}

// lostUpdate reports whether the cycle is that of two transactions of which one read a key and replaced it without seeing
// that the other had replaced it.
func (c *cycle) lostUpdate() bool {
	return len(c.edges) == 2 && c.rw == 1 && c.edges[0].key == c.edges[1].key &&
		slices.ContainsFunc(c.edges, func(e edge) bool { return e.kind == WW || e.kind == strictDerived })
}

// reportCycle adds the cycle to the report, with a sentence for each edge.
func (ix *index) reportCycle(g *graph, c cycle, shortest bool) {
	kind, level := c.kind()
	first := 0
	for i, e := range c.edges { // begin with the transaction that comes first in the history
		if e.from < c.edges[first].from {
			first = i
		}
	}
	edges := append(slices.Clone(c.edges[first:]), c.edges[:first]...)
	a := Anomaly{Kind: kind, Forbids: level, Shortest: shortest}
	var names []string
	for _, e := range edges {
		a.Txns = append(a.Txns, int(e.from))
		a.Cycle = append(a.Cycle, Edge{From: int(e.from), To: int(e.to), Kind: e.kind.shown(), Key: ix.keyOf(e), Text: ix.sentence(e) + ix.because(g, e)})
		names = append(names, ix.txn(e.from))
	}
	a.Text = kind.Meaning() + ": " + circle(names)
	ix.report.add(a)
}

// circle says in which circle the transactions stand: T1 must come before T2, and T2 before T1. Of a long one it names both ends.
func circle(names []string) string {
	const most = 4
	first, last := names[0], names[len(names)-1]
	text := first + " must come before " + names[1]
	if len(names) > most {
		return fmt.Sprintf("%s, and so on to %s (%d transactions in all), and %s before %s", text, last, len(names), last, first)
	}
	for i, name := range names[2:] {
		text += ", " + names[i+1] + " before " + name
	}
	return text + ", and " + last + " before " + first
}

// shown returns the kind that a report has for an edge of the graph.
func (k EdgeKind) shown() EdgeKind {
	switch k {
	case follows, derived, strictDerived:
		return WW
	case strictRW, derivedRW, strictDerivedRW:
		return RW
	}
	return k
}

func (ix *index) keyOf(e edge) string {
	if e.kind == SessionOrder || e.kind == RealTime {
		return ""
	}
	return ix.keys[e.key].name
}

var severity = []Kind{Incompatible, Duplicate, Unwritten, Internal, G0, G1a, G1b, G1c, LostUpdate, GSingle, GNonadjacent, G2Item, G2}

// sortAnomalies puts the worst first.
func sortAnomalies(list []Anomaly) {
	slices.SortStableFunc(list, func(a, b Anomaly) int {
		base := func(k Kind) int {
			return slices.IndexFunc(severity, func(s Kind) bool {
				return string(s) == strings.TrimSuffix(strings.TrimSuffix(string(k), SessionSuffix), RealtimeSuffix)
			})
		}
		return cmp.Or(cmp.Compare(a.Forbids, b.Forbids), cmp.Compare(base(a.Kind), base(b.Kind)), cmp.Compare(len(a.Cycle), len(b.Cycle)))
	})
}
