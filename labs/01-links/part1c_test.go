package links_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/internal/harness/marked"
	"distlabs/labrpc"
	. "distlabs/labs/01-links"
)

const (
	ruleOrder     = "the messages of one sender are delivered in the order of their Send (rule 9)"
	ruleWindow    = "no packet carries a message before the receiver's deliver has returned for the message that was sent 64 messages earlier (rule 10)"
	ruleOwnWindow = "each peer has its own window, so a peer that does not answer delays no message to another peer (rules 5 and 10)"
	ruleSlides    = "the window moves when the missing message has been delivered (rules 9 and 10)"
	ruleFast      = "with one packet in ten lost and 50ms each way, 400 messages are delivered within 8s (rule 11)"
)

// inOrder makes the linkCluster check that numbered texts are delivered in their order, on every route.
func inOrder(m *linkCluster) *linkCluster {
	next := map[route]int{}
	m.arrived = func(r route, text string) {
		if want := marked.Text(next[r]); text != want {
			m.fail(r, ruleOrder, "%v delivered %q from %v before %q", r.to, text, r.from, want)
		}
		next[r]++
	}
	return m
}

// A windowWatch checks that a sender respects the window of one route (rule 10).
type windowWatch struct {
	m     *linkCluster
	route route

	mu       sync.Mutex
	returned int // how many calls of deliver have returned
	furthest int // the highest number in a packet
}

func watchWindow(m *linkCluster, from, to labrpc.NodeID) *windowWatch {
	w := &windowWatch{m: m, route: route{from, to}, furthest: -1}
	m.returned = func(r route) {
		if r == w.route {
			w.mu.Lock()
			w.returned++
			w.mu.Unlock()
		}
	}
	see := w.see
	m.wire.watch.Store(&see)
	return w
}

func (w *windowWatch) see(p *labrpc.Message) {
	if p.From != w.route.from || p.To != w.route.to {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range marked.In(p.Body) {
		w.furthest = max(w.furthest, n)
		if n >= w.returned+Window {
			w.m.fail(w.route, ruleWindow, "%v sent message %d to %v, where deliver had returned for %d messages, want no message after number %d", p.From, n+1, p.To, w.returned, w.returned+Window)
		}
	}
}

// waiting reports whether later messages are under way, and deliver has returned for so many.
func (w *windowWatch) waiting(returned int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.furthest >= returned && w.returned == returned
}

// Every link loses and reorders packets. All messages are delivered in their order (rule 9).
func TestOrder1C(t *testing.T) {
	const lost = "a packet was lost"
	cfg := labtest.Config{Nodes: 3, Seeds: 5, Link: labrpc.FairLoss(0.3), MustCover: []string{lost}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		m := inOrder(ordered(s))
		m.sendAll(25)
		m.arrives(5*time.Minute, ruleOrder)
		s.Run(30 * time.Second)
		if m.packets(0, 0).Lost > 0 {
			s.Cover(lost)
		}
	})
}

// All packets of one message are lost for twenty seconds. No later message may be delivered meanwhile (rule 9), and at
// most a window may be sent (rule 10). When the message arrives, the others follow.
func TestNothingPassesAGap1C(t *testing.T) {
	const past = "a later message was sent while the message was missing"
	labtest.Run(t, labtest.Config{Nodes: 2, Seeds: 5, MustCover: []string{past}}, func(s *labtest.Sim) {
		missing := s.Rand().IntN(20)
		m := inOrder(ordered(s))
		w := watchWindow(m, 1, 2)
		m.wire.withhold(missing)
		m.sendMany(1, 2, 3*Window)
		s.Run(20 * time.Second)
		w.mu.Lock()
		if w.furthest > missing {
			s.Cover(past)
		}
		w.mu.Unlock()
		m.wire.release()
		m.arrives(30*time.Second, ruleSlides)
	})
}

// deliver takes five seconds for one message, and 2 ms for every other. All messages beyond the window must wait
// at the sender: otherwise the messages for a slow application would fill the memory of the receiver (rule 10). In every second run it is not
// the first message, and what the receiver said of the messages before arrives only now, long after what it said later.
func TestSlowApplication1C(t *testing.T) {
	const busy = "deliver was running for one message while others waited"
	labtest.Run(t, labtest.Config{Nodes: 2, Seeds: 3, MustCover: []string{busy}}, func(s *labtest.Sim) {
		var calls, slow atomic.Int64
		m := inOrder(ordered(s, func() {
			if calls.Add(1) == slow.Load() {
				time.Sleep(5 * time.Second)
			}
			time.Sleep(2 * time.Millisecond)
		}))
		w := watchWindow(m, 1, 2)
		late := func() {}
		if s.Seed%2 == 1 {
			late = earlyReports(m)
		}
		before := int(calls.Load())
		slow.Store(int64(before + 1))
		m.sendNumbered(before, 4*Window)
		s.Run(2 * time.Second)
		late()
		s.Run(2 * time.Second)
		if w.waiting(before) && calls.Load() == slow.Load() {
			s.Cover(busy)
		}
		m.arrives(2*time.Minute, ruleSlides)
	})
}

// sendNumbered sends n messages from n1 to n2 that continue the numbers of those before.
func (m *linkCluster) sendNumbered(before, n int) {
	for i := range n {
		m.send(1, 2, marked.Text(before+i))
	}
}

