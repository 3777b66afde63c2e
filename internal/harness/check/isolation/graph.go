package isolation

import "slices"

// The kinds of edge that only the graph has, after those of EdgeKind.
const (
	link            EdgeKind = iota + RealTime + 1 // from a relay to where the edge that ended at the relay goes on to
	chain                                          // along the times of returns
	strictRW                                       // an rw that follows from real time
	follows                                        // a ww of a transaction that read the version before: forced from read committed on
	derived                                        // a ww without which the history could not be serializable
	derivedRW                                      // an rw of that kind
	strictDerived                                  // a ww without which the history could not be strictly serializable
	strictDerivedRW                                // an rw of that kind
)

type mask uint32

func of(kinds ...EdgeKind) mask {
	var m mask
	for _, k := range kinds {
		m |= 1 << k
	}
	return m
}

var (
	itemWrites = of(WW)
	flow       = of(WW, WR, follows)
	rws        = of(RW, PredicateRW, strictRW, derivedRW, strictDerivedRW)
	full       = flow | of(RW, PredicateRW, link)
	saturated  = full | of(derived, derivedRW)
	sessions   = saturated | of(SessionOrder)
	timed      = saturated | of(SessionOrder, RealTime, chain, strictRW) // what follows from reads, sessions and real time alone
	strict     = timed | of(strictDerived, strictDerivedRW)
)

type edge struct {
	from, to int32
	key      int32
	kind     EdgeKind
}

// A graph has the transactions of a history as its nodes, then relays: where many transactions depend on many
// others, each has an edge to or from the relay instead.
type graph struct {
	nodes int32
	edges []edge
	off   []int32 // edges of a node, after sort
}

func (g *graph) relay() int32 {
	g.nodes++
	return g.nodes - 1
}

func (g *graph) add(from, to int32, kind EdgeKind, key int32) {
	if from != to {
		g.edges = append(g.edges, edge{from: from, to: to, kind: kind, key: key})
	}
}

// sort orders the edges by where they begin, in linear time.
func (g *graph) sort() {
	off := make([]int32, g.nodes+1)
	for _, e := range g.edges {
		off[e.from+1]++
	}
	for i := range g.nodes {
		off[i+1] += off[i]
	}
	g.off = append([]int32{}, off...)
	sorted := make([]edge, len(g.edges))
	for _, e := range g.edges {
		sorted[off[e.from]] = e
		off[e.from]++
	}
	g.edges = sorted
}

// A walk is a way to go through a graph: along the edges of the mask. If apart is set, no two rw edges may be
// adjacent; a state is then 2 × node, plus 1 if it was reached by an rw. Otherwise a state is a node.
type walk struct {
	g     *graph
	mask  mask
	apart bool
}

func (w walk) states() int32 {
	if w.apart {
		return 2 * w.g.nodes
	}
	return w.g.nodes
}

func (w walk) node(state int32) int32 {
	if w.apart {
		return state / 2
	}
	return state
}

// follow returns the state at the end of the edge, if it may be taken from this one.
func (w walk) follow(state int32, e edge) (next int32, ok bool) {
	switch {
	case w.mask&(1<<e.kind) == 0:
		return 0, false
	case !w.apart:
		return e.to, true
	case e.kind == link:
		return 2*e.to + state%2, true
	case rws&(1<<e.kind) == 0:
		return 2 * e.to, true
	case state%2 == 1:
		return 0, false
	}
	return 2*e.to + 1, true
}

// components returns the strongly connected components that have a cycle, each as a list of states, and the
// component of each state, or -1 (Tarjan 1972, without recursion).
func (w walk) components() (lists [][]int32, component []int32) {
	n := w.states()
	component = make([]int32, n)
	index, low := make([]int32, n), make([]int32, n) // 0: not visited
	for i := range component {
		component[i] = -1
	}
	type frame struct{ state, edge int32 }
	var stack []int32
	var calls []frame
	onStack := make([]bool, n)
	next := int32(1)
	enter := func(s int32) {
		index[s], low[s] = next, next
		next++
		stack = append(stack, s)
		onStack[s] = true
		calls = append(calls, frame{s, w.g.off[w.node(s)]})
	}
	for root := range n {
		if index[root] != 0 {
			continue
		}
		for enter(root); len(calls) > 0; {
			f := &calls[len(calls)-1]
			if f.edge < w.g.off[w.node(f.state)+1] {
				e := w.g.edges[f.edge]
				f.edge++
				switch to, ok := w.follow(f.state, e); {
				case !ok:
				case index[to] == 0:
					enter(to)
				case onStack[to]:
					low[f.state] = min(low[f.state], index[to])
				}
				continue
			}
			s := f.state
			calls = calls[:len(calls)-1]
			if len(calls) > 0 {
				up := calls[len(calls)-1].state
				low[up] = min(low[up], low[s])
			}
			if low[s] != index[s] {
				continue
			}
			first := len(stack) - 1
			for stack[first] != s {
				first--
			}
			for _, member := range stack[first:] {
				onStack[member] = false
			}
			if len(stack)-first > 1 {
				list := append([]int32{}, stack[first:]...)
				for _, member := range list {
					component[member] = int32(len(lists))
				}
				lists = append(lists, list)
			}
			stack = stack[:first]
		}
	}
	return lists, component
}

