package election_test

import (
	"context"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/04-election"
)

// All nodes propose themselves, over lossy links. Then one proposes alone and learns the value (rule 23); later every node
// proposes again, and Propose always returns the same value (rule 18).
func TestChoosesOne4D(t *testing.T) {
	cfg := labtest.Config{Nodes: 5, Link: labrpc.FairLoss(0.1), Seeds: 20}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		y := newPaxosCluster(s)
		y.start(s.Net.Nodes()...)
		var calls []*proposal
		for _, id := range s.Net.Nodes() {
			calls = append(calls, y.propose(id, id, time.Minute))
		}
		s.Run(time.Duration(s.Rand().Int64N(int64(500 * time.Millisecond))))
		for _, call := range calls {
			call.cancel()
		}
		jumpClocks(s)
		chosen := y.decides(labrpc.NodeID(1+s.Rand().IntN(5)), 1)
		for _, id := range s.Net.Nodes() {
			if got := y.decides(id, id); got != chosen {
				s.Failf(ruleChosen, "Propose returned the value %v before, but at %v Propose returned the value %v", chosen, id, got)
			}
		}
	})
}

// valuesInBallots is the number of different values in all ballots.
func (y *paxosCluster) valuesInBallots() int {
	y.mu.Lock()
	defer y.mu.Unlock()
	values := map[labrpc.NodeID]bool{}
	for _, v := range y.values {
		values[v] = true
	}
	return len(values)
}

// The other acceptors have promised a ballot of a much higher round to a proposer that is gone. n1 learns it from their refusals, and
// is not slower for that (rule 23).
func TestOutbidsAtOnce4D(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 3, Link: steadyLink}, func(s *labtest.Sim) {
		y := newPaxosCluster(s)
		y.start(1)
		jumpClocks(s)
		round := []int{60, 1<<8 + 1, 1<<16 + 2, 1<<32 + 3}[s.Seed%4]
		y.scriptedAcceptor(2, AcceptorState{Promised: Ballot{Round: round, Node: 2}})
		y.scriptedAcceptor(3, AcceptorState{Promised: Ballot{Round: round, Node: 2}})
		s.Logf("n2 and n3 have promised ballot %v, of an old proposal", Ballot{Round: round, Node: 2})
		y.decides(1, 1)
		y.decides(1, 1)
	})
}

// A proposer crashes while its value is under way, and then proposes another, in a new ballot (rule 19). In some seeds its
// own acceptor has not received its Prepare, or has promised the ballot of a rival since, or has promised one with a much higher round
// before n1 proposes for the first time.
func TestNoBallotTwice4D(t *testing.T) {
	const crashed = "a proposer crashed while its value was under way"
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 20, MustCover: []string{crashed}}, func(s *labtest.Sim) {
		y := newPaxosCluster(s)
		y.start(s.Net.Nodes()...)
		round := []int{0, 20, 50, 1000}[s.Seed/4%4] // of a rival that n1 has heard of
		if round > 0 {
			y.rivalPrepares(Ballot{Round: round, Node: 5})
		}
		var own *labrpc.Held
		if s.Seed%2 == 0 {
			own = s.Net.Hold(labrpc.Match{From: 1, To: 1})
		}
		values := s.Net.Hold(labrpc.Match{From: 1, Method: "Accept", Kind: labrpc.Request})
		y.propose(1, 4, time.Minute)
		s.WaitFor(proposeLimit, *violation(ruleReturns, "n1 proposed n4, but within %v it has sent no Accept", proposeLimit),
			func() bool { return len(values.Messages()) > 0 })
		s.Cover(crashed)
		if s.Seed/2%2 == 0 {
			y.rivalPrepares(Ballot{Round: round + 1, Node: 5})
		}
		lucky := labrpc.NodeID(2 + s.Rand().IntN(3))
		values.Deliver(func(m labrpc.Message) bool { return m.To == lucky })
		s.Run(30 * time.Millisecond)
		y.restart(1)
		if own != nil { // and no acceptor that n1 asks now has the old value
			own.Discard(nil)
			own.Release()
			values.Discard(nil)
			s.Net.Isolate(lucky)
		}
		values.Release() // otherwise some of the old requests arrive now
		chosen := y.decides(1, 5)
		s.Net.Heal()
		if got := y.decides(2, 2); got != chosen {
			s.Failf(ruleChosen, "Propose returned the value %v at n1, but then the value %v at n2", chosen, got)
		}
	})
}

