// Package links is another correct solution of lab 01, as unlike the reference as the rules allow: packets
// are plain bytes, timers take the place of goroutines, and the ordered link stands on nothing but the network. It is there to
// prove that the tests demand what the README says, and not what the reference does.
package links

import (
	"encoding/binary"
	"sync"
	"time"

	"distlabs/labrpc"
)

// Deliver is how a link hands a message to the application.
type Deliver func(from labrpc.NodeID, msg []byte)

// A Stubborn link delivers every message at least once between nodes that stay up.
type Stubborn struct {
	node    *labrpc.Node
	put     func(to labrpc.NodeID, packet []byte)
	deliver Deliver

	mu    sync.Mutex
	peers map[labrpc.NodeID]*pile
}

// A pile is what is under way to one peer.
type pile struct {
	last uint64
	open map[uint64]*time.Timer
}

// The first byte of a packet; then come 8 bytes of number, then the message.
const (
	data = 'd'
	ack  = 'a'
)

// NewStubborn makes the link of one node.
func NewStubborn(node *labrpc.Node, deliver Deliver) *Stubborn {
	s := newStubborn(node, deliver, func(to labrpc.NodeID, packet []byte) {
		_ = labrpc.Send(node, to, "bytes", packet)
	})
	labrpc.Receive(node, "bytes", s.take)
	return s
}

func newStubborn(node *labrpc.Node, deliver Deliver, put func(labrpc.NodeID, []byte)) *Stubborn {
	return &Stubborn{node: node, put: put, deliver: deliver, peers: map[labrpc.NodeID]*pile{}}
}

func pack(kind byte, n uint64, msg []byte) []byte {
	return append(binary.BigEndian.AppendUint64([]byte{kind}, n), msg...)
}

// Send sees to it that msg is delivered at to.
func (s *Stubborn) Send(to labrpc.NodeID, msg []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.peers[to]
	if p == nil {
		p = &pile{open: map[uint64]*time.Timer{}}
		s.peers[to] = p
	}
	p.last++
	s.try(to, p.last, pack(data, p.last, msg), 300*time.Millisecond)
}

// try sends a packet and sets the timer for the next time. The caller holds s.mu.
func (s *Stubborn) try(to labrpc.NodeID, n uint64, packet []byte, wait time.Duration) {
	s.put(to, packet)
	s.peers[to].open[n] = time.AfterFunc(wait, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.peers[to].open[n] != nil && s.node.Context().Err() == nil {
			s.try(to, n, packet, min(3*wait, 10*time.Second))
		}
	})
}

func (s *Stubborn) take(from labrpc.NodeID, packet []byte) {
	if len(packet) < 9 {
		return
	}
	n := binary.BigEndian.Uint64(packet[1:])
	if packet[0] == data {
		s.deliver(from, packet[9:])
		s.put(from, pack(ack, n, nil))
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.peers[from]; p != nil && p.open[n] != nil {
		p.open[n].Stop()
		delete(p.open, n)
	}
}
