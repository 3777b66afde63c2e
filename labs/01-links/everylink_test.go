package links_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/internal/harness/marked"
	"distlabs/labrpc"
)

// What rules 1 to 6 demand of every link. Part 1A has a test for each rule; 1B, 1C and 1D test their links with the same
// functions. Each function sends messages from n1, and leaves the network healed and all messages delivered.

const (
	ruleDelivered     = "a message between nodes that stay up is delivered (rule 1)"
	ruleNames         = "an acknowledgement counts only for the message that it names, also if another message is equal to that (rules 1 and 7)"
	ruleSoon          = "if the first three packets of a message are lost, the message is delivered within 5s of Send (rule 2)"
	ruleSoonAfterSlow = "if the first three packets of a message are lost, the message is delivered within 5s of Send, also after a message for which deliver took long (rule 2)"
	ruleBackOff       = "to a peer that does not answer, a link sends at most 30 packets per message in any minute (rule 3)"
	ruleReturn        = "a peer that can be reached again has its messages within 15s (rule 3)"
	ruleReturnClock   = "a peer that can be reached again has its messages within 15s, also if a wall clock was set (rule 3)"
	ruleBackOffDeaf   = "to a peer that does not answer, a link sends at most 30 packets per message in any minute; a peer that acknowledges nothing does not answer, although its own messages arrive (rule 3)"
	ruleAcknowledge   = "a link acknowledges a message after deliver has returned, not before, and until then the sender sends the message again (rule 4)"
	ruleStop          = "an acknowledged message is not sent again: from a minute after the last fault on, the link is silent (rule 4)"
	ruleApart         = "a peer that does not answer delays no message to another peer (rule 5)"
	ruleAtOnce        = "Send returns at once (rule 5)"
	ruleContent       = "a message arrives as it was passed to Send, byte for byte, whatever its content and length (rules 6 and 7)"
)

// acknowledged lets a minute pass on a calm network. All messages that were delivered before are acknowledged then: a link is silent (rule 4).
func (m *linkCluster) acknowledged() { m.s.Run(time.Minute) }

// losesThree loses the first three packets of a message, when all earlier ones are acknowledged (rule 2).
func (m *linkCluster) losesThree(situation string) { m.losesThreeUnder(ruleSoon, situation) }

func (m *linkCluster) losesThreeUnder(rule, situation string) {
	m.acknowledged()
	n := m.nextNumber()
	m.wire.loseNext(n, 3)
	m.send(1, 2, marked.Text(n))
	m.arrives(5*time.Second, rule)
	if m.wire.lost(n) {
		m.s.Cover(situation)
	}
}

// losesThreeAfterSlow loses the first three packets of a message, when deliver has taken three seconds for the message before it (rule 2).
func (m *linkCluster) losesThreeAfterSlow(situation string) {
	m.takes(route{1, 2}, 3*time.Second)
	m.sendNew(1, 2)
	m.arrives(5*time.Second, ruleSoon)
	m.acknowledged()
	m.takes(route{1, 2}, 0)
	m.losesThreeUnder(ruleSoonAfterSlow, situation)
}

// losesOneInTraffic loses the first three packets of a message, while n1 sends other messages all the time (rule 2).
func (m *linkCluster) losesOneInTraffic() {
	n := m.nextNumber()
	m.wire.loseNext(n, 3)
	m.send(1, 2, marked.Text(n))
	for range 45 {
		m.s.Run(100 * time.Millisecond)
		m.sendNew(1, 2)
	}
	m.s.Run(500 * time.Millisecond)
	m.mu.Lock()
	missing := m.got[route{1, 2}][marked.Text(n)] == 0
	m.mu.Unlock()
	if missing {
		m.s.Fail(labtest.Violation{
			What: fmt.Sprintf("n2 did not deliver %q from n1 within 5s of Send, while n1 sent another message every 100ms", marked.Text(n)),
			Rule: ruleSoon, Nodes: []labrpc.NodeID{1, 2},
		})
	}
	m.arrives(5*time.Second, ruleSoon)
}

// oneWay is what oneDirection covers.
const oneWay = "packets of n2 reached n1 again and again, while no packet of n1 reached n2"

// years is longer than anything that a link may take for the age of a packet.
const years = 10 * 365 * 24 * time.Hour