// rivalPrepares sends a Prepare of n5 to n1, and to no other acceptor.
func (y *paxosCluster) rivalPrepares(b Ballot) {
	y.mu.Lock()
	delete(y.nodes, 5) // it has crashed, and its Acceptor has nothing to say
	y.mu.Unlock()
	rival := scriptedProposer{paxosCluster: y, node: y.s.Net.Restart(5)}
	go tryToAsk[PrepareReply](rival.node, 1, "Prepare", PrepareRequest{Ballot: b})
	y.s.Run(30 * time.Millisecond)
	y.restart(5)
}

// Propose is called at one node by three goroutines one after another, and then by many at one instant. No two of their proposals have
// the same ballot (rule 19).
func TestCallsShareNoBallot4D(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 3, Link: steadyLink}, func(s *labtest.Sim) {
		defer labtest.Threads(1)()
		y := newPaxosCluster(s)
		y.start(s.Net.Nodes()...)
		y.callsOverlap()
		const calls = 12
		ctx, cancel := labtest.WithCancel(context.Background())
		defer cancel()
		y.allow(1)
		p, begin := y.nodes[1], make(chan struct{})
		for range calls {
			go func() {
				<-begin
				_, _ = p.Propose(ctx, 1)
			}()
		}
		s.Run(fixedLatency)
		close(begin)
		s.Run(fixedLatency / 2)
		y.mu.Lock()
		seen := map[Ballot]bool{}
		for _, r := range y.prepares[1] { // of one instant: none is a repetition
			if seen[r.Ballot] {
				s.Failf(ruleBallot, "n1 runs %d calls of Propose, and two of them prepare ballot %v at the same instant, want a ballot of its own for each", calls, r.Ballot)
			}
			seen[r.Ballot] = true
		}
		y.mu.Unlock()
		cancel()
		s.Run(time.Second)
		y.decides(1, 1)
	})
}

// callsOverlap calls Propose three times at n1. The first call receives its promises when the second has sent its requests. The second
// and the third call receive their promises together; if both have the same ballot, it has two values. n1's own acceptor receives nothing
// meanwhile.
func (y *paxosCluster) callsOverlap() {
	own := y.s.Net.Hold(labrpc.Match{From: 1, To: 1})
	replies := y.s.Net.Hold(labrpc.Match{To: 1, Kind: labrpc.Reply})
	const step = 3 * fixedLatency
	calls := []*proposal{y.propose(1, 1, time.Second)}
	y.s.Run(step)
	early := len(replies.Messages())
	calls = append(calls, y.propose(1, 2, time.Second))
	y.s.Run(step)
	replies.Deliver(func(labrpc.Message) bool { early--; return early >= 0 })
	y.s.Run(step)
	calls = append(calls, y.propose(1, 3, time.Second))
	y.s.Run(step)
	replies.Release()
	y.s.Run(step) // the cluster checks that no ballot has two values
	for _, call := range calls {
		call.cancel()
	}
	own.Release()
	y.s.Run(time.Second)
	y.mu.Lock()
	defer y.mu.Unlock()
	y.prepares[1] = nil
}

