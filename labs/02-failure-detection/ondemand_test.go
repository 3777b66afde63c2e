package detector_test

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/02-failure-detection"
)

const (
	ruleReach = "Reach returns nil as soon as it knows that the peer was alive since the call began, and ErrSilent when the limit is over (rule 5)"
	ruleQuiet = "a Caller sends nothing unless Reach is called, and nothing after Reach has returned except replies to requests that are under way (rule 5)"
)

// A verdict is what a Reach returned.
type verdict struct {
	Silent bool
	Err    string // "" for nil
}

// A question is one Reach, in a goroutine of its node.
type question struct {
	by    labrpc.NodeID
	peer  labrpc.NodeID
	began time.Duration

	mu      sync.Mutex
	done    bool
	at      time.Duration
	verdict verdict
}

func ask(s *labtest.Sim, node *labrpc.Node, c *Caller, peer labrpc.NodeID, limit time.Duration) *question {
	q := new(question)
	q.mu.Lock() // orders what follows before the network's goroutine calls answer
	q.by, q.peer, q.began = node.ID(), peer, s.Net.Now()
	q.mu.Unlock()
	go func() {
		v := verdict{}
		if err := c.Reach(peer, limit); err != nil {
			v = verdict{Silent: errors.Is(err, ErrSilent), Err: err.Error()}
		}
		labrpc.Tell(node, v, q.answer)
	}()
	return q
}

func (q *question) answer(at time.Duration, v verdict) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.done, q.at, q.verdict = true, at, v
}

// expect lets time pass until limit after the question, and checks the result: nil (reached), or ErrSilent when the
// limit is over.
func (q *question) expect(s *labtest.Sim, reached bool, limit time.Duration) {
	q.expectWithin(s, reached, limit, min(limit, 2*hop2A))
}

// expectWithin is expect for a peer whose answer takes so long.
func (q *question) expectWithin(s *labtest.Sim, reached bool, limit, roundTrip time.Duration) {
	end := q.began + min(limit, 24*time.Hour) // the longest limit is longer than a run
	s.Until(end+slack-s.Net.Now(), q.over)
	q.mu.Lock()
	defer q.mu.Unlock()
	took := q.at - q.began
	call := fmt.Sprintf("Reach(%v, %v) on %v, called at %s,", q.peer, limit, q.by, labtest.At(q.began))
	switch {
	case !q.done:
		s.Failf(ruleReach, "%s has not returned by %s, after %v", call, labtest.At(s.Net.Now()), brief(s.Net.Now()-q.began))
	case reached && q.verdict.Err != "":
		s.Failf(ruleReach, "%s returned %q after %v, want nil: the peer is alive and answers in time", call, q.verdict.Err, brief(took))
	case reached && took > roundTrip+slack:
		s.Failf(ruleReach, "%s returned nil only after %v, want nil within %v: the answer takes no longer", call, brief(took), roundTrip)
	case !reached && q.verdict.Err == "":
		s.Failf(ruleReach, "%s returned nil after %v, want ErrSilent: no message that arrived in time shows that the peer was alive after the call began", call, brief(took))
	case !reached && !q.verdict.Silent:
		s.Failf(ruleReach, "%s returned %q, want an error that is ErrSilent", call, q.verdict.Err)
	case !reached && took < limit-time.Millisecond:
		s.Failf(ruleReach, "%s returned ErrSilent after %v, want ErrSilent only after the limit: until then the peer may answer", call, brief(took))
	}
	s.Measure("time to notice at a call", float64(took.Milliseconds()), "ms", "≤ the limit")
}

func (q *question) over() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.done
}

// callers starts a Caller on every node.
func callers(s *labtest.Sim) (nodes []*labrpc.Node, all []*Caller) {
	s.StartAll(func(node *labrpc.Node) {
		nodes, all = append(nodes, node), append(all, NewCaller(node))
	})
	return nodes, all
}

