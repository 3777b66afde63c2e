package election_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/04-election"
)

const (
	ruleChosen   = "at most one value is ever chosen; it was proposed, and Propose returns no other value (rule 18; Paxos Made Simple §2.1)"
	ruleBallot   = "no two proposals have the same ballot: each attempt has a new one, also after a crash (rule 19; Paxos Made Simple §2.5)"
	rulePromise  = "an acceptor neither promises nor accepts a ballot lower than one that it has promised or accepted, also after a crash, and refuses no higher one (rule 20; Paxos Made Simple §2.2)"
	ruleAccepted = "an acceptor reports its state after the request: the highest ballot that it has promised, the highest that it has accepted, and its value, also after a crash (rule 21; Paxos Made Simple §2.2)"
	ruleProposes = "a proposer proposes the value of the highest ballot that its majority reports as accepted, and its own value if there is none (rule 22; Paxos Made Simple §2.2)"
	ruleReturns  = "connected to a majority and without a rival, Propose returns within 10s; when its context ends, it returns an error within 10ms (rule 23)"
)

const (
	proposeLimit = 10 * time.Second      // rule 23, for a proposer without a rival
	returnLimit  = 10 * time.Millisecond // rule 23, for one whose context has ended
)

// A paxosCluster is nodes that run Paxos. It checks the invariants at every step, by everything that the acceptors have
// accepted: the proposers' opinion does not matter.
type paxosCluster struct {
	s *labtest.Sim

	mu         sync.Mutex
	nodes      map[labrpc.NodeID]*Paxos
	proposed   map[labrpc.NodeID]bool
	own        map[labrpc.NodeID]map[labrpc.NodeID]bool // the values that each node was given to propose
	values     map[Ballot]labrpc.NodeID                 // of each ballot
	sender     map[Ballot]labrpc.NodeID                 // of the message that told of that value first
	accepted   map[Ballot]map[labrpc.NodeID]bool        // the acceptors that have accepted it
	known      map[labrpc.NodeID]AcceptorState          // the highest ballots that each acceptor has reported
	chosen     map[labrpc.NodeID]Ballot                 // the ballot in which each value was chosen first
	returned   map[labrpc.NodeID][]labrpc.NodeID        // the values that Propose returned, by node
	asked      map[labrpc.NodeID][]AcceptRequest        // the Accepts that each node has sent
	prepares   map[labrpc.NodeID][]PrepareRequest       // the Prepares that each node has sent to n2
	prepared   map[uint64]Ballot                        // by the message of its Prepare
	preparedBy map[Ballot]labrpc.NodeID                 // the node that has sent a Prepare of it
	promises   map[Ballot]promises                      // what was replied to the Prepares of each ballot
}

func newPaxosCluster(s *labtest.Sim) *paxosCluster {
	y := &paxosCluster{
		s: s, nodes: map[labrpc.NodeID]*Paxos{}, proposed: map[labrpc.NodeID]bool{},
		values: map[Ballot]labrpc.NodeID{}, sender: map[Ballot]labrpc.NodeID{}, accepted: map[Ballot]map[labrpc.NodeID]bool{},
		known: map[labrpc.NodeID]AcceptorState{}, chosen: map[labrpc.NodeID]Ballot{},
		returned: map[labrpc.NodeID][]labrpc.NodeID{}, asked: map[labrpc.NodeID][]AcceptRequest{},
		prepares: map[labrpc.NodeID][]PrepareRequest{}, prepared: map[uint64]Ballot{}, preparedBy: map[Ballot]labrpc.NodeID{}, promises: map[Ballot]promises{},
		own: map[labrpc.NodeID]map[labrpc.NodeID]bool{},
	}
	s.Net.Intercept(y.recordMessage)
	s.Always(y.checkStates)
	s.Restarts(func(node *labrpc.Node) { y.boot(node) })
	return y
}

func (y *paxosCluster) start(ids ...labrpc.NodeID) {
	for _, id := range ids {
		y.boot(y.s.Start(id))
	}
}

// boot starts Paxos on a node, and reports whether it is not the first on that node.
func (y *paxosCluster) boot(node *labrpc.Node) (again bool) {
	p := NewPaxos(node)
	y.mu.Lock()
	defer y.mu.Unlock()
	again = y.nodes[node.ID()] != nil
	y.nodes[node.ID()] = p
	return again
}

func (y *paxosCluster) restart(id labrpc.NodeID) {
	y.s.Net.Crash(id)
	y.start(id)
}

