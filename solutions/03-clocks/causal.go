package clocks

import (
	"slices"
	"sync"

	"distlabs/labrpc"
)

// A Causal broadcasts to all nodes of a network with reliable links, and
// delivers each message after all that happened before it. All methods may be
// called by several goroutines at once.
type Causal struct {
	node    *labrpc.Node
	own     int // index of the node's own entry
	deliver func(from labrpc.NodeID, text string)

	mu        sync.Mutex
	delivered Vector // how many messages of each node were delivered here
	held      []post // what came too early
}

// A post is a broadcast on the wire. It counts broadcasts only: Stamp says how
// many messages of each node its sender had delivered, this one included.
type post struct {
	From  labrpc.NodeID
	Stamp Vector
	Text  string
}

// NewCausal begins to take part. deliver is called for every message of every
// node, this one's own included, for one message at a time; it returns soon and does
// not call back.
func NewCausal(node *labrpc.Node, deliver func(from labrpc.NodeID, text string)) *Causal {
	c := &Causal{
		node: node, own: int(node.ID()) - 1, deliver: deliver,
		delivered: make(Vector, 1+len(node.Peers())),
	}
	labrpc.Receive(node, "post", c.receive)
	return c
}

// Broadcast sends text to every node.
func (c *Causal) Broadcast(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.delivered[c.own]++
	p := post{From: c.node.ID(), Stamp: slices.Clone(c.delivered), Text: text}
	c.deliver(p.From, p.Text)
	for _, peer := range c.node.Peers() {
		if err := labrpc.Send(c.node, peer, "post", p); err != nil {
			return // this node is down
		}
	}
}

// Held returns how many messages have arrived and are not delivered yet.
func (c *Causal) Held() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.held)
}

// receive takes a message in, and delivers what it makes possible: perhaps
// itself, then perhaps messages that waited for it, and so on.
func (c *Causal) receive(_ labrpc.NodeID, p post) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = append(c.held, p)
	for {
		i := slices.IndexFunc(c.held, c.ready)
		if i < 0 {
			return
		}
		next := c.held[i]
		c.held = slices.Delete(c.held, i, i+1)
		c.delivered[next.From-1]++
		c.deliver(next.From, next.Text)
	}
}

// ready reports whether all that happened before p is delivered: p is the next of
// its sender, and its sender knew no message that is not known here. The caller
// holds c.mu.
//
// Do not ask for p.Stamp[i] <= c.delivered[i] of the sender's entry too: it
// counts p itself, which would wait forever for its own delivery.
func (c *Causal) ready(p post) bool {
	for i, known := range p.Stamp {
		if labrpc.NodeID(i+1) == p.From {
			if known != c.delivered[i]+1 {
				return false
			}
		} else if known > c.delivered[i] {
			return false
		}
	}
	return true
}
