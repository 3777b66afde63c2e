package links_test

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/internal/harness/marked"
	"distlabs/labrpc"
	. "distlabs/labs/01-links"
)

// The tests of this file send thousands of messages, or send them from many goroutines at once. Each has a network of
// its own, which records nothing, and runs once, whatever seeds are asked for.

// A maker makes a link of one kind.
type maker func(n *labrpc.Node, deliver Deliver) sender

func newStubborn(n *labrpc.Node, d Deliver) sender { return NewStubborn(n, d) }
func newReliable(n *labrpc.Node, d Deliver) sender { return NewReliable(n, d) }
func newOrdered(n *labrpc.Node, d Deliver) sender  { return NewOrdered(n, d) }

// newAuthenticated makes a link for a network of at most three nodes.
func newAuthenticated(n *labrpc.Node, d Deliver) sender {
	return NewAuthenticated(n, keysOf(n.ID(), 3), d)
}

// A parcel is a message as it was delivered.
type parcel struct {
	from, to labrpc.NodeID
	text     string
}

// A tally records the deliveries of a network.
type tally struct {
	mu    sync.Mutex
	got   map[parcel]bool
	order []parcel
	twice string // a message that was delivered more than once
}

func newTally() *tally { return &tally{got: map[parcel]bool{}} }

func (a *tally) deliver(to labrpc.NodeID, work ...func()) Deliver {
	return func(from labrpc.NodeID, msg []byte) {
		p := parcel{from, to, string(msg)}
		a.mu.Lock()
		if a.got[p] {
			a.twice = p.text
		}
		a.got[p] = true
		a.order = append(a.order, p)
		a.mu.Unlock()
		for _, f := range work {
			f()
		}
	}
}

// delivered counts the different messages that were delivered.
func (a *tally) delivered() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.got)
}

// repeated returns a message that was delivered more than once, or "".
func (a *tally) repeated() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.twice
}

// A stream is a long sequence of numbered messages from n1 to n2.
type stream struct {
	s     *labtest.Sim
	net   *labrpc.Network
	links []sender
	tally *tally
	wire  wire
	old   packetLog
	rule  string
	sent  int
}

func openStream(s *labtest.Sim, rule string, makeLink maker) *stream {
	st := &stream{s: s, rule: rule, tally: newTally(), links: make([]sender, 3)}
	st.wire.lose, st.wire.withheld = map[int]int{}, map[int]bool{}
	st.net = labrpc.New(labrpc.Options{Seed: s.Seed, Nodes: 2, Link: labrpc.Link{Latency: labrpc.Fixed(20 * time.Millisecond)}})
	st.net.Intercept(func(p *labrpc.Message) labrpc.Verdict { // one interceptor: each costs a copy of every packet
		_ = st.old.record(p)
		return st.wire.see(p)
	})
	for _, id := range st.net.Nodes() {
		st.links[id] = makeLink(st.net.Start(id), st.tally.deliver(id))
	}
	return st
}

// sendUpTo sends messages, a few at a time, until there are n.
func (st *stream) sendUpTo(n int, pause time.Duration) {
	for st.sent < n {
		for range min(40, n-st.sent) {
			st.links[1].Send(2, []byte(marked.Text(st.sent)))
			st.sent++
		}
		st.net.RunUntil(pause, func() bool { return st.tally.delivered() >= st.sent })
	}
}

// lacks returns the first message that has not been delivered.
func (st *stream) lacks() string {
	st.tally.mu.Lock()
	defer st.tally.mu.Unlock()
	for i := range st.sent {
		if text := marked.Text(i); !st.tally.got[parcel{1, 2, text}] {
			return text
		}
	}
	return ""
}

// check waits until all messages are delivered.
func (st *stream) check(when string) {
	st.checkUnder(st.rule, when)
}

