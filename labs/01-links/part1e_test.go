package links_test

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/internal/harness/marked"
	"distlabs/labrpc"
	. "distlabs/labs/01-links"
)

const (
	rulePromise       = "a message for which Send has returned nil is applied (rule 15)"
	rulePromiseInTime = "messages for which Send has returned nil are applied, however many wait, within 30s of both nodes being up and connected, or within 2min if packets are lost (rule 15)"
	rulePromiseClock  = "a message for which Send has returned nil is applied within 30s of both nodes being up and connected, also if a wall clock was set (rule 15)"
	ruleApplied       = "a message is applied exactly once, whichever nodes crash (rule 16)"
	ruleAsSent        = "a node applies only messages that were sent to it, as they were passed to Send (rules 6 and 16)"
	ruleShown         = "a message that State has shown as applied stays applied (rule 17)"
	rulePeersApart    = "a peer that does not answer delays no message to another peer, also after a restart (rules 5 and 16)"
	ruleRest          = "an acknowledged message is not sent again, also after a restart: from a minute after the last fault on, the link is silent (rules 4 and 16)"
)

// Links lose and duplicate packets, and no node crashes (rules 15 and 16).
func TestApplied1E(t *testing.T) {
	const lost = "a packet was lost"
	cfg := labtest.Config{Nodes: 3, Link: labrpc.FairLoss(0.3), MustCover: []string{lost}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		p := newDurableCluster(s)
		p.start()
		for range 5 {
			for _, from := range s.Net.Nodes() {
				for _, to := range s.Net.Nodes() {
					if from != to {
						p.send(from, to)
					}
				}
			}
		}
		p.arrives(2*time.Minute, rulePromise)
		s.Run(30 * time.Second)
		if s.Net.Stats(labrpc.Match{}).Lost > 0 {
			s.Cover(lost)
		}
	})
}

// A node promises three messages to each of some peers, and crashes before a packet of it arrives. Its next incarnation
// keeps the promises without another call of Send (rule 15), each to the right peer (rule 16): the name of one node may be the beginning
// of the name of another one, as n1 and n12.
func TestPromiseOutlivesACrash1E(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 12, Seeds: 5}, func(s *labtest.Sim) {
		p := newDurableCluster(s)
		p.start()
		s.Net.Isolate(2)
		for range 3 {
			for _, to := range [][]labrpc.NodeID{{12}, {1, 3}, {1, 11, 12}}[s.Seed%3] {
				p.send(2, to)
			}
		}
		s.Run(time.Second)
		p.crash(2)
		s.Net.Heal()
		p.start()
		p.arrives(30*time.Second, rulePromise)
	})
}

// A restarted sender sends new messages, and the receiver must not take them for old ones (rule 16).
func TestRestartedSenderIsHeard1E(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 2}, func(s *labtest.Sim) {
		p := newDurableCluster(s)
		p.start()
		for range 4 {
			for range 3 {
				p.send(1, 2)
			}
			p.arrives(30*time.Second, rulePromise)
			s.Run(30 * time.Second) // until all messages are acknowledged
			p.crash(1)
			p.start()
		}
		p.send(1, 2)
		p.arrives(30*time.Second, rulePromise)
	})
}

// A restarted receiver gets old packets again: copies from the network, at once and after a long time, and those of a
// sender that has received no acknowledgement. It does not apply them again (rule 16), and acknowledges them, so that the
// sender stops (rule 4).
func TestRestartedReceiverRemembers1E(t *testing.T) {
	const situation = "an old packet reached n2 again"
	labtest.Run(t, labtest.Config{Nodes: 2, Seeds: 3, Limit: 3 * time.Hour, MustCover: []string{situation}}, func(s *labtest.Sim) {
		if s.Seed == 1 {
			noChangeIsRemembered(s, situation)
			return
		}
		var seen packetLog
		s.Net.Intercept(seen.record)
		p := newDurableCluster(s)
		p.start()
		s.Net.Cut(2, 1)
		for range 3 {
			p.send(1, 2)
		}
		s.Run(30 * time.Second)
		seen.stop()
		p.crash(2)
		p.start()
		if p.replay(seen.packets()) > 0 {
			s.Cover(situation)
		}
		s.Run(10 * time.Second)
		s.Net.Heal()
		p.send(1, 2)
		p.arrives(30*time.Second, rulePromise)
		p.isSilent()
		s.Run(idle)
		p.replay(seen.packets())
		p.send(1, 2)
		p.arrives(30*time.Second, rulePromise)
	})
}

