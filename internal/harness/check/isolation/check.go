package isolation

import (
	"fmt"
	"strings"
)

// Check judges the history. The error is about a history that cannot be judged: a value that is written twice to one
// key, or a key that is both a register and a list.
func Check(h *History) (*Report, error) {
	r := &Report{Count: map[Kind]int{}, Refuted: StrictSerializable + 1}
	ix, err := newIndex(h, r)
	if err != nil {
		return nil, err
	}
	g := ix.forced()
	open := ix.openKeys()
	if len(open) > 0 {
		g = ix.saturate(g)
	}
	ix.cycles(g)
	if len(open) == 0 {
		r.Level = r.Refuted - 1
		r.Sessions = r.Level >= Serializable && acyclic(g, sessions)
	} else {
		ix.searchOrders(g, open)
	}
	r.Exact = r.Level+1 == r.Refuted
	if !r.Exact {
		r.Why = fmt.Sprintf("the reads do not tell in which order the values of %s were written: the orders that were tried show %s, and nothing shows that %s is violated",
			ix.names(open), r.Level, r.Refuted-1)
	}
	sortAnomalies(r.Anomalies)
	return r, nil
}

// openKeys returns the keys with versions whose order is not known.
func (ix *index) openKeys() (open []int32) {
	for k := range ix.keys {
		if len(ix.keys[k].loose) > 1 {
			open = append(open, int32(k))
		}
	}
	return open
}

func (ix *index) names(keys []int32) string {
	const shown = 3
	var names []string
	for _, k := range keys[:min(shown, len(keys))] {
		names = append(names, ix.keys[k].name)
	}
	if len(keys) > shown {
		return fmt.Sprintf("%s and %d more keys", strings.Join(names, ", "), len(keys)-shown)
	}
	return strings.Join(names, ", ")
}

// levelOf returns the strongest level that a graph of a total order of versions has.
func levelOf(g *graph) (l Level, inSessions bool) {
	switch {
	case !acyclic(g, itemWrites):
		return NoLevel, false
	case !acyclic(g, flow):
		return ReadUncommitted, false
	}
	if lists, _ := (walk{g: g, mask: full, apart: true}).components(); len(lists) > 0 {
		return ReadCommitted, false
	}
	if !acyclic(g, full) {
		return SnapshotIsolation, false
	}
	inSessions = acyclic(g, sessions)
	if !inSessions || !acyclic(g, strict) {
		return Serializable, inSessions
	}
	return StrictSerializable, true
}

func acyclic(g *graph, m mask) bool {
	lists, _ := walk{g: g, mask: m}.components()
	return len(lists) == 0
}
