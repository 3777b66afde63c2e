// Package lock holds a mutex across a call.
package lock

import (
	"context"
	"sync"
	"time"

	"distlabs/labrpc"
)

type Node struct {
	node *labrpc.Node
	mu   sync.Mutex
	term int
}

func Start(node *labrpc.Node) *Node {
	n := &Node{node: node}
	labrpc.Handle(node, "vote", n.vote)
	go n.campaign()
	return n
}

func (n *Node) vote(labrpc.NodeID, int) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.term == 0
}

func (n *Node) campaign() {
	for n.node.Context().Err() == nil {
		time.Sleep(100 * time.Millisecond)
		n.mu.Lock()
		for _, p := range n.node.Peers() {
			ctx, cancel := context.WithTimeout(n.node.Context(), 50*time.Millisecond)
			labrpc.Call[bool](ctx, n.node, p, "vote", 1)
			cancel()
		}
		n.mu.Unlock()
	}
}
