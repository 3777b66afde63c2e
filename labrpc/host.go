package labrpc

import (
	"context"
	"fmt"
	"time"
)

// A host is the machine under a node: what survives a crash.
type host struct {
	net     *Network
	id      NodeID
	node    *Node // the current incarnation; nil before the first and while down
	inc     int
	stopped bool
	spared  bool // a crash was suppressed
	disk    *Disk
	clock   *Clock

	pausedUntil time.Duration // 0 when not paused
	backlog     []delivery    // what arrived during the pause
	arrives     time.Duration // the last instant that is taken for an arrival; -1 before the first
}

func newHost(net *Network, id NodeID) *host {
	h := &host{net: net, id: id, clock: newClock(), arrives: -1}
	h.disk = newDisk(h)
	if net.carried != nil && net.carried.Local(id) {
		h.disk.keepIn(net.carried.Store(id))
	}
	return h
}

// Start begins a new incarnation of a node that is not up: its first, or a
// restart after [Network.Crash], with an empty memory and the disk as the last one left it. It
// panics if the node is up or was stopped forever.
//
// Register the node's handlers before the next message can arrive: in virtual time, before
// the caller waits for anything.
func (net *Network) Start(id NodeID) *Node {
	net.lock()
	defer net.mu.Unlock()
	h := net.host(id)
	if net.isElsewhere(id) {
		panic(fmt.Sprintf("labrpc: Start of %v, which runs in another process", id))
	}
	if h.node != nil && (h.node.isDown() || h.spared) {
		h.crash("") // at a disk write that the dispatcher does not know of yet, or a crash that was put off
	}
	if h.stopped || h.node != nil || net.closed {
		panic(fmt.Sprintf("labrpc: Start of %v, which is %s", id, h.state()))
	}
	h.inc++
	ctx, cancel := context.WithCancel(context.Background())
	h.node = &Node{
		net: net, host: h, inc: h.inc, ctx: ctx, cancel: cancel,
		rand:     newRand(hashOf(net.opts.Seed, 'r', uint64(id), uint64(h.inc))),
		handlers: map[string]*handler{},
	}
	h.disk.use()
	net.newborn = append(net.newborn, h.node)
	net.emit(Event{Kind: EventStarted, Node: id})
	return h.node
}

func (h *host) state() string {
	switch {
	case h.net.closed:
		return "on a closed network"
	case h.stopped:
		return "stopped forever"
	case h.node != nil:
		return "up"
	}
	return "down"
}

// Crash ends the current incarnation of a node: its context ends, its memory is lost
// with it, nothing that it still sends or writes has any effect, and what is under way to it
// is lost unless it has been started again by then. Its disk stays. A node that is down stays down.
func (net *Network) Crash(id NodeID) {
	net.lock()
	defer net.mu.Unlock()
	h := net.host(id)
	if h.node != nil && net.spares(FaultCrash, id) {
		h.spared = true
		return
	}
	h.crash("")
}

// Restart is Crash and Start: the node loses its memory and begins again at once.
func (net *Network) Restart(id NodeID) *Node {
	net.Crash(id)
	return net.Start(id)
}

// Stop is a crash forever: the node cannot be started again.
func (net *Network) Stop(id NodeID) {
	net.lock()
	defer net.mu.Unlock()
	h := net.host(id)
	if h.stopped {
		return
	}
	h.end()
	h.stopped = true
	net.emit(Event{Kind: EventStopped, Node: id})
}

// crash ends the incarnation and records it. The caller holds net.mu.
func (h *host) crash(reason string) {
	if h.node == nil {
		return
	}
	h.end()
	h.net.emit(Event{Kind: EventCrashed, Node: h.id, Reason: reason})
}

// end fences off the incarnation. The caller holds net.mu.
func (h *host) end() {
	if h.node == nil {
		return
	}
	h.node.fence()
	h.node, h.spared = nil, false
	h.disk.spare()
	h.pausedUntil = 0
	for _, d := range h.backlog {
		h.net.lose(d, "receiver down")
	}
	h.backlog = nil
}

// Up reports whether the node has an incarnation that runs.
func (net *Network) Up(id NodeID) bool {
	net.lock()
	defer net.mu.Unlock()
	n := net.host(id).node
	return n != nil && !n.isDown()
}

// Incarnation returns how often the node has been started.
func (net *Network) Incarnation(id NodeID) int {
	net.lock()
	defer net.mu.Unlock()
	return net.host(id).inc
}

// Pause makes a node stand still for d, as a garbage collector or a suspended
// machine does: what arrives waits, and what it sends leaves only when the pause is over. Go cannot
// stop another's goroutines, so the node's own timers go on; nobody outside can tell.
// Only what it hands over by [Tell] comes at once. A further pause extends the first; a crash ends it. A
// node that is down is not paused.
func (net *Network) Pause(id NodeID, d time.Duration) {
	net.lock()
	defer net.mu.Unlock()
	h := net.host(id)
	until := net.now() + d
	if h.node == nil || until <= h.pausedUntil || net.spares(FaultPause, id) {
		return
	}
	h.pausedUntil = until
	net.emit(Event{Kind: EventPaused, Node: id, Value: d.String()})
	node := h.node
	net.after(d, func() {
		if h.node == node && h.pausedUntil == until {
			h.resume()
		}
	})
}

// ownInstant returns the instant, from now on, at which something arrives that is due now: nothing else arrives then, and it comes after all that
// was due before it. What two messages begin at one instant, such as pauses of one length, would end at one instant too, and the
// order in which a node's goroutines wake at one instant no seed decides.
//
//go:norace
func (h *host) ownInstant(now time.Duration) time.Duration {
	h.arrives = max(now, h.arrives+1)
	return h.arrives
}

// resume delivers what waited, in order. The caller holds net.mu.
func (h *host) resume() {
	h.pausedUntil = 0
	h.net.emit(Event{Kind: EventResumed, Node: h.id})
	for i, d := range h.backlog {
		gap := time.Duration(i)
		if !h.net.virtual {
			gap = 0
		}
		h.net.schedule(gap, d)
	}
	h.backlog = nil
}
