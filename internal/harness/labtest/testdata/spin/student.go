// Package spin polls in a loop.
package spin

import (
	"sync/atomic"

	"distlabs/labrpc"
)

type Node struct{ heard atomic.Int64 }

func Start(node *labrpc.Node) *Node {
	n := &Node{}
	go func() {
		for n.heard.Load() == 0 {
		}
	}()
	return n
}
