// Package panic indexes an empty log.
package panic

import (
	"time"

	"distlabs/labrpc"
)

type Node struct{ log []int }

func Start(node *labrpc.Node) *Node {
	n := &Node{}
	go n.apply()
	return n
}

func (n *Node) apply() {
	time.Sleep(time.Second)
	n.last()
}

func (n *Node) last() int { return n.log[len(n.log)-1] }
