package detector

import (
	"context"
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

// An Eventual asks, and takes every answer as a proof that the peer is up, however late. It
// looks twice a period who has been silent too long; a mistake makes the
// timeout twice what the silence was.
type Eventual struct {
	node *labrpc.Node
	opts EventualOptions

	mu    sync.Mutex
	peers map[labrpc.NodeID]*belief
}

type belief struct {
	heard     time.Time
	timeout   time.Duration
	suspected bool
}

// NewEventual starts the detector.
func NewEventual(node *labrpc.Node, opts EventualOptions) *Eventual {
	e := &Eventual{node: node, opts: opts, peers: map[labrpc.NodeID]*belief{}}
	for _, peer := range node.Peers() {
		e.peers[peer] = &belief{heard: time.Now(), timeout: opts.Initial}
	}
	labrpc.Handle(node, "still there?", func(labrpc.NodeID, int) bool { return true })
	go e.run()
	return e
}

// Suspects reports whether the peer is suspected now.
func (e *Eventual) Suspects(peer labrpc.NodeID) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	b, ok := e.peers[peer]
	return ok && b.suspected
}

// Timeout returns how long the peer may be silent before it is suspected.
func (e *Eventual) Timeout(peer labrpc.NodeID) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.peers[peer].timeout
}

func (e *Eventual) run() {
	for round := 0; e.node.Context().Err() == nil; round++ {
		for _, peer := range e.node.Peers() {
			if round%2 == 0 {
				go e.ask(peer, round)
			}
			e.judge(peer)
		}
		time.Sleep(e.opts.Period / 2)
	}
}

// ask waits long: an answer that takes half a minute still is one.
func (e *Eventual) ask(peer labrpc.NodeID, round int) {
	ctx, cancel := context.WithTimeout(e.node.Context(), 30*time.Second)
	defer cancel()
	if _, err := labrpc.Call[bool](ctx, e.node, peer, "still there?", round); err != nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	b := e.peers[peer]
	silence := time.Since(b.heard)
	b.heard = time.Now()
	if b.suspected {
		b.suspected = false
		b.timeout = max(b.timeout, min(2*silence, time.Minute))
		e.tell(peer, false)
	}
}

func (e *Eventual) judge(peer labrpc.NodeID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	b := e.peers[peer]
	if !b.suspected && time.Since(b.heard) > b.timeout {
		b.suspected = true
		e.tell(peer, true)
	}
}

func (e *Eventual) tell(peer labrpc.NodeID, suspected bool) {
	if e.opts.Changed != nil {
		e.opts.Changed(Change{Peer: peer, Suspected: suspected})
	}
}
