package links_test

import (
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
)

// Fair loss: four packets of five are lost, others arrive twice or out of order. Every message
// arrives (rule 1).
func TestDeliversDespiteLoss1A(t *testing.T) {
	const lost = "a packet was lost"
	cfg := labtest.Config{Nodes: 3, Link: labrpc.FairLoss(0.8), Limit: time.Hour, MustCover: []string{lost}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		m := stubborn(s)
		m.sendAll(4)
		m.arrives(30*time.Minute, ruleDelivered)
		if m.packets(0, 0).Lost > 0 {
			s.Cover(lost)
		}
	})
}

// A partition lasts for ten minutes, again and again, or once for two hours. The link does not give up (rule 1), and notices the end of each
// partition soon (rule 3), even if the wall clock of its node was set back by hours.
func TestKeepsTrying1A(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 2, Seeds: 2, Limit: 3 * time.Hour}, func(s *labtest.Sim) {
		m := stubborn(s)
		rounds, length := 3, 9*time.Minute
		if s.Seed == 2 {
			rounds, length = 1, 2*time.Hour
		}
		for range rounds {
			s.Net.CutBoth(1, 2)
			for range 3 {
				m.sendNew(1, 2)
			}
			s.Run(time.Minute)
			s.Net.JumpClock(1, -3*time.Hour)
			s.Run(length + time.Duration(s.Rand().IntN(30))*time.Second)
			s.Net.Heal()
			m.arrives(15*time.Second, "a message between nodes that stay up is delivered, within 15 s of the end of a partition, however long that was (rules 1 and 3)")
		}
	})
}

// Three losses in a row cost seconds, not minutes (rule 2), also after a message for which deliver took long: that time says nothing
// about the network.
func TestFirstRetriesAreSoon1A(t *testing.T) {
	const three = "the first three packets were lost"
	labtest.Run(t, labtest.Config{Nodes: 2, MustCover: []string{three}}, func(s *labtest.Sim) {
		m := stubborn(s)
		m.losesThree(three)
		m.losesThreeAfterSlow(three)
	})
}

// After each of three outages, a link starts again with short waits: its back-off belongs to the outage (rule 2).
func TestFirstRetriesAfterAnOutage1A(t *testing.T) {
	const three = "the first three packets were lost after an outage"
	labtest.Run(t, labtest.Config{Nodes: 3, Seeds: 3, Limit: time.Hour, MustCover: []string{three}}, func(s *labtest.Sim) {
		m := stubborn(s)
		for range 3 {
			m.outage(time.Minute, time.Hour)
			m.losesThree(three)
		}
	})
}

// A link sends a lost message again while it sends other messages all the time (rule 2): a timer that starts
// again with each message never fires.
func TestFirstRetriesInTraffic1A(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 2, Seeds: 4}, func(s *labtest.Sim) {
		stubborn(s).losesOneInTraffic()
	})
}

// Back-off: a peer that does not answer for five minutes costs few packets, and has its
// messages soon after it can be reached again (rule 3); n1 and n3 exchange messages meanwhile. So does a peer whose own messages arrive, and which receives nothing.
func TestBacksOff1A(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 3, Seeds: 3, MustCover: []string{oneWay}}, func(s *labtest.Sim) {
		m := stubborn(s)
		m.outage(5*time.Minute, time.Hour)
		m.oneDirection(oneWay)
	})
}

// All answers are lost for 35 s. When they arrive again, the link becomes silent, and in one run of three remains so for hours (rule 4).
func TestStopsOnceAcknowledged1A(t *testing.T) {
	const lost = "an answer of n2 was lost"
	labtest.Run(t, labtest.Config{Nodes: 2, Seeds: 3, Limit: 4 * time.Hour, MustCover: []string{lost}}, func(s *labtest.Sim) {
		m := stubborn(s)
		m.losesAnswers(lost)
		if s.Seed%3 == 1 {
			m.isSilentForHours()
		}
	})
}

// An acknowledgement says that the application has the message (rule 4).
func TestAcknowledgesWhatWasDelivered1A(t *testing.T) { testAcknowledges(t, stubborn) }

// A peer that is down delays no other peer (rule 5), and an acknowledgement counts
// only for the peer that has sent it, and for the message that it names (rule 1). Any number of messages may be on their way.
func TestPeersApart1A(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 4, Seeds: 2}, func(s *labtest.Sim) {
		m := stubborn(s)
		if s.Seed == 1 {
			for range 1200 {
				m.sendNew(1, 2)
			}
			m.arrives(time.Minute, ruleDelivered)
		}
		m.losesAPeer()
		m.losesEqual()
	})
}

// The caller may change its buffer when Send has returned (rule 6). We overwrite it
// at once, and lose the first packet.
func TestKeepsItsOwnCopy1A(t *testing.T) {
	const again = "the message had to be sent again"
	labtest.Run(t, labtest.Config{Nodes: 2, Seeds: 3, MustCover: []string{again}}, func(s *labtest.Sim) {
		m := stubborn(s)
		m.authentic = "the caller may change msg when Send has returned (rule 6)"
		s.Net.Cut(1, 2)
		m.sendNew(1, 2) // overwrites its buffer
		if s.Until(5*time.Second, func() bool { return m.packets(1, 2).Lost > 0 }) {
			s.Cover(again)
		}
		s.Net.Heal()
		m.arrives(15*time.Second, ruleReturn)
	})
}

// The content of a message makes no difference (rule 6).
func TestAnyContent1A(t *testing.T) { testContents(t, stubborn) }

// Many goroutines call Send at once (rule 18).
func TestConcurrentSends1A(t *testing.T) { testConcurrentSends(t, newStubborn, false, false) }
