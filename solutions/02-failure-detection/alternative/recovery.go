package detector

import (
	"context"
	"fmt"
	"sync"
	"time"

	"distlabs/labrpc"
)

// RecoveryOptions say how a Recovery works.
type RecoveryOptions struct {
	Period time.Duration // from one heartbeat to the next
	Delay  time.Duration // no message takes longer; only a second copy may
	// Saw is told what becomes of the peers, in order. It returns at once and does
	// not call the Recovery. It may be nil.
	Saw func(Life)
}

// A Life is what a Recovery says of one incarnation of one peer: first that it
// runs, then that it is over. It says each once, and says no more of an
// incarnation than that.
type Life struct {
	Peer        labrpc.NodeID
	Incarnation uint64
	Over        bool
}

// A Recovery asks its peers twice a period which incarnation they are in. An
// incarnation is over when a question that was asked while it was the latest has no
// answer, or when the answer is another.
type Recovery struct {
	node   *labrpc.Node
	opts   RecoveryOptions
	number uint64

	mu     sync.Mutex
	latest map[labrpc.NodeID]Life
}

// NewRecovery begins an incarnation of the node.
func NewRecovery(node *labrpc.Node, opts RecoveryOptions) *Recovery {
	r := &Recovery{node: node, opts: opts, latest: map[labrpc.NodeID]Life{}}
	if !r.sign() {
		return r
	}
	labrpc.Handle(node, "which", func(labrpc.NodeID, bool) uint64 { return r.number })
	for _, peer := range node.Peers() {
		go r.watch(peer)
	}
	return r
}

// Incarnation returns the node's own number.
func (r *Recovery) Incarnation() uint64 { return r.number }

// sign writes an empty record whose name is the new number, then deletes
// those with lower numbers. A crash in between leaves both; the highest counts.
func (r *Recovery) sign() bool {
	disk := r.node.Disk()
	old := disk.Names()
	for _, name := range old {
		var n uint64
		if _, err := fmt.Sscanf(name, "life-%d", &n); err == nil {
			r.number = max(r.number, n)
		}
	}
	r.number++
	if disk.Write(fmt.Sprintf("life-%d", r.number), nil) != nil {
		return false
	}
	for _, name := range old {
		if disk.Delete(name) != nil {
			return false
		}
	}
	return true
}

func (r *Recovery) watch(peer labrpc.NodeID) {
	for r.node.Context().Err() == nil {
		go r.ask(peer)
		time.Sleep(r.opts.Period / 2)
	}
}

func (r *Recovery) ask(peer labrpc.NodeID) {
	r.mu.Lock()
	before := r.latest[peer]
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(r.node.Context(), 2*r.opts.Delay+time.Millisecond)
	defer cancel()
	number, err := labrpc.Call[uint64](ctx, r.node, peer, "which", true)
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.latest[peer]
	switch {
	case err != nil && before.Incarnation > 0 && now == before && !now.Over:
		r.set(Life{Peer: peer, Incarnation: now.Incarnation, Over: true})
	case err == nil && number > now.Incarnation:
		if now.Incarnation > 0 && !now.Over {
			r.set(Life{Peer: peer, Incarnation: now.Incarnation, Over: true})
		}
		r.set(Life{Peer: peer, Incarnation: number})
	}
}

// set remembers and tells. The caller holds r.mu.
func (r *Recovery) set(l Life) {
	r.latest[l.Peer] = l
	if r.opts.Saw != nil {
		r.opts.Saw(l)
	}
}
