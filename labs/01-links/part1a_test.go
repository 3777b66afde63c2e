package links_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
)

const (
	ruleDelivered   = "a message between nodes that stay up is delivered (rule 1)"
	ruleSoon        = "a message whose first three packets are lost is delivered within 5s (rule 2)"
	ruleBackOff     = "to a peer that does not answer, a message costs at most 30 packets in any minute (rule 3)"
	ruleReturn      = "a peer that can be reached again has its messages within 15s (rule 3)"
	ruleAcknowledge = "a message is acknowledged when deliver has returned, not before (rule 4)"
	ruleStop        = "what is acknowledged is not sent again (rule 4)"
	ruleApart       = "a peer that does not answer holds up no other (rule 5)"
)

// Fair loss: four packets of five are lost, others come twice or out of order, and every message
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

// A partition may last: nobody gives up (rule 1), and nobody has slowed down so
// much that it takes long to notice the end (rule 3).
func TestKeepsTrying1A(t *testing.T) {
	cfg := labtest.Config{Nodes: 2, Limit: time.Hour}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		m := stubborn(s)
		s.Net.CutBoth(1, 2)
		m.sendMany(1, 2, 3)
		s.Run(10*time.Minute + time.Duration(s.Rand().IntN(30))*time.Second)
		s.Net.Heal()
		m.arrives(15*time.Second, ruleReturn)
	})
}

// A few losses in a row cost seconds, not minutes (rule 2): we lose the first three packets of a
// message, whenever the link sends them.
func TestFirstRetriesAreSoon1A(t *testing.T) {
	const three = "the first three packets were lost"
	labtest.Run(t, labtest.Config{Nodes: 2, MustCover: []string{three}}, func(s *labtest.Sim) {
		var mu sync.Mutex
		dropped := 0
		s.Net.Intercept(func(p *labrpc.Message) labrpc.Verdict {
			mu.Lock()
			defer mu.Unlock()
			if dropped == 3 || numberIn(p.Body) < 0 {
				return labrpc.Pass
			}
			if dropped++; dropped == 3 {
				s.Cover(three)
			}
			return labrpc.Drop
		})
		m := stubborn(s)
		m.sendMany(1, 2, 1)
		m.arrives(5*time.Second, ruleSoon)
	})
}

// Back-off: a peer that is away for minutes costs little, and still has its
// messages soon after it is back (rule 3).
func TestBacksOff1A(t *testing.T) {
	const messages = 3
	labtest.Run(t, labtest.Config{Nodes: 2}, func(s *labtest.Sim) {
		m := stubborn(s)
		s.Net.Isolate(2)
		m.sendMany(1, 2, messages)
		var each []int // packets at the end of each second
		for range 5 * 60 {
			s.Run(time.Second)
			each = append(each, m.packets(1, 2).Sent)
			before, from := 0, max(0, len(each)-60)
			if from > 0 {
				before = each[from-1]
			}
			if n := each[len(each)-1] - before; n > 30*messages {
				s.Fail(labtest.Violation{
					What: fmt.Sprintf("n1 sent %d packets between second %d and second %d, for %d messages to n2, which never answered; the limit is %d",
						n, from, len(each), messages, 30*messages),
					Rule: ruleBackOff, Nodes: []labrpc.NodeID{1, 2},
				})
			}
		}
		s.Measure("packets a message in five minutes without an answer", float64(each[len(each)-1])/messages, "", "≤ 150")
		s.Net.Heal()
		m.arrives(15*time.Second, ruleReturn)
	})
}

// Silence: for twenty seconds all acknowledgements are lost. When they pass again, the link comes to rest (rule 4).
func TestStopsOnceAcknowledged1A(t *testing.T) {
	const lost = "an answer of n2 was lost"
	labtest.Run(t, labtest.Config{Nodes: 2, MustCover: []string{lost}}, func(s *labtest.Sim) {
		m := stubborn(s)
		s.Net.Cut(2, 1)
		m.sendMany(1, 2, 5)
		m.arrives(15*time.Second, ruleDelivered)
		s.Run(20 * time.Second)
		if m.packets(2, 1).Lost > 0 {
			s.Cover(lost)
		}
		s.Net.Heal()
		s.Run(time.Minute)
		before := m.packets(1, 2).Sent
		s.Run(2 * time.Minute)
		if n := m.packets(1, 2).Sent - before; n > 0 {
			s.Fail(labtest.Violation{
				What: fmt.Sprintf("n1 sent %d packets to n2 in two minutes, long after all five messages had arrived and the network had healed", n),
				Rule: ruleStop, Nodes: []labrpc.NodeID{1, 2},
			})
		}
	})
}

// An acknowledgement says that the application has the message (rule 4): while deliver has not returned there is none, and
// the message is sent again.
func TestAcknowledgesWhatWasDelivered1A(t *testing.T) {
	const slow = "deliver was busy for half a minute"
	labtest.Run(t, labtest.Config{Nodes: 2, MustCover: []string{slow}}, func(s *labtest.Sim) {
		m := stubborn(s, func() { time.Sleep(40 * time.Second) })
		m.sendMany(1, 2, 1)
		m.arrives(5*time.Second, ruleDelivered)
		s.Run(8 * time.Second)
		before := m.packets(1, 2).Sent
		s.Run(25 * time.Second)
		s.Cover(slow)
		if m.packets(1, 2).Sent == before {
			s.Fail(labtest.Violation{
				What: "n1 no longer sends its message again after 8s, though n2's deliver has not returned for half a minute: the message was acknowledged too early",
				Rule: ruleAcknowledge, Nodes: []labrpc.NodeID{1, 2},
			})
		}
	})
}

// A dead peer is nobody else's trouble (rule 5); and what another peer acknowledges
// does not count for it (rule 1).
func TestPeersApart1A(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 4}, func(s *labtest.Sim) {
		m := stubborn(s)
		s.Net.Isolate(2)
		m.sendMany(1, 2, 20)
		m.sendMany(1, 3, 10)
		m.sendMany(1, 4, 10)
		m.arrives(2*time.Second, ruleApart, 3, 4)
		s.Run(10 * time.Second)
		s.Net.Heal()
		m.arrives(15*time.Second, ruleReturn)
	})
}

// The caller has its buffer back when Send returns (rule 6). We write over it
// at once, and lose the first packet.
func TestKeepsItsOwnCopy1A(t *testing.T) {
	const again = "the message had to be sent again"
	labtest.Run(t, labtest.Config{Nodes: 2, MustCover: []string{again}}, func(s *labtest.Sim) {
		m := stubborn(s)
		m.authentic = "the caller may change msg when Send has returned (rule 6)"
		s.Net.Cut(1, 2)
		buffer := []byte(numberedText(0))
		m.note(route{1, 2}, string(buffer))
		m.links[1].Send(2, buffer)
		s.Run(time.Second)
		copy(buffer, "<wrong>")
		if m.packets(1, 2).Lost > 0 {
			s.Cover(again)
		}
		s.Net.Heal()
		m.arrives(15*time.Second, ruleDelivered)
	})
}
