package clocks

import (
	"sync"

	"distlabs/labrpc"
)

// A Causal has each message wait in the queue of one that it lacks.
type Causal struct {
	node *labrpc.Node

	mu      sync.Mutex
	held    int
	count   map[labrpc.NodeID]int // delivered of each node
	waiting map[name][]parcel     // by a message that they lack
	deliver func(from labrpc.NodeID, text string)
}

// A name says which message: the number-th of a node.
type name struct {
	From   labrpc.NodeID
	Number int
}

type parcel struct {
	Name   name
	Causes []name // the latest of each node that the sender had delivered
	Text   string
}

// NewCausal begins to take part.
func NewCausal(node *labrpc.Node, deliver func(from labrpc.NodeID, text string)) *Causal {
	c := &Causal{
		node: node, deliver: deliver,
		count: map[labrpc.NodeID]int{}, waiting: map[name][]parcel{},
	}
	labrpc.Receive(node, "parcel", func(_ labrpc.NodeID, p parcel) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.held++
		c.accept(p)
	})
	return c
}

// Broadcast sends to all others first, and delivers here last.
func (c *Causal) Broadcast(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := parcel{Name: name{c.node.ID(), c.count[c.node.ID()] + 1}, Text: text}
	for id := labrpc.NodeID(1); int(id) <= 1+len(c.node.Peers()); id++ {
		if c.count[id] > 0 {
			p.Causes = append(p.Causes, name{id, c.count[id]})
		}
	}
	for _, peer := range c.node.Peers() {
		_ = labrpc.Send(c.node, peer, "parcel", p) // fails only if this node is down
	}
	c.held++
	c.accept(p)
}

// Held returns how many wait.
func (c *Causal) Held() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.held
}

// accept delivers p and what waits for it, or files it under the first cause
// that is missing. The caller holds c.mu.
func (c *Causal) accept(p parcel) {
	for _, cause := range p.Causes {
		if c.count[cause.From] < cause.Number {
			c.waiting[cause] = append(c.waiting[cause], p)
			return
		}
	}
	c.held--
	c.count[p.Name.From] = p.Name.Number
	c.deliver(p.Name.From, p.Text)
	freed := c.waiting[p.Name]
	delete(c.waiting, p.Name)
	for _, next := range freed {
		c.accept(next)
	}
}
