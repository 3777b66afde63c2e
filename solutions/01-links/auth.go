package links

import (
	"crypto/hmac"
	"crypto/sha256"

	"distlabs/labrpc"
)

// An Authenticated link delivers what its peers sent, exactly once, and
// nothing else, though an adversary reads, alters, forges, repeats and redirects packets.
//
// All methods may be called by several goroutines at once.
type Authenticated struct {
	node *labrpc.Node
	keys map[labrpc.NodeID][]byte
	link *Reliable
}

// A sealed packet. Everything that the links above it believe is under the MAC: numbers and acknowledgements
// too, or a forged acknowledgement would silence a message that never arrived.
type sealed struct {
	Packet []byte
	MAC    []byte
}

// NewAuthenticated makes the link of one node. Each node has at most one.
// keys holds the secret that this node shares with each peer, and with nobody else.
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

// Send sees to it that msg is delivered once at to. It does not wait for that, and keeps a copy of its own.
// A message to a node with which we share no key goes nowhere.
func (a *Authenticated) Send(to labrpc.NodeID, msg []byte) {
	if a.keys[to] != nil {
		a.link.Send(to, msg)
	}
}

func (a *Authenticated) transmit(to labrpc.NodeID, p packet) {
	data := encode(p)
	// An error means that the packet is lost.
	_ = labrpc.Send(a.node, to, "sealed", sealed{Packet: data, MAC: mac(a.keys[to], a.node.ID(), to, data)})
}

// open returns the packet if the peer named by the network did seal it for us. A forgery leaves no trace:
// no memory, no answer.
func (a *Authenticated) open(from labrpc.NodeID, s sealed) (p packet, genuine bool) {
	key := a.keys[from]
	// hmac.Equal and not bytes.Equal: how long that one takes tells the forger how many bytes were right.
	if key == nil || !hmac.Equal(s.MAC, mac(key, from, a.node.ID(), s.Packet)) {
		return packet{}, false
	}
	return p, labrpc.Unmarshal(s.Packet, &p) == nil
}

// mac binds a packet to its sender and its receiver. Both share the key, so without them what we sent could come
// back to us as if the peer had said it.
func mac(key []byte, from, to labrpc.NodeID, data []byte) []byte {
	h := hmac.New(sha256.New, key)
	// Encoded as one value, and not written one after the other, so that no two different packets give the same bytes.
	h.Write(encode(struct {
		From, To labrpc.NodeID
		Packet   []byte
	}{from, to, data}))
	return h.Sum(nil)
}
