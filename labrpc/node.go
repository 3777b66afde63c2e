package labrpc

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"sync"
	"sync/atomic"
	"unsafe"
)

// A NodeID names a node. The first is 1, so that the zero value means "none".
type NodeID int

// String returns "n1" for node 1, and "none" for 0.
func (id NodeID) String() string {
	if id == 0 {
		return "none"
	}
	return fmt.Sprintf("n%d", int(id))
}

// A Node is one incarnation of one machine: what student code is given to run on. When
// the machine crashes and starts again, the new incarnation gets a Node of its own.
//
// All methods may be called by several goroutines at once.
type Node struct {
	net    *Network
	host   *host
	inc    int
	ctx    context.Context
	cancel context.CancelFunc
	down   atomic.Bool
	rand   *rand.Rand
	bells  bells

	mu       sync.Mutex
	handlers map[string]*handler
}

// ID returns the node's own ID.
func (n *Node) ID() NodeID { return n.host.id }

// Peers returns the IDs of all other nodes, ascending. The slice is the caller's.
func (n *Node) Peers() []NodeID {
	var ids []NodeID
	for _, id := range n.net.Nodes() {
		if id != n.ID() {
			ids = append(ids, id)
		}
	}
	return ids
}

// Context ends when this incarnation crashes or is stopped. Every goroutine that the node starts must end
// soon after.
func (n *Node) Context() context.Context { return n.ctx }

// Rand returns the node's own random numbers, which follow from the seed: use them
// (math/rand/v2) in place of the global ones, so that a failure can be seen again. Several goroutines may use it.
func (n *Node) Rand() *rand.Rand { return n.rand }

// Clock returns the node's own wall clock.
func (n *Node) Clock() *Clock { return n.host.clock }

// Disk returns what survives a crash.
func (n *Node) Disk() *Disk { return n.host.disk.view(n) }

// Logf writes a line into the record of the run, shown when a test fails.
func (n *Node) Logf(format string, args ...any) {
	if n.net.opts.Observe != nil {
		n.push(itemLog, "", fmt.Sprintf(format, args...))
	}
}

// Note says that a named piece of the node's state has this value from now on,
// such as Note("role", "leader") or Note("term", 3): diagrams show it beside the node. The value is printed with fmt.Sprint.
func (n *Node) Note(name string, value any) {
	if n.net.opts.Observe != nil {
		n.push(itemNote, name, fmt.Sprint(value))
	}
}

// isDown reports whether this incarnation is over.
func (n *Node) isDown() bool { return n.down.Load() }

// fence ends this incarnation: nothing that it does from now on has any effect.
func (n *Node) fence() {
	n.down.Store(true)
	n.cancel()
}

// A handler answers one method. It is called with the receiver's private copy of the value.
type handler struct {
	arg, reply reflect.Type // reply is nil for one-way messages
	run        func(m *message)
}

func (n *Node) register(method string, h *handler) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, twice := n.handlers[method]; twice {
		panic(fmt.Sprintf("labrpc: %v registers %q twice", n.ID(), method))
	}
	n.handlers[method] = h
	raceRelease(unsafe.Pointer(h))
}

func (n *Node) handler(method string) *handler {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.handlers[method]
}

// methods lists what the node answers, for an error message.
func (n *Node) methods() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return sortedKeys(n.handlers)
}

// lockedSource makes a seeded source safe for several goroutines.
type lockedSource struct {
	mu  sync.Mutex
	src *rand.PCG
}

func newRand(seed uint64) *rand.Rand {
	return rand.New(&lockedSource{src: rand.NewPCG(seed, mix(seed))})
}

func (s *lockedSource) Uint64() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.src.Uint64()
}
