package detector

import (
	"sync"
	"time"

	"distlabs/labrpc"
)

// HeartbeatOptions say how a Heartbeat works.
type HeartbeatOptions struct {
	Period   time.Duration // from one beat to the next
	Delay    time.Duration // no message that arrives takes longer; only a second copy may
	Tolerate int           // so many messages in a row may be lost on a link
	// Changed is told of every change of mind, once and in order. It returns at
	// once and does not call the Heartbeat. It may be nil.
	Changed func(Change)
}

// A Heartbeat judges beats by their numbers (Chen, Toueg, Aguilera 2002, §5):
// from the earliest arrival, relative to its number, it knows when each later
// beat is due, and looks every fortieth of a period for who is overdue.
type Heartbeat struct {
	node  *labrpc.Node
	opts  HeartbeatOptions
	start time.Time

	mu    sync.Mutex
	peers map[labrpc.NodeID]*schedule
}

// Pulse is beat number N, sent N periods after its sender's start.
type Pulse struct{ N int64 }

// A schedule is what is known of a peer's beats.
type schedule struct {
	zero      time.Time // when its beat 0 left, or up to a delay later
	heard     bool
	latest    int64
	suspected bool
}

// NewHeartbeat starts to beat and to listen.
func NewHeartbeat(node *labrpc.Node, opts HeartbeatOptions) *Heartbeat {
	h := &Heartbeat{node: node, opts: opts, start: time.Now(), peers: map[labrpc.NodeID]*schedule{}}
	for _, peer := range node.Peers() {
		h.peers[peer] = &schedule{zero: h.start}
	}
	labrpc.Receive(node, "pulse", func(from labrpc.NodeID, m Pulse) {
		h.mu.Lock()
		defer h.mu.Unlock()
		s := h.peers[from]
		if s.heard && m.N <= s.latest {
			return
		}
		if zero := time.Now().Add(-time.Duration(m.N) * opts.Period); !s.heard || zero.Before(s.zero) {
			s.zero = zero
		}
		s.heard, s.latest = true, m.N
	})
	go h.send()
	go h.watch()
	return h
}

// Suspects reports whether the peer is suspected now.
func (h *Heartbeat) Suspects(peer labrpc.NodeID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	s, ok := h.peers[peer]
	return ok && s.suspected
}

// send sleeps until each beat's own time, so that nothing adds up.
func (h *Heartbeat) send() {
	for n := int64(0); h.node.Context().Err() == nil; n++ {
		time.Sleep(time.Until(h.start.Add(time.Duration(n) * h.opts.Period)))
		for _, peer := range h.node.Peers() {
			labrpc.Send(h.node, peer, "pulse", Pulse{N: n})
		}
	}
}

func (h *Heartbeat) watch() {
	for h.node.Context().Err() == nil {
		time.Sleep(h.opts.Period / 40)
		for _, peer := range h.node.Peers() {
			h.judge(peer)
		}
	}
}

func (h *Heartbeat) judge(peer labrpc.NodeID) {
	h.mu.Lock()
	s := h.peers[peer]
	periods := time.Duration(s.latest) + time.Duration(h.opts.Tolerate) + 1
	late := !s.suspected && time.Now().After(s.zero.Add(periods*h.opts.Period+h.opts.Delay))
	s.suspected = s.suspected || late
	h.mu.Unlock()
	if late && h.opts.Changed != nil {
		h.opts.Changed(Change{Peer: peer, Suspected: true})
	}
}
