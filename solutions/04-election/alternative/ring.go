package election

import (
	"context"
	"sync"
	"time"

	"distlabs/labrpc"
)

// RingOptions say how the nodes are arranged.
type RingOptions struct {
	Order []labrpc.NodeID
	Delay time.Duration
}

// A Ring lets a name pass only if it is the highest that it has seen in this
// election. What is to be sent waits in a queue, for one goroutine.
type Ring struct {
	node *labrpc.Node
	opts RingOptions

	mu     sync.Mutex
	queue  []Name
	work   chan struct{}
	best   labrpc.NodeID
	leader labrpc.NodeID
}

// A Name goes round.
type Name struct {
	Of    labrpc.NodeID
	Crown bool // it has won
}

// Ack says that a Name has arrived.
type Ack struct{ OK bool }

// NewRing makes a node part of the ring.
func NewRing(node *labrpc.Node, opts RingOptions) *Ring {
	r := &Ring{node: node, opts: opts, work: make(chan struct{}, 1)}
	labrpc.Handle(node, "name", func(_ labrpc.NodeID, n Name) Ack {
		r.got(n)
		return Ack{OK: true}
	})
	go r.send()
	return r
}

// Leader returns the last winner.
func (r *Ring) Leader() labrpc.NodeID {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.leader
}

// Elect calls an election.
func (r *Ring) Elect() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.offer(Name{Of: r.node.ID()})
}

// offer queues a name that beats all before. The caller holds r.mu.
func (r *Ring) offer(n Name) {
	if n.Of > r.best || n.Crown {
		r.best = max(r.best, n.Of)
		r.queue = append(r.queue, n)
		select {
		case r.work <- struct{}{}:
		default:
		}
	}
}

func (r *Ring) got(n Name) {
	r.mu.Lock()
	defer r.mu.Unlock()
	own := r.node.ID()
	if n.Of == own && !n.Crown {
		r.offer(Name{Of: own, Crown: true})
		return
	}
	if n.Crown {
		if n.Of != own {
			r.offer(n)
		}
		r.leader, r.best = n.Of, 0
		return
	}
	if n.Of < own {
		n.Of = own
	}
	r.offer(n)
}

func (r *Ring) send() {
	for {
		select {
		case <-r.work:
		case <-r.node.Context().Done():
			return
		}
		for {
			r.mu.Lock()
			if len(r.queue) == 0 {
				r.mu.Unlock()
				break
			}
			n := r.queue[0]
			r.queue = r.queue[1:]
			r.mu.Unlock()
			r.deliver(n)
		}
	}
}

func (r *Ring) deliver(n Name) {
	size, at := len(r.opts.Order), 0
	for r.opts.Order[at] != r.node.ID() {
		at++
	}
	for step := 1; step < size; step++ {
		ctx, cancel := context.WithTimeout(r.node.Context(), 5*r.opts.Delay/2)
		ack, _ := labrpc.Call[Ack](ctx, r.node, r.opts.Order[(at+step)%size], "name", n)
		cancel()
		if ack.OK || r.node.Context().Err() != nil {
			return
		}
	}
	r.got(n)
}