// outage isolates n2 for some time and counts the packets to it in each minute. Meanwhile the wall clock of n1 is set
// back, or forward, and n1 and n3 exchange a message per second. After the outage, n2 has its messages soon (rule 3).
func (m *linkCluster) outage(length, jump time.Duration) {
	const messages = 3
	s := m.s
	m.acknowledged()
	s.Net.Isolate(2)
	for range messages {
		m.sendNew(1, 2)
	}
	each := []int{m.packets(1, 2).Sent} // packets at the end of each second
	for second := range int(length / time.Second) {
		if second == 5 {
			s.Net.JumpClock(1, jump)
		}
		m.sendNew(1, 3)
		m.sendNew(3, 1)
		s.Run(time.Second)
		each = append(each, m.packets(1, 2).Sent)
		last := len(each) - 1
		first := max(0, last-60)
		if n := each[last] - each[first]; n > 30*messages {
			s.Fail(labtest.Violation{
				What: fmt.Sprintf("n1 sent %d packets from second %d to second %d of an outage, for %d messages to n2, which did not answer, want at most %d; n1 and n3 sent each other a message per second",
					n, first, last, messages, 30*messages),
				Rule: ruleBackOff, Nodes: []labrpc.NodeID{1, 2},
			})
		}
	}
	minutes := max(1, length.Minutes())
	s.Measure("packets per message and minute without an answer", float64(each[len(each)-1]-each[0])/messages/minutes, "", "≤ 30")
	s.Net.Heal()
	m.arrives(15*time.Second, ruleReturn)
}

// oneDirection loses all packets of n1 to n2 for 75 s, and counts those with the messages that wait. Packets of n2 reach n1 for 100 ms from the first one that n2 sends
// 1.5 s after the last such time: n2 sends messages of its own, and acknowledges nothing. So n2 does not answer (rule 3). Then each node has messages for the other one, both
// wall clocks are set back, and packets arrive again.
func (m *linkCluster) oneDirection(situation string) {
	const messages, bursts, open, every = 10, 50, 100 * time.Millisecond, 1500 * time.Millisecond
	s := m.s
	m.acknowledged()
	var over atomic.Bool
	var opened time.Time
	s.Net.Intercept(func(p *labrpc.Message) labrpc.Verdict {
		if p.From != 2 || p.To != 1 || over.Load() {
			return labrpc.Pass
		}
		now := time.Now()
		if now.Sub(opened) >= every {
			opened = now
		}
		if now.Sub(opened) < open {
			return labrpc.Pass
		}
		return labrpc.Drop
	})
	s.Net.Cut(1, 2)
	var numbers []int
	for range messages {
		numbers = append(numbers, m.nextNumber())
	}
	m.wire.count(numbers...)
	for _, n := range numbers {
		m.send(1, 2, marked.Text(n))
	}
	arrived := m.packets(2, 1).Delivered
	each := []int{0} // counted packets at the end of each burst
	for range bursts {
		m.sendNew(2, 1)
		s.Run(every)
		each = append(each, m.wire.sent())
		last := len(each) - 1
		first := max(0, last-int(time.Minute/every))
		if n := each[last] - each[first]; n > 30*messages {
			s.Fail(labtest.Violation{
				What: fmt.Sprintf("n1 sent %d packets with its %d messages to n2 within %v, want at most %d: no packet of n1 reached n2, so n2 acknowledged nothing, while n2's own messages reached n1",
					n, messages, time.Duration(last-first)*every, 30*messages),
				Rule: ruleBackOffDeaf, Nodes: []labrpc.NodeID{1, 2},
			})
		}
	}
	if m.packets(2, 1).Delivered >= arrived+bursts/10 { // one packet per 15 s is enough (rule 3)
		s.Cover(situation)
	}
	s.Net.Cut(2, 1)
	over.Store(true)
	for range 3 {
		m.sendNew(2, 1)
	}
	for _, id := range []labrpc.NodeID{1, 2} {
		s.Net.JumpClock(id, -time.Hour)
	}
	s.Run(5 * time.Second)
	s.Net.Heal()
	m.arrives(15*time.Second, ruleReturnClock)
}

