package clocks_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/internal/harness/marked"
	"distlabs/labrpc"
	clocks "distlabs/labs/03-clocks"
)

// An inbox records the texts that one node delivers, in order.
type inbox struct {
	c    *clocks.Causal
	slow bool // deliver takes its time

	running  atomic.Int32 // calls of deliver
	together atomic.Bool  // there were two at one time

	mu    sync.Mutex
	texts []string
}

// newInboxes starts a Causal on every node.
func newInboxes(s *labtest.Sim) []*inbox {
	var all []*inbox
	s.StartAll(func(node *labrpc.Node) { all = append(all, newInbox(node)) })
	return all
}

func newInbox(node *labrpc.Node) *inbox {
	in := new(inbox)
	in.c = clocks.NewCausal(node, func(from labrpc.NodeID, text string) {
		if in.running.Add(1) > 1 {
			in.together.Store(true)
		}
		defer in.running.Add(-1)
		if in.slow {
			//lint:ignore SA4017 the time that it takes is what it is for
			occupy()
		}
		_ = labrpc.Tell(node, fmt.Sprintf("%v: %s", from, text), in.take) // fails only when the node is down
	})
	return in
}

func (in *inbox) take(_ time.Duration, text string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.texts = append(in.texts, text)
}

func (in *inbox) count() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.texts)
}

// delivered returns the texts so far.
func (in *inbox) delivered() []string {
	in.mu.Lock()
	defer in.mu.Unlock()
	return slices.Clone(in.texts)
}

// Hundreds of messages of n1 arrive at n3 10 s late, and more than a thousand that n2 has broadcast after them wait. Then one comes an hour late. Nothing
// is dropped meanwhile.
func TestCausalLongWait3D(t *testing.T) {
	const late, n = 1 << 8, 1100 // eight bits cannot tell late from 0
	labtest.Run(t, labtest.Config{Nodes: 3, Seeds: 1, Limit: 3 * time.Hour}, func(s *labtest.Sim) {
		w := &longWait{traffic: watchTraffic(s), all: newInboxes(s)}
		w.wait(10*time.Second, late, n)
		w.wait(time.Hour, 2, 2)
	})
}

// A longWait is a run in which n3 waits for messages of n1.
type longWait struct {
	*traffic
	all  []*inbox
	want []string // what each node must have delivered
	next int      // number of the next text
}

// broadcast has a node broadcast so many messages, each text twice: an equal text is not a copy. It returns the numbers of the texts.
func (w *longWait) broadcast(from labrpc.NodeID, messages int) (texts []int) {
	for i := range messages {
		if i%2 == 0 {
			texts = append(texts, w.next)
			w.next++
		}
		text := marked.Text(texts[len(texts)-1])
		w.want = append(w.want, fmt.Sprintf("%v: %s", from, text))
		w.all[from-1].c.Broadcast(text)
	}
	return texts
}

// wait holds messages of n1 back from n3, while n2 broadcasts others after them.
func (w *longWait) wait(d time.Duration, late, after int) {
	s, n3 := w.s, w.all[2]
	first, before := w.next, n3.count()
	release := w.withhold(1, 3, func(text int) bool { return first <= text && text < first+(late+1)/2 })
	w.broadcast(1, late)
	s.Run(time.Second)
	texts := w.broadcast(2, after)
	s.Run(d)
	if got := n3.count() - before; got != 0 {
		s.Failf(ruleCausal, "by %v, n3 has delivered %d messages of n2, want 0: messages of n1 happened before them, and have not arrived", labtest.At(s.Net.Now()), got)
	}
	if got, arrived := n3.c.Held(), w.arrived(3, 2, texts...); got != arrived {
		s.Failf(ruleHeld, "on n3, Held() = %d at %v, want %d: %[3]d messages of n2 have arrived, and cannot be delivered before messages of n1, which have not arrived",
			got, labtest.At(s.Net.Now()), arrived)
	}
	release()
	s.Until(time.Second, func() bool { return n3.count() >= len(w.want) })
	s.Run(time.Second)
	if got := n3.delivered(); !slices.Equal(got, w.want) {
		s.Failf(ruleAtOnce, "by %v, n3 has delivered %d messages, want %d in the order in which they were broadcast: a message that they waited for took %v",
			labtest.At(s.Net.Now()), len(got), len(w.want), d)
	}
	if got := n3.c.Held(); got != 0 {
		s.Failf(ruleHeld, "on n3, Held() = %d at %v, want 0: it has delivered every message", got, labtest.At(s.Net.Now()))
	}
}

