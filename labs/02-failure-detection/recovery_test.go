package detector_test

import (
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
)

var links2E = labrpc.Synchronous(delay2E)

// A node is back long before its silence could be noticed. All others must learn that its
// earlier incarnation is over, in the bound that a crash for ever has.
func TestQuickRestartIsSeen2E(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 4, Link: links2E, MustCover: []string{"a node was back within a delay"}}, func(s *labtest.Sim) {
		c := newCensus(s)
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

// Without a restart it is silence that tells. Nobody is said to be over who only
// was quiet between two signs of life; and a node that returns after a long time is seen.
func TestSilentIncarnationIsOver2E(t *testing.T) {
	slow := labrpc.Link{Latency: func(u float64, sent time.Duration) time.Duration {
		if u < 0.5 {
			return 0
		}
		return delay2E - time.Microsecond
	}}
	labtest.Run(t, labtest.Config{Nodes: 4, Link: slow, Seeds: 5}, func(s *labtest.Sim) {
		c := newCensus(s)
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

// Copies of old signs of life may arrive at any time. Those of incarnation 1 of n2, which is
// over, neither revive it nor end its successor; those of the successor do not
// hide that it has ended too.
func TestOldIncarnationsProveNothing2E(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 3, Link: links2E, MustCover: []string{"an old beat came again"}}, func(s *labtest.Sim) {
		old := record(s, 2)
		c := newCensus(s)
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
		for range 20 {
			old.replay(s, all)
			s.Run(period / 3)
		}
	})
}

// The number rises, although the wall clock is set back before every restart and
// whichever write the node crashes at. An incarnation that crashed at
// a write may have been seen; if so, it is seen to be over like any other.
func TestIncarnationsRise2E(t *testing.T) {
	config := labtest.Config{Nodes: 3, Link: links2E, MustCover: []string{"a node crashed at a disk write"}}
	labtest.Run(t, config, func(s *labtest.Sim) {
		c := newCensus(s)
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
