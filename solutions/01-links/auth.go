package links

import (
	"crypto/hmac"
	"crypto/sha256"

	"distlabs/labrpc"
)

// An Authenticated link delivers exactly once every message that its peers sent, and no other message, although an
// adversary reads, alters, forges, repeats and redirects packets.
//
// All methods may be called by several goroutines at once.
type Authenticated struct {
	node *labrpc.Node
	keys map[labrpc.NodeID][]byte
	link *Reliable
}

// A sealed packet. The MAC covers the whole packet of the link above, with its number and its kind: otherwise a forged
// acknowledgement would stop a message that has not arrived.
type sealed struct {
	Packet []byte
	MAC    []byte
}

// NewAuthenticated makes the link of one node. Each node has at most one.
// keys holds, for each peer, the secret, of one byte or more, that only this node and that peer know.
func NewAuthenticated(node *labrpc.Node, keys map[labrpc.NodeID][]byte, deliver Deliver) *Authenticated {
	a := &Authenticated{node: node, keys: keys, link: newReliable(deliver)}
	stubborn := newStubborn(node, a.link.receive, a.transmit)
	a.link.link = stubborn
	labrpc.Receive(node, "sealed", func(from labrpc.NodeID, s sealed) {
		if p, genuine := a.open(from, s); genuine {
			stubborn.receive(from, p)
		}
	})
	return a
}

// Send starts to send msg to the node to, and returns at once. It keeps a copy of msg.
// It sends nothing to a node with which this node shares no key.
func (a *Authenticated) Send(to labrpc.NodeID, msg []byte) {
	if a.keys[to] != nil {
		a.link.Send(to, msg)
	}
}

func (a *Authenticated) transmit(to labrpc.NodeID, p packet) {
	data := encode(p)
	// After an error, the packet counts as lost.
	_ = labrpc.Send(a.node, to, "sealed", sealed{Packet: data, MAC: mac(a.keys[to], a.node.ID(), to, data)})
}

// open returns the packet if the peer that the network names has sealed it for this node. A forgery changes nothing,
// and is not answered.
func (a *Authenticated) open(from labrpc.NodeID, s sealed) (p packet, genuine bool) {
	key := a.keys[from]
	// hmac.Equal takes the same time for all MACs. The time of bytes.Equal tells a forger how many bytes are right.
	if key == nil || !hmac.Equal(s.MAC, mac(key, from, a.node.ID(), s.Packet)) {
		return packet{}, false
	}
	return p, labrpc.Unmarshal(s.Packet, &p) == nil
}

// mac covers the packet, its sender and its receiver. Both nodes have the same key: without the two names, the
// adversary could send a node's own packets back to it in the name of the peer.
func mac(key []byte, from, to labrpc.NodeID, data []byte) []byte {
	h := hmac.New(sha256.New, key)
	// One encoded value: if the fields were only joined, two different packets could give the same bytes.
	h.Write(encode(struct {
		From, To labrpc.NodeID
		Packet   []byte
	}{from, to, data}))
	return h.Sum(nil)
}
