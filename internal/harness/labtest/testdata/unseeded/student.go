// Package unseeded draws from the global random numbers.
package unseeded

import (
	"math/rand/v2"
	"time"

	"distlabs/labrpc"
)

func Start(node *labrpc.Node) {
	labrpc.Receive(node, "hello", func(labrpc.NodeID, int) {})
	go func() {
		for node.Context().Err() == nil {
			time.Sleep(time.Duration(10+rand.IntN(1_000_000)) * time.Microsecond)
			labrpc.Send(node, node.Peers()[0], "hello", 1)
		}
	}()
}
