package detector_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/02-failure-detection"
)

const (
	ruleReach = "Reach returns nil as soon as the peer has answered, and ErrSilent when the limit is over: not before, not after (rule 5)"
	ruleQuiet = "without a Reach there is no traffic at all (rule 5)"
)

// A verdict is what a Reach returned.
type verdict struct {
	Silent bool
	Err    string // "" for nil
}

// A question is one Reach, in a goroutine of its node.
type question struct {
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
	q.peer, q.began = peer, s.Net.Now()
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

// expect lets time pass until limit after the question, and checks what came
// of it: nil (reached), or ErrSilent when the limit was over.
func (q *question) expect(s *labtest.Sim, reached bool, limit time.Duration) {
	s.Until(q.began+limit+time.Millisecond-s.Net.Now(), q.over)
	q.mu.Lock()
	defer q.mu.Unlock()
	took := q.at - q.began
	call := fmt.Sprintf("Reach(%d, %v)", int(q.peer), limit)
	switch {
	case !q.done:
		s.Failf(ruleReach, "%s has not returned after %v", call, brief(s.Net.Now()-q.began))
	case reached && q.verdict.Err != "":
		s.Failf(ruleReach, "%s = %q after %v, want nil: the peer is alive and answers in time", call, q.verdict.Err, brief(took))
	case !reached && q.verdict.Err == "":
		s.Failf(ruleReach, "%s = nil after %v, want ErrSilent: the peer was not alive since the call began, or not in time", call, brief(took))
	case !reached && !q.verdict.Silent:
		s.Failf(ruleReach, "%s = %q, want an error that is ErrSilent", call, q.verdict.Err)
	case !reached && took < limit-time.Millisecond:
		s.Failf(ruleReach, "%s = ErrSilent after %v already: the peer might still have answered", call, brief(took))
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
// after it, do not wait for that.
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
	})
}

// Failures that are noticed only when it matters cost nothing meanwhile.
func TestNoTrafficUnlessAsked2A(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 3, Link: labrpc.Synchronous(hop2A), Seeds: 3}, func(s *labtest.Sim) {
		nodes, all := callers(s)
		idle := func() {
			before := s.Net.Stats(labrpc.Match{}).Sent
			s.Run(time.Minute)
			if sent := s.Net.Stats(labrpc.Match{}).Sent - before; sent > 0 {
				s.Failf(ruleQuiet, "%d messages in a minute in which nobody called Reach", sent)
			}
		}
		idle()
		ask(s, nodes[0], all[0], 2, timeout2A).expect(s, true, timeout2A)
		idle()
		s.Net.Stop(2)
		ask(s, nodes[0], all[0], 2, timeout2A).expect(s, false, timeout2A)
		s.Run(hop2A) // an answer may be under way
		idle()
	})
}

// n2 answers a first call and crashes; before the answer is back a second call
// begins. The answer proves that n2 was alive, but not since the second call.
func TestReachSpeaksOfNow2A(t *testing.T) {
	const hop, limit = 100 * time.Millisecond, 300 * time.Millisecond
	labtest.Run(t, labtest.Config{Nodes: 2, Link: labrpc.Link{Latency: labrpc.Fixed(hop)}, Seeds: 3}, func(s *labtest.Sim) {
		nodes, all := callers(s)
		first := ask(s, nodes[0], all[0], 2, limit)
		s.Run(hop + hop/10)
		s.Net.Stop(2)
		s.Run(hop / 2)
		second := ask(s, nodes[0], all[0], 2, limit)
		first.expect(s, true, limit)
		second.expect(s, false, limit)
		late := ask(s, nodes[0], all[0], 2, limit)
		late.expect(s, false, limit)
	})
}
