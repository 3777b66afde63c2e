package election_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/04-election"
)

// Everybody proposes itself, over bad links. Then one goes on alone, and learns the value (rule 23); so does everybody
// who asks later, and it is always the same (rule 18).
func TestChoosesOne4D(t *testing.T) {
	const rivals = "two values were carried by ballots"
	cfg := labtest.Config{Nodes: 5, Link: labrpc.FairLoss(0.1), Seeds: 20, MustCover: []string{rivals}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		y := newSynod(s)
		y.start(s.Net.Nodes()...)
		var calls []*proposal
		for _, id := range s.Net.Nodes() {
			calls = append(calls, y.propose(id, id, time.Minute))
		}
		s.Run(time.Duration(s.Rand().Int64N(int64(500 * time.Millisecond))))
		for _, call := range calls {
			call.cancel()
		}
		chosen := y.decides(labrpc.NodeID(1+s.Rand().IntN(5)), 1)
		for _, id := range s.Net.Nodes() {
			if got := y.decides(id, id); got != chosen {
				s.Failf(ruleChosen, "Propose returned %v, and at %v it now returns %v", chosen, id, got)
			}
		}
		y.mu.Lock()
		defer y.mu.Unlock()
		carried := map[labrpc.NodeID]bool{}
		for _, v := range y.values {
			carried[v] = true
		}
		if len(carried) > 1 {
			s.Cover(rivals)
		}
	})
}

// An acceptor is asked by proposers that the test plays (rules 20 and 21).
func TestAcceptorKeepsItsPromise4D(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 3}, func(s *labtest.Sim) {
		y := newSynod(s)
		y.start(1)
		q := questioner{y, s.Start(2)}
		q.prepare(Ballot{5, 2}, true, Ballot{}, 0)
		q.accept(Ballot{3, 3}, 3, false)
		q.prepare(Ballot{4, 3}, false, Ballot{}, 0)
		q.prepare(Ballot{5, 3}, true, Ballot{}, 0) // n3 is higher than n2
		q.accept(Ballot{5, 2}, 2, false)
		q.accept(Ballot{5, 3}, 3, true)
		q.prepare(Ballot{5, 2}, false, Ballot{5, 3}, 3)
		q.prepare(Ballot{7, 2}, true, Ballot{5, 3}, 3)
		q.accept(Ballot{9, 3}, 2, true) // its Prepare went to others
		q.accept(Ballot{8, 2}, 3, false)
		q.prepare(Ballot{8, 2}, false, Ballot{9, 3}, 2)
		q.prepare(Ballot{10, 2}, true, Ballot{9, 3}, 2)
		q.prepare(Ballot{12, 1}, true, Ballot{9, 3}, 2)
		q.accept(Ballot{10, 2}, 2, false)
		q.accept(Ballot{12, 1}, 2, true)
		q.prepare(Ballot{13, 2}, true, Ballot{12, 1}, 2)
	})
}

// A questioner plays proposers who ask n1.
type questioner struct {
	*synod
	node *labrpc.Node
}

func (q questioner) prepare(b Ballot, want bool, accepted Ballot, value labrpc.NodeID) {
	r := ask[PrepareReply](q.s, q.node, 1, "Prepare", PrepareRequest{Ballot: b})
	if r.OK != want {
		q.s.Failf(rulePromise, "n1 answers Prepare %v with OK = %v, want %v; its state is now %+v", b, r.OK, want, r.State)
	}
	if want && (r.State.Accepted != accepted || accepted != (Ballot{}) && r.State.Value != value) {
		q.s.Failf(ruleAccepted, "n1 answers Prepare %v with what it accepted in ballot %v, %v; want ballot %v, %v",
			b, r.State.Accepted, r.State.Value, accepted, value)
	}
	if want && r.State.Promised != b {
		q.s.Failf(rulePromise, "n1 answers Prepare %v with OK and the promise %v, want %v", b, r.State.Promised, b)
	}
}

func (q questioner) accept(b Ballot, value labrpc.NodeID, want bool) {
	q.mu.Lock()
	q.proposed[value] = true
	q.mu.Unlock()
	r := ask[AcceptReply](q.s, q.node, 1, "Accept", AcceptRequest{Ballot: b, Value: value})
	if r.OK != want {
		q.s.Failf(rulePromise, "n1 answers Accept %v with OK = %v, want %v; its state is now %+v", b, r.OK, want, r.State)
	}
	if want && (r.State.Accepted != b || r.State.Value != value) {
		q.s.Failf(ruleAccepted, "n1 answers Accept %v with OK, and reports that it accepted %v in ballot %v", b, r.State.Value, r.State.Accepted)
	}
}

