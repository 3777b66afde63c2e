package detector_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/02-failure-detection"
)

const (
	delay2B     = 20 * time.Millisecond // no message takes longer
	longDelay2B = 7 * period / 2        // and in one test

	ruleBeats = "a crashed peer is suspected at most (Tolerate+1)·Period + 2·Delay after the crash and not trusted again, a correct peer is never suspected (rule 6)"
)

// bound2B is rule 6's.
func bound2B(tolerate int) time.Duration { return boundWithDelay2B(tolerate, delay2B) }

func boundWithDelay2B(tolerate int, delay time.Duration) time.Duration {
	return time.Duration(tolerate+1)*period + 2*delay
}

func newHeartbeats(s *labtest.Sim, tolerate int) *cluster {
	return newHeartbeatsWithDelay(s, tolerate, delay2B)
}

func newHeartbeatsWithDelay(s *labtest.Sim, tolerate int, delay time.Duration) *cluster {
	c := newCluster(s, ruleBeats, func(node *labrpc.Node, changed func(Change)) suspecter {
		return NewHeartbeat(node, HeartbeatOptions{Period: period, Delay: delay, Tolerate: tolerate, Changed: changed})
	})
	c.final = ruleBeats
	c.bounds = fmt.Sprintf("Period is %v, Delay is %v, and Tolerate is %d", period, delay, tolerate)
	return c
}

// Without losses, heartbeats keep the bound that pings keep. The nodes crash
// one after another until one is left: those that still beat say nothing for the
// others. In every other run the first crashes before its first beat.
func TestCrashIsSuspectedInTime2B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Link: labrpc.Synchronous(delay2B)}, func(s *labtest.Sim) {
		silent := s.Seed%2 == 0
		if silent {
			s.Net.Isolate(5)
		}
		c := newHeartbeats(s, 0)
		if silent {
			c.stillborn(5)
			c.expect(bound2B(0), ruleBeats, 5)
		}
		s.Run(time.Second)
		for len(c.alive()) > 1 {
			s.Run(3*period + somewhere(s))
			id := anyNode(s, c.alive())
			c.crash(id)
			c.expect(bound2B(0), ruleBeats, id)
		}
	})
}

// On every link three messages of four are lost, which is what the detector
// has been told to bear. The rest arrives as early or as late as it may. In every third run a delay is longer than a period, and
// beats overtake each other; in every third, each beat takes either no time or all the time that it may.
func TestToleratesLostBeats2B(t *testing.T) {
	const tolerate = 3
	config := labtest.Config{Nodes: 4, MustCover: []string{"a beat was lost"}}
	labtest.Run(t, config, func(s *labtest.Sim) {
		delay := delay2B
		switch s.Seed % 3 {
		case 0:
			delay = longDelay2B
			s.Net.SetLinks(labrpc.Synchronous(delay))
		case 1:
			s.Net.SetLinks(noneOrAll(delay))
		case 2:
			s.Net.SetLinks(labrpc.Synchronous(delay))
		}
		first := uint64(s.Rand().IntN(tolerate + 1)) // which message of each link is the first to arrive
		sent := map[pair]uint64{}
		s.Net.Intercept(func(m *labrpc.Message) labrpc.Verdict {
			link := pair{m.From, m.To}
			sent[link]++
			if (sent[link]+first+uint64(m.From+2*m.To))%(tolerate+1) == 0 {
				return labrpc.Pass
			}
			s.Cover("a beat was lost")
			return labrpc.Drop
		})
		c := newHeartbeatsWithDelay(s, tolerate, delay)
		s.Run(20*time.Second + somewhere(s))
		id := anyNode(s, s.Net.Nodes())
		c.crash(id)
		c.expect(boundWithDelay2B(tolerate, delay), ruleBeats, id)
	})
}

// The budget is half that of pings: one message a period from each node to each other,
// and no answers.
func TestHalfTheMessages2B(t *testing.T) {
	const long = 30 * time.Second
	labtest.Run(t, labtest.Config{Nodes: 5, Link: labrpc.Synchronous(delay2B), Seeds: 3}, func(s *labtest.Sim) {
		c := newHeartbeats(s, 0)
		for s.Net.Now() < long {
			s.Run(period + somewhere(s))
			budget := int(s.Net.Now()/period) + 1
			for _, from := range s.Net.Nodes() {
				for _, to := range others(s, from) {
					if sent := s.Net.Stats(labrpc.Match{From: from, To: to}).Sent; sent > budget {
						s.Failf("a node sends each peer at most one message per period, and no other message (rule 7)",
							"%v had sent %d messages to %v by %v, want at most %d", from, sent, to, labtest.At(s.Net.Now()), budget)
					}
				}
			}
		}
		sent := s.Net.Stats(labrpc.Match{}).Sent
		s.Run(10 * period)
		s.Measure("messages per peer and period", messages(s, 5, 10*period, sent), "", "≤ 1")
		c.crash(5)
		c.expect(bound2B(0), ruleBeats, 5)
	})
}

