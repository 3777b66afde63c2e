package election_test

import (
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/04-election"
)

// Three servers, and any order of events: messages arrive late, never or twice, timers go off meanwhile, a server crashes
// between any two events or in the middle of a write. At every step the cluster checks rules 9 to 13.
func TestAnySchedule4C(t *testing.T) {
	const (
		contested = "two servers stood in one term"
		crashed   = "a server crashed"
	)
	space := labtest.SearchSpace{
		Nodes: 3, Depth: 30, Losses: 1, Copies: 1, Crashes: 2,
		Strategy: labtest.Random, MustCover: []string{contested, crashed}, // docs/exploring.md has the measurement
	}
	labtest.Explore(t, space, func(s *labtest.Sim) labtest.Scenario {
		c := newCluster(s)
		due := map[labrpc.NodeID]int{} // the term that each server must be in, for what it has received
		s.Always(func() *labtest.Violation {
			for _, id := range c.up() {
				st := c.state(id)
				if st.Term < due[id] {
					return violation(ruleTerms, "%v has received a request of term %d and is %v", id, due[id], st)
				}
				if st.Role == Candidate && c.voteOf(id, st.Term) == id && c.standIn(st.Term) > 1 {
					s.Cover(contested)
				}
			}
			return nil
		})
		return labtest.Scenario{
			Start: func(node *labrpc.Node) {
				if c.boot(node) {
					s.Cover(crashed)
				}
				delete(due, node.ID())
			},
			State: func(see func(...int)) {
				for _, id := range s.Net.Nodes() {
					st := c.state(id)
					see(st.Term, int(st.Role), int(st.Leader))
				}
			},
			OnDelivery: func(m labtest.Arrival) {
				switch b := m.Body.(type) {
				case VoteRequest:
					due[m.To] = max(due[m.To], b.Term)
				case AppendRequest:
					due[m.To] = max(due[m.To], b.Term)
				}
			},
		}
	})
}

// boot begins a server on a node, and reports whether it is not the node's first.
func (c *cluster) boot(node *labrpc.Node) (again bool) {
	r := NewRaft(node, raftTiming)
	c.mu.Lock()
	defer c.mu.Unlock()
	again = c.rafts[node.ID()] != nil
	c.rafts[node.ID()] = r
	return again
}

// standIn is how many servers were seen to vote for themselves in the term.
func (c *cluster) standIn(term int) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, v := range c.votes[term] {
		if v.for_ == id {
			n++
		}
	}
	return n
}

// Two of three nodes propose, and any order of events: messages arrive late, never or twice, retries overtake, a node
// crashes between any two events or in the middle of a write, and proposes again. At every step the synod checks rules 18 to 21.
func TestAnySchedule4D(t *testing.T) {
	const (
		rivals  = "two values were carried by ballots"
		crashed = "a node crashed"
	)
	space := labtest.SearchSpace{
		Nodes: 3, Depth: 40, Losses: 1, Copies: 1, Crashes: 1,
		Strategy: labtest.PCT, MustCover: []string{rivals, crashed},
	}
	labtest.Explore(t, space, func(s *labtest.Sim) labtest.Scenario {
		y := newSynod(s)
		return labtest.Scenario{
			Start: func(node *labrpc.Node) {
				id := node.ID()
				value := id
				if y.boot(node) {
					s.Cover(crashed)
					value = 3 // something new: so a ballot that is used again carries two values
				}
				if id != 3 {
					y.propose(id, value, time.Minute)
				}
			},
			State: func(see func(...int)) {
				y.mu.Lock()
				defer y.mu.Unlock()
				carried := map[labrpc.NodeID]bool{}
				for _, v := range y.values {
					carried[v] = true
				}
				if len(carried) > 1 {
					s.Cover(rivals)
				}
				for _, id := range s.Net.Nodes() {
					st := y.nodes[id].Acceptor()
					see(st.Promised.Round, int(st.Promised.Node), st.Accepted.Round, int(st.Accepted.Node), int(st.Value))
				}
			},
		}
	})
}

// boot begins Paxos on a node, and reports whether it is not the node's first.
func (y *synod) boot(node *labrpc.Node) (again bool) {
	p := NewPaxos(node)
	y.mu.Lock()
	defer y.mu.Unlock()
	again = y.nodes[node.ID()] != nil
	y.nodes[node.ID()] = p
	return again
}
