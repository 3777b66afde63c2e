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

// A Heartbeat suspects the peers whose beats stay away. No node asks and no node
// answers: every node sends each peer one message a period, and no other.
type Heartbeat struct {
	node *labrpc.Node
	opts HeartbeatOptions

	mu    sync.Mutex
	peers map[labrpc.NodeID]*pulse
}

// A Beat says that its sender was alive when it sent it.
type Beat struct {
	Number int // from 1
}

// A pulse is what one node knows of one peer.
type pulse struct {
	latest    int         // the number of the newest beat
	silence   *time.Timer // runs out when a newer one is overdue
	suspected bool
}

// NewHeartbeat starts to send beats to all peers, the first before a period is
// over, and to watch for theirs. A peer that has not been heard yet is given
// as much time as one that was heard when NewHeartbeat was called. It returns
// at once. All that it starts ends when node.Context() does.
func NewHeartbeat(node *labrpc.Node, opts HeartbeatOptions) *Heartbeat {
	h := &Heartbeat{node: node, opts: opts, peers: map[labrpc.NodeID]*pulse{}}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, peer := range node.Peers() {
		h.peers[peer] = &pulse{silence: time.AfterFunc(h.longest(), func() { h.suspect(peer) })}
	}
	labrpc.Receive(node, "beat", h.hear)
	go h.beat()
	return h
}

// Suspects reports whether the peer is suspected now. It may be called from
// several goroutines at once.
func (h *Heartbeat) Suspects(peer labrpc.NodeID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.peers[peer]
	return p != nil && p.suspected
}

// longest is how long after a beat the next one can be. Tolerate beats may be
// lost, so the next to arrive may leave Tolerate+1 periods later; it may take
// Delay, while the beat before may have taken no time at all.
func (h *Heartbeat) longest() time.Duration {
	return time.Duration(h.opts.Tolerate+1)*h.opts.Period + h.opts.Delay
}

// beat sends one beat a period to every peer. A ticker keeps time whatever
// happens in between; a Sleep in the loop would add up.
func (h *Heartbeat) beat() {
	ticker := time.NewTicker(h.opts.Period)
	defer ticker.Stop()
	for number := 1; ; number++ {
		for _, peer := range h.node.Peers() {
			labrpc.Send(h.node, peer, "beat", Beat{Number: number})
		}
		select {
		case <-ticker.C:
		case <-h.node.Context().Done():
			return
		}
	}
}

// hear takes a beat. One that is not newer than the newest proves nothing: it
// was sent before a time at which the peer is known to have been alive.
func (h *Heartbeat) hear(from labrpc.NodeID, b Beat) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.peers[from]
	if b.Number <= p.latest {
		return
	}
	p.latest = b.Number
	p.silence.Reset(h.longest())
}

// suspect never goes back: in this model a peer that was silent for so long is
// dead.
func (h *Heartbeat) suspect(peer labrpc.NodeID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.peers[peer].suspected {
		return
	}
	h.peers[peer].suspected = true
	if h.opts.Changed != nil {
		h.opts.Changed(Change{Peer: peer, Suspected: true})
	}
}
