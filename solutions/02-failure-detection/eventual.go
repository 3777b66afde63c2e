package detector

import (
	"sync"
	"time"

	"distlabs/labrpc"
)

// EventualOptions say how an Eventual works. No bound on delays is among them:
// there is one after some time, but no node knows when and how large.
type EventualOptions struct {
	Period  time.Duration // how often a node makes itself heard, or asks
	Initial time.Duration // the timeout to begin with
	// Changed is told of every change of mind, once and in order. It returns at
	// once and does not call the Eventual. It may be nil.
	Changed func(Change)
}

// An Eventual is wrong now and then, notices it, and learns from it, until it
// is wrong no more: an eventually perfect detector, for the partially
// synchronous model. See rules 9 to 12 of the README.
type Eventual struct {
	node *labrpc.Node
	opts EventualOptions

	mu    sync.Mutex
	peers map[labrpc.NodeID]*guess
}

// A guess is what one node believes of one peer.
type guess struct {
	timeout   time.Duration
	silence   *time.Timer // runs out when the peer was silent for timeout
	suspected bool
}

// Alive says that its sender was alive when it sent it.
type Alive struct{}

// NewEventual starts the detector. It returns at once. All that it starts ends
// when node.Context() does.
func NewEventual(node *labrpc.Node, opts EventualOptions) *Eventual {
	e := &Eventual{node: node, opts: opts, peers: map[labrpc.NodeID]*guess{}}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, peer := range node.Peers() {
		e.peers[peer] = &guess{
			timeout: opts.Initial,
			silence: time.AfterFunc(opts.Initial, func() { e.suspect(peer) }),
		}
	}
	labrpc.Receive(node, "alive", func(from labrpc.NodeID, _ Alive) { e.hear(from) })
	go e.beat()
	return e
}

// Suspects reports whether the peer is suspected now. It may be called from
// several goroutines at once.
func (e *Eventual) Suspects(peer labrpc.NodeID) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	g := e.peers[peer]
	return g != nil && g.suspected
}

// Timeout returns how long the peer may be silent, by what is known now,
// before it is suspected. It may be called from several goroutines at once.
func (e *Eventual) Timeout(peer labrpc.NodeID) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	if g := e.peers[peer]; g != nil {
		return g.timeout
	}
	return 0
}

// beat makes the node heard by all peers, those under suspicion too. Were they
// left out, two nodes that suspect each other would do so forever.
func (e *Eventual) beat() {
	ticker := time.NewTicker(e.opts.Period)
	defer ticker.Stop()
	for {
		for _, peer := range e.node.Peers() {
			labrpc.Send(e.node, peer, "alive", Alive{})
		}
		select {
		case <-ticker.C:
		case <-e.node.Context().Done():
			return
		}
	}
}

// hear withdraws a suspicion, and learns from it that the timeout was too
// short (Chandra, Toueg 1996; CGR §2.6.5). Only a mistake raises the
// timeout. A crashed peer is never heard again, so it teaches nothing.
func (e *Eventual) hear(from labrpc.NodeID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	g := e.peers[from]
	if g.suspected {
		g.timeout += e.opts.Initial
		e.change(from, false)
	}
	g.silence.Reset(g.timeout)
}

func (e *Eventual) suspect(peer labrpc.NodeID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.peers[peer].suspected {
		e.change(peer, true)
	}
}

// change sets the mind and tells of it. The caller holds e.mu.
func (e *Eventual) change(peer labrpc.NodeID, suspected bool) {
	e.peers[peer].suspected = suspected
	if e.opts.Changed != nil {
		e.opts.Changed(Change{Peer: peer, Suspected: suspected})
	}
}