// Broadcasts are counted without an end.
func TestCausalManyMessages3D(t *testing.T) {
	const n, step = 5000, 500 // more than twelve bits can count
	labtest.Run(t, labtest.Config{Nodes: 2, Link: labrpc.Link{Latency: labrpc.Fixed(time.Millisecond), InOrder: true}, Seeds: 1}, func(s *labtest.Sim) {
		counts := make([]int, 2)
		var mu sync.Mutex
		var c []*clocks.Causal
		s.StartAll(func(node *labrpc.Node) {
			c = append(c, clocks.NewCausal(node, func(labrpc.NodeID, string) {
				mu.Lock()
				defer mu.Unlock()
				counts[node.ID()-1]++
			}))
		})
		for sent := step; sent <= n; sent += step {
			for range step {
				c[0].Broadcast("")
			}
			s.Run(20 * time.Millisecond)
			mu.Lock()
			for id, got := range counts {
				if got != sent {
					s.Failf(ruleAtOnce, "n%d has delivered %d messages, although n1 has broadcast %d and all have arrived", id+1, got, sent)
				}
			}
			mu.Unlock()
		}
	})
}

// A text may be empty, long, not English, or the same as before.
func TestCausalTexts3D(t *testing.T) {
	texts := []string{"", "same", "same", "", "日本語 ∀x", "\x00\xff", "n1: same", strings.Repeat("long ", 20_000)}
	labtest.Run(t, labtest.Config{Nodes: 2, Seeds: 2}, func(s *labtest.Sim) {
		all := newInboxes(s)
		var want []string
		for _, text := range texts {
			for i, in := range all {
				in.c.Broadcast(text)
				want = append(want, fmt.Sprintf("n%d: %s", i+1, text))
			}
			s.Run(time.Second)
		}
		slices.Sort(want)
		for i, in := range all {
			got := in.delivered()
			slices.Sort(got)
			if !slices.Equal(got, want) {
				s.Failf("every node delivers each broadcast exactly once, with its text unchanged (rule 15)",
					"n%d has not delivered exactly what was broadcast: %d messages, want %d, with texts such as %q", i+1, len(got), len(want), texts[:5])
			}
		}
	})
}

// Several goroutines of each node broadcast at once: no message is lost, delivered twice or held, and the messages of
// one goroutine stay in order. The network is the test's own, because the order of its messages is not the same in
// each run.
func TestCausalManyGoroutines3D(t *testing.T) {
	const nodes, goroutines, rounds, each = 2, 12, 4, 8
	labtest.Once(t, func(s *labtest.Sim) {
		net := labrpc.New(labrpc.Options{Seed: s.Seed, Nodes: nodes, Link: labrpc.Reliable()})
		defer net.Close()
		var all []*inbox
		for _, id := range net.Nodes() {
			in := newInbox(net.Start(id))
			in.slow = true
			all = append(all, in)
		}
		inParallel(s, goroutines, rounds, each, func(g, i int) {
			all[g%nodes].c.Broadcast(fmt.Sprintf("goroutine %d, message %d", g, i))
		})
		net.Run(time.Second)
		for id, in := range all {
			if in.together.Load() {
				s.Failf(ruleAlone, "n%d called deliver while another call of it was running: on each node %d goroutines called Broadcast at once",
					id+1, goroutines/nodes)
			}
			got, want := in.delivered(), goroutines*rounds*each
			if held := in.c.Held(); held != 0 || len(got) != want {
				s.Failf(ruleLocking, "n%d delivered %d messages and holds %d, want %d and 0: on each node %d goroutines called Broadcast at once",
					id+1, len(got), held, want, goroutines/nodes)
			}
			next := map[int]int{}
			for _, text := range got {
				var from, g, i int
				if _, err := fmt.Sscanf(text, "n%d: goroutine %d, message %d", &from, &g, &i); err != nil || i != next[g] || from != g%nodes+1 {
					s.Failf(ruleCausal, "n%d delivered %q, but the next message of that goroutine is %d", id+1, text, next[g])
				}
				next[g]++
			}
		}
	})
}
