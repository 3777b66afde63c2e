// Package leak starts a goroutine that never ends.
package leak

import (
	"time"

	"distlabs/labrpc"
)

type Node struct{ inbox chan int }

func Start(node *labrpc.Node) *Node {
	n := &Node{inbox: make(chan int)}
	go n.serve()
	go n.tick()
	return n
}

func (n *Node) serve() {
	for range n.inbox {
	}
}

func (n *Node) tick() {
	for {
		time.Sleep(time.Second)
	}
}
