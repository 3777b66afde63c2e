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
	initial2C = 4 * period
	settle2C  = time.Minute // after GST, until the last mistake was made
	notice2C  = 2 * time.Minute
	outage2C  = 15 * time.Minute

	ruleSuspects2C  = "from two minutes after the crash of a peer on, every correct node suspects it, whatever happened before (rule 9)"
	ruleAccurate2C  = "from one minute after GST on, no correct peer is suspected, however long that lasts (rule 10)"
	ruleWithdrawn   = "a suspicion is withdrawn at most two seconds after messages of the peer arrive again (rule 11)"
	ruleOnlyMistake = "a node raises a peer's timeout only after a mistake of its own about that peer; silence does not raise it, nor does a mistake about another peer, nor another node's mistake (rule 12)"
)

func newEventuals(s *labtest.Sim) *cluster {
	return newCluster(s, "", func(node *labrpc.Node, changed func(Change)) suspecter {
		return NewEventual(node, EventualOptions{Period: 2 * period, Initial: initial2C, Changed: changed})
	})
}

// everybodySuspects waits until every correct node suspects a crashed one, for as long as rule 9 allows.
func (c *cluster) everybodySuspects(id labrpc.NodeID) {
	gone := c.crashed[id]
	limit := gone + notice2C - c.s.Net.Now()
	if !c.s.Until(max(limit, 1), func() bool { return len(c.lagging(id)) == 0 }) {
		by := c.lagging(id)[0]
		c.s.Fail(labtest.Violation{
			What:  fmt.Sprintf("at %v, %v does not suspect %v, want it within %v of the crash at %v", labtest.At(c.s.Net.Now()), by, id, notice2C, labtest.At(gone)),
			Rule:  ruleSuspects2C,
			Nodes: []labrpc.NodeID{by, id},
		})
	}
}

// nobodyTrusts checks that no correct node has trusted a crashed one again since rule 9 forbids it.
func (c *cluster) nobodyTrusts(id labrpc.NodeID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	from := c.crashed[id] + notice2C
	for _, cl := range c.claims {
		if cl.about == id && !cl.suspected && cl.at > from {
			c.s.Fail(labtest.Violation{
				What:  fmt.Sprintf("%v, want it to suspect %v from %v on, two minutes after %[2]v crashed", cl, id, labtest.At(from)),
				Rule:  ruleSuspects2C,
				Nodes: []labrpc.NodeID{cl.by, id},
			})
		}
	}
}

// bothWays are the two nodes that lose sight of each other.
var bothWays = []pair{{1, 2}, {2, 1}}

// received is how many messages of p.about have arrived at p.by.
func received(s *labtest.Sim, p pair) int {
	return s.Net.Stats(labrpc.Match{From: p.about, To: p.by}).Delivered
}

// receivedBothWays counts the messages that have arrived so far, for firstArrivals.
func receivedBothWays(s *labtest.Sim) map[pair]int {
	before := map[pair]int{}
	for _, p := range bothWays {
		before[p] = received(s, p)
	}
	return before
}

// firstArrivals waits until more messages have arrived than before, both ways, and returns when the first of them did.
func firstArrivals(s *labtest.Sim, before map[pair]int) map[pair]time.Duration {
	at := map[pair]time.Duration{}
	s.WaitFor(notice2C, labtest.Violation{
		What: "n1 and n2 have not received a message from each other for two minutes, although they are connected again", Rule: ruleWithdrawn, Nodes: []labrpc.NodeID{1, 2},
	}, func() bool {
		for _, p := range bothWays {
			if _, known := at[p]; !known && received(s, p) > before[p] {
				at[p] = s.Net.Now()
			}
		}
		return len(at) == len(bothWays)
	})
	return at
}

