// Package race forgets a lock in two of three places.
package race

import (
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
	labrpc.Receive(node, "beat", n.beat)
	go n.tick()
	return n
}

func (n *Node) beat(_ labrpc.NodeID, term int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.term = max(n.term, term)
}

func (n *Node) tick() {
	for n.node.Context().Err() == nil {
		time.Sleep(100 * time.Millisecond)
		for _, p := range n.node.Peers() {
			labrpc.Send(n.node, p, "beat", n.term)
		}
	}
}

func (n *Node) watch() {
	for n.node.Context().Err() == nil {
		time.Sleep(50 * time.Millisecond)
		n.node.Note("term", n.term)
	}
}

// StartWatched starts a node that notes its term.
func StartWatched(node *labrpc.Node) {
	go Start(node).watch()
}