// After so many periods as many beats have left, however long it goes on: a
// sender that loses a little time at each beat misses one eventually.
func TestBeatsKeepTime2B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 4, Link: labrpc.Synchronous(delay2B), Seeds: 3}, func(s *labtest.Sim) {
		c := newHeartbeats(s, 1)
		began := s.Net.Now()
		for range 60 {
			s.Run(time.Second)
			due := int((s.Net.Now() - began - slack) / period)
			for _, from := range s.Net.Nodes() {
				to := others(s, from)[0]
				if sent := s.Net.Stats(labrpc.Match{From: from, To: to}).Sent; sent < due {
					s.Failf("a node sends its n-th heartbeat at most n periods after the start (rule 7)",
						"%v has sent %d heartbeats to %v by %v, want at least %d", from, sent, to, labtest.At(s.Net.Now()), due)
				}
			}
		}
		c.crash(2)
		c.expect(bound2B(1), ruleBeats, 2)
	})
}

// A period may be of any length, also one that is no whole number of milliseconds: the n-th heartbeat leaves after n−1 to n periods.
func TestAnyPeriod2B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 2, Seeds: 3, Limit: 24 * time.Hour}, func(s *labtest.Sim) {
		every := []time.Duration{time.Second / 30, 700 * time.Microsecond, 20*time.Second + time.Millisecond/3}[s.Seed%3]
		s.StartAll(func(n *labrpc.Node) { NewHeartbeat(n, HeartbeatOptions{Period: every, Delay: delay2B, Tolerate: 100}) })
		for range 20 {
			s.Run(every * 31 / 2)
			now := s.Net.Now()
			first, last := int((now-every/10)/every), int((now+every/10)/every)+1
			if sent := s.Net.Stats(labrpc.Match{From: 1, To: 2}).Sent; sent < first || sent > last {
				s.Failf("a node sends its n-th heartbeat at most n periods after the start, and not before n−1 periods (rule 7)",
					"n1 has sent %d heartbeats to n2 by %v, want %d or %d: Period is %v", sent, now, first, last, every)
			}
		}
	})
}

// A network that makes copies may deliver one at any time. We take down all that
// n2 sends and, once it has crashed, deliver it again.
func TestOldBeatsProveNothing2B(t *testing.T) {
	config := labtest.Config{Nodes: 3, Link: labrpc.Synchronous(delay2B), MustCover: []string{"an old beat came again"}}
	labtest.Run(t, config, func(s *labtest.Sim) {
		old := record(s, 2)
		tolerate := int(s.Seed % 4)
		c := newHeartbeats(s, tolerate)
		s.Run(time.Second + somewhere(s))
		before := len(old.messages())
		c.crash(2)
		for range 24 {
			s.Run(delay2B + time.Millisecond)
			old.replay(s, before)
			for _, by := range c.lagging(2) {
				c.noticesThroughCopies(by, bound2B(tolerate))
			}
		}
		c.expect(bound2B(tolerate), ruleBeats, 2)
	})
}

// noticesThroughCopies fails if the bound is over and by does not suspect n2, which has crashed, while copies of its heartbeats arrive.
func (c *cluster) noticesThroughCopies(by labrpc.NodeID, bound time.Duration) {
	now := c.s.Net.Now()
	if late := now - c.crashed[2]; late > bound+slack && !c.suspects(by, 2).suspected {
		c.s.Fail(labtest.Violation{
			What:  fmt.Sprintf("at %v, %v does not suspect n2, want it within %v of the crash of n2", labtest.At(now), by, bound),
			Rule:  "a heartbeat that is not newer than a received one proves nothing (rule 8)",
			Seen:  []string{fmt.Sprintf("n2 crashed %v earlier; copies of its old heartbeats still arrive", brief(late))},
			Nodes: []labrpc.NodeID{by, 2},
		})
	}
}