// All messages from and to n2 are lost (in every other run: held up) until n1 and n2 suspect each other. As soon as messages arrive, both must
// see that they were wrong. No message reaches n2 or leaves it, because n3 might say that it hears the two.
func TestSuspicionIsWithdrawn2C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 3, Link: labrpc.Synchronous(2 * hop2A)}, func(s *labtest.Sim) {
		c := newEventuals(s)
		s.Run(2*time.Second + somewhere(s))
		var there, back *labrpc.Held
		lost := s.Seed%2 == 0
		if lost {
			s.Net.Isolate(2)
		} else {
			there, back = s.Net.Hold(labrpc.Match{To: 2}), s.Net.Hold(labrpc.Match{From: 2})
		}
		if s.Net.Connected(1, 2) == lost {
			return // minimising left the cut out
		}
		for range 20 { // at any time, also just before a suspicion and just after
			s.Run(period / 2)
			c.agree()
		}
		s.WaitFor(notice2C, labtest.Violation{
			What:  "n1 does not suspect n2, or n2 does not suspect n1, although no message from or to n2 has arrived for two minutes: the other may have crashed",
			Rule:  ruleSuspects2C,
			Nodes: []labrpc.NodeID{1, 2},
		}, func() bool { return c.suspects(1, 2).suspected && c.suspects(2, 1).suspected })
		s.Run(5 * time.Second)
		before := receivedBothWays(s)
		if lost {
			s.Net.Heal()
		} else {
			there.Release()
			back.Release()
		}
		at := firstArrivals(s, before)
		for _, p := range bothWays {
			arrived := at[p]
			s.WaitFor(max(0, arrived+2*time.Second-s.Net.Now()), labtest.Violation{
				What:  fmt.Sprintf("%v still suspects %v, two seconds after the first message of %[2]v arrived again, at %v", p.by, p.about, labtest.At(arrived)),
				Rule:  ruleWithdrawn,
				Seen:  []string{c.suspects(p.by, p.about).String()},
				Nodes: []labrpc.NodeID{p.by, p.about},
			}, func() bool { return !c.suspects(p.by, p.about).suspected })
			s.Measure("duration of a mistake after the first beat", float64((c.suspects(p.by, p.about).at - arrived).Milliseconds()), "ms", "≤ 2000")
		}
		c.agree()
	})
}

// Until GST, 10 seconds after the start, delays have no bound. From then on messages
// take 5 ms for a while, then a much longer time for as long a while, and so on:
// there is a bound, but no node knows it. Beside the detector a
// fixed timeout, of one of three lengths, judges beats of its own over the
// same links. Each of the three is wrong to the end in some of the runs. The
// student's may be wrong for a minute after GST, and never thereafter. One run takes hours.
func TestLearnsWhatNoFixedTimeoutKnows2C(t *testing.T) {
	const gst = 10 * time.Second
	lengths := []time.Duration{400 * time.Millisecond, time.Second, 2 * time.Second}
	config := labtest.Config{Nodes: 3, Seeds: 4, Limit: 4 * time.Hour}
	for _, length := range lengths {
		config.MustCover = append(config.MustCover, wrongAfterAll(length))
	}
	labtest.Run(t, config, func(s *labtest.Sim) {
		if s.Seed%4 == 0 {
			forgetsNothingInHours(s, gst)
			return
		}
		kind := s.Seed % 3
		s.Net.SetLinks(alternatingDelay(gst, []time.Duration{period * 5, period * 10, period * 20}[kind]))
		fixed := newFixedTimeout(lengths[kind], gst+settle2C)
		c := newCluster(s, "", func(node *labrpc.Node, changed func(Change)) suspecter {
			fixed.start(node)
			return NewEventual(node, EventualOptions{Period: 2 * period, Initial: initial2C, Changed: changed})
		})
		c.settled, c.eventually = gst+settle2C, ruleAccurate2C
		s.Run(gst + 2*settle2C)
		if fixed.wrong() > 0 {
			s.Cover(wrongAfterAll(fixed.length))
		}
		s.Measure("mistakes before GST", float64(c.mistakes(0, gst)), "", "")
		s.Measure("mistakes in the minute after GST", float64(c.mistakes(gst, gst+settle2C)), "", "")
		s.Measure("mistakes in the second minute after GST", float64(c.mistakes(gst+settle2C, gst+2*settle2C)), "", "≤ 0")
		lasts, recurs := c.quality(gst + settle2C)
		s.Measure("mean duration of a mistake until then", lasts.Seconds(), "s", "")
		s.Measure("mean time from one mistake to the next until then", recurs.Seconds(), "s", "")
		s.Measure("mistakes of a fixed timeout in the second minute", float64(fixed.wrong()), "", "")
		c.crash(3)
		c.everybodySuspects(3)
		c.agree()
	})
}

// forgetsNothingInHours alternates between short and long delays from GST on, for more than an hour; then all delays are short for more than an
// hour; then they alternate again. A minute after GST the detector has seen the longest silence that is possible: it suspects no correct peer from then on. All times are
// ten times as long as in the other runs, so that hours need few messages.
func forgetsNothingInHours(s *labtest.Sim, gst time.Duration) {
	const high, hour = 4 * time.Second, 72 * time.Minute // a multiple of the time from one long delay to the next
	delays := alternatingDelay(gst, high)
	s.Net.SetLinks(delays)
	c := newIdleCluster(s, "") // no goroutine that asks all the time
	s.StartAll(func(node *labrpc.Node) {
		c.boot(node, func(node *labrpc.Node, changed func(Change)) suspecter {
			return NewEventual(node, EventualOptions{Period: 20 * period, Initial: 10 * initial2C, Changed: changed})
		})
	})
	c.settled, c.eventually = gst+settle2C, ruleAccurate2C
	s.Run(hour)
	s.Net.SetLinks(labrpc.Synchronous(5 * time.Millisecond))
	s.Run(hour)
	s.Net.SetLinks(delays)
	s.Run(settle2C)
	c.crash(3)
	c.everybodySuspects(3)
	c.agree()
}

