package election_test

import (
	"context"
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
	ruleChosen   = "at most one value is chosen, ever; it was proposed, and nobody returns another (rule 18)"
	ruleBallot   = "a ballot has one value, and no ballot is used again after a crash (rule 19)"
	rulePromise  = "an acceptor keeps its promise, also after a crash, and refuses no higher ballot (rule 20)"
	ruleAccepted = "an acceptor tells what it has accepted in the highest ballot, also after a crash (rule 21)"
	ruleProposes = "a proposer takes the value of the highest ballot that its majority has accepted, its own if there is none (rule 22)"
	ruleReturns  = "with a majority and no rival, Propose returns within 10s; and when its context ends, with an error (rule 23)"
)

// proposeLimit is how long a proposer without rivals may take.
const proposeLimit = 10 * time.Second

// A synod is nodes that run Paxos. It checks at every step what must hold at every step, by all that acceptors have accepted:
// what proposers believe does not matter.
type synod struct {
	s *labtest.Sim

	mu       sync.Mutex
	nodes    map[labrpc.NodeID]*Paxos
	proposed map[labrpc.NodeID]bool
	values   map[Ballot]labrpc.NodeID          // of each ballot
	accepted map[Ballot]map[labrpc.NodeID]bool // by whom
	known    map[labrpc.NodeID]AcceptorState   // what each acceptor has said or reported, the highest of each
	chosen   map[labrpc.NodeID]Ballot          // the ballot in which each value was chosen first
	returned map[labrpc.NodeID][]labrpc.NodeID // what Propose returned, by node
	carried  map[labrpc.NodeID][]AcceptRequest // what each node has asked to accept
}

func newSynod(s *labtest.Sim) *synod {
	y := &synod{
		s: s, nodes: map[labrpc.NodeID]*Paxos{}, proposed: map[labrpc.NodeID]bool{},
		values: map[Ballot]labrpc.NodeID{}, accepted: map[Ballot]map[labrpc.NodeID]bool{},
		known: map[labrpc.NodeID]AcceptorState{}, chosen: map[labrpc.NodeID]Ballot{},
		returned: map[labrpc.NodeID][]labrpc.NodeID{}, carried: map[labrpc.NodeID][]AcceptRequest{},
	}
	s.Net.Intercept(y.hear)
	s.Always(y.look)
	return y
}

func (y *synod) start(ids ...labrpc.NodeID) {
	for _, id := range ids {
		p := NewPaxos(y.s.Start(id))
		y.mu.Lock()
		y.nodes[id] = p
		y.mu.Unlock()
	}
}

func (y *synod) restart(id labrpc.NodeID) {
	y.s.Net.Crash(id)
	y.start(id)
}

// hear takes note of every message when it is sent.
func (y *synod) hear(m *labrpc.Message) labrpc.Verdict {
	y.mu.Lock()
	defer y.mu.Unlock()
	var v *labtest.Violation
	switch b := m.Body.(type) {
	case AcceptRequest:
		y.carried[m.From] = append(y.carried[m.From], b)
		v = y.carries(b.Ballot, b.Value)
	case AcceptReply:
		v = y.learn(m.From, b.State)
	case PrepareReply:
		v = y.learn(m.From, b.State)
	}
	if v != nil {
		y.s.Fail(*v)
	}
	return labrpc.Pass
}

// look checks what the acceptors report, and what Propose has returned. It runs after every step.
func (y *synod) look() *labtest.Violation {
	y.mu.Lock()
	defer y.mu.Unlock()
	for _, id := range upOf(y.s.Net) {
		p := y.nodes[id]
		if p == nil {
			continue
		}
		st, known := p.Acceptor(), y.known[id]
		if st.Promised.Compare(known.Promised) < 0 {
			return violation(rulePromise, "%v has promised ballot %v, after it had promised ballot %v", id, st.Promised, known.Promised)
		}
		if st.Accepted.Compare(known.Accepted) < 0 {
			return violation(ruleAccepted, "%v has last accepted in ballot %v, after it had accepted in ballot %v", id, st.Accepted, known.Accepted)
		}
		if v := y.learn(id, st); v != nil {
			return v
		}
	}
	for _, id := range slices.Sorted(maps.Keys(y.returned)) {
		for _, value := range y.returned[id] {
			if _, ok := y.chosen[value]; !ok {
				return violation(ruleChosen, "Propose at %v returns %v, which no majority has accepted in one ballot", id, value)
			}
		}
	}
	return nil
}

// The caller of those that follow holds y.mu.

// learn takes note of what an acceptor has promised and accepted.
func (y *synod) learn(id labrpc.NodeID, st AcceptorState) *labtest.Violation {
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
	if v := y.carries(st.Accepted, st.Value); v != nil {
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

func (y *synod) twoValues() *labtest.Violation {
	v := violation(ruleChosen, "two values are chosen:")
	values := slices.SortedFunc(maps.Keys(y.chosen), func(a, b labrpc.NodeID) int { return y.chosen[a].Compare(y.chosen[b]) })
	for i, value := range values {
		who := slices.Sorted(maps.Keys(y.accepted[y.chosen[value]]))
		v.What += fmt.Sprintf("%s %v in ballot %v", map[bool]string{true: "", false: ", and"}[i == 0], value, y.chosen[value])
		v.Seen = append(v.Seen, fmt.Sprintf("%s accepted %v in ballot %v", names(who), value, y.chosen[value]))
	}
	return v
}

// carries checks that a ballot has one value, and one that was proposed.
func (y *synod) carries(b Ballot, value labrpc.NodeID) *labtest.Violation {
	old, ok := y.values[b]
	switch {
	case ok && old != value:
		return violation(ruleBallot, "ballot %v carries two values: %v, and now %v", b, old, value)
	case !y.proposed[value]:
		return violation(ruleChosen, "ballot %v carries the value %v, which nobody has proposed", b, value)
	}
	y.values[b] = value
	return nil
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

// propose calls Propose at a node, in a goroutine of its own.
func (y *synod) propose(id, value labrpc.NodeID, limit time.Duration) *proposal {
	y.mu.Lock()
	y.proposed[value] = true
	p := y.nodes[id]
	y.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
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

// decides lets a node propose without rivals, and returns what it learns.
func (y *synod) decides(id, value labrpc.NodeID) labrpc.NodeID {
	began := y.s.Net.Now()
	call := y.propose(id, value, 2*proposeLimit)
	y.s.WaitFor(proposeLimit, *violation(ruleReturns, "%v proposes %v since %s, without a rival, and has no answer after %v",
		id, value, stamp(began), proposeLimit), func() bool { _, _, done := call.outcome(); return done })
	got, err, _ := call.outcome()
	if err != nil {
		y.s.Failf(ruleReturns, "%v proposes %v without a rival: %v", id, value, err)
	}
	return got
}

// acceptorOf plays an acceptor, an honest one, which has already accepted something.
func (y *synod) acceptorOf(id labrpc.NodeID, st AcceptorState) {
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
		ok := r.Ballot.Compare(st.Promised) >= 0
		if ok {
			st = AcceptorState{Promised: r.Ballot, Accepted: r.Ballot, Value: r.Value}
		}
		return AcceptReply{OK: ok, State: st}
	})
}
