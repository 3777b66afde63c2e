package links

import (
	"encoding/binary"
	"sync"

	"distlabs/labrpc"
)

// A Reliable link delivers every message exactly once between nodes that stay up.
type Reliable struct {
	below   *Stubborn
	deliver Deliver

	mu     sync.Mutex
	counts map[labrpc.NodeID]uint64
	known  map[labrpc.NodeID]*spans
}

// NewReliable makes the link of one node.
func NewReliable(node *labrpc.Node, deliver Deliver) *Reliable {
	r := newReliable(deliver)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.below = NewStubborn(node, r.take)
	return r
}

func newReliable(deliver Deliver) *Reliable {
	return &Reliable{deliver: deliver, counts: map[labrpc.NodeID]uint64{}, known: map[labrpc.NodeID]*spans{}}
}

// Send sees to it that msg is delivered once at to.
func (r *Reliable) Send(to labrpc.NodeID, msg []byte) {
	r.mu.Lock()
	r.counts[to]++
	packet := append(binary.BigEndian.AppendUint64(nil, r.counts[to]), msg...)
	r.mu.Unlock()
	r.below.Send(to, packet)
}

func (r *Reliable) take(from labrpc.NodeID, packet []byte) {
	if len(packet) < 8 {
		return
	}
	r.mu.Lock()
	if r.known[from] == nil {
		r.known[from] = &spans{}
	}
	isNew := r.known[from].add(binary.BigEndian.Uint64(packet))
	r.mu.Unlock()
	if isNew {
		r.deliver(from, packet[8:])
	}
}

// Spans is a set of numbers, kept as sorted ranges with a gap between any two.
type spans struct{ List []span }

type span struct{ First, Last uint64 }

// add puts n into the set; it reports whether n was not in it.
func (s *spans) add(n uint64) bool {
	at := 0
	for at < len(s.List) && s.List[at].Last+1 < n {
		at++
	}
	if at < len(s.List) && s.List[at].First <= n && n <= s.List[at].Last {
		return false
	}
	next := append([]span{}, s.List[:at]...)
	added := span{n, n}
	for _, old := range s.List[at:] {
		if old.First <= added.Last+1 && added.First <= old.Last+1 {
			added = span{min(old.First, added.First), max(old.Last, added.Last)}
		} else {
			next = append(next, old)
		}
	}
	next = append(next, span{})
	copy(next[at+1:], next[at:])
	next[at] = added
	s.List = next
	return true
}