func wrongAfterAll(length time.Duration) string {
	return fmt.Sprintf("a fixed timeout of %v suspects a correct peer long after GST", length)
}

// alternatingDelay is a delay that has no bound before gst; from then on it alternates between 5 ms and high.
func alternatingDelay(gst, high time.Duration) labrpc.Link {
	delays := labrpc.PartiallySynchronous(gst, high).Latency
	turn := max(time.Second, high)
	return labrpc.Link{Latency: func(u float64, sent time.Duration) time.Duration {
		switch {
		case sent < gst:
			return delays(u, sent)
		case (sent/turn)%2 == 0:
			return 5 * time.Millisecond
		}
		return high
	}}
}

// A fixedTimeout sends beats and would suspect each peer that is silent for its
// length. It notes how often that would be wrong, once the detectors must have
// settled.
type fixedTimeout struct {
	length, settled time.Duration

	mu       sync.Mutex
	heard    map[pair]time.Duration
	mistakes int
}

func newFixedTimeout(length, settled time.Duration) *fixedTimeout {
	f := new(fixedTimeout)
	f.mu.Lock() // orders what follows before the network's goroutine calls hear
	defer f.mu.Unlock()
	f.length, f.settled, f.heard = length, settled, map[pair]time.Duration{}
	return f
}

// A tick is a beat of the fixedTimeout.
type tick struct{}

func (f *fixedTimeout) start(node *labrpc.Node) {
	labrpc.Receive(node, "test/tick", func(from labrpc.NodeID, _ tick) {
		labrpc.Tell(node, from, func(at time.Duration, from labrpc.NodeID) { f.hear(at, pair{node.ID(), from}) })
	})
	go func() {
		ticker := time.NewTicker(2 * period)
		defer ticker.Stop()
		for node.Context().Err() == nil {
			for _, peer := range node.Peers() {
				labrpc.Send(node, peer, "test/tick", tick{})
			}
			<-ticker.C
		}
	}()
}

func (f *fixedTimeout) hear(at time.Duration, p pair) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if at > f.settled && at-f.heard[p] > f.length {
		f.mistakes++
	}
	f.heard[p] = at
}

func (f *fixedTimeout) wrong() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mistakes
}

// Each node that crashes, before GST or after, is suspected by all eventually and
// stays so: also when what it sent before arrives very late.
func TestCrashedIsSuspectedForEver2C(t *testing.T) {
	const gst = 10 * time.Second
	config := labtest.Config{Nodes: 4, Link: labrpc.PartiallySynchronous(gst, 3*period), Seeds: 6}
	labtest.Run(t, config, func(s *labtest.Sim) {
		early, late := labrpc.NodeID(1+s.Rand().IntN(2)), labrpc.NodeID(3+s.Rand().IntN(2))
		silent := s.Seed%2 == 0
		if silent {
			s.Net.Isolate(early)
		}
		c := newEventuals(s)
		if silent {
			c.stillborn(early)
		} else {
			s.Run(gst/2 + somewhere(s))
			c.crash(early)
		}
		s.Run(gst)
		c.crash(late)
		c.everybodySuspects(early)
		c.everybodySuspects(late)
		for _, by := range c.alive() {
			took := c.suspects(by, late).at - c.crashed[late]
			s.Measure("detection time after GST", max(0, took).Seconds(), "s", fmt.Sprintf("≤ %v", notice2C.Seconds()))
		}
		s.Run(c.crashed[late] + notice2C - s.Net.Now())
		c.everybodySuspects(early)
		c.everybodySuspects(late)
		s.Run(time.Minute)
		c.nobodyTrusts(early)
		c.nobodyTrusts(late)
		c.agree()
	})
}

