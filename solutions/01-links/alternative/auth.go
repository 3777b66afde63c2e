package links

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"

	"distlabs/labrpc"
)

// An Authenticated link delivers exactly the messages of its peers, once each. A packet begins with its MAC.
type Authenticated struct {
	node *labrpc.Node
	keys map[labrpc.NodeID][]byte
	*Reliable
}

// NewAuthenticated makes the link of one node.
func NewAuthenticated(node *labrpc.Node, keys map[labrpc.NodeID][]byte, deliver Deliver) *Authenticated {
	a := &Authenticated{node: node, keys: keys, Reliable: newReliable(deliver)}
	a.below = newStubborn(node, a.take, func(to labrpc.NodeID, packet []byte) {
		_ = labrpc.Send(node, to, "sealed", append(a.mac(node.ID(), to, to, packet), packet...))
	})
	labrpc.Receive(node, "sealed", func(from labrpc.NodeID, p []byte) {
		if len(keys[from]) > 0 && len(p) > sha256.Size && hmac.Equal(p[:sha256.Size], a.mac(from, node.ID(), from, p[sha256.Size:])) {
			a.below.take(from, p[sha256.Size:])
		}
	})
	return a
}

// Send starts to send msg to the node to, if the two share a key.
func (a *Authenticated) Send(to labrpc.NodeID, msg []byte) {
	if len(a.keys[to]) > 0 {
		a.Reliable.Send(to, msg)
	}
}

func (a *Authenticated) mac(from, to, peer labrpc.NodeID, packet []byte) []byte {
	h := hmac.New(sha256.New, a.keys[peer])
	fmt.Fprintf(h, "%d to %d: ", from, to)
	h.Write(packet)
	return h.Sum(nil)
}