// earlyReports sends from n1 to n2, and holds everything that n2 says of the first ten messages, also when it repeats it, until the function is called that it
// returns. Between them n2 delivers 150 other messages, more than half of what 8 bits can count. A link whose n2 always says the same can send nothing
// meanwhile; it gets what was held at once.
func earlyReports(m *linkCluster) (release func()) {
	const first, others = 10, 150
	var mu sync.Mutex
	early, recording := map[string]bool{}, true
	held := m.s.Net.HoldIf(labrpc.Match{From: 2, To: 1}, func(p labrpc.Message) bool {
		mu.Lock()
		defer mu.Unlock()
		body := fmt.Sprint(p.Body)
		if recording {
			early[body] = true
		}
		return early[body]
	})
	m.sendNumbered(0, first)
	m.s.Run(time.Second)
	mu.Lock()
	recording = false
	mu.Unlock()
	m.sendNumbered(first, others)
	all := m.s.Until(20*time.Second, func() bool { return m.missing(nil) == 0 })
	m.s.Run(time.Second)
	release = func() {
		m.s.Logf("what n2 said of the first %d messages arrives: %d packets", first, held.Release())
	}
	if !all {
		release()
		m.arrives(time.Minute, ruleSlides)
		return func() {}
	}
	return release
}

// Throughput (rule 11): one packet in ten is lost, but no packet twice in a row, and each takes 50 ms. Stop-and-wait
// delivers at most one message per 100 ms: 400 messages in 40 s. The window has 8 s.
func TestFiveTimesStopAndWait1C(t *testing.T) {
	const messages = 400
	const roundTrip, factor = 100 * time.Millisecond, 5
	const lost = "every tenth packet was lost"
	cfg := labtest.Config{Nodes: 2, Seeds: 3, Link: labrpc.Link{Latency: labrpc.Fixed(roundTrip / 2)}, MustCover: []string{lost}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		m := inOrder(ordered(s))
		s.Net.Intercept(everyTenth(s, lost))
		began := s.Net.Now()
		m.sendMany(1, 2, messages)
		m.arrives(messages*roundTrip/factor, ruleFast)
		rate := messages / (s.Net.Now() - began).Seconds()
		s.Measure("throughput at 10 % loss and 50 ms", rate, "messages/s", fmt.Sprintf("≥ %d", factor*int(time.Second/roundTrip)))
	})
}

// everyTenth loses one packet in ten. If the same packet was lost the last time it was sent, it loses the next packet
// instead: otherwise a series of losses of one message would decide the test, and not the window.
func everyTenth(s *labtest.Sim, situation string) func(*labrpc.Message) labrpc.Verdict {
	var mu sync.Mutex
	n := s.Rand().IntN(10)
	lostBefore := map[string]bool{}
	return func(p *labrpc.Message) labrpc.Verdict {
		mu.Lock()
		defer mu.Unlock()
		if n++; n < 10 && len(lostBefore) == 0 {
			return labrpc.Pass
		}
		name := packetName(p)
		if n < 10 || lostBefore[name] {
			delete(lostBefore, name)
			return labrpc.Pass
		}
		n = 0
		lostBefore[name] = true
		s.Cover(situation)
		return labrpc.Drop
	}
}

// packetName is the same for all copies of a packet: the numbers in it, or else all of it.
func packetName(p *labrpc.Message) string {
	if numbers := marked.In(p.Body); len(numbers) > 0 {
		return fmt.Sprint(p.From, p.To, numbers)
	}
	data, _ := labrpc.Marshal(p.Body) // it has travelled, so it can be encoded
	return fmt.Sprintf("%v %v %q", p.From, p.To, data)
}

// Each peer has a window of its own: a peer that is down delays no other peer (rules 5 and 10), and has all its messages when it is back, however many
// have waited for the window (rule 1).
func TestWindowOfEachPeer1C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 3, Seeds: 3}, func(s *labtest.Sim) {
		m := inOrder(ordered(s))
		s.Net.Isolate(2)
		messages, rule := 2*Window, ruleSlides
		if s.Seed == 1 {
			messages, rule = 1200, ruleDelivered
		}
		m.sendMany(1, 2, messages)
		m.sendMany(1, 3, 2*Window)
		m.arrives(20*time.Second, ruleOwnWindow, 3)
		s.Net.Heal()
		m.arrives(time.Minute, rule)
	})
}

// 4160 messages, more than a number of 12 bits can count, and copies of early packets (rules 7 and 9).
func TestLongStream1C(t *testing.T) {
	testStream(t, newOrdered, "a message is delivered exactly once, however many were sent before (rules 7 and 9)", 1<<12+beyond, false)
}

// An ordered link keeps rules 2 to 5 too.
func TestRetriesAndRests1C(t *testing.T) { testRetries(t, ordered) }

// The content of a message makes no difference (rules 6 and 7), and the caller may change its buffer while the message waits
// for the window.
func TestAnyContent1C(t *testing.T) { testContents(t, ordered) }

// Many goroutines call Send at once (rule 18). The messages of each are delivered in its order (rule 9).
func TestConcurrentSends1C(t *testing.T) { testConcurrentSends(t, newOrdered, true, true) }