// The timeout of a peer that has crashed stays what it was: silence is no
// mistake.
func TestSilenceTeachesNothing2C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 3, Link: labrpc.Synchronous(hop2A), Seeds: 5}, func(s *labtest.Sim) {
		c := newEventuals(s)
		s.Run(5*time.Second + somewhere(s))
		timeout := func() time.Duration { return c.detectors[1].(*Eventual).Timeout(3) }
		before := timeout()
		c.crash(3)
		c.everybodySuspects(3)
		for range 60 {
			s.Run(time.Second)
			if now := timeout(); now > before || now <= 0 {
				s.Fail(labtest.Violation{
					What:  fmt.Sprintf("at %v, Timeout(3) = %v on n1, want at most %v, as before the crash of n3", labtest.At(s.Net.Now()), now, before),
					Rule:  ruleOnlyMistake,
					Seen:  []string{fmt.Sprintf("n3 crashed at %v", labtest.At(c.crashed[3]))},
					Nodes: []labrpc.NodeID{1, 3},
				})
			}
		}
	})
}

// n2 reaches nobody, and nobody it, for a quarter of an hour, and then twenty times until n1 and n2 suspect each other. However
// long a mistake lasted, it ends: n1 and n2 trust each other within a minute. However many mistakes were made, a crash is noticed in
// time; and no mistake about n2 changes what n1 thinks of n3.
func TestManyMistakes2C(t *testing.T) {
	cfg := labtest.Config{Nodes: 3, Link: labrpc.Synchronous(hop2A), Seeds: 2, Limit: 3 * time.Hour}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		c := newEventuals(s)
		s.Run(2*time.Second + somewhere(s))
		third := c.detectors[1].(*Eventual).Timeout(3)
		for outage := range 21 {
			s.Net.Isolate(2)
			if s.Net.Connected(1, 2) {
				return // minimising left the cut out
			}
			if outage == 0 {
				s.Run(outage2C)
			}
			s.WaitFor(notice2C, labtest.Violation{
				What:  fmt.Sprintf("n1 does not suspect n2, or n2 does not suspect n1, although no message from or to n2 has arrived for two minutes: the other may have crashed; they have suspected each other by mistake %d times before", outage),
				Rule:  ruleSuspects2C,
				Nodes: []labrpc.NodeID{1, 2},
			}, func() bool { return c.suspects(1, 2).suspected && c.suspects(2, 1).suspected })
			before := receivedBothWays(s)
			s.Net.Heal()
			if outage > 0 {
				firstArrivals(s, before)
			}
			c.trustAgain(outage)
			s.Run(time.Second)
		}
		if now := c.detectors[1].(*Eventual).Timeout(3); now > third {
			s.Failf(ruleOnlyMistake, "Timeout(3) = %v on n1, want at most %v, as at the start: n1 has suspected n2 by mistake, and never n3", now, third)
		}
		// What 21 mistakes have taught is enough for a bound that one mistake would not teach.
		s.Net.SetLink(2, 1, alternatingDelay(0, 50*period))
		s.Run(settle2C)
		for range int(settle2C / period) {
			s.Run(period)
			if cl := c.suspects(1, 2); cl.suspected {
				s.Failf("from one minute after GST on, no correct node is suspected (rule 10)", "%v, although n2 has not crashed: since GST no message of n2 has taken more than %v, and n1 has suspected n2 by mistake more than 20 times", cl, 50*period)
			}
		}
		c.crash(2)
		c.everybodySuspects(2)
	})
}

// trustAgain waits until n1 and n2, each of which has received a message of the other again, trust each other. If no more messages were lost from now on, this time would be
// GST.
func (c *cluster) trustAgain(outage int) {
	trust := func() bool { return !c.suspects(1, 2).suspected && !c.suspects(2, 1).suspected }
	limit, rule := 2*time.Second, ruleWithdrawn
	what := "n1 or n2 still suspects the other, two seconds after messages began to arrive again"
	if outage == 0 {
		limit, rule = settle2C, ruleAccurate2C
		what = fmt.Sprintf("n1 or n2 still suspects the other, %v after an outage of %v, want each to trust the other: neither has crashed, and since the outage no message has been lost", settle2C, outage2C)
	}
	c.s.WaitFor(limit, labtest.Violation{What: what, Rule: rule, Nodes: []labrpc.NodeID{1, 2}}, trust)
}

// Wall clocks are set all the time, and prove nothing.
func TestSetClocks2C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 4, Link: labrpc.Synchronous(hop2A), Seeds: 4}, func(s *labtest.Sim) {
		if s.Seed == 1 {
			withoutChanged(s, notice2C, func(node *labrpc.Node) suspecter {
				return NewEventual(node, EventualOptions{Period: 2 * period, Initial: initial2C})
			})
			return
		}
		newEventuals(s).underSetClocks(settle2C, notice2C)
	})
}
