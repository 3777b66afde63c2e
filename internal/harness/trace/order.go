package trace

import "distlabs/labrpc"

// order is what [Run.Before] needs beside the vectors.
//
// A step at a node owns a tick of that node's counter, so vectors alone tell
// what follows from it. A step on the wire (held, duplicated, lost, …) is at no
// node and owns none; what follows from it is kept in follows.
type order struct {
	lanes   [][]int       // by NodeID: the indexes of the steps at that node
	parent  []int         // the step of the same message that this one directly follows from, or -1
	follows map[int][]int // of a step on the wire, the steps whose parent it is
}

// journey is the state of one message while its steps are linked.
type journey struct {
	sent  int // its first step
	trunk int // the last step that all later ones follow from
	twin  int // the step that made the copy, or -1
}

// link computes vectors and partners, which follow from the events alone. Header.Nodes
// must be at least the highest node named.
func (r *Run) link() {
	nodes, n := r.Header.Nodes, len(r.Steps)
	r.order = order{lanes: make([][]int, nodes+1), parent: make([]int, n), follows: map[int][]int{}}
	slab := make([]int, n*nodes)
	journeys := map[uint64]*journey{}
	var forged []int
	for i := range r.Steps {
		s := &r.Steps[i]
		s.Vector = slab[i*nodes : (i+1)*nodes : (i+1)*nodes]
		s.Partner = -1
		parent := r.advance(journeys, i)
		r.order.parent[i] = parent
		if s.Kind == labrpc.EventAltered && parent < 0 {
			forged = append(forged, i)
		}
		if parent >= 0 {
			copy(s.Vector, r.Steps[parent].Vector)
			if r.Steps[parent].Node == 0 {
				r.order.follows[parent] = append(r.order.follows[parent], i)
			}
		}
		if s.Node == 0 {
			continue
		}
		lane := r.order.lanes[s.Node]
		if len(lane) > 0 {
			for k, c := range r.Steps[lane[len(lane)-1]].Vector {
				s.Vector[k] = max(s.Vector[k], c)
			}
		}
		s.Vector[s.Node-1]++
		r.order.lanes[s.Node] = append(lane, i)
	}
	r.nameForged(forged)
}

// saying is what a message says, and on which link.
type saying struct {
	from, to labrpc.NodeID
	method   string
	kind     labrpc.MessageKind
	body     string
}

func (s *Step) says() saying { return saying{s.From, s.To, s.Method, s.Message, s.Body} }

// nameForged says of the steps with which forged messages begin what the test did. In most runs there are none.
func (r *Run) nameForged(forged []int) {
	sent, next := map[saying]bool{}, 0
	for _, i := range forged {
		for ; next < i; next++ {
			if s := &r.Steps[next]; s.Kind == labrpc.EventSent {
				sent[s.says()] = true
			}
		}
		s := &r.Steps[i]
		s.forged = "forged by the test"
		if sent[s.says()] {
			s.forged = "sent again by the test"
		}
	}
}

// advance moves the message that step i speaks of, sets partners, and returns the step's parent or -1.
func (r *Run) advance(journeys map[uint64]*journey, i int) int {
	s := &r.Steps[i]
	if s.Msg == 0 {
		return -1
	}
	j := journeys[s.Msg]
	if j == nil || s.Kind == labrpc.EventSent {
		// A forged message begins with EventAltered. Anything else without a beginning
		// was sent before the recorder came.
		if s.Kind == labrpc.EventSent || s.Kind == labrpc.EventAltered {
			journeys[s.Msg] = &journey{sent: i, trunk: i, twin: -1}
		}
		return -1
	}
	s.Partner = j.sent
	parent := j.trunk
	switch s.Kind {
	case labrpc.EventAltered, labrpc.EventHeld, labrpc.EventReleased:
		j.trunk = i
	case labrpc.EventDuplicated:
		j.twin = i
	case labrpc.EventDelivered, labrpc.EventLost:
		if s.Copy > 0 && j.twin >= 0 {
			parent = j.twin
		}
		if sent := &r.Steps[j.sent]; s.Kind == labrpc.EventDelivered && sent.Partner < 0 {
			sent.Partner = i
		}
	}
	return parent
}

// Before reports whether step a happened before step b in Lamport's sense: whether it could have
// been a cause of it. Steps at one node follow each other, and a delivery follows its send. What the
// test did to the network (a cut, a mark) is neither before nor after what the nodes did.
func (r *Run) Before(a, b int) bool {
	if a >= b {
		return false
	}
	if n := r.Steps[a].Node; n != 0 {
		return r.Steps[b].Vector[n-1] >= r.Steps[a].Vector[n-1]
	}
	for _, next := range r.order.follows[a] {
		if next == b || r.Before(next, b) {
			return true
		}
	}
	return false
}

// Causes returns the indexes of all steps before step i, ascending: its causal past.
func (r *Run) Causes(i int) []int {
	past := make([]bool, i)
	mark := func(k int) {
		// The steps on the wire by which it came.
		for p := r.order.parent[k]; p >= 0 && r.Steps[p].Node == 0; p = r.order.parent[p] {
			past[p] = true
		}
	}
	mark(i)
	for n, count := range r.Steps[i].Vector {
		for _, k := range r.order.lanes[n+1][:count] {
			if k != i {
				past[k] = true
				mark(k)
			}
		}
	}
	var out []int
	for k, in := range past {
		if in {
			out = append(out, k)
		}
	}
	return out
}

// Effects returns the indexes of all steps after step i, ascending: its causal future.
func (r *Run) Effects(i int) []int {
	var out []int
	for k := i + 1; k < len(r.Steps); k++ {
		if r.Before(i, k) {
			out = append(out, k)
		}
	}
	return out
}
