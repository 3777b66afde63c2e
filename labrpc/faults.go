package labrpc

import "fmt"

// SetLink changes how one one-way link treats messages, from now on.
func (net *Network) SetLink(from, to NodeID, link Link) {
	net.lock()
	defer net.mu.Unlock()
	link.check()
	net.linkState(from, to).link = link
}

// SetLinks changes how every link treats messages, from now on.
func (net *Network) SetLinks(link Link) {
	net.lock()
	defer net.mu.Unlock()
	link.check()
	net.eachLink(func(l *linkState) { l.link = link })
}

// Cut cuts the one-way link from→to: what is sent on it, or is under way on it, is lost. The
// other direction stays as it is.
func (net *Network) Cut(from, to NodeID) {
	net.lock()
	defer net.mu.Unlock()
	l := net.linkState(from, to)
	if !net.spares(FaultCut, from) {
		net.cut(l)
	}
}

// CutBoth cuts the links between a and b in both directions.
func (net *Network) CutBoth(a, b NodeID) {
	net.lock()
	defer net.mu.Unlock()
	there, back := net.linkState(a, b), net.linkState(b, a)
	if !net.spares(FaultCut, a) {
		net.cut(there)
		net.cut(back)
	}
}

// Isolate cuts a node off from all others, in both directions.
func (net *Network) Isolate(id NodeID) {
	net.lock()
	defer net.mu.Unlock()
	net.host(id)
	if net.spares(FaultCut, id) {
		return
	}
	net.eachLink(func(l *linkState) {
		if l.from == id || l.to == id {
			net.cut(l)
		}
	})
}

// Partition divides the nodes: only those in one group can talk. Nodes that are in no group
// form one more. It adds to the cuts that there are: links within a group stay as they are. It panics if a node is named twice.
func (net *Network) Partition(groups ...[]NodeID) {
	net.lock()
	defer net.mu.Unlock()
	side := make([]int, len(net.hosts))
	for i, g := range groups {
		for _, id := range g {
			net.host(id)
			if side[id] != 0 {
				panic(fmt.Sprintf("labrpc: Partition names %v twice", id))
			}
			side[id] = i + 1
		}
	}
	if net.spares(FaultCut, 0) {
		return
	}
	net.eachLink(func(l *linkState) {
		if side[l.from] != side[l.to] {
			net.cut(l)
		}
	})
}

// HealLink undoes a cut of the one-way link from→to.
func (net *Network) HealLink(from, to NodeID) {
	net.lock()
	defer net.mu.Unlock()
	net.healLink(net.linkState(from, to))
}

// HealBoth undoes every cut between a and b.
func (net *Network) HealBoth(a, b NodeID) {
	net.lock()
	defer net.mu.Unlock()
	net.healLink(net.linkState(a, b))
	net.healLink(net.linkState(b, a))
}

// Heal undoes every cut. Nodes that are down stay down, and held messages stay held.
func (net *Network) Heal() {
	net.lock()
	defer net.mu.Unlock()
	net.eachLink(net.healLink)
}

// Connected reports whether the one-way link from→to carries messages.
func (net *Network) Connected(from, to NodeID) bool {
	net.lock()
	defer net.mu.Unlock()
	return !net.linkState(from, to).isCut
}

func (net *Network) cut(l *linkState) {
	if l.isCut {
		return
	}
	l.isCut = true
	net.emit(Event{Kind: EventCut, From: l.from, To: l.to})
}

func (net *Network) healLink(l *linkState) {
	if !l.isCut {
		return
	}
	l.isCut = false
	net.emit(Event{Kind: EventHealed, From: l.from, To: l.to})
}

func (net *Network) linkState(from, to NodeID) *linkState {
	net.host(from)
	net.host(to)
	if from == to {
		panic(fmt.Sprintf("labrpc: the link from %v to itself cannot be changed", from))
	}
	return net.links[from][to]
}

// eachLink calls f for every link between two nodes, in order. The caller holds net.mu.
func (net *Network) eachLink(f func(*linkState)) {
	for _, row := range net.links[1:] {
		for _, l := range row[1:] {
			if l.from != l.to {
				f(l)
			}
		}
	}
}
