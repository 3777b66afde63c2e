package labrpc

import (
	"sync"
	"unsafe"
)

// startHandler runs a handler in a goroutine of its own. The caller holds net.mu.
//
//go:norace
func (net *Network) startHandler(n *Node, h *handler, m *message) {
	m.receiver = n
	m.handler = h
	switch {
	case net.jobs != nil:
		raceDisable()
		net.jobs <- m
		raceEnable()
	case net.virtual || raceEnabled:
		go m.run()
	default:
		net.crew.run(m)
	}
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

// A crew are goroutines that run one handler after another, in real time without the race detector: a new goroutine
// has a small stack, and to grow it took a third of the time of a call.
type crew struct {
	mu     sync.Mutex
	idle   []chan *message // one for each that waits for work, in the order in which they began to wait
	closed bool
}

// maxIdle is how many goroutines wait for work; more handlers at once than that are rare.
const maxIdle = 64

func (c *crew) run(m *message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := len(c.idle) - 1
	if last < 0 {
		go c.work(m)
		return
	}
	c.idle[last] <- m
	c.idle = c.idle[:last]
}

func (c *crew) work(m *message) {
	inbox := make(chan *message, 1)
	for m != nil {
		m.run()
		if !c.rest(inbox) {
			return
		}
		m = <-inbox
	}
}

// rest adds a goroutine to those that wait for work; false if it is not needed.
func (c *crew) rest(inbox chan *message) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || len(c.idle) == maxIdle {
		return false
	}
	c.idle = append(c.idle, inbox)
	return true
}

// dismiss ends the goroutines that wait, and lets the others end when their handler returns.
func (c *crew) dismiss() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, inbox := range c.idle {
		close(inbox)
	}
	c.idle = nil
}
