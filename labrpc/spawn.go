package labrpc

import "unsafe"

// A job is one handler to be run for one message.
type job struct {
	n *Node
	h *handler
	m *message
}

//go:norace
func newJob(n *Node, h *handler, m *message) *job {
	j := new(job)
	j.n = n
	j.h = h
	j.m = m
	return j
}

// spawn starts the handlers, each in a goroutine of its own. A goroutine is
// ordered after all that its starter knows; this one knows nothing, so the
// race detector sees a handler's accesses as unordered with every other of its node.
//
//go:norace
func (net *Network) spawn() {
	for {
		raceDisable()
		j := <-net.jobs
		raceEnable()
		if j == nil {
			return
		}
		go j.run()
	}
}

// startHandler passes a job to spawn; nil ends it.
func (net *Network) startHandler(j *job) {
	raceDisable()
	net.jobs <- j
	raceEnable()
}

//go:norace
func (j *job) run() {
	raceAcquire(unsafe.Pointer(j.h)) // what the node did before it registered the handler
	raceAcquire(unsafe.Pointer(j.n)) // and what its starter did before it first waited
	j.h.run(j.m)
}