// noChangeIsRemembered lets late copies of two messages arrive. The second left the state as it was, and a third has changed it
// since: the two are not applied again. A fourth message leaves the state empty, which is a state like any other (rule 16).
func noChangeIsRemembered(s *labtest.Sim, situation string) {
	var seen packetLog
	s.Net.Intercept(seen.record)
	var links []*Durable
	s.StartAll(func(node *labrpc.Node) {
		link, err := NewDurable(node, func(_ []byte, _ labrpc.NodeID, msg []byte) []byte { return slices.Clone(msg) })
		if err != nil {
			s.Failf(ruleShown, "NewDurable failed on %v: %v", node.ID(), err)
		}
		links = append(links, link)
	})
	for _, text := range []string{"off", "off", "on"} {
		if text == "on" {
			seen.stop()
		}
		if err := links[0].Send(2, []byte(text)); err != nil {
			s.Failf(rulePromise, "Send failed on n1: %v", err)
		}
		s.Run(30 * time.Second)
		if got := string(links[1].State()); got != text {
			s.Failf(rulePromise, "the state of n2 is %q 30s after n1 has sent %q, want the last message", got, text)
		}
	}
	for _, packet := range seen.packets() {
		if s.Net.Inject(packet) == nil {
			s.Cover(situation)
		}
	}
	s.Run(time.Second)
	if got := string(links[1].State()); got != "on" {
		s.Failf(ruleApplied, "the state of n2 is %q after late copies of the first two messages, want %q, the last message: the first two were applied before", got, "on")
	}
	if err := links[0].Send(2, nil); err != nil {
		s.Failf(rulePromise, "Send failed on n1: %v", err)
	}
	s.Run(30 * time.Second)
	if got := string(links[1].State()); got != "" {
		s.Failf(ruleApplied, "the state of n2 is %q 30s after n1 has sent an empty message, want an empty state: Apply has returned that for the message", got)
	}
}

// Copies of the acknowledgements for one incarnation of the sender reach its next incarnation, which has
// promised other messages. They must not count for these messages (rule 15).
func TestLateAcknowledgement1E(t *testing.T) {
	const late = "an old answer reached the new incarnation"
	labtest.Run(t, labtest.Config{Nodes: 2, MustCover: []string{late}}, func(s *labtest.Sim) {
		var seen packetLog
		s.Net.Intercept(seen.record)
		p := newDurableCluster(s)
		p.start()
		for range 3 {
			p.send(1, 2)
		}
		p.arrives(30*time.Second, rulePromise)
		s.Run(30 * time.Second) // until all messages are acknowledged
		seen.stop()
		p.crash(1)
		p.start()
		s.Net.Cut(1, 2)
		for range 6 {
			p.send(1, 2)
		}
		s.Run(time.Second)
		if p.replay(slices.DeleteFunc(seen.packets(), func(m labrpc.Message) bool { return m.To != 1 })) > 0 {
			s.Cover(late)
		}
		s.Run(5 * time.Second)
		s.Net.Heal()
		p.arrives(30*time.Second, rulePromise)
	})
}

// crashAtEveryWrite crashes the victim before its first write of a round, then before its second, and so on, until a round has
// fewer writes; then after its first write, and so on. After each crash the victim restarts. Both nodes send in every
// round: the victim is a sender and a receiver. All messages of a round are applied within limit of its end.
func crashAtEveryWrite(s *labtest.Sim, victim labrpc.NodeID, limit time.Duration, situation string) {
	p := newDurableCluster(s)
	for _, after := range []bool{false, true} {
		for write := 1; write <= 50; write++ { // no link needs as many
			p.crash(1, 2)
			s.Net.CrashAtWrite(victim, labrpc.CrashPoint{Write: write, After: after})
			p.start()
			for range 2 {
				p.send(1, 2)
				p.send(2, 1)
			}
			s.Run(5 * time.Second)
			reached := !s.Net.Up(victim)
			s.Net.CrashAtWrite(victim, labrpc.CrashPoint{})
			p.start()
			p.arrives(limit, rulePromise)
			s.Run(5 * time.Second)
			if !reached {
				break
			}
			s.Cover(situation)
		}
	}
	p.send(1, 2)
	p.send(2, 1)
	p.arrives(limit, rulePromise)
}

