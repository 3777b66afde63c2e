// Package selflock locks a mutex that it holds already.
package selflock

import (
	"sync"
	"time"

	"distlabs/labrpc"
)

type Node struct {
	mu   sync.Mutex
	term int
}

func Start(node *labrpc.Node) *Node {
	n := &Node{}
	time.AfterFunc(time.Second, n.advance)
	return n
}

func (n *Node) advance() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.term = n.Term() + 1
}

func (n *Node) Term() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.term
}
