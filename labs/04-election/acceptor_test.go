package election_test

import (
	"fmt"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/04-election"
)

// A scriptedProposer plays the proposers that ask n1.
type scriptedProposer struct {
	*paxosCluster
	node *labrpc.Node
	base int // the round that n1 has promised to its own proposer when it has just started; 0 if it prepares nothing before Propose is called
}

func (y *paxosCluster) newScriptedProposer(id labrpc.NodeID) scriptedProposer {
	q := scriptedProposer{paxosCluster: y, node: y.s.Start(id)}
	y.s.Run(50 * time.Millisecond)
	if st := y.nodes[1].Acceptor(); q.hasOutbid(Ballot{}, st) {
		q.base = st.Promised.Round
	}
	return q
}

// ballot is a ballot that is higher than the one that n1 promised when it started.
func (q scriptedProposer) ballot(round int, node labrpc.NodeID) Ballot {
	return Ballot{Round: q.base + round, Node: node}
}

// prepare sends a Prepare, and checks whether n1 promises, and the state that it reports. It returns the ballot, which is higher than b if n1
// itself has outbid b.
func (q scriptedProposer) prepare(b Ballot, want bool, last AcceptorState) Ballot {
	var r PrepareReply
	b = q.bid(b, want, func(b Ballot) (bool, AcceptorState) {
		r = ask[PrepareReply](rulePromise, q.s, q.node, 1, "Prepare", PrepareRequest{Ballot: b})
		return r.OK, r.State
	})
	if r.OK != want {
		q.s.Failf(rulePromise, "n1 replied to Prepare %v with OK = %v, want %v; its state is %+v", b, r.OK, want, r.State)
	}
	if want && r.State.Promised != b {
		q.s.Failf(rulePromise, "n1 replied to Prepare %v with OK and Promised = %v, want %v", b, r.State.Promised, b)
	}
	q.reports(fmt.Sprintf("Prepare %v", b), r.State, last)
	return b
}

// accept sends an Accept, and checks whether n1 accepts, and the state that it reports. It returns the ballot, as prepare does.
func (q scriptedProposer) accept(b Ballot, value labrpc.NodeID, want bool) Ballot {
	q.allow(value)
	var r AcceptReply
	b = q.bid(b, want, func(b Ballot) (bool, AcceptorState) {
		r = ask[AcceptReply](rulePromise, q.s, q.node, 1, "Accept", AcceptRequest{Ballot: b, Value: value})
		return r.OK, r.State
	})
	if r.OK != want {
		q.s.Failf(rulePromise, "n1 replied to Accept %v with OK = %v, want %v; its state is %+v", b, r.OK, want, r.State)
	}
	last := r.State
	if want {
		last = AcceptorState{Accepted: b, Value: value}
	}
	q.reports(fmt.Sprintf("Accept %v", b), r.State, last)
	return b
}

// outbids is how often n1 may outbid the test at one request.
const outbids = 5

// bid sends a request in a ballot, and again in a higher one while n1 should agree and refuses because it has outbid the test. It returns the last ballot.
func (q scriptedProposer) bid(b Ballot, want bool, send func(b Ballot) (ok bool, st AcceptorState)) Ballot {
	ok, st := send(b)
	for n := 0; n < outbids && want && !ok && q.hasOutbid(b, st); n++ {
		b = Ballot{Round: st.Promised.Round + 1, Node: b.Node}
		ok, st = send(b)
	}
	return b
}

// hasOutbid reports whether n1 has promised a ballot that is higher than b and its own: it has sent that Prepare. No rule forbids that before
// Propose is called; a leader of Multi-Paxos does so when it starts.
func (q scriptedProposer) hasOutbid(b Ballot, st AcceptorState) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return st.Promised.Compare(b) > 0 && q.preparedBy[st.Promised] == 1
}

// reports checks the state in a reply: the ballot and the value that n1 accepted last, and the same that Acceptor returns.
func (q scriptedProposer) reports(to string, got, last AcceptorState) {
	if got.Accepted != last.Accepted || last.Accepted != (Ballot{}) && got.Value != last.Value {
		q.s.Failf(ruleAccepted, "n1 replied to %s that it has accepted %s, want %s", to, accepted(got), accepted(last))
	}
	if now := q.nodes[1].Acceptor(); got.Promised != now.Promised || got.Accepted != now.Accepted || got.Value != now.Value {
		q.s.Failf(ruleAccepted, "n1 replied to %s with State = %+v, but its Acceptor() = %+v", to, got, now)
	}
}

// accepted describes what an acceptor has accepted.
func accepted(st AcceptorState) string {
	if st.Accepted == (Ballot{}) {
		return "nothing"
	}
	return fmt.Sprintf("the value %v in ballot %v", st.Value, st.Accepted)
}

