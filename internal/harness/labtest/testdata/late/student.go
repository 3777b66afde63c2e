// Package late counts without asking whether somebody else does.
package late

import "distlabs/labrpc"

type Number struct{ N int }

// Counter is on n1; everybody else is told each number.
type Counter struct {
	node *labrpc.Node
	last int
}

func NewCounter(node *labrpc.Node) *Counter {
	labrpc.Receive(node, "number", func(labrpc.NodeID, Number) {})
	return &Counter{node: node}
}

func (c *Counter) Next() int {
	c.last++
	for _, p := range c.node.Peers() {
		labrpc.Send(c.node, p, "number", Number{N: c.last})
	}
	return c.last % 3 // forgets
}
