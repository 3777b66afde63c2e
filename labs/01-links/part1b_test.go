package links_test

import (
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/01-links"
)

const (
	ruleOnce   = "every message is delivered, once (rule 7)"
	ruleMemory = "what a link remembers does not grow with the number of messages (rule 8)"
)

// Loss, duplication and reordering on every link, and every message arrives once (rule 7).
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

// Two messages that say the same are two messages (rule 7).
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

// Two senders count on their own, so their numbers are the same; their messages are not (rule 7). Here
// each sends the same texts as the other, at the same time.
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

// The application takes three seconds over each message. Meanwhile more arrive, and
// the sender, who hears nothing, sends again: none of that may lose a message or deliver one twice (rule 7).
func TestSlowApplication1B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 2}, func(s *labtest.Sim) {
		m := reliable(s, func() { time.Sleep(3 * time.Second) })
		m.sendMany(1, 2, 40)
		s.Run(time.Second)
		m.send(1, 2, "one more, while it is at work")
		m.arrives(8*time.Minute, ruleOnce)
		s.Run(30 * time.Second)
	})
}

// A copy of a packet may turn up long after the message was delivered, and
// many others after it (rule 7).
func TestLateDuplicate1B(t *testing.T) {
	const late = "an old packet came again"
	labtest.Run(t, labtest.Config{Nodes: 2, MustCover: []string{late}}, func(s *labtest.Sim) {
		var old packetLog
		s.Net.Intercept(old.record)
		m := reliable(s)
		m.sendMany(1, 2, 5)
		m.arrives(time.Minute, ruleOnce)
		old.stop()
		for i := range 6 {
			for j := range 50 {
				m.send(1, 2, numberedText(1000+50*i+j))
			}
			m.arrives(time.Minute, ruleOnce)
		}
		for _, p := range old.packets() {
			if p.To == 2 {
				s.Cover(late)
			}
			_ = s.Net.Inject(p) // as it was, so it can travel
		}
		s.Run(30 * time.Second)
	})
}

// What a link remembers is bounded (rule 8): nine thousand messages, or a hundred thousand in a soak, to two peers in
// turn, with a few under way at a time and one packet in twenty coming twice. We checkMemoryGrowth what two thirds of them leave
// behind. Then the very first packets come again (rule 7).
func TestMemoryIsBounded1B(t *testing.T) {
	const batch = 40
	first := 3000
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
				s.Failf(ruleOnce, "%d messages were sent, and a minute after the last %d were delivered", sent, n)
			}
		}
		send := func(n int) {
			for range n / batch {
				for range batch {
					links[1].Send(labrpc.NodeID(2+sent%2), []byte(numberedText(int(sent))))
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
		send(first)
		checkMemoryGrowth(s, "messages", first, ruleMemory, send)
		for _, p := range old.packets() {
			_ = net.Inject(p) // as it was, so it can travel
		}
		net.Run(time.Minute)
		check()
		runtime.KeepAlive(links)
	})
}
