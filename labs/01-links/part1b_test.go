package links_test

import (
	"os"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/internal/harness/marked"
	"distlabs/labrpc"
	. "distlabs/labs/01-links"
)

// idle is longer than a link might remember a silent sender, if it forgets.
const idle = 75 * time.Minute

const (
	ruleOnce   = "every message is delivered exactly once (rule 7)"
	ruleMemory = "delivered messages leave less than a byte of memory each (rule 8)"
)

// Every link loses, duplicates and reorders packets. Every message is delivered exactly once (rule 7).
func TestExactlyOnce1B(t *testing.T) {
	const lost, twice = "a packet was lost", "a packet arrived twice"
	cfg := labtest.Config{Nodes: 3, Link: labrpc.FairLoss(0.4), MustCover: []string{lost, twice}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		m := reliable(s)
		m.sendAll(10)
		m.arrives(5*time.Minute, ruleOnce)
		s.Run(30 * time.Second) // for the late duplicates
		if m.packets(0, 0).Lost > 0 {
			s.Cover(lost)
		}
		if m.packets(0, 0).Duplicated > 0 {
			s.Cover(twice)
		}
	})
}

// Two messages with the same content are two messages (rule 7).
func TestSameContent1B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 2, Link: labrpc.FairLoss(0.2)}, func(s *labtest.Sim) {
		m := reliable(s)
		for range 5 {
			m.send(1, 2, "one euro for n2")
		}
		s.Run(time.Second)
		for range 5 {
			m.send(1, 2, "one euro for n2")
		}
		m.arrives(2*time.Minute, ruleOnce)
		s.Run(30 * time.Second)
	})
}

// Two senders count independently, so their messages have the same numbers, but are different messages (rule 7). Here
// both send the same texts at the same time.
func TestTwoSenders1B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 3, Link: labrpc.FairLoss(0.2)}, func(s *labtest.Sim) {
		m := reliable(s)
		m.sendMany(1, 2, 10)
		m.sendMany(3, 2, 10)
		m.sendMany(2, 1, 10)
		m.sendMany(2, 3, 10)
		m.arrives(2*time.Minute, ruleOnce)
		s.Run(30 * time.Second)
	})
}

// deliver takes three seconds for each message. Meanwhile more messages arrive, and
// the sender sends all of them again. The link must not lose a message or deliver it twice (rule 7).
func TestSlowApplication1B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 2}, func(s *labtest.Sim) {
		m := reliable(s, func() { time.Sleep(3 * time.Second) })
		m.sendMany(1, 2, 40)
		s.Run(time.Second)
		m.send(1, 2, "one more, while deliver is running")
		m.arrives(8*time.Minute, ruleOnce)
		s.Run(30 * time.Second)
	})
}

// A node receives messages from 29 senders. Then no node sends a message for a long time. Afterwards copies of the first
// packets of all senders arrive, in reverse order, and each sender sends one more message (rule 7).
func TestLateDuplicate1B(t *testing.T) {
	const late = "an old packet arrived again"
	cfg := labtest.Config{Nodes: 30, Seeds: 2, Limit: 3 * time.Hour, MustCover: []string{late}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		var old packetLog
		s.Net.Intercept(old.record)
		m := reliable(s)
		for round := range 2 {
			for from := labrpc.NodeID(2); from <= 30; from++ {
				m.send(from, 1, marked.Text(round))
			}
		}
		m.arrives(time.Minute, ruleOnce)
		old.stop()
		for range 300 {
			m.sendNew(2, 1)
		}
		m.arrives(time.Minute, ruleOnce)
		s.Run(idle)
		packets := old.packets()
		slices.Reverse(packets)
		for _, p := range packets {
			if p.To == 1 {
				s.Cover(late)
			}
			_ = s.Net.Inject(p) // it has travelled before, so it can travel
		}
		s.Run(30 * time.Second)
		for from := labrpc.NodeID(2); from <= 30; from++ {
			m.sendNew(from, 1)
		}
		m.arrives(time.Minute, ruleOnce)
		s.Run(30 * time.Second)
	})
}

// 65600 messages travel from n1 to n2. All packets of the first are lost while n1 sends 2047 others; later, copies of
// early packets arrive (rule 7).
func TestLongStream1B(t *testing.T) { testStream(t, newReliable, ruleOnce, 1<<16+beyond, true) }

// A reliable link keeps rules 2 to 5 too.
func TestRetriesAndRests1B(t *testing.T) { testRetries(t, reliable) }

// While deliver runs for the first copy of a message, a second copy arrives. It must not be acknowledged yet (rule 4).
func TestAcknowledgesWhatWasDelivered1B(t *testing.T) { testAcknowledges(t, reliable) }

// The content of a message makes no difference (rules 6 and 7).
func TestAnyContent1B(t *testing.T) { testContents(t, reliable) }

// Many goroutines call Send at once (rule 18).
func TestConcurrentSends1B(t *testing.T) { testConcurrentSends(t, newReliable, true, false) }

// deliver answers each message with Send, as many applications do (rule 7).
func TestAnswersFromDeliver1B(t *testing.T) { testAnswers(t, reliable) }

// What a link remembers is bounded (rule 8): six thousand messages, or a hundred thousand in a soak, to two peers in
// turn, with a few under way at a time and one packet in twenty coming twice. The test measures what two thirds of them leave
// behind. Then the very first packets come again (rule 7).
func TestMemoryIsBounded1B(t *testing.T) {
	const batch = 40
	first := 2000
	if os.Getenv("LABS_SOAK") != "" {
		first = 33_400
	}
	onceAlone(t, func(s *labtest.Sim) {
		net := labrpc.New(labrpc.Options{
			Seed: s.Seed, Nodes: 3,
			Link: labrpc.Link{Duplicate: 0.05, Latency: labrpc.Uniform(time.Millisecond, 5*time.Millisecond)},
		})
		defer net.Close()
		var old packetLog
		net.Intercept(old.record)
		var delivered atomic.Int64
		links := make([]*Reliable, 4)
		for _, id := range net.Nodes() {
			links[id] = NewReliable(net.Start(id), func(labrpc.NodeID, []byte) { delivered.Add(1) })
		}
		sent := int64(0)
		check := func() {
			if n := delivered.Load(); n != sent {
				s.Failf(ruleOnce, "a minute after the last of %d messages was sent, %d deliveries were counted, want %d", sent, n, sent)
			}
		}
		send := func(n int) {
			for range n / batch {
				for range batch {
					links[1].Send(labrpc.NodeID(2+sent%2), []byte(marked.Text(int(sent))))
					sent++
				}
				net.RunUntil(time.Minute, func() bool { return delivered.Load() >= sent })
				check()
			}
			net.Run(time.Minute) // until all is acknowledged
			check()
		}
		send(batch)
		old.stop()
		widenTimers()
		send(first)
		checkMemoryGrowth(s, "messages", first, ruleMemory, send)
		for _, p := range old.packets() {
			_ = net.Inject(p) // it has travelled before, so it can travel
		}
		net.Run(time.Minute)
		check()
		runtime.KeepAlive(links)
	})
}
