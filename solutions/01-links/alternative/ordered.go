package links

import (
	"slices"
	"sync"
	"time"

	"distlabs/labrpc"
)

// Window is how many messages of one sender may be on the way to one receiver.
const Window = 64

// An Ordered link is a window protocol of its own, directly on the network: the receiver reports for how many messages
// deliver has returned, and the sender sends the others again after a timeout.
type Ordered struct {
	node    *labrpc.Node
	deliver Deliver

	mu    sync.Mutex
	to    map[labrpc.NodeID]*lane
	taken map[labrpc.NodeID]*intake
}

// A lane holds the messages to one peer that are not acknowledged. The first has the number base+1.
type lane struct {
	base  int
	sent  int // of queue, how many have been sent
	queue [][]byte
	round int // counts the restarts of the timer
}

// An intake holds the messages that have arrived from one peer.
type intake struct {
	taken int
	early map[int][]byte
	wake  chan struct{}
}

type segment struct {
	Number int
	Text   string
}

type receipt struct{ Taken int }

// NewOrdered makes the link of one node.
func NewOrdered(node *labrpc.Node, deliver Deliver) *Ordered {
	o := &Ordered{node: node, deliver: deliver, to: map[labrpc.NodeID]*lane{}, taken: map[labrpc.NodeID]*intake{}}
	for _, peer := range node.Peers() {
		o.to[peer] = &lane{}
		in := &intake{early: map[int][]byte{}, wake: make(chan struct{}, 1)}
		o.taken[peer] = in
		go o.hand(peer, in)
	}
	labrpc.Receive(node, "segment", o.segment)
	labrpc.Receive(node, "receipt", o.receipt)
	return o
}

// Send starts to send msg to the node to, after all earlier messages.
func (o *Ordered) Send(to labrpc.NodeID, msg []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	l := o.to[to]
	if l == nil {
		return
	}
	l.queue = append(l.queue, slices.Clone(msg))
	o.push(to, l)
	if len(l.queue) == 1 {
		o.watch(to, l, 300*time.Millisecond)
	}
}

// push sends the messages for which the window has room. The caller holds o.mu.
func (o *Ordered) push(to labrpc.NodeID, l *lane) {
	for ; l.sent < min(len(l.queue), Window); l.sent++ {
		_ = labrpc.Send(o.node, to, "segment", segment{Number: l.base + l.sent + 1, Text: string(l.queue[l.sent])})
	}
}

// watch sends the window again after wait, unless a receipt arrives before. The caller holds o.mu.
func (o *Ordered) watch(to labrpc.NodeID, l *lane, wait time.Duration) {
	l.round++
	round := l.round
	time.AfterFunc(wait, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		if l.round != round || len(l.queue) == 0 || o.node.Context().Err() != nil {
			return
		}
		l.sent = 0
		o.push(to, l)
		o.watch(to, l, min(2*wait, 5*time.Second))
	})
}

func (o *Ordered) receipt(from labrpc.NodeID, r receipt) {
	o.mu.Lock()
	defer o.mu.Unlock()
	l := o.to[from]
	n := r.Taken - l.base
	if n <= 0 {
		return
	}
	l.base, l.queue, l.sent = r.Taken, l.queue[n:], max(l.sent-n, 0)
	o.push(from, l)
	o.watch(from, l, 300*time.Millisecond)
}

func (o *Ordered) segment(from labrpc.NodeID, s segment) {
	o.mu.Lock()
	in := o.taken[from]
	if s.Number > in.taken && s.Number <= in.taken+Window {
		in.early[s.Number] = []byte(s.Text)
	}
	r := receipt{in.taken}
	o.mu.Unlock()
	_ = labrpc.Send(o.node, from, "receipt", r)
	select {
	case in.wake <- struct{}{}:
	default:
	}
}

// hand delivers the messages of one peer in order.
func (o *Ordered) hand(from labrpc.NodeID, in *intake) {
	for {
		o.mu.Lock()
		msg, ok := in.early[in.taken+1]
		o.mu.Unlock()
		if !ok {
			select {
			case <-in.wake:
			case <-o.node.Context().Done():
				return
			}
			continue
		}
		o.deliver(from, msg)
		o.mu.Lock()
		in.taken++
		delete(in.early, in.taken)
		r := receipt{in.taken}
		o.mu.Unlock()
		_ = labrpc.Send(o.node, from, "receipt", r)
	}
}
