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
	busy   map[labrpc.NodeID]map[uint64]bool // deliver is running
}

// NewReliable makes the link of one node.
func NewReliable(node *labrpc.Node, deliver Deliver) *Reliable {
	r := newReliable(deliver)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.below = newStubborn(node, r.take, func(to labrpc.NodeID, packet []byte) {
		_ = labrpc.Send(node, to, "bytes", packet)
	})
	labrpc.Receive(node, "bytes", r.below.take)
	return r
}

func newReliable(deliver Deliver) *Reliable {
	return &Reliable{
		deliver: deliver, counts: map[labrpc.NodeID]uint64{}, known: map[labrpc.NodeID]*spans{},
		busy: map[labrpc.NodeID]map[uint64]bool{},
	}
}

// Send starts to send msg to the node to.
func (r *Reliable) Send(to labrpc.NodeID, msg []byte) {
	r.mu.Lock()
	r.counts[to]++
	packet := append(binary.BigEndian.AppendUint64(nil, r.counts[to]), msg...)
	r.mu.Unlock()
	r.below.Send(to, packet)
}

func (r *Reliable) take(from labrpc.NodeID, packet []byte) (acknowledge bool) {
	if len(packet) < 8 {
		return false
	}
	n := binary.BigEndian.Uint64(packet)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known[from] == nil {
		r.known[from], r.busy[from] = &spans{}, map[uint64]bool{}
	}
	if r.known[from].add(n) {
		r.busy[from][n] = true
		r.mu.Unlock()
		r.deliver(from, packet[8:])
		r.mu.Lock()
		delete(r.busy[from], n)
	}
	return !r.busy[from][n]
}

// spans is a set of numbers: sorted ranges with a gap between any two.
type spans struct{ List []span }

type span struct{ First, Last uint64 }

// add adds n to the set. It reports whether n was new.
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