// A node crashes between any two of its writes. Afterwards no message is lost, and no message is applied
// twice (rules 15, 16, 17).
func TestCrashAtEveryWrite1E(t *testing.T) {
	const situation = "a node crashed at a write"
	labtest.Run(t, labtest.Config{Nodes: 2, Seeds: 3, Limit: 3 * time.Hour, MustCover: []string{situation}}, func(s *labtest.Sim) {
		crashAtEveryWrite(s, 2, 30*time.Second, situation)
	})
}

// The same on links that lose and duplicate packets: packets of every kind arrive several times.
func TestCrashAtEveryWriteUnderLoss1E(t *testing.T) {
	const situation = "a node crashed at a write"
	cfg := labtest.Config{Nodes: 2, Seeds: 3, Link: labrpc.FairLoss(0.2), Limit: 3 * time.Hour, MustCover: []string{situation}}
	labtest.Run(t, cfg, func(s *labtest.Sim) { crashAtEveryWrite(s, 1, 2*time.Minute, situation) })
}

// Three nodes crash at random times, several at once, while messages are on the way (rules 15, 16, 17).
func TestRandomCrashes1E(t *testing.T) {
	const situation = "a node crashed while messages were on the way"
	cfg := labtest.Config{Nodes: 3, Link: labrpc.FairLoss(0.2), Limit: time.Hour, MustCover: []string{situation}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		p := newDurableCluster(s)
		r := s.Rand()
		for range 15 {
			p.start()
			for range 3 {
				from := labrpc.NodeID(1 + r.IntN(3))
				to := 1 + (from+labrpc.NodeID(r.IntN(2)))%3
				p.send(from, to)
			}
			s.Run(time.Duration(r.IntN(60)) * time.Millisecond)
			if len(p.missing()) > 0 {
				s.Cover(situation)
			}
			for _, id := range s.Net.Nodes() {
				switch r.IntN(4) {
				case 0:
					p.crash(id)
				case 1:
					s.Net.CrashAtWrite(id, labrpc.CrashPoint{Write: s.Net.Writes(id) + 1 + r.IntN(3), After: r.IntN(2) == 0})
				}
			}
			s.Run(time.Duration(r.IntN(500)) * time.Millisecond)
		}
		for _, id := range s.Net.Nodes() {
			s.Net.CrashAtWrite(id, labrpc.CrashPoint{})
		}
		p.start()
		p.arrives(2*time.Minute, rulePromise)
		s.Run(30 * time.Second)
	})
}

// All messages are acknowledged. Then the sender restarts, and later the receiver: no message is sent again, and a minute later no packet of
// any kind (rules 4 and 16), also none to n3, which is down all the time. In one run there are more messages than eight bits can count, and
// the last of them wait on the disk of a sender that restarts.
func TestRestsAfterARestart1E(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 3, Seeds: 2, Limit: time.Hour}, func(s *labtest.Sim) {
		p := newDurableCluster(s)
		p.down = 3
		p.start()
		for range 3 {
			p.send(1, 2)
			p.send(2, 1)
		}
		p.arrives(30*time.Second, rulePromise)
		if s.Seed == 1 {
			p.sendsMany()
		}
		p.isSilent()
		var again atomic.Int64
		s.Net.Intercept(func(m *labrpc.Message) labrpc.Verdict {
			again.Add(int64(len(marked.In(m.Body))))
			return labrpc.Pass
		})
		for _, id := range []labrpc.NodeID{1, 2} {
			p.crash(id)
			p.start()
			p.isSilent()
			if n := again.Load(); n > 0 {
				s.Failf(ruleRest, "after a restart of %v the nodes sent packets with %d messages, want none: all messages had been acknowledged before", id, n)
			}
		}
	})
}

