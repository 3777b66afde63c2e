package detector_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/02-failure-detection"
)

var links2E = labrpc.Synchronous(delay2E)

// A node is back long before its silence could be noticed. All others must learn that its
// earlier incarnation is over, in the bound that a crash forever has.
func TestQuickRestartIsSeen2E(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 4, Link: links2E, MustCover: []string{"a node was back within a delay"}}, func(s *labtest.Sim) {
		c := newRecoveries(s)
		c.expectRunning()
		for range 6 {
			s.Run(3*period + somewhere(s))
			id := anyNode(s, s.Net.Nodes())
			saw := c.witnesses(id)
			c.crash(id)
			end := s.Net.Now()
			s.Run(time.Duration(1 + s.Rand().Int64N(int64(delay2E))))
			c.start(id)
			s.Cover("a node was back within a delay")
			c.expectOver(saw, end)
			c.expectRunning()
		}
	})
}

// Without a restart it is silence that tells. No node is said to be over that only
// was quiet between two heartbeats; and a node that returns after a long time is seen.
func TestSilentIncarnationIsOver2E(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 4, Link: noneOrAll(delay2E), Seeds: 5}, func(s *labtest.Sim) {
		c := newRecoveries(s)
		c.expectRunning()
		for range 3 {
			s.Run(10*time.Second + somewhere(s))
			id := anyNode(s, s.Net.Nodes())
			saw := c.witnesses(id)
			c.crash(id)
			c.expectOver(saw, s.Net.Now())
			s.Run(5 * time.Second)
			c.start(id)
			c.expectRunning()
		}
	})
}

// Copies of old heartbeats may arrive at any time. Those of incarnation 1 of n2, which is
// over, neither revive it nor end its successor; those of the successor do not
// hide that it has ended too.
func TestOldIncarnationsProveNothing2E(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 3, Link: links2E, MustCover: []string{"an old beat came again"}}, func(s *labtest.Sim) {
		old := record(s, 2)
		c := newRecoveries(s)
		c.expectRunning()
		s.Run(time.Second + somewhere(s))
		saw, end := c.witnesses(2), s.Net.Now()
		first := len(old.messages())
		c.crash(2)
		s.Run(delay2E / 2)
		c.start(2)
		c.expectOver(saw, end)
		c.expectRunning()
		for range 20 {
			old.replay(s, first)
			s.Run(period / 3)
		}
		c.expectRunning()
		saw, end = c.witnesses(2), s.Net.Now()
		all := len(old.messages())
		c.crash(2)
		for s.Net.Now() < end+period+2*delay2E {
			old.replay(s, all)
			s.Run(delay2E + time.Millisecond)
		}
		c.expectOver(saw, end)
		for _, pause := range []time.Duration{0, time.Minute} {
			s.Run(pause) // long enough to forget what is over
			for range 20 {
				old.replay(s, all)
				s.Run(period / 3)
			}
		}
	})
}

// A copy of an old message may arrive after more than a day, and changes nothing.
func TestCopiesAfterADay2E(t *testing.T) {
	const again, day = "an old beat came again", 26 * time.Hour
	opts := RecoveryOptions{Period: 50 * time.Second, Delay: time.Second}
	labtest.Run(t, labtest.Config{Nodes: 2, Seeds: 1, Limit: 2 * day, MustCover: []string{again}}, func(s *labtest.Sim) {
		old := record(s, 2)
		var mu sync.Mutex
		var saw []string
		first := s.Start(1)
		watching := opts
		watching.Saw = func(l Life) {
			labrpc.Tell(first, l, func(_ time.Duration, l Life) {
				mu.Lock()
				defer mu.Unlock()
				saw = append(saw, inWords(l))
			})
		}
		NewRecovery(first, watching)
		number := NewRecovery(s.Start(2), opts).Incarnation()
		s.Run(time.Hour)
		s.Net.Crash(2)
		want := []string{inWords(Life{Peer: 2, Incarnation: number}), inWords(Life{Peer: 2, Incarnation: number, Over: true})}
		for _, pause := range []time.Duration{time.Hour, day} {
			s.Run(pause)
			for range 5 {
				old.replay(s, len(old.messages()))
				s.Run(opts.Period)
			}
			mu.Lock()
			got := slices.Clone(saw)
			mu.Unlock()
			if !slices.Equal(got, want) {
				s.Failf(ruleOnce, "n1 reported of n2: %s; want: %s: n2 had been down for more than %v, and copies of its old messages had arrived", strings.Join(got, ", "), strings.Join(want, ", "), pause)
			}
		}
	})
}

// The number rises, although the wall clock is set back before every restart and
// whichever write the node crashes at. An incarnation that crashed at
// a write may have been seen; if so, it is seen to be over like any other.
func TestIncarnationsRise2E(t *testing.T) {
	config := labtest.Config{Nodes: 3, Link: links2E, MustCover: []string{"a node crashed at a disk write"}}
	labtest.Run(t, config, func(s *labtest.Sim) {
		c := newRecoveries(s)
		c.expectRunning()
		for write := 1; write <= 3; write++ {
			for _, after := range []bool{false, true} {
				s.Run(2*period + somewhere(s))
				saw, end := c.witnesses(2), s.Net.Now()
				c.crash(2)
				s.Net.JumpClock(2, -time.Hour)
				s.Run(delay2E / 2)
				s.Net.CrashAtWrite(2, labrpc.CrashPoint{Write: write, After: after})
				c.start(2)
				if s.Net.Up(2) {
					c.expectOver(saw, end)
					s.Until(period, func() bool { return !s.Net.Up(2) }) // it may write later than in NewRecovery
				}
				if s.Net.Up(2) {
					s.Net.CrashAtWrite(2, labrpc.CrashPoint{})
					c.expectRunning()
					continue
				}
				s.Cover("a node crashed at a disk write")
				end = s.Net.Now()
				s.Run(delay2E + time.Millisecond)
				seen := c.witnesses(2) // of either incarnation: both are over
				s.Net.JumpClock(2, -time.Hour)
				c.start(2)
				c.expectOver(seen, end)
				c.expectRunning()
			}
		}
	})
}

