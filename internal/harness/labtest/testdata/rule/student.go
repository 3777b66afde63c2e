// Package rule elects itself.
package rule

import (
	"time"

	"distlabs/labrpc"
)

type Node struct {
	node   *labrpc.Node
	leader chan bool
}

type Claim struct{ Term int }

func Start(node *labrpc.Node, onLeader func(term int)) {
	labrpc.Receive(node, "claim", func(labrpc.NodeID, Claim) {})
	time.AfterFunc(time.Duration(node.ID())*100*time.Millisecond, func() {
		node.Note("role", "leader")
		for _, p := range node.Peers() {
			labrpc.Send(node, p, "claim", Claim{Term: 1})
		}
		onLeader(1)
	})
}