// An acceptor crashes after it has answered, in the moment of its answer, and around every write (rules 20 and 21). The synod checks
// that nothing which was said is forgotten.
func TestAcceptorSurvivesCrash4D(t *testing.T) {
	const crashed = "the acceptor crashed at a write"
	labtest.Run(t, labtest.Config{Nodes: 3, Link: steadyLink, MustCover: []string{crashed}}, func(s *labtest.Sim) {
		y := newSynod(s)
		y.start(1)
		q := questioner{y, s.Start(2)}
		q.prepare(Ballot{5, 2}, true, Ballot{}, 0)
		y.restart(1)
		q.accept(Ballot{3, 3}, 3, false)
		q.accept(Ballot{5, 2}, 2, true)
		y.restart(1)
		q.prepare(Ballot{6, 2}, true, Ballot{5, 2}, 2)
		asked := func(round int) {
			if round%4 < 2 {
				_, _ = tryToAsk[PrepareReply](q.node, 1, "Prepare", PrepareRequest{Ballot: Ballot{round, 2}})
			} else {
				_, _ = tryToAsk[AcceptReply](q.node, 1, "Accept", AcceptRequest{Ballot: Ballot{round, 2}, Value: 2})
			}
		}
		for round := 10; round < 18; round++ { // the moment of the answer
			answered := s.Net.Stats(labrpc.Match{From: 1, Kind: labrpc.Reply}).Sent
			go asked(round)
			s.WaitFor(time.Second, *violation(rulePromise, "n1 does not answer in ballot %d.n2", round), func() bool {
				return s.Net.Stats(labrpc.Match{From: 1, Kind: labrpc.Reply}).Sent > answered
			})
			y.restart(1)
			s.Run(time.Millisecond)
		}
		for round := 20; round < 36; round++ {
			s.Net.CrashAtWrite(1, labrpc.CrashPoint{Write: s.Net.Writes(1) + 1 + round/8%2, After: round%8 < 4})
			go asked(round)
			s.Run(10 * time.Millisecond)
			if !s.Net.Up(1) {
				s.Cover(crashed)
			}
			y.restart(1)
			s.Run(time.Millisecond)
		}
		q.accept(Ballot{40, 2}, 2, true)
	})
}

// A proposer hears from two acceptors that the test plays what they have accepted, the one or the other first (rule 22).
func TestProposerTakesTheHighest4D(t *testing.T) {
	states := []AcceptorState{
		{Promised: Ballot{5, 4}, Accepted: Ballot{3, 4}, Value: 4},
		{Promised: Ballot{5, 4}, Accepted: Ballot{5, 4}, Value: 3},
		{Promised: Ballot{5, 4}},
	}
	cases := []struct {
		n2, n3 int
		want   labrpc.NodeID
	}{{0, 1, 3}, {1, 0, 3}, {2, 0, 4}, {2, 2, 1}}
	labtest.Run(t, labtest.Config{Nodes: 5, Link: steadyLink, Seeds: 16}, func(s *labtest.Sim) {
		y := newSynod(s)
		y.proposed[3], y.proposed[4] = true, true
		y.start(1)
		c := cases[s.Seed%4]
		y.acceptorOf(2, states[c.n2])
		y.acceptorOf(3, states[c.n3])
		slow := labrpc.NodeID(2 + s.Seed/4%2)
		s.Net.SetLink(slow, 1, labrpc.Link{Latency: labrpc.Fixed(10 * time.Millisecond)})
		got := y.decides(1, 1)
		y.mu.Lock()
		defer y.mu.Unlock()
		for _, r := range y.carried[1] {
			if r.Value != c.want {
				s.Failf(ruleProposes, "n2 answers with %+v, n3 with %+v, and n1 proposes %v in ballot %v, want %v",
					states[c.n2], states[c.n3], r.Value, r.Ballot, c.want)
			}
		}
		if got != c.want {
			s.Failf(ruleChosen, "%v is chosen and Propose returns %v", c.want, got)
		}
	})
}