// A peer that is down delays no other peer, also not the messages that a restarted sender finds on its disk (rules 5 and 16). It has
// its messages when it is back, although wall clocks were set while they waited (rule 15).
func TestPeersApart1E(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 3, Seeds: 5}, func(s *labtest.Sim) {
		p := newDurableCluster(s)
		p.start()
		s.Net.Isolate(2)
		for range 20 {
			p.send(1, 2)
		}
		for range 10 {
			p.send(1, 3)
		}
		p.arrives(5*time.Second, rulePeersApart, 3)
		s.Net.Isolate(1)
		for range 3 {
			p.send(1, 3)
		}
		s.Run(time.Minute)
		p.crash(1)
		s.Net.Heal()
		s.Net.Isolate(2)
		p.start()
		p.arrives(30*time.Second, rulePeersApart, 3)
		p.send(2, 1)
		p.sets(1, -time.Hour)
		p.sets(2, map[bool]time.Duration{true: years, false: -years}[s.Seed%2 == 0])
		s.Run(10 * time.Second)
		s.Net.Heal()
		p.arrives(30*time.Second, rulePromiseClock)
	})
}

// A hundred messages wait on the disk of a sender that restarts. Packets take 200 ms, or three of ten are lost. All are applied in
// time: a restarted sender sends them all, not one after another (rule 15).
func TestBacklog1E(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 2, Seeds: 2, Link: labrpc.Link{Latency: labrpc.Fixed(200 * time.Millisecond)}}, func(s *labtest.Sim) {
		p := newDurableCluster(s)
		p.down = 2
		p.start()
		for range 100 {
			p.send(1, 2)
		}
		s.Run(time.Second)
		p.crash(1)
		p.down = 0
		limit := 30 * time.Second
		if s.Seed%2 == 0 {
			s.Net.SetLinks(labrpc.FairLoss(0.3))
			limit = 2 * time.Minute
		}
		p.start()
		p.arrives(limit, rulePromiseInTime)
		s.Net.SetLinks(labrpc.Reliable())
		p.isSilent()
	})
}

// The content of a message makes no difference (rules 6 and 16). The sender crashes before a packet of it
// arrives, and the receiver crashes afterwards, so that both disks hold every message.
func TestAnyContent1E(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 2, Seeds: 1}, func(s *labtest.Sim) {
		p := newDurableCluster(s)
		p.start()
		s.Net.CutBoth(1, 2)
		for _, text := range append([]string{allBytes()}, contents...) {
			p.sendText(1, 2, text)
		}
		s.Run(time.Second)
		p.crash(1)
		s.Net.Heal()
		p.start()
		p.arrives(30*time.Second, "a message is applied as it was passed to Send, byte for byte (rules 6 and 16)")
		p.crash(2)
		p.start()
		s.Run(30 * time.Second)
	})
}

// Many goroutines call Send and State at once (rule 18).
func TestConcurrentSends1E(t *testing.T) {
	const callers, each = 8, 25
	onceAlone(t, func(s *labtest.Sim) {
		defer labtest.Threads(1)()
		net := labrpc.New(labrpc.Options{Seed: s.Seed, Nodes: 2})
		defer net.Close()
		links := make([]*Durable, 3)
		for _, id := range net.Nodes() {
			link, err := NewDurable(net.Start(id), logLine)
			if err != nil {
				s.Failf(ruleApplied, "NewDurable failed on %v, whose disk is empty: %v", id, err)
			}
			links[id] = link
		}
		begin := make(chan struct{})
		var refused atomic.Int64
		for caller := range callers {
			go func() {
				<-begin
				for i := range each {
					if links[1].Send(2, []byte(marked.Text(1000*caller+i))) != nil {
						refused.Add(1)
					}
					_ = links[2].State()
				}
			}()
		}
		net.Run(time.Millisecond)
		close(begin)
		net.Run(time.Minute)
		lines := map[string]int{}
		for l := range strings.Lines(string(links[2].State())) {
			if lines[l]++; lines[l] > 1 {
				s.Failf("all methods may be called by several goroutines at once: a message is applied exactly once (rules 16 and 18)",
					"%d goroutines called Send on n1, and n2 applied %q twice", callers, l)
			}
		}
		if n := refused.Load(); n > 0 {
			s.Failf("Send returns an error only if its node is down or the network has no such peer, however many messages wait (rule 15)",
				"%d of %d calls of Send returned an error on n1, which was up; want nil, also while many messages wait", n, callers*each)
		}
		if n := len(lines); n != callers*each {
			s.Failf("all methods may be called by several goroutines at once: every message is applied (rules 15 and 18)",
				"%d goroutines called Send on n1, and n2 applied %d of their %d messages", callers, n, callers*each)
		}
	})
}