// Heartbeats are counted without an end, and any number of them may be lost in all. After the crash, copies of heartbeats of many ages arrive.
func TestManyBeats2B(t *testing.T) {
	const beats, tolerate = 5000, 200 // more than twelve bits can count, and seven
	cfg := labtest.Config{Nodes: 3, Link: labrpc.Link{Latency: labrpc.Fixed(delay2B / 2)}, Seeds: 2, Limit: 3 * time.Hour}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		if s.Seed%2 == 0 {
			checkVeryOldBeats(s)
			return
		}
		s.Net.Cut(1, 2) // n2's own detector has nothing to do
		s.Net.Cut(3, 2)
		lost, old := 0, record(s, 2)
		s.Net.Intercept(func(m *labrpc.Message) labrpc.Verdict {
			if m.From == 2 && m.To == 3 { // n3 hears every other heartbeat of n2, which it tolerates
				if lost++; lost%2 == 0 {
					return labrpc.Drop
				}
			}
			return labrpc.Pass
		})
		c := newCluster(s, "", func(node *labrpc.Node, changed func(Change)) suspecter {
			opts := HeartbeatOptions{Period: period, Delay: delay2B, Tolerate: tolerate, Changed: changed}
			switch node.ID() {
			case 2:
				opts.Changed = nil
			case 3:
				opts.Tolerate = 1
			}
			return NewHeartbeat(node, opts)
		})
		for range beats / 1000 {
			s.Run(1000 * period)
			for _, by := range []labrpc.NodeID{1, 3} {
				if cl := c.suspects(by, 2); cl.suspected {
					s.Failf(ruleBeats, "%v, although n2 has not crashed", cl)
				}
			}
		}
		c.crash(2)
		sent := map[labrpc.NodeID][]labrpc.Message{}
		for _, m := range old.messages() {
			sent[m.To] = append(sent[m.To], m)
		}
		bounds := map[labrpc.NodeID]time.Duration{1: bound2B(tolerate), 3: bound2B(1)}
		for range tolerate {
			s.Run(period)
			for _, by := range []labrpc.NodeID{1, 3} {
				for age := 96; age < len(sent[by]); age *= 2 { // a number of 8, 9, … bits calls one of them newer
					again(s, sent[by][len(sent[by])-age])
				}
				c.noticesThroughCopies(by, bounds[by])
			}
		}
		c.expect(bound2B(tolerate), ruleBeats, 2)
	})
}

// checkVeryOldBeats: after the crash of n2, copies of its first heartbeats arrive at n1, again and again. A number of sixteen bits calls them newer than the last.
func checkVeryOldBeats(s *labtest.Sim) {
	const beats = 33_000
	s.Net.Cut(1, 2)
	first := record(s, 2)
	c := newIdleCluster(s, "") // no goroutine that asks all the time
	for _, id := range []labrpc.NodeID{2, 1} {
		c.boot(s.Start(id), func(node *labrpc.Node, changed func(Change)) suspecter {
			opts := HeartbeatOptions{Period: period, Delay: delay2B, Tolerate: 1, Changed: changed}
			if id == 2 {
				opts.Changed = nil
			}
			return NewHeartbeat(node, opts)
		})
	}
	s.Run(2 * period)
	old := first.messages()
	s.Run(beats * period)
	if cl := c.suspects(1, 2); cl.suspected {
		s.Failf(ruleBeats, "%v, although n2 has not crashed", cl)
	}
	c.crash(2)
	for range 3 {
		s.Run(period)
		for _, m := range old {
			if m.To == 1 {
				again(s, m)
			}
		}
		c.noticesThroughCopies(1, bound2B(1))
	}
	c.expect(bound2B(1), ruleBeats, 2)
}

// Wall clocks are set all the time, and prove nothing.
func TestSetClocks2B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 4, Link: labrpc.Synchronous(delay2B), Seeds: 4}, func(s *labtest.Sim) {
		if s.Seed == 1 {
			withoutChanged(s, bound2B(0)+slack, func(node *labrpc.Node) suspecter {
				return NewHeartbeat(node, HeartbeatOptions{Period: period, Delay: delay2B})
			})
			return
		}
		c := newCluster(s, "", func(node *labrpc.Node, changed func(Change)) suspecter {
			return NewHeartbeat(node, HeartbeatOptions{Period: period, Delay: delay2B, Tolerate: 1, Changed: changed})
		})
		c.underSetClocks(0, bound2B(1))
	})
}

// A recorder records the messages that a node sends.
type recorder struct {
	mu   sync.Mutex
	sent []labrpc.Message
}

func record(s *labtest.Sim, from labrpc.NodeID) *recorder {
	r := &recorder{}
	s.Net.Intercept(func(m *labrpc.Message) labrpc.Verdict {
		if m.From == from && m.Kind != labrpc.Reply {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.sent = append(r.sent, *m)
		}
		return labrpc.Pass
	})
	return r
}

func (r *recorder) messages() []labrpc.Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sent
}

// again delivers a message once more.
func again(s *labtest.Sim, m labrpc.Message) {
	if err := s.Net.Inject(m); err != nil {
		s.Failf("the test can send again what a node has sent", "Inject: %v", err)
	}
}

// replay delivers one of the first n messages to each receiver once more.
func (r *recorder) replay(s *labtest.Sim, n int) {
	served := map[labrpc.NodeID]bool{}
	sent := r.messages()[:n]
	for _, i := range s.Rand().Perm(n) {
		if m := sent[i]; !served[m.To] {
			served[m.To] = true
			again(s, m)
			s.Cover("an old beat came again")
		}
	}
}