// recordMessage records every message when it is sent.
func (y *paxosCluster) recordMessage(m *labrpc.Message) labrpc.Verdict {
	y.mu.Lock()
	defer y.mu.Unlock()
	var v *labtest.Violation
	switch b := m.Body.(type) {
	case PrepareRequest:
		y.prepared[m.Msg] = b.Ballot
		y.preparedBy[b.Ballot] = m.From
		if m.To == 2 {
			y.prepares[m.From] = append(y.prepares[m.From], b)
		}
	case AcceptRequest:
		y.asked[m.From] = append(y.asked[m.From], b)
		v = first(y.hasValue(m.From, b.Ballot, b.Value), y.mayPropose(m.From, b))
	case AcceptReply:
		v = y.learn(m.From, b.State)
	case PrepareReply:
		v = y.learn(m.From, b.State)
		if ballot := y.prepared[m.ReplyTo]; b.OK {
			if y.promises[ballot] == nil {
				y.promises[ballot] = promises{}
			}
			y.promises[ballot][m.From] = append(y.promises[ballot][m.From], b.State)
		}
	}
	if v != nil {
		y.s.Fail(*v)
	}
	return labrpc.Pass
}

// checkStates checks the acceptors' reports and the values that Propose has returned. It runs after every step.
func (y *paxosCluster) checkStates() *labtest.Violation {
	y.mu.Lock()
	defer y.mu.Unlock()
	for _, id := range upOf(y.s.Net) {
		p := y.nodes[id]
		if p == nil {
			continue
		}
		st, known := p.Acceptor(), y.known[id]
		if st.Promised.Compare(known.Promised) < 0 {
			return violation(rulePromise, "%v reports that it has promised ballot %v, although it promised ballot %v before", id, st.Promised, known.Promised)
		}
		if st.Accepted.Compare(known.Accepted) < 0 {
			return violation(ruleAccepted, "%v reports that it last accepted in ballot %v, although it accepted in ballot %v before", id, st.Accepted, known.Accepted)
		}
		if v := y.learn(id, st); v != nil {
			return v
		}
	}
	for _, id := range slices.Sorted(maps.Keys(y.returned)) {
		for _, value := range y.returned[id] {
			if _, ok := y.chosen[value]; !ok {
				return violation(ruleChosen, "Propose at %v returned %v, which no majority has accepted in one ballot", id, value)
			}
		}
	}
	return nil
}

// The caller of the next three methods holds y.mu.

// learn records an acceptor's state.
func (y *paxosCluster) learn(id labrpc.NodeID, st AcceptorState) *labtest.Violation {
	known := y.known[id]
	if st.Promised.Compare(known.Promised) > 0 {
		known.Promised = st.Promised
	}
	if st.Accepted.Compare(known.Accepted) > 0 {
		known.Accepted, known.Value = st.Accepted, st.Value
	}
	y.known[id] = known
	if st.Accepted == (Ballot{}) {
		return nil
	}
	if proposed, ok := y.values[st.Accepted]; ok && proposed != st.Value {
		return violation(ruleBallot, "%v reports that it has accepted the value of %v in ballot %v, but the proposal with this ballot had the value of %v", id, st.Value, st.Accepted, proposed)
	}
	if v := y.hasValue(id, st.Accepted, st.Value); v != nil {
		return v
	}
	who := y.accepted[st.Accepted]
	if who == nil {
		who = map[labrpc.NodeID]bool{}
		y.accepted[st.Accepted] = who
	}
	who[id] = true
	if _, before := y.chosen[st.Value]; before || len(who) <= len(y.s.Net.Nodes())/2 {
		return nil
	}
	y.chosen[st.Value] = st.Accepted
	if len(y.chosen) == 1 {
		return nil
	}
	return y.twoValues()
}

func (y *paxosCluster) twoValues() *labtest.Violation {
	v := violation(ruleChosen, "two values are chosen:")
	values := slices.SortedFunc(maps.Keys(y.chosen), func(a, b labrpc.NodeID) int { return y.chosen[a].Compare(y.chosen[b]) })
	for i, value := range values {
		who := slices.Sorted(maps.Keys(y.accepted[y.chosen[value]]))
		v.What += fmt.Sprintf("%s %v in ballot %v", map[bool]string{true: "", false: ", and"}[i == 0], value, y.chosen[value])
		v.Seen = append(v.Seen, fmt.Sprintf("%s accepted the value %v in ballot %v", names(who), value, y.chosen[value]))
	}
	return v
}

// hasValue checks that a ballot has one value, and that the value was proposed.
func (y *paxosCluster) hasValue(sender labrpc.NodeID, b Ballot, value labrpc.NodeID) *labtest.Violation {
	old, ok := y.values[b]
	switch {
	case ok && old != value:
		return violation(ruleBallot, "two proposals have the ballot %v: %v sent it with the value of %v, after %v sent it with the value of %v, want one value per ballot", b, sender, value, y.sender[b], old)
	case !y.proposed[value]:
		return violation(ruleChosen, "ballot %v has the value %v, which no node has proposed", b, value)
	}
	if !ok {
		y.values[b], y.sender[b] = value, sender
	}
	return nil
}

// allow records values as proposed.
func (y *paxosCluster) allow(values ...labrpc.NodeID) {
	y.mu.Lock()
	defer y.mu.Unlock()
	for _, value := range values {
		y.proposed[value] = true
	}
}

