package election

import (
	"context"
	"sync/atomic"
	"time"

	"distlabs/labrpc"
)

// BullyOptions say how a Bully works.
type BullyOptions struct{ Delay time.Duration }

// A Bully asks, again and again, all nodes above its own, and names the highest
// that answers. It is slow, and there is nothing to announce.
type Bully struct {
	node   *labrpc.Node
	delay  time.Duration
	leader atomic.Int64
}

// Probe asks whether a node is up.
type Probe struct{}

// NewBully starts a node.
func NewBully(node *labrpc.Node, opts BullyOptions) *Bully {
	b := &Bully{node: node, delay: opts.Delay}
	labrpc.Handle(node, "probe", func(labrpc.NodeID, Probe) Probe { return Probe{} })
	go b.watch()
	return b
}

// Leader returns the node that leads.
func (b *Bully) Leader() labrpc.NodeID { return labrpc.NodeID(b.leader.Load()) }

func (b *Bully) watch() {
	for b.node.Context().Err() == nil {
		b.leader.Store(int64(b.highest()))
		select {
		case <-time.After(6 * b.delay):
		case <-b.node.Context().Done():
		}
	}
}

// highest asks all higher nodes at once.
func (b *Bully) highest() labrpc.NodeID {
	ctx, cancel := context.WithTimeout(b.node.Context(), 2*b.delay)
	defer cancel()
	answers := make(chan labrpc.NodeID)
	asked := 0
	for _, peer := range b.node.Peers() {
		if peer < b.node.ID() {
			continue
		}
		asked++
		go func() {
			if _, err := labrpc.Call[Probe](ctx, b.node, peer, "probe", Probe{}); err != nil {
				peer = 0
			}
			answers <- peer
		}()
	}
	best := b.node.ID()
	for range asked {
		best = max(best, <-answers)
	}
	return best
}