// A call to a dead peer ends when its limit is over; calls to others, made
// after it, do not wait for that. A peer that has just answered may be dead. The limit may be 0.
func TestReachEndsByItsLimit2A(t *testing.T) {
	const limit = 500 * time.Millisecond
	labtest.Run(t, labtest.Config{Nodes: 4, Link: labrpc.Synchronous(hop2A)}, func(s *labtest.Sim) {
		nodes, all := callers(s)
		ask(s, nodes[0], all[0], 2, limit).expect(s, true, limit)
		s.Net.Stop(3)
		dead := ask(s, nodes[0], all[0], 3, limit)
		again := ask(s, nodes[0], all[0], 3, limit/2)
		s.Run(time.Millisecond)
		ask(s, nodes[0], all[0], 4, timeout2A).expect(s, true, timeout2A)
		ask(s, nodes[3], all[3], 1, timeout2A).expect(s, true, timeout2A)
		again.expect(s, false, limit/2)
		dead.expect(s, false, limit)
		ask(s, nodes[0], all[0], 4, limit).expect(s, true, limit)
		s.Net.Stop(4)
		ask(s, nodes[0], all[0], 4, limit).expect(s, false, limit)
		ask(s, nodes[0], all[0], 2, 0).expect(s, false, 0)
	})
}

// Failures that are noticed only when it matters cost nothing meanwhile.
func TestNoTrafficUnlessAsked2A(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 3, Link: labrpc.Synchronous(hop2A), Seeds: 3}, func(s *labtest.Sim) {
		nodes, all := callers(s)
		quiet := func(who string, by labrpc.Match, long time.Duration) {
			before := s.Net.Stats(by).Sent
			s.Run(long)
			if sent := s.Net.Stats(by).Sent - before; sent > 0 {
				s.Failf(ruleQuiet, "%s %d messages in %v in which Reach was not called", who, sent, long)
			}
		}
		idle := func() {
			quiet("n1 sent", labrpc.Match{From: 1}, 2*hop2A) // peers may still reply to its last request
			quiet("the nodes sent", labrpc.Match{}, time.Minute)
		}
		idle()
		ask(s, nodes[0], all[0], 2, timeout2A).expect(s, true, timeout2A)
		idle()
		s.Net.Stop(2)
		ask(s, nodes[0], all[0], 2, timeout2A).expect(s, false, timeout2A)
		idle()
	})
}

// n2 answers a first call, calls Reach itself and crashes; before its answer and its own request are at n1, a second call
// begins. They prove that n2 was alive, but not since the second call.
func TestReachSpeaksOfNow2A(t *testing.T) {
	const hop, limit = 100 * time.Millisecond, 300 * time.Millisecond
	labtest.Run(t, labtest.Config{Nodes: 2, Link: labrpc.Link{Latency: labrpc.Fixed(hop)}, Seeds: 3}, func(s *labtest.Sim) {
		nodes, all := callers(s)
		first := ask(s, nodes[0], all[0], 2, limit)
		s.Run(hop + hop/10)
		ask(s, nodes[1], all[1], 1, limit)
		s.Run(0)
		s.Net.Stop(2)
		s.Run(hop / 2)
		second := ask(s, nodes[0], all[0], 2, limit)
		first.expectWithin(s, true, limit, 2*hop)
		second.expect(s, false, limit)
		late := ask(s, nodes[0], all[0], 2, limit)
		late.expect(s, false, limit)
	})
}

// Two peers answer after half a minute, each twice in one call of two and an earlier one of the same peer: a long limit
// is waited for, and each call has its own answer. Another call to a peer that has crashed waits for its own limit. The limit
// may also be the longest time.
func TestReachWaitsLong2A(t *testing.T) {
	const hop = 15 * time.Second
	labtest.Run(t, labtest.Config{Nodes: 4, Link: labrpc.Link{Latency: labrpc.Fixed(hop)}, Seeds: 2}, func(s *labtest.Sim) {
		nodes, all := callers(s)
		s.Net.Stop(4)
		dead := ask(s, nodes[0], all[0], 4, 3*time.Minute)
		short := ask(s, nodes[0], all[0], 2, hop)
		var alive []*question
		for _, peer := range []labrpc.NodeID{2, 3, 2, 3} {
			alive = append(alive, ask(s, nodes[0], all[0], peer, 2*time.Minute))
			s.Run(time.Second)
		}
		short.expect(s, false, hop)
		for _, q := range alive {
			q.expectWithin(s, true, 2*time.Minute, 2*hop)
		}
		ask(s, nodes[0], all[0], 2, time.Second).expect(s, false, time.Second)
		ask(s, nodes[0], all[0], 2, math.MaxInt64).expectWithin(s, true, math.MaxInt64, 2*hop)
		again := ask(s, nodes[0], all[0], 2, 10*time.Minute)
		again.expectWithin(s, true, 10*time.Minute, 2*hop)
		dead.expect(s, false, 3*time.Minute)
	})
}
