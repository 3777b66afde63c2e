package clocks_test

import (
	"slices"
	"sync"

	"distlabs/internal/harness/labtest"
	"distlabs/internal/harness/marked"
	"distlabs/labrpc"
)

// A traffic is what the test sees of the messages of a run: which broadcasts, with texts of package marked, each of them has. A node may pass on
// another's broadcast, so one arrives with the first message that has its text.
type traffic struct {
	s        *labtest.Sim
	withheld []*labrpc.Held

	seen sync.Mutex
	in   map[labrpc.NodeID]map[int]int // how many messages to a node had a text, by its number
}

// watchTraffic begins before any node starts.
func watchTraffic(s *labtest.Sim) *traffic {
	t := &traffic{s: s, in: map[labrpc.NodeID]map[int]int{}}
	for _, id := range s.Net.Nodes() {
		t.in[id] = map[int]int{}
	}
	s.Net.Intercept(func(m *labrpc.Message) labrpc.Verdict {
		t.seen.Lock()
		defer t.seen.Unlock()
		for _, n := range marked.In(m.Body) {
			t.in[m.To][n]++
		}
		return labrpc.Pass
	})
	return t
}

// withhold keeps from one node all messages of another, and those of all others with one of the texts. It returns what ends that.
func (t *traffic) withhold(from, to labrpc.NodeID, text func(n int) bool) (release func()) {
	has := func(m labrpc.Message) bool { return slices.ContainsFunc(marked.In(m.Body), text) }
	holds := []*labrpc.Held{t.s.Net.Hold(labrpc.Match{From: from, To: to}), t.s.Net.HoldIf(labrpc.Match{To: to}, has)}
	t.withheld = append(t.withheld, holds...)
	return func() {
		for _, h := range holds {
			h.Release()
		}
	}
}

// withholds reports whether messages are held back.
func (t *traffic) withholds() bool {
	return slices.ContainsFunc(t.withheld, func(h *labrpc.Held) bool { return len(h.Messages()) > 0 })
}

// arrived returns how many broadcasts a node has received, of those whose texts are given, so many of each: not those whose messages are all
// held back. Where no message shows a text, its broadcasts have come in messages of their sender.
func (t *traffic) arrived(at labrpc.NodeID, each int, texts ...int) (n int) {
	kept := map[int]int{}
	for _, h := range t.withheld {
		for _, m := range h.Messages() {
			if m.To == at {
				for _, text := range marked.In(m.Body) {
					kept[text]++
				}
			}
		}
	}
	t.seen.Lock()
	defer t.seen.Unlock()
	for _, text := range texts {
		if sent := t.in[at][text]; sent == 0 {
			n += each
		} else {
			n += min(each, sent-kept[text])
		}
	}
	return n
}