// A proposer crashes while its value is on its way, and then proposes another (rule 19).
func TestNoBallotTwice4D(t *testing.T) {
	const crashed = "a proposer crashed with a value on its way"
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 20, MustCover: []string{crashed}}, func(s *labtest.Sim) {
		y := newSynod(s)
		y.start(s.Net.Nodes()...)
		values := s.Net.Hold(labrpc.Match{From: 1, Method: "Accept", Kind: labrpc.Request})
		y.propose(1, 4, time.Minute)
		s.WaitFor(proposeLimit, *violation(ruleReturns, "n1 proposes n4, and after %v it has asked nobody to accept it", proposeLimit),
			func() bool { return len(values.Messages()) > 0 })
		s.Cover(crashed)
		lucky := labrpc.NodeID(2 + s.Rand().IntN(4))
		values.Deliver(func(m labrpc.Message) bool { return m.To == lucky })
		s.Run(30 * time.Millisecond)
		y.restart(1)
		values.Release() // some of the old requests come now
		chosen := y.decides(1, 5)
		if got := y.decides(2, 2); got != chosen {
			s.Failf(ruleChosen, "Propose returned %v at n1 and now returns %v at n2", chosen, got)
		}
	})
}

// Two of four can choose nothing, and a proposer gives up when it is told to (rule 23). With one more it goes well.
func TestNeedsAMajority4D(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 4}, func(s *labtest.Sim) {
		y := newSynod(s)
		y.start(s.Net.Nodes()...)
		s.Net.Partition([]labrpc.NodeID{1, 2})
		one, other := y.propose(1, 1, 2*time.Second), y.propose(3, 3, 2*time.Second)
		s.Run(2500 * time.Millisecond)
		for i, call := range []*proposal{one, other} {
			id := labrpc.NodeID(1 + 2*i)
			switch got, err, done := call.outcome(); {
			case !done:
				s.Failf(ruleReturns, "the context of Propose at %v has ended half a second ago, and it has yet to return", id)
			case err == nil:
				s.Failf(ruleChosen, "Propose at %v returns %v, without a majority", id, got)
			case !errors.Is(err, context.DeadlineExceeded):
				s.Failf(ruleReturns, "the context of Propose at %v ends, and the error is %q, want one that wraps %q", id, err, context.DeadlineExceeded)
			}
		}
		s.Net.Heal()
		s.Net.Isolate(4)
		y.decides(labrpc.NodeID(1+s.Rand().IntN(3)), 2)
	})
}

// Everything at once: lost, doubled and late messages, and crashes, some in the middle of a write. The synod checks rules
// 18 to 21 at every step; when the trouble is over, one proposer learns the value (rule 23).
func TestSafeInAStorm4D(t *testing.T) {
	const crashed = "a node crashed"
	cfg := labtest.Config{Nodes: 5, Link: labrpc.FairLoss(0.2), Seeds: 20, MustCover: []string{crashed}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		y := newSynod(s)
		y.start(s.Net.Nodes()...)
		for range 20 {
			id := labrpc.NodeID(1 + s.Rand().IntN(5))
			switch s.Rand().IntN(6) {
			case 0:
				s.Net.Crash(id)
			case 1:
				s.Net.CrashAtWrite(id, labrpc.CrashPoint{Write: s.Net.Writes(id) + 1 + s.Rand().IntN(2), After: s.Rand().IntN(2) == 0})
			case 2:
				s.Net.Pause(id, time.Duration(50+s.Rand().IntN(300))*time.Millisecond)
			default:
				if s.Net.Up(id) {
					y.propose(id, labrpc.NodeID(1+s.Rand().IntN(5)), time.Duration(100+s.Rand().IntN(400))*time.Millisecond)
				}
			}
			// Never no time at all: two calls that a node begins at one instant draw from its Rand in an order that no seed decides.
			s.Run(time.Duration(1 + s.Rand().Int64N(int64(100*time.Millisecond))))
			for _, id := range s.Net.Nodes() {
				if !s.Net.Up(id) && s.Rand().IntN(3) == 0 {
					s.Cover(crashed)
					y.start(id)
				}
			}
		}
		for _, id := range s.Net.Nodes() {
			s.Net.CrashAtWrite(id, labrpc.CrashPoint{})
			if !s.Net.Up(id) {
				y.start(id)
			}
		}
		s.Run(time.Second) // the last calls end
		y.decides(labrpc.NodeID(1+s.Rand().IntN(5)), 1)
	})
}
