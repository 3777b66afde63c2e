package links

import "distlabs/labrpc"

// An Authenticated link delivers exactly once every message that its peers sent, and no other message (rules 12 and 13),
// although an adversary reads, drops, alters, forges, repeats and redirects packets. A forged packet has no effect
// (rule 14).
//
// All methods may be called by several goroutines at once.
type Authenticated struct {
	node    *labrpc.Node
	keys    map[labrpc.NodeID][]byte
	deliver Deliver
	// TODO(1D): the links below.
}

// NewAuthenticated makes the link of one node. Each node has at most one.
// keys holds, for each peer, the secret, of one byte or more, that only this node and that peer know. The caller does not change it afterwards.
func NewAuthenticated(node *labrpc.Node, keys map[labrpc.NodeID][]byte, deliver Deliver) *Authenticated {
	// TODO(1D): make the links below so that they take only packets that you have checked.
	return &Authenticated{node: node, keys: keys, deliver: deliver}
}

// Send makes the node to deliver msg exactly once. It returns at
// once, and the caller may change msg afterwards. It sends nothing to a node without a key (rule 12).
//
// The content travels in the clear: the link is authenticated, not secret.
func (a *Authenticated) Send(to labrpc.NodeID, msg []byte) {
	// TODO(1D): seal it with the key of that peer (crypto/hmac).
}