// Proposers that the test plays ask n1's acceptor (rules 20 and 21). Whether it promises a ballot once more is its own choice.
func TestAcceptorKeepsItsPromise4D(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 3}, func(s *labtest.Sim) {
		y := newPaxosCluster(s)
		y.start(1)
		y.scriptedAcceptor(3, AcceptorState{}) // with which n1 may prepare a ballot before Propose is called
		q := y.newScriptedProposer(2)
		s.Net.Hold(labrpc.Match{From: 1, To: 1}) // n1 may prepare ballots ahead, and again when it was outbid: not at its own acceptor
		in := func(b Ballot, value labrpc.NodeID) AcceptorState { return AcceptorState{Accepted: b, Value: value} }
		none := AcceptorState{}
		q.prepare(q.ballot(5, 2), true, none)
		q.accept(q.ballot(3, 3), 3, false)
		q.prepare(q.ballot(4, 3), false, none)
		q.prepare(q.ballot(5, 3), true, none) // n3 is higher than n2
		q.accept(q.ballot(5, 2), 2, false)
		q.accept(q.ballot(5, 3), 3, true)
		q.accept(q.ballot(5, 3), 3, true) // the same once more
		q.prepare(q.ballot(5, 2), false, in(q.ballot(5, 3), 3))
		q.prepare(q.ballot(7, 2), true, in(q.ballot(5, 3), 3))
		q.accept(q.ballot(9, 3), 2, true) // its Prepare went to others
		q.accept(q.ballot(8, 2), 3, false)
		q.prepare(q.ballot(8, 2), false, in(q.ballot(9, 3), 2))
		q.prepare(q.ballot(10, 2), true, in(q.ballot(9, 3), 2))
		q.prepare(q.ballot(12, 1), true, in(q.ballot(9, 3), 2))
		q.accept(q.ballot(10, 2), 2, false)
		q.accept(q.ballot(12, 1), 2, true)
		q.prepare(q.ballot(13, 2), true, in(q.ballot(12, 1), 2))
		last := 13
		for _, round := range []int{1<<8 + 1, 1<<16 + 2, 1<<32 + 3} {
			q.prepare(q.ballot(round, 2), true, in(q.ballot(12, 1), 2))
			q.prepare(q.ballot(last, 3), false, in(q.ballot(12, 1), 2))
			q.accept(q.ballot(last, 3), 3, false)
			last = round
		}
		q.accept(q.ballot(last, 2), 1, true)
		q.prepare(q.ballot(last+1, 1), true, in(q.ballot(last, 2), 1))
	})
}

// An acceptor crashes after its reply, at the instant of its reply, and around every write (rules 20 and 21). The cluster checks
// that it still knows everything that it has stated.
func TestAcceptorSurvivesCrash4D(t *testing.T) {
	const crashed = "the acceptor crashed at a write"
	labtest.Run(t, labtest.Config{Nodes: 3, Link: steadyLink, MustCover: []string{crashed}}, func(s *labtest.Sim) {
		y := newPaxosCluster(s)
		y.start(1)
		y.scriptedAcceptor(3, AcceptorState{}) // with which n1 may prepare a ballot before Propose is called
		q := y.newScriptedProposer(2)
		s.Net.Hold(labrpc.Match{From: 1, To: 1}) // n1 may prepare ballots ahead, and again when it was outbid: not at its own acceptor
		q.prepare(q.ballot(5, 2), true, AcceptorState{})
		y.restart(1)
		q.accept(q.ballot(3, 3), 3, false)
		last := q.accept(q.ballot(5, 2), 2, true)
		y.restart(1)
		q.prepare(Ballot{Round: last.Round + 1, Node: 2}, true, AcceptorState{Accepted: last, Value: 2})
		value := func(round int) labrpc.NodeID { return labrpc.NodeID(1 + round/4%3) }
		y.allow(1, 2, 3)
		asks := func(round int) (b Ballot) {
			b = Ballot{Round: max(q.ballot(round, 2).Round, y.nodes[1].Acceptor().Promised.Round+1), Node: 2} // n1 may have prepared one since its start
			go func() {
				if round%4 < 2 {
					_, _ = tryToAsk[PrepareReply](q.node, 1, "Prepare", PrepareRequest{Ballot: b})
				} else {
					_, _ = tryToAsk[AcceptReply](q.node, 1, "Accept", AcceptRequest{Ballot: b, Value: value(round)})
				}
			}()
			return b
		}
		replies := func() int { return s.Net.Stats(labrpc.Match{From: 1, To: 2, Kind: labrpc.Reply}).Sent }
		for round := 10; round < 18; round++ { // at the instant of the reply
			before := replies()
			b := asks(round)
			s.WaitFor(time.Second, *violation(rulePromise, "n1 has not replied in ballot %v", b), func() bool { return replies() > before })
			y.restart(1)
			s.Run(time.Millisecond)
		}
		for round := 20; round < 36; round++ {
			s.Net.CrashAtWrite(1, labrpc.CrashPoint{Write: s.Net.Writes(1) + 1 + round/8%2, After: round%8 < 4})
			before := replies()
			b := asks(round)
			s.Until(time.Second, func() bool { return !s.Net.Up(1) || replies() > before })
			s.Run(10 * time.Millisecond)
			if !s.Net.Up(1) {
				s.Cover(crashed)
			}
			y.restart(1)
			s.Run(time.Millisecond)
			// A lower ballot: the acceptor may accept it if the crash came before the write, and must refuse it otherwise.
			_, _ = tryToAsk[AcceptReply](q.node, 1, "Accept", AcceptRequest{Ballot: Ballot{Round: b.Round - 1, Node: 3}, Value: value(round - 1)})
		}
		q.accept(q.ballot(40, 2), 2, true)
	})
}