// A node lives for a short time only, again and again, and its wall clock is set back in between: its numbers rise all
// the same, and the others follow. A second node crashes and restarts at the same instants now and then.
func TestManyShortLives2E(t *testing.T) {
	const lives = 1100 // more than ten bits can count
	cfg := labtest.Config{Nodes: 3, Link: links2E, Seeds: 1, Limit: time.Hour}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		old := record(s, 2)
		c := newRecoveries(s)
		s.Run(5 * period)
		c.expectRunning()
		first := len(old.messages())
		for life := range lives {
			ids := []labrpc.NodeID{2}
			if life%256 == 0 && life > 0 { // where eight bits of the number are those of the first life
				s.Run(3 * period)
				old.replay(s, first)
				s.Run(3 * period)
				c.expectRunning()
			}
			if life%20 == 0 {
				s.Run(3 * period)
				c.expectRunning()
				ids = []labrpc.NodeID{2, 3}
			} else {
				s.Run(time.Duration(s.Rand().Int64N(int64(2 * delay2E))))
			}
			saw := map[labrpc.NodeID][]sawCall{}
			for _, id := range ids {
				saw[id] = c.witnesses(id)
				c.crash(id)
			}
			end := s.Net.Now()
			s.Net.JumpClock(2, -time.Minute)
			for _, id := range ids {
				c.start(id)
			}
			if len(ids) == 2 {
				for _, id := range ids {
					c.expectOver(slices.DeleteFunc(saw[id], func(g sawCall) bool { return slices.Contains(ids, g.by) }), end)
				}
			}
		}
		c.expectRunning()
	})
}

// n2 has crashed, and n1 has restarted since: it remembers nothing. Copies of n2's messages make it report the ended
// incarnation as running at most once, and then as ended, however many newer copies arrive. When n2 has restarted,
// its new incarnation is reported as usual.
func TestWatcherRestarts2E(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 3, Link: links2E, MustCover: []string{"an old beat came again"}}, func(s *labtest.Sim) {
		old := record(s, 2)
		c := newRecoveries(s)
		c.expectRunning()
		s.Run(time.Second + somewhere(s))
		saw, end := c.witnesses(2), s.Net.Now()
		c.crash(2)
		c.expectOver(saw, end)
		c.crash(1)
		c.start(1)
		for _, m := range old.messages() { // the oldest first
			if err := s.Net.Inject(m); err != nil {
				s.Failf("the test can send again what a node has sent", "Inject: %v", err)
			}
			s.Cover("an old beat came again")
			if s.Rand().IntN(2) == 0 {
				s.Run(2*period + 2*delay2E)
			}
		}
		s.Run(delay2E) // the last copy arrives
		c.expectOver(c.witnesses(2), s.Net.Now())
		c.start(2)
		c.expectRunning()
		s.Run(time.Second)
	})
}

// Wall clocks are set all the time, and prove nothing. In one run Saw is nil.
func TestSetClocks2E(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 3, Link: links2E, Seeds: 4}, func(s *labtest.Sim) {
		if s.Seed == 1 {
			s.StartAll(func(node *labrpc.Node) { NewRecovery(node, RecoveryOptions{Period: period, Delay: delay2E}) })
			s.Run(time.Second)
			s.Net.Crash(2)
			s.Run(time.Second)
			if n := NewRecovery(s.Start(2), RecoveryOptions{Period: period, Delay: delay2E}).Incarnation(); n < 2 {
				s.Failf(ruleNil, "Incarnation() = %d on n2, which has restarted once, want at least 2: Saw is nil", n)
			}
			s.Run(time.Second)
			return
		}
		c := newRecoveries(s)
		c.expectRunning()
		for range 3 {
			setClocks(s, time.Second+somewhere(s))
			id := anyNode(s, s.Net.Nodes())
			for _, by := range others(s, id) {
				s.Net.JumpClock(by, -time.Minute)
			}
			saw, end := c.witnesses(id), s.Net.Now()
			c.crash(id)
			c.expectOver(saw, end)
			setClocks(s, time.Second)
			c.start(id)
			c.expectRunning()
		}
	})
}

// The heartbeats of one incarnation are counted without an end.
func TestLongLife2E(t *testing.T) {
	const periods = 5000 // more than twelve bits can count
	labtest.Run(t, labtest.Config{Nodes: 2, Link: labrpc.Link{Latency: labrpc.Fixed(delay2E / 2)}, Seeds: 1, Limit: time.Hour}, func(s *labtest.Sim) {
		c := newRecoveries(s)
		s.Run(periods * period)
		c.expectRunning()
		saw, end := c.witnesses(2), s.Net.Now()
		c.crash(2)
		c.expectOver(saw, end)
	})
}