// A search looks for shortest paths within components, in a bounded number of steps.
type search struct {
	walk
	component []int32
	steps     int // left
	came      []int32
	length    []int32
	touched   []int32
}

func newSearch(w walk, component []int32) *search {
	s := &search{walk: w, component: component, came: make([]int32, w.states()), length: make([]int32, w.states())}
	for i := range s.length {
		s.length[i] = -1
	}
	return s
}

// path returns the edges of a shortest path between two states of one component. Links and chains have no length.
func (s *search) path(from, to int32) ([]int32, bool) {
	for _, t := range s.touched {
		s.length[t] = -1
	}
	s.touched = append(s.touched[:0], from)
	s.length[from], s.came[from] = 0, -1
	now, later := []int32{from}, []int32(nil)
	for len(now) > 0 && s.steps > 0 {
		for len(now) > 0 {
			at := now[len(now)-1]
			now = now[:len(now)-1]
			for i := s.g.off[s.node(at)]; i < s.g.off[s.node(at)+1]; i++ {
				s.steps--
				e := s.g.edges[i]
				next, ok := s.follow(at, e)
				if !ok || s.component[next] != s.component[from] {
					continue
				}
				free := e.kind == link || e.kind == chain
				length := s.length[at] + 1
				if free {
					length--
				}
				if s.length[next] >= 0 && s.length[next] <= length {
					continue
				}
				if s.length[next] < 0 {
					s.touched = append(s.touched, next)
				}
				s.length[next], s.came[next] = length, i
				if free {
					now = append(now, next)
				} else {
					later = append(later, next)
				}
			}
		}
		if s.length[to] >= 0 {
			break
		}
		now, later = later, now[:0]
	}
	if s.length[to] < 0 {
		return nil, false
	}
	return s.unwind(from, to), true
}

// unwind returns the edges of the path that was found, from its end to its beginning and turned round.
func (s *search) unwind(from, to int32) []int32 {
	var edges []int32
	for at := to; at != from; {
		i := s.came[at]
		edges = append(edges, i)
		at = s.before(at, s.g.edges[i])
	}
	for i, j := 0, len(edges)-1; i < j; i, j = i+1, j-1 {
		edges[i], edges[j] = edges[j], edges[i]
	}
	return edges
}

// before returns the state from which the search took the edge to the state.
func (s *search) before(state int32, e edge) int32 {
	if !s.apart {
		return e.from
	}
	// Of the two states of the edge's beginning, the one that was reached first and may take the edge.
	best := int32(-1)
	for _, from := range []int32{2 * e.from, 2*e.from + 1} {
		next, ok := s.follow(from, e)
		if ok && next == state && s.length[from] >= 0 && (best < 0 || s.length[from] < s.length[best]) {
			best = from
		}
	}
	return best
}

// shortestPath returns the edges of a shortest path along the edges of the mask.
func (g *graph) shortestPath(from, to int32, m mask) (path []edge, ok bool) {
	came := make([]edge, g.nodes) // by node: the edge to it
	seen := make([]bool, g.nodes)
	seen[from] = true
	for todo := []int32{from}; len(todo) > 0 && !seen[to]; todo = todo[1:] {
		for _, e := range g.edges[g.off[todo[0]]:g.off[todo[0]+1]] {
			if m&of(e.kind) != 0 && !seen[e.to] {
				came[e.to], seen[e.to] = e, true
				todo = append(todo, e.to)
			}
		}
	}
	if !seen[to] {
		return nil, false
	}
	for at := to; at != from; at = came[at].from {
		path = append(path, came[at])
	}
	slices.Reverse(path)
	return path, true
}
