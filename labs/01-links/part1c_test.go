package links_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/01-links"
)

const (
	ruleOrder  = "the messages of one sender are delivered in the order in which they were sent (rule 9)"
	ruleWindow = "no packet carries a message before deliver has returned from the one 64 before it (rule 10)"
	ruleSlides = "the window moves on when what was lost has arrived (rules 9 and 10)"
	ruleFast   = "five times as fast as stop-and-wait (rule 11)"
)

// inOrder makes the linkCluster check that numbered texts come in their order, on every route.
func inOrder(m *linkCluster) *linkCluster {
	next := map[route]int{}
	m.arrived = func(r route, text string) {
		if want := numberedText(next[r]); text != want {
			m.fail(r, ruleOrder, "%v delivered %q from %v, and %q is still missing", r.to, text, r.from, want)
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
	returned int // how often deliver has returned
	furthest int // the highest number on the wire
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
	m.s.Net.Intercept(w.see)
	return w
}

func (w *windowWatch) see(p *labrpc.Message) labrpc.Verdict {
	n := numberIn(p.Body)
	if p.From != w.route.from || p.To != w.route.to || n < 0 {
		return labrpc.Pass
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.furthest = max(w.furthest, n)
	if n >= w.returned+Window {
		w.m.fail(w.route, ruleWindow, "%v sent message %d to %v, where deliver had returned from %d messages", p.From, n+1, p.To, w.returned)
	}
	return labrpc.Pass
}

// full reports whether the sender has used the whole window.
func (w *windowWatch) full() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.furthest+1 >= w.returned+Window
}

// Loss and reordering on every link, and all messages arrive in their order (rule 9).
func TestOrder1C(t *testing.T) {
	const lost = "a packet was lost"
	cfg := labtest.Config{Nodes: 3, Link: labrpc.FairLoss(0.3), MustCover: []string{lost}}
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

// One message is missing for twenty seconds. Nothing that comes after it may be delivered (rule 9), at most
// a window may be sent (rule 10), and when it comes, the rest follows.
func TestNothingPassesAGap1C(t *testing.T) {
	const past = "a later message reached n2 before the missing one"
	labtest.Run(t, labtest.Config{Nodes: 2, MustCover: []string{past}}, func(s *labtest.Sim) {
		missing := s.Rand().IntN(20)
		var mu sync.Mutex
		lost := true
		m := inOrder(ordered(s))
		watchWindow(m, 1, 2)
		s.Net.Intercept(func(p *labrpc.Message) labrpc.Verdict {
			mu.Lock()
			defer mu.Unlock()
			n := numberIn(p.Body)
			if n > missing && lost {
				s.Cover(past)
			}
			if n == missing && lost {
				return labrpc.Drop
			}
			return labrpc.Pass
		})
		m.sendMany(1, 2, 3*Window)
		s.Run(20 * time.Second)
		mu.Lock()
		lost = false
		mu.Unlock()
		m.arrives(30*time.Second, ruleSlides)
	})
}

// The application takes five seconds over one message, and a little over every other. What it has not
// taken must wait at the sender, but for one window: else a slow reader
// would fill the memory of its machine (rule 10).
func TestSlowApplication1C(t *testing.T) {
	const full = "the window was full"
	labtest.Run(t, labtest.Config{Nodes: 2, MustCover: []string{full}}, func(s *labtest.Sim) {
		var calls atomic.Int64
		m := inOrder(ordered(s, func() {
			if calls.Add(1) == 1 {
				time.Sleep(5 * time.Second)
			}
			time.Sleep(2 * time.Millisecond)
		}))
		w := watchWindow(m, 1, 2)
		m.sendMany(1, 2, 4*Window)
		s.Run(4 * time.Second)
		if w.full() {
			s.Cover(full)
		}
		m.arrives(2*time.Minute, ruleSlides)
	})
}

// Throughput (rule 11): one packet of ten is lost, though none twice running, and each takes 50 ms, so stop-and-wait
// delivers at most one message in 100 ms: 400 of them in 40 s. We give the window 8.
func TestFiveTimesStopAndWait1C(t *testing.T) {
	const messages = 400
	const roundTrip, factor = 100 * time.Millisecond, 5
	const lost = "every tenth packet was lost"
	cfg := labtest.Config{Nodes: 2, Link: labrpc.Link{Latency: labrpc.Fixed(roundTrip / 2)}, MustCover: []string{lost}}
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

// everyTenth loses one packet of ten, the next one instead if it has just lost the same: a run of bad
// luck for one message would measure that and not the window.
func everyTenth(s *labtest.Sim, situation string) func(*labrpc.Message) labrpc.Verdict {
	var mu sync.Mutex
	n := s.Rand().IntN(10)
	unlucky := map[string]bool{}
	return func(p *labrpc.Message) labrpc.Verdict {
		mu.Lock()
		defer mu.Unlock()
		n++
		name := fmt.Sprint(p.From, p.To, numberIn(p.Body))
		if numberIn(p.Body) < 0 {
			data, _ := labrpc.Marshal(p.Body) // it has travelled, so it can be encoded
			name = string(data)
		}
		if n < 10 || unlucky[name] {
			delete(unlucky, name)
			return labrpc.Pass
		}
		n = 0
		unlucky[name] = true
		s.Cover(situation)
		return labrpc.Drop
	}
}

// Each peer has a window of its own: one that is dead does not hold up another (rules 5 and 10).
func TestWindowOfEachPeer1C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 3}, func(s *labtest.Sim) {
		m := inOrder(ordered(s))
		s.Net.Isolate(2)
		m.sendMany(1, 2, 2*Window)
		m.sendMany(1, 3, 2*Window)
		m.arrives(20*time.Second, ruleApart, 3)
		s.Net.Heal()
		m.arrives(time.Minute, ruleSlides)
	})
}