// Two of four nodes can choose nothing: Propose returns an error when its context ends (rule 23). With one node more, it
// succeeds. A call at a node that is isolated for minutes returns within 10s of its connection to the others.
func TestNeedsAMajority4D(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 4}, func(s *labtest.Sim) {
		y := newPaxosCluster(s)
		y.start(s.Net.Nodes()...)
		s.Net.Partition([]labrpc.NodeID{1, 2})
		one, other := y.propose(1, 1, 2*time.Second), y.propose(3, 3, 2*time.Second)
		s.Run(2*time.Second - time.Millisecond)
		for i, call := range []*proposal{one, other} {
			id := labrpc.NodeID(1 + 2*i)
			switch got, err, done := call.outcome(); {
			case !done:
			case err == nil:
				s.Failf(ruleChosen, "Propose at %v returned the value %v, although no majority is connected", id, got)
			default:
				s.Failf(ruleReturns, "Propose at %v returned the error %q before its context ended, want it to try until then: a majority may be connected again", id, err)
			}
		}
		s.Run(time.Millisecond)
		y.returnsError(one, 1, context.DeadlineExceeded)
		y.returnsError(other, 3, context.DeadlineExceeded)
		s.Net.Heal()
		s.Net.Isolate(4)
		jumpClocks(s)
		late := y.propose(4, 4, time.Hour)
		chosen := y.decides(labrpc.NodeID(1+s.Rand().IntN(3)), 2)
		s.Run(2*time.Minute + time.Duration(s.Rand().Int64N(int64(2*time.Minute))))
		s.Net.Heal()
		healed := s.Net.Now()
		s.WaitFor(proposeLimit, *violation(ruleReturns, "n4 was isolated for minutes and is connected since %s, without a rival, but its call of Propose has not returned within %v",
			labtest.At(healed), proposeLimit), func() bool { _, _, done := late.outcome(); return done })
		if got, err, _ := late.outcome(); got != chosen || err != nil {
			s.Failf(ruleChosen, "the value %v is chosen, but n4's call of Propose returned the value %v and %s", chosen, got, errorText(err))
		}
	})
}

// The context of Propose ends while requests are under way, or between two attempts, or before the call; or its node
// crashes. Propose returns an error within 10ms (rule 23), also if another call runs at that node.
func TestReturnsAtOnce4D(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 20}, func(s *labtest.Sim) {
		y := newPaxosCluster(s)
		y.start(s.Net.Nodes()...)
		y.returnsError(y.propose(2, 2, 0), 2, context.DeadlineExceeded)
		s.Net.Isolate(1)
		began := time.Now()
		if s.Seed%2 == 1 { // another call runs at n1 all the time
			other := y.propose(1, 3, time.Hour)
			defer other.cancel()
			s.Run(time.Millisecond)
		}
		call := y.propose(1, 1, time.Hour)
		attempts := 1 + s.Rand().IntN(4)
		s.WaitFor(proposeLimit, *violation(ruleReturns, "n1 is isolated, and %v after the call of Propose it has not made %d attempts", proposeLimit, attempts), func() bool {
			y.mu.Lock()
			defer y.mu.Unlock()
			return len(y.prepares[1]) >= attempts || time.Since(began) > 4*time.Second
		})
		s.Run(time.Duration(1+s.Rand().Int64N(30)) * time.Millisecond)
		if s.Seed%4 == 0 {
			s.Net.Crash(1)
			y.returnsError(call, 1, nil)
			return
		}
		call.cancel()
		y.returnsError(call, 1, context.Canceled)
	})
}

// All faults at once: lost, duplicated and late messages, and crashes, some in the middle of a write. The cluster checks rules
// 18 to 21 at every step; after the last fault, one proposer learns the value (rule 23).
func TestSafeInAStorm4D(t *testing.T) {
	const crashed = "a node crashed"
	cfg := labtest.Config{Nodes: 5, Link: labrpc.FairLoss(0.2), Seeds: 20, MustCover: []string{crashed}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		y := newPaxosCluster(s)
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
			// Never no time at all: two calls with different values at one node at one instant would draw from its Rand in an order that
			// no seed decides.
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

// Two of three nodes propose, and any order of events: messages arrive late, never or twice, retries overtake, a node
// crashes between any two events or in the middle of a write, and proposes again. At every step the cluster checks rules 18 to 21.
func TestAnySchedule4D(t *testing.T) {
	const (
		rivals  = "two values were proposed in ballots"
		crashed = "a node crashed"
	)
	space := labtest.SearchSpace{
		Nodes: 3, Depth: 40, Losses: 1, Copies: 1, Crashes: 1,
		Strategy: labtest.PCT, MustCover: []string{rivals, crashed},
	}
	labtest.Explore(t, space, func(s *labtest.Sim) labtest.Scenario {
		y := newPaxosCluster(s)
		return labtest.Scenario{
			Puzzles: paxosPuzzles(y),
			Start: func(node *labrpc.Node) {
				id := node.ID()
				value := id
				if y.boot(node) {
					s.Cover(crashed)
					value = 3 // a new value: so a ballot that is used again has two values
				}
				if id != 3 {
					y.propose(id, value, time.Minute)
				}
			},
			State: func(see func(...int)) {
				if y.valuesInBallots() > 1 {
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
