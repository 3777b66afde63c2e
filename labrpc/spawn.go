package labrpc

import "unsafe"

// startHandler runs a handler in a goroutine of its own.
//
//go:norace
func (net *Network) startHandler(n *Node, h *handler, m *message) {
	m.receiver = n
	m.handler = h
	if net.jobs == nil {
		go m.run()
		return
	}
	raceDisable()
	net.jobs <- m
	raceEnable()
}

// spawn starts the handlers when the race detector watches virtual time. A goroutine is ordered after all that its starter
// knows; this starter knows nothing, so the race detector sees a handler's accesses as unordered with every other of its node.
//
//go:norace
func (net *Network) spawn() {
	for {
		raceDisable()
		m := <-net.jobs
		raceEnable()
		if m == nil {
			return
		}
		go m.run()
	}
}

// endSpawn ends spawn.
//
//go:norace
func (net *Network) endSpawn() {
	if net.jobs != nil {
		raceDisable()
		net.jobs <- nil
		raceEnable()
	}
}

//go:norace
func (m *message) run() {
	raceAcquire(unsafe.Pointer(m.handler))  // what the node did before it registered the handler
	raceAcquire(unsafe.Pointer(m.receiver)) // and what its starter did before it first waited
	m.handler.run(m)
}