// losesAnswers loses all answers of n2 for 35 s. When answers arrive again, the link becomes silent (rule 4).
func (m *linkCluster) losesAnswers(situation string) {
	s := m.s
	s.Net.Cut(2, 1)
	n := 5
	if s.Seed == 1 {
		n = 260 // more than eight bits can count
	}
	for range n {
		m.sendNew(1, 2)
	}
	lost := m.packets(2, 1).Lost
	s.Run(35 * time.Second)
	if m.packets(2, 1).Lost > lost {
		s.Cover(situation)
	}
	s.Net.Heal()
	if s.Seed%2 == 0 { // what n2 said in the outage arrives after what it says of these
		m.sendMany(1, 2, 200)
		s.Run(30 * time.Second)
		m.sendNew(1, 2)
	}
	m.arrives(15*time.Second, ruleReturn)
	m.isSilent()
}

// isSilent checks that n1 and n2 exchange no packets from a minute after the last fault (rule 4).
func (m *linkCluster) isSilent() {
	m.s.Run(time.Minute)
	for _, r := range []route{{1, 2}, {2, 1}} {
		before, since := m.packets(r.from, r.to).Sent, m.s.Net.Now()
		m.s.Run(time.Minute)
		if n := m.packets(r.from, r.to).Sent - before; n > 0 {
			m.s.Fail(labtest.Violation{
				What: fmt.Sprintf("%v sent %d packets to %v from %s to %s, want 0: the last fault and the last delivery were more than a minute before", r.from, n, r.to, labtest.At(since), labtest.At(m.s.Net.Now())),
				Rule: ruleStop, Nodes: []labrpc.NodeID{1, 2},
			})
		}
	}
}

// isSilentForHours checks that no node sends a packet for hours (rule 4). All is delivered, and the last fault was more than a minute before.
func (m *linkCluster) isSilentForHours() {
	const hours = 3
	before := m.packets(0, 0).Sent
	m.s.Run(hours * time.Hour)
	if n := m.packets(0, 0).Sent - before; n > 0 {
		m.s.Failf(ruleStop, "the nodes sent %d packets in %d hours, want 0: the last fault and the last delivery were more than a minute before", n, hours)
	}
}

// losesAPeer isolates n2. Send still returns at once, and the messages to n3 and n4 arrive (rule 5). What n3 and n4
// acknowledge does not count for n2 (rule 1).
func (m *linkCluster) losesAPeer() {
	s := m.s
	s.Net.Isolate(2)
	calls := 20
	if s.Seed == 2 {
		calls = 1100 // more than a pool of workers, or a queue for all peers, may hold
	}
	done := make(chan struct{})
	for range calls {
		m.note(route{1, 2}, marked.Text(m.nextNumber()))
	}
	first := m.number - calls + 1
	began := s.Net.Now()
	go func() {
		for i := range calls {
			m.link(1).Send(2, []byte(marked.Text(10000+first+i)))
		}
		close(done)
	}()
	returned := s.Until(time.Second, func() bool {
		select {
		case <-done:
			return true
		default:
			return false
		}
	})
	if d := s.Net.Now() - began; !returned || d > 10*time.Millisecond {
		s.Failf(ruleAtOnce, "the test called Send %d times in a row on n1, to n2, which does not answer: after %v, not all calls have returned, want each to return at once", calls, d)
	}
	for range 10 {
		m.sendNew(1, 3)
		m.sendNew(1, 4)
	}
	m.arrives(5*time.Second, ruleApart, 3, 4)
	s.Run(4 * time.Second)
	s.Net.Heal()
	m.arrives(15*time.Second, ruleReturn)
}

// losesEqual loses the packets of the second of two equal messages, until the acknowledgement of the first has arrived (rule 1).
func (m *linkCluster) losesEqual() {
	const text = "twice the same"
	held := m.s.Net.Hold(labrpc.Match{From: 2, To: 1})
	m.send(1, 2, text)
	m.s.Run(20 * time.Millisecond)
	m.s.Net.Cut(1, 2)
	m.send(1, 2, text)
	m.s.Run(30 * time.Millisecond)
	held.Deliver(nil)
	held.Release()
	m.s.Run(time.Second)
	m.s.Net.Heal()
	m.arrives(15*time.Second, ruleNames)
}

