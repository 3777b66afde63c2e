package detector

import (
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

// A Recovery watches nodes that crash and come back. However quickly a node is
// back, everybody learns that it was gone: its memory was.
type Recovery struct {
	node        *labrpc.Node
	opts        RecoveryOptions
	incarnation uint64 // written once, before anything starts

	mu    sync.Mutex
	peers map[labrpc.NodeID]*peerLife
}

// A Sign says that an incarnation of its sender was alive when it sent it.
// Signs are ordered by incarnation first.
type Sign struct {
	Incarnation uint64
	Number      int // from 1 in each incarnation
}

// A peerLife is what one node knows of one peer.
type peerLife struct {
	latest  Sign        // zero before the first
	over    bool        // its incarnation is known to be over
	silence *time.Timer // runs out when a newer sign is overdue
}

// NewRecovery begins an incarnation of the node, makes it known to the peers
// and watches theirs. It returns at once. All that it starts ends when
// node.Context() does.
func NewRecovery(node *labrpc.Node, opts RecoveryOptions) *Recovery {
	r := &Recovery{node: node, opts: opts, peers: map[labrpc.NodeID]*peerLife{}}
	for _, peer := range node.Peers() {
		r.peers[peer] = &peerLife{}
	}
	if err := r.begin(); err != nil {
		return r // the node crashed while it wrote: it has nothing more to say
	}
	labrpc.Receive(node, "sign", r.hear)
	go r.beat()
	return r
}

// Incarnation returns the node's own number. It is at least 1, and greater than
// that of every earlier incarnation of this node that anybody may have heard of.
func (r *Recovery) Incarnation() uint64 { return r.incarnation }

// begin takes the next number. The disk must have it before anybody else does:
// after a crash between the two, a number that was heard but not written would
// be used again. Nor will the time of day do for a number. Clocks are set back.
func (r *Recovery) begin() error {
	if _, err := r.node.Disk().Load("incarnation", &r.incarnation); err != nil {
		return err
	}
	r.incarnation++
	return r.node.Disk().Save("incarnation", r.incarnation)
}

// beat sends one sign a period to every peer, the first at once.
func (r *Recovery) beat() {
	ticker := time.NewTicker(r.opts.Period)
	defer ticker.Stop()
	for number := 1; ; number++ {
		for _, peer := range r.node.Peers() {
			labrpc.Send(r.node, peer, "sign", Sign{Incarnation: r.incarnation, Number: number})
		}
		select {
		case <-ticker.C:
		case <-r.node.Context().Done():
			return
		}
	}
}

// hear takes a heartbeat. One that is not newer than the newest proves
// nothing. One of a new incarnation proves two things.
func (r *Recovery) hear(from labrpc.NodeID, s Sign) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.peers[from]
	switch {
	case s.Incarnation > p.latest.Incarnation:
		r.bury(from)
		p.silence = time.AfterFunc(r.longest(), func() { r.expire(from, s.Incarnation) })
		p.over = false
		r.tell(Life{Peer: from, Incarnation: s.Incarnation})
	case s.Incarnation == p.latest.Incarnation && s.Number > p.latest.Number:
		p.silence.Reset(r.longest())
	default:
		return
	}
	p.latest = s
}

// longest is how long after a sign the next one can be.
func (r *Recovery) longest() time.Duration { return r.opts.Period + r.opts.Delay }

// expire ends an incarnation that has been silent for too long.
func (r *Recovery) expire(peer labrpc.NodeID, incarnation uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.peers[peer].latest.Incarnation == incarnation {
		r.bury(peer)
	}
}

// bury says that the peer's latest incarnation is over, unless there was none
// or it has been said. The caller holds r.mu.
func (r *Recovery) bury(peer labrpc.NodeID) {
	p := r.peers[peer]
	if p.latest.Incarnation == 0 || p.over {
		return
	}
	p.over = true
	p.silence.Stop()
	r.tell(Life{Peer: peer, Incarnation: p.latest.Incarnation, Over: true})
}

// tell is in order because the caller holds r.mu.
func (r *Recovery) tell(l Life) {
	if r.opts.Saw != nil {
		r.opts.Saw(l)
	}
}
