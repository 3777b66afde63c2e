package detector

import (
	"context"
	"sync"
	"time"

	"distlabs/labrpc"
)

// ProberOptions say how a Prober works.
type ProberOptions struct {
	Period  time.Duration // every peer is pinged at least this often
	Timeout time.Duration // no correct peer takes longer to answer
	// Changed is told of every change of mind, once and in order. It returns at
	// once and does not call the Prober. It may be nil.
	Changed func(Change)
}

// A Prober suspects the peers that leave a ping without an answer. Where no
// round trip takes longer than the timeout (the synchronous model) it is a
// perfect detector: see rules 2 to 4 of the README.
type Prober struct {
	node *labrpc.Node
	opts ProberOptions

	mu        sync.Mutex
	suspected map[labrpc.NodeID]bool
}

// A Ping asks whether the receiver is there, and a Pong says so. They need no
// number: Call matches each answer with its question.
type (
	Ping struct{}
	Pong struct{}
)

// NewProber makes the node answer the pings of others, and starts to ping its
// peers. It returns at once. All that it starts ends when node.Context() does.
func NewProber(node *labrpc.Node, opts ProberOptions) *Prober {
	p := &Prober{node: node, opts: opts, suspected: map[labrpc.NodeID]bool{}}
	labrpc.Handle(node, "ping", func(labrpc.NodeID, Ping) Pong { return Pong{} })
	for _, peer := range node.Peers() {
		go p.watch(peer)
	}
	return p
}

// Suspects reports whether the peer is suspected now. It may be called from
// several goroutines at once.
func (p *Prober) Suspects(peer labrpc.NodeID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.suspected[peer]
}

// watch pings one peer, once a period, for as long as the node lives.
//
// Do not write
//
//	for range ticker.C {
//		for _, peer := range peers { p.ping(peer) }
//	}
//
// Every dead peer takes a whole timeout from those after it.
func (p *Prober) watch(peer labrpc.NodeID) {
	ticker := time.NewTicker(p.opts.Period)
	defer ticker.Stop()
	for {
		go p.ping(peer)
		select {
		case <-ticker.C:
		case <-p.node.Context().Done():
			return
		}
	}
}

// ping suspects the peer if this ping, and no other, has no answer in time.
func (p *Prober) ping(peer labrpc.NodeID) {
	ctx, cancel := context.WithTimeout(p.node.Context(), p.opts.Timeout)
	defer cancel()
	if _, err := labrpc.Call[Pong](ctx, p.node, peer, "ping", Ping{}); err != nil {
		p.suspect(peer)
	}
}

// suspect never goes back: in this model a node that missed a timeout is dead.
func (p *Prober) suspect(peer labrpc.NodeID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.suspected[peer] {
		return
	}
	p.suspected[peer] = true
	if p.opts.Changed != nil {
		p.opts.Changed(Change{Peer: peer, Suspected: true})
	}
}
