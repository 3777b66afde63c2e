package election_test

import (
	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
)

// A knowledge is, for each node, the nodes from which a message has reached it, directly or through other nodes. Nodes share
// nothing except messages, so a node can know of no other node.
type knowledge struct {
	net   *labrpc.Network
	links map[labrpc.Match]int // the messages that were delivered
	of    map[labrpc.NodeID]map[labrpc.NodeID]bool
}

func newKnowledge(s *labtest.Sim) *knowledge {
	k := &knowledge{net: s.Net, links: map[labrpc.Match]int{}, of: map[labrpc.NodeID]map[labrpc.NodeID]bool{}}
	k.forget(s.Net.Nodes()...)
	return k
}

// forget makes nodes know only themselves.
func (k *knowledge) forget(ids ...labrpc.NodeID) {
	k.update()
	for _, id := range ids {
		k.of[id] = map[labrpc.NodeID]bool{id: true}
	}
}

// update adds what the messages that were delivered since the last call can have told: rather too much than too little, as their order is
// not known.
func (k *knowledge) update() {
	type link struct{ from, to labrpc.NodeID }
	var used []link
	for _, to := range k.net.Nodes() {
		for _, from := range k.net.Nodes() {
			if k.moved(labrpc.Match{From: from, To: to}) {
				used = append(used, link{from, to})
			}
		}
	}
	for more := true; more; {
		more = false
		for _, l := range used {
			for id := range k.of[l.from] {
				more = more || !k.of[l.to][id]
				k.of[l.to][id] = true
			}
		}
	}
}

// moved reports whether messages that match were delivered since the last call.
func (k *knowledge) moved(match labrpc.Match) bool {
	now := k.net.Stats(match).Delivered
	before := k.links[match]
	k.links[match] = now
	return now > before
}
