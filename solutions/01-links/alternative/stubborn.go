// Package links is another correct solution of lab 01, as different from the reference as the rules allow: packets
// are plain bytes, timers replace goroutines, and the ordered link uses only the network. It shows
// that the tests demand what the README says, and not what the reference does.
package links

import (
	"encoding/binary"
	"sync"
	"time"

	"distlabs/labrpc"
)

// Deliver hands a message to the application.
type Deliver func(from labrpc.NodeID, msg []byte)

// A Stubborn link delivers every message at least once between nodes that stay up.
type Stubborn struct {
	node    *labrpc.Node
	put     func(to labrpc.NodeID, packet []byte)
	deliver func(from labrpc.NodeID, msg []byte) (acknowledge bool)

	mu    sync.Mutex
	peers map[labrpc.NodeID]*pile
}

// A pile holds the messages to one peer that are not acknowledged.
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
	s := newStubborn(node, func(from labrpc.NodeID, msg []byte) bool { deliver(from, msg); return true }, func(to labrpc.NodeID, packet []byte) {
		_ = labrpc.Send(node, to, "bytes", packet)
	})
	labrpc.Receive(node, "bytes", s.take)
	return s
}

func newStubborn(node *labrpc.Node, deliver func(labrpc.NodeID, []byte) bool, put func(labrpc.NodeID, []byte)) *Stubborn {
	return &Stubborn{node: node, put: put, deliver: deliver, peers: map[labrpc.NodeID]*pile{}}
}

func pack(kind byte, n uint64, msg []byte) []byte {
	return append(binary.BigEndian.AppendUint64([]byte{kind}, n), msg...)
}

// Send starts to send msg to the node to.
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
		if s.deliver(from, packet[9:]) {
			s.put(from, pack(ack, n, nil))
		}
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.peers[from]; p != nil && p.open[n] != nil {
		p.open[n].Stop()
		delete(p.open, n)
	}
}