// gives records that a node has this value to propose. The caller holds y.mu.
func (y *paxosCluster) gives(id, value labrpc.NodeID) {
	if y.own[id] == nil {
		y.own[id] = map[labrpc.NodeID]bool{}
	}
	y.own[id][value] = true
}

// A proposal is one call of Propose.
type proposal struct {
	cancel context.CancelFunc
	mu     sync.Mutex
	done   bool
	value  labrpc.NodeID
	err    error
}

func (p *proposal) outcome() (value labrpc.NodeID, err error, done bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.value, p.err, p.done
}

// propose calls Propose at a node, in a goroutine of its own, with a context that ends after limit.
func (y *paxosCluster) propose(id, value labrpc.NodeID, limit time.Duration) *proposal {
	y.mu.Lock()
	y.proposed[value] = true
	y.gives(id, value)
	p := y.nodes[id]
	y.mu.Unlock()
	ctx, cancel := labtest.WithTimeout(context.Background(), limit)
	call := &proposal{cancel: cancel}
	inc := y.s.Net.Incarnation(id)
	go func() {
		defer cancel()
		chosen, err := p.Propose(ctx, value)
		alive := y.s.Net.Up(id) && y.s.Net.Incarnation(id) == inc
		y.mu.Lock()
		if err == nil && alive {
			y.returned[id] = append(y.returned[id], chosen)
		}
		y.mu.Unlock()
		call.mu.Lock()
		defer call.mu.Unlock()
		call.done, call.value, call.err = true, chosen, err
	}()
	return call
}

// decides lets a node propose without a rival, and returns the chosen value.
func (y *paxosCluster) decides(id, value labrpc.NodeID) labrpc.NodeID {
	began := y.s.Net.Now()
	call := y.propose(id, value, 2*proposeLimit)
	y.s.WaitFor(proposeLimit, *violation(ruleReturns, "%v proposed the value \"%v\" at %s, while no other proposal was under way, but Propose had not returned at %s",
		id, value, labtest.At(began), labtest.At(began+proposeLimit)), func() bool { _, _, done := call.outcome(); return done })
	got, err, _ := call.outcome()
	if err != nil {
		y.s.Failf(ruleReturns, "%v proposed the value \"%v\" at %s, and no other node has proposed since, but Propose returned the error %q, want nil", id, value, labtest.At(began), err)
	}
	return got
}

// scriptedAcceptor plays a correct acceptor which has this state already, and returns a function that reads its state. If there
// is a rival, the Prepare of its ballot arrives just before the first Accept.
func (y *paxosCluster) scriptedAcceptor(id labrpc.NodeID, st AcceptorState, rival ...Ballot) func() AcceptorState {
	var mu sync.Mutex
	node := y.s.Start(id)
	labrpc.Handle(node, "Prepare", func(_ labrpc.NodeID, r PrepareRequest) PrepareReply {
		mu.Lock()
		defer mu.Unlock()
		ok := r.Ballot.Compare(st.Promised) >= 0
		if ok {
			st.Promised = r.Ballot
		}
		return PrepareReply{OK: ok, State: st}
	})
	labrpc.Handle(node, "Accept", func(_ labrpc.NodeID, r AcceptRequest) AcceptReply {
		mu.Lock()
		defer mu.Unlock()
		if len(rival) > 0 && rival[0].Compare(st.Promised) > 0 {
			st.Promised = rival[0]
		}
		rival = nil
		ok := r.Ballot.Compare(st.Promised) >= 0
		if ok {
			st = AcceptorState{Promised: r.Ballot, Accepted: r.Ballot, Value: r.Value}
		}
		return AcceptReply{OK: ok, State: st}
	})
	return func() AcceptorState {
		mu.Lock()
		defer mu.Unlock()
		return st
	}
}

// returnsError lets 10ms pass, and checks that a call of Propose whose context or node has ended has returned an error which wraps
// want, if that is not nil.
func (y *paxosCluster) returnsError(call *proposal, id labrpc.NodeID, want error) {
	ended := fmt.Sprintf("the context of a call of Propose at %v ended at %v", id, labtest.At(y.s.Net.Now()))
	if want == nil {
		ended = fmt.Sprintf("%v crashed at %v, while a call of Propose ran there", id, labtest.At(y.s.Net.Now()))
	}
	y.s.Run(returnLimit)
	switch got, err, done := call.outcome(); {
	case !done:
		y.s.Failf(ruleReturns, "%s, but %v later the call has not returned", ended, returnLimit)
	case err == nil:
		y.s.Failf(ruleReturns, "%s, but the call returned %v and no error", ended, got)
	case want != nil && !errors.Is(err, want):
		y.s.Failf(ruleReturns, "%s, but the error is %q, want one that wraps %q", ended, err, want)
	}
}