// testRetries holds rules 1 to 5 against a link of four nodes.
func testRetries(t *testing.T, open opener) {
	t.Helper()
	const three, lost = "the first three packets of a message were lost", "an answer of n2 was lost"
	cfg := labtest.Config{Nodes: 4, Seeds: 2, Limit: time.Hour, MustCover: []string{three, lost, oneWay}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		m := open(s)
		m.losesThreeAfterSlow(three)
		m.losesOneInTraffic()
		m.outage(80*time.Second, -years)
		m.losesThree(three) // a link that has backed off starts again with short waits
		m.losesAPeer()
		m.oneDirection(oneWay)
		m.losesEqual()
		m.losesAnswers(lost)
	})
}

// testAcknowledges keeps deliver busy with the message of n1 for 40 s. Until deliver returns, the message counts as not acknowledged, and
// n1 sends it again (rule 4), although deliver returns for the message of another sender meanwhile.
func testAcknowledges(t *testing.T, open opener) {
	t.Helper()
	labtest.Run(t, labtest.Config{Nodes: 3, Seeds: 3}, func(s *labtest.Sim) {
		m := open(s)
		m.takes(route{1, 2}, 40*time.Second)
		m.takes(route{3, 2}, time.Second)
		m.sendMany(1, 2, 1)
		m.arrives(5*time.Second, ruleSoon)
		m.sendNew(3, 2)
		s.Run(8 * time.Second)
		before, from := m.packets(1, 2).Sent, s.Net.Now()
		s.Run(25 * time.Second)
		if m.packets(1, 2).Sent == before {
			acknowledged := ""
			if m.packets(2, 1).Sent > 0 {
				acknowledged = "; n2 had sent n1 a packet while deliver was running, which n1 may have taken for the acknowledgement"
			}
			s.Fail(labtest.Violation{
				What: fmt.Sprintf("deliver was still running on n2, and n1 did not send its message again from %s to %s, want it sent until deliver has returned%s", labtest.At(from), labtest.At(s.Net.Now()), acknowledged),
				Rule: ruleAcknowledge, Nodes: []labrpc.NodeID{1, 2},
			})
		}
		s.Run(10 * time.Second)
		m.arrives(30*time.Second, ruleDelivered) // n3's may have waited for n1's
		m.isSilent()
	})
}

// contents are messages that a careless encoding damages.
var contents = []string{
	"", "\x00", "\x00\x00\x00", " ", "  both ends  ", "\n", "line\r\nline\n", "0", "1", "-1", "12:34", "a:b:c", "a|b", "a,b;c", "a b", "a/b=c&d",
	"{}", `{"ID":1,"Ack":true}`, "null", "true", "ack", "ACK", "nil", "%s%d%!", `\"'`, "ü → 語", "\xff\xfe\xfd", "\x80", "\xa2\x00",
	strings.Repeat("long ", 4_000), strings.Repeat("\x00", 300), "x" + strings.Repeat("\xff", 70_000),
}

func allBytes() string {
	var all []byte
	for i := range 256 {
		all = append(all, byte(i))
	}
	return string(all)
}

// testContents sends messages of every kind in both directions, on links that lose and duplicate packets (rules 6 and 7).
func testContents(t *testing.T, open opener) {
	t.Helper()
	cfg := labtest.Config{Nodes: 2, Seeds: 2, Link: labrpc.FairLoss(0.2)}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		m := open(s)
		m.authentic = ruleContent
		for _, text := range append([]string{allBytes()}, contents...) {
			m.send(1, 2, text)
			m.send(2, 1, text)
		}
		m.arrives(2*time.Minute, ruleContent)
		s.Run(30 * time.Second)
	})
}

// testAnswers answers every message with Send from within deliver.
func testAnswers(t *testing.T, open opener) {
	t.Helper()
	const rule = "deliver may call Send: the answer is delivered (rules 1 and 7)"
	labtest.Run(t, labtest.Config{Nodes: 3, Seeds: 3}, func(s *labtest.Sim) {
		m := open(s)
		m.answers.Store(true)
		for _, from := range s.Net.Nodes() {
			for _, to := range s.Net.Nodes() {
				if from != to {
					m.send(from, to, fmt.Sprintf("question from %v to %v", from, to))
					m.note(route{to, from}, fmt.Sprintf("answer from %v to %v", to, from))
				}
			}
		}
		m.arrives(time.Minute, rule)
		s.Run(30 * time.Second)
	})
}
