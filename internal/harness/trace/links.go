package trace

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"distlabs/labrpc"
)

// A wire is a one-way link.
type wire struct{ from, to labrpc.NodeID }

// describeLinks names a set of one-way links in few words: "n1 | n2 n3" where both
// directions of each pair between the two groups are meant, "n1→n2 n3" where one is.
func describeLinks(wires []wire) string {
	set := map[wire]bool{}
	for _, w := range wires {
		set[w] = true
	}
	both, oneWay := map[labrpc.NodeID][]labrpc.NodeID{}, map[labrpc.NodeID][]labrpc.NodeID{}
	for w := range set {
		if set[wire{w.to, w.from}] {
			both[w.from] = addNode(both[w.from], w.to)
		} else {
			oneWay[w.from] = addNode(oneWay[w.from], w.to)
		}
	}
	var parts []string
	done := map[wire]bool{}
	for _, g := range groupByTargets(both) {
		fresh := false
		for _, from := range g.from {
			for _, to := range g.to {
				fresh = fresh || !done[wire{from, to}]
				done[wire{from, to}], done[wire{to, from}] = true, true
			}
		}
		if fresh {
			parts = append(parts, nodeList(g.from, " ")+" | "+nodeList(g.to, " "))
		}
	}
	for _, g := range groupByTargets(oneWay) {
		parts = append(parts, nodeList(g.from, " ")+"→"+nodeList(g.to, " "))
	}
	return strings.Join(parts, ", ")
}

type linkGroup struct{ from, to []labrpc.NodeID }

// groupByTargets joins the nodes that have the same targets, those with most targets first: after an
// isolation, the isolated node's own line says it all.
func groupByTargets(targets map[labrpc.NodeID][]labrpc.NodeID) []linkGroup {
	byTargets := map[string]*linkGroup{}
	for from, to := range targets {
		key := fmt.Sprint(to)
		if byTargets[key] == nil {
			byTargets[key] = &linkGroup{to: to}
		}
		byTargets[key].from = addNode(byTargets[key].from, from)
	}
	var groups []linkGroup
	for _, g := range byTargets {
		groups = append(groups, *g)
	}
	slices.SortFunc(groups, func(a, b linkGroup) int {
		return cmp.Or(cmp.Compare(len(b.to), len(a.to)), slices.Compare(a.from, b.from))
	})
	return groups
}
