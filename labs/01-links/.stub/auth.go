package links

import "distlabs/labrpc"

// An Authenticated link delivers what its peers sent, exactly once, and nothing else (rules 12 and 13),
// though an adversary reads, drops, alters, forges, repeats and redirects packets. What is
// not genuine leaves no trace (rule 14).
//
// All methods may be called by several goroutines at once.
type Authenticated struct {
	node    *labrpc.Node
	keys    map[labrpc.NodeID][]byte
	deliver Deliver
	// TODO(1D): the links beneath.
}

// NewAuthenticated makes the link of one node. Each node has at most one.
// keys holds the secret that this node shares with each peer, and with nobody else.
func NewAuthenticated(node *labrpc.Node, keys map[labrpc.NodeID][]byte, deliver Deliver) *Authenticated {
	// TODO(1D): make the links beneath so that they trust no packet that you have not checked.
	return &Authenticated{node: node, keys: keys, deliver: deliver}
}

// Send sees to it that msg is delivered exactly once at to. It returns at
// once, and the caller may change msg afterwards.
//
// The content may travel in the clear: the link is authenticated, not secret.
func (a *Authenticated) Send(to labrpc.NodeID, msg []byte) {
	// TODO(1D): seal it with the key of that peer (crypto/hmac).
}