func (st *stream) checkUnder(rule, when string) {
	st.net.RunUntil(time.Minute, func() bool { return st.tally.delivered() >= st.sent })
	st.net.Run(5 * time.Second)
	if got := st.tally.delivered(); got != st.sent {
		st.s.Failf(rule, "%s, n2 has delivered %d of the %d messages that n1 sent it more than a minute before, want all; the first that it lacks is %q", when, got, st.sent, st.lacks())
	}
	if twice := st.tally.repeated(); twice != "" {
		st.s.Failf(rule, "%s, n2 delivered %q of n1 a second time", when, twice)
	}
}

// replay sends the first packets of the stream again.
func (st *stream) replay() {
	for _, p := range st.old.packets() {
		if err := st.net.Inject(p); err != nil {
			st.s.Failf("", "the test could not send an old packet again: %v", err)
		}
	}
	st.net.Run(5 * time.Second)
}

// beyond is how many messages more than a narrow number can count a stream has.
const beyond = 256

// testStream sends n messages from n1 to n2: more than a narrow number can count. After 256, 2048, 4096 and n messages, copies of the
// first packets arrive. With overtaken, all packets of the first message are lost while n1 sends 2047 others, and those of another message while
// n1 sends tens of thousands.
func testStream(t *testing.T, makeLink maker, rule string, n int, overtaken bool) {
	t.Helper()
	if os.Getenv("LABS_SOAK") != "" {
		n = 1<<16 + beyond
	}
	onceAlone(t, func(s *labtest.Sim) {
		st := openStream(s, rule, makeLink)
		defer st.net.Close()
		if overtaken {
			st.overtake(2048)
		}
		st.sendUpTo(min(n, 40), time.Minute)
		st.check("at the start of the stream")
		st.old.stop()
		for _, total := range []int{256, 2048, 4096, 1 << 16, n} {
			if total < st.sent || total > n {
				continue
			}
			if overtaken && total == 1<<16 {
				st.overtake(total)
			}
			st.sendUpTo(total, time.Minute)
			st.check(fmt.Sprintf("after %d messages", total))
			st.replay()
			st.check(fmt.Sprintf("when copies of the first packets arrived after %d messages", total))
			if total < n {
				st.replayIntoGap()
			}
		}
	})
}

// overtake loses all packets of n1's next message while n1 sends the others, up to number total-1. A link may let them
// pass, or let them wait.
func (st *stream) overtake(total int) {
	missing := st.sent
	st.wire.withhold(missing)
	st.sendUpTo(missing+40, 100*time.Millisecond)
	st.old.stop()
	st.sendUpTo(total, 100*time.Millisecond)
	st.net.Run(4 * time.Second)
	st.tally.mu.Lock()
	early := st.tally.got[parcel{1, 2, marked.Text(missing)}]
	st.tally.mu.Unlock()
	if early {
		st.s.Failf(ruleNoPacket, "n2 delivered %q, but every packet with this message was lost", marked.Text(missing))
	}
	st.wire.release()
	st.check(fmt.Sprintf("after the network had dropped every packet of n1's message %d until n1 had sent %d others", missing+1, total-missing-1))
}

// replayIntoGap loses all packets of n1's next messages, and meanwhile copies of the first packets arrive. Acknowledgements of the first messages, and
// what else n2 said then, are not about the next ones.
func (st *stream) replayIntoGap() {
	first := st.sent
	var gap []int
	for i := range 2*Window + 40 {
		gap = append(gap, first+i)
	}
	st.wire.withhold(gap...)
	var furthest atomic.Int64
	see := func(p *labrpc.Message) {
		if p.From == 1 {
			for _, n := range marked.In(p.Body) {
				furthest.Store(max(furthest.Load(), int64(n)))
			}
		}
	}
	st.wire.watch.Store(&see)
	st.sendUpTo(first+len(gap), 100*time.Millisecond)
	st.replay()
	st.wire.watch.Store(nil)
	st.wire.release()
	when := fmt.Sprintf("when copies of the first packets had arrived while every packet with messages %d to %d was lost", first+1, st.sent)
	_, window := st.links[1].(*Ordered) // rule 10 is about ordered links
	if far := int(furthest.Load()); window && far >= first+Window {
		st.s.Failf(ruleWindow, "%s, n1 had sent message %d to n2, where deliver had returned for %d messages, want no message after number %d", when, far+1, first, first+Window)
	}
	st.checkUnder(ruleNames, when)
}

