package detector_test

import (
	"fmt"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/02-failure-detection"
)

const (
	hop2A     = 40 * time.Millisecond // no message takes longer
	timeout2A = 2*hop2A + time.Millisecond

	ruleComplete2A = "every correct node suspects a crashed peer at most Period + Timeout after the crash, and does not trust it again (rule 2; Cachin, Guerraoui, Rodrigues §2.6.2)"
	ruleAccurate2A = "while each round trip takes less than Timeout, a peer that has not crashed is never suspected (rule 3; Cachin, Guerraoui, Rodrigues §2.6.2)"
)

func newProbers(s *labtest.Sim, timeout time.Duration) *cluster {
	c := newCluster(s, ruleAccurate2A, func(node *labrpc.Node, changed func(Change)) suspecter {
		return NewProber(node, ProberOptions{Period: period, Timeout: timeout, Changed: changed})
	})
	c.final = ruleComplete2A
	c.bounds = fmt.Sprintf("Period is %v, and Timeout is %v", period, timeout)
	return c
}

// Every correct node suspects each crashed node in time, and no other (Cachin, Guerraoui, Rodrigues §2.6.2, perfect failure detector). The nodes
// crash one after another, in a random order, until one is left. In every other run the first node crashes before it
// has sent a message.
func TestCrashIsSuspectedInTime2A(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Link: labrpc.Synchronous(hop2A)}, func(s *labtest.Sim) {
		silent := s.Seed%2 == 0
		if silent {
			s.Net.Isolate(5)
		}
		c := newProbers(s, timeout2A)
		if silent {
			c.stillborn(5)
			c.expect(period+timeout2A, ruleComplete2A, 5)
		}
		sent := s.Net.Stats(labrpc.Match{}).Sent
		s.Run(time.Second)
		s.Measure("messages per peer and period", messages(s, 5, 10*period, sent), "", "")
		for len(c.alive()) > 1 {
			s.Run(3*period + somewhere(s))
			id := anyNode(s, c.alive())
			c.crash(id)
			c.expect(period+timeout2A, ruleComplete2A, id)
		}
	})
}

// Three of five crash at once: the bound holds for each of them.
func TestDeadPeersDoNotDelayEachOther2A(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Link: labrpc.Synchronous(hop2A)}, func(s *labtest.Sim) {
		c := newProbers(s, timeout2A)
		s.Run(time.Second + somewhere(s))
		spared := anyNode(s, s.Net.Nodes())
		victims := others(s, spared)[1:]
		for _, id := range victims {
			c.crash(id)
		}
		c.expect(period+timeout2A, ruleComplete2A, victims...)
		s.Run(time.Second)
		c.crash(c.alive()[0])
		s.Run(time.Second)
		c.agree()
	})
}

// Round trips that take nearly the whole timeout are no crash. The slow
// links make every answer late, but in time.
func TestSlowIsNotDead2A(t *testing.T) {
	slow := labrpc.Link{Latency: labrpc.Uniform(hop2A*9/10, hop2A-time.Microsecond)}
	labtest.Run(t, labtest.Config{Nodes: 3, Link: slow, Seeds: 5}, func(s *labtest.Sim) {
		c := newProbers(s, timeout2A)
		s.Run(30*time.Second + somewhere(s))
		c.crash(2)
		c.expect(period+timeout2A, ruleComplete2A, 2)
	})
}

// The way to n1 is slow, and the timeout longer than a period: while the answer
// to one ping is under way, the next is sent. n2 to n5 crash a quarter of
// a period after each other, so one crashes between an answer and the next
// ping. The late answer must not be taken for one to the ping that came too late.
func TestLateReplyProvesNothing2A(t *testing.T) {
	const timeout = 2 * period
	labtest.Run(t, labtest.Config{Nodes: 5, Link: labrpc.Link{Latency: labrpc.Fixed(10 * time.Millisecond)}}, func(s *labtest.Sim) {
		for _, id := range others(s, 1) {
			s.Net.SetLink(id, 1, labrpc.Link{Latency: labrpc.Fixed(150 * time.Millisecond)})
		}
		c := newProbers(s, timeout)
		s.Run(time.Second + somewhere(s))
		for _, id := range others(s, 1) {
			c.crash(id)
			s.Run(period / 4)
		}
		c.expect(period+timeout, "a reply counts for its own ping only, not for a later one (rules 2 and 4)", 2, 3, 4, 5)
	})
}

// Wall clocks are set all the time, and prove nothing.
func TestSetClocks2A(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 4, Link: labrpc.Synchronous(hop2A), Seeds: 4}, func(s *labtest.Sim) {
		if s.Seed == 1 {
			withoutChanged(s, period+timeout2A+slack, func(node *labrpc.Node) suspecter {
				return NewProber(node, ProberOptions{Period: period, Timeout: timeout2A})
			})
			return
		}
		c := newCluster(s, "", func(node *labrpc.Node, changed func(Change)) suspecter {
			return NewProber(node, ProberOptions{Period: period, Timeout: timeout2A, Changed: changed})
		})
		c.underSetClocks(0, period+timeout2A)
	})
}