// parcelOf is message i that a goroutine sends in a round: the even ones are on n1, the odd ones on n2.
func parcelOf(caller, round, i int) parcel {
	from := labrpc.NodeID(1 + caller%2)
	return parcel{from, 1 + (from+labrpc.NodeID(i%2))%3, fmt.Sprintf("%02d:%02d:%04d", caller, round, i)}
}

// lacks returns a message of parcelOf that has not been delivered.
func (a *tally) lacks(callers, rounds, each int) (p parcel) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for round := range rounds {
		for caller := range callers {
			for i := range each {
				if p = parcelOf(caller, round, i); !a.got[p] {
					return p
				}
			}
		}
	}
	return p
}

// testConcurrentSends calls Send from 16 goroutines of two nodes at once, while deliver runs for many messages. It goes on
// until the goroutines have often enough come between each other's calls: how soon that is depends on the machine.
func testConcurrentSends(t *testing.T, makeLink maker, once bool, order bool) {
	t.Helper()
	const rounds, most, enough, callers, each = 3, 8, 1000, 8, 20
	const rule = "all methods may be called by several goroutines at once (rule 18): every message is delivered"
	onceAlone(t, func(s *labtest.Sim) {
		defer labtest.Threads(callers)()
		net := labrpc.New(labrpc.Options{Seed: s.Seed, Nodes: 3, Link: labrpc.Link{Latency: labrpc.Fixed(5 * time.Millisecond)}})
		defer net.Close()
		all := newTally()
		links := make([]sender, 4)
		for _, id := range net.Nodes() {
			links[id] = makeLink(net.Start(id), all.deliver(id, func() { time.Sleep(time.Millisecond) }))
		}
		sent := 0
		var met, last atomic.Int64
		for round := 0; round < rounds || round < most && met.Load() < enough; round++ {
			begin := make(chan struct{})
			for caller := range 2 * callers {
				go func() {
					<-begin
					for i := range each {
						p := parcelOf(caller, round, i)
						links[p.from].Send(p.to, []byte(p.text))
						if last.Swap(int64(caller)) != int64(caller) {
							met.Add(1)
						}
					}
				}()
			}
			net.Run(time.Millisecond)
			close(begin)
			sent += 2 * callers * each
			net.Run(time.Minute)
			if got := all.delivered(); got != sent {
				lost := all.lacks(2*callers, round+1, each)
				s.Failf(rule+" (rule 1)", "%d goroutines on n1 and %[1]d on n2 called Send at the same time: %[2]d of %[3]d messages were delivered within a minute, want all; %[4]v has not delivered %[5]q from %[6]v", callers, got, sent, lost.to, lost.text, lost.from)
			}
			if twice := all.repeated(); once && twice != "" {
				s.Failf(rule+" exactly once (rule 7)", "%d goroutines on n1 and %[1]d on n2 called Send at the same time: message %[2]q was delivered more than once", callers, twice)
			}
		}
		before := net.Stats(labrpc.Match{}).Sent
		net.Run(time.Minute)
		if n := net.Stats(labrpc.Match{}).Sent - before; n > 0 {
			s.Failf(ruleStop, "after 16 goroutines had called Send, the nodes sent %d packets in the second minute, want 0: all messages had been delivered", n)
		}
		if late := all.outOfOrder(); order && late != "" {
			s.Failf("the messages of one sender are delivered in the order of their Send (rule 9)",
				"a goroutine called Send several times, and the link delivered %q after a later message of this goroutine", late)
		}
	})
}

// outOfOrder finds a message that was delivered after a later message of the same goroutine.
func (a *tally) outOfOrder() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	last := map[parcel]string{} // by route and goroutine
	for _, p := range slices.Clone(a.order) {
		k := parcel{p.from, p.to, p.text[:2]}
		if p.text < last[k] {
			return p.text
		}
		last[k] = p.text
	}
	return ""
}
