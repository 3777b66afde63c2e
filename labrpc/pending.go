package labrpc

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"unsafe"
)

// A pendingCall waits for its first reply. It has room for one reply at a time, as a channel has: once the caller has taken
// the first or has gone without one, one more counts as delivered, though nobody reads it, and all others as lost.
type pendingCall struct {
	node  *Node
	state atomic.Uint32
	done  chan struct{} // receives once the state is answered
	out   outcome       // then
}

// The states of a pendingCall.
const (
	callWaits    = iota
	callAnswered // a reply has come, and the caller has not taken it
	callGone     // the caller has taken it, or has gone without one
	callLate     // and one more reply came after that
)

type outcome struct {
	m   *message
	err error
}

// answer takes the outcome if there is room. The caller's goroutine learns of the
// outcome, the race detector does not. One at a time may call it.
//
//go:norace
func (c *pendingCall) answer(out outcome) (taken bool) {
	raceDisable()
	defer raceEnable()
	if c.state.Load() == callWaits {
		c.out = out
		if c.state.CompareAndSwap(callWaits, callAnswered) {
			c.done <- struct{}{}
			return true
		}
	}
	return c.state.CompareAndSwap(callGone, callLate)
}

// wait returns the outcome of the call.
//
//go:norace
func (c *pendingCall) wait(ctx context.Context, n *Node, to NodeID, method string, reply *plan) outcome {
	select {
	case <-c.done:
		raceDisable()
		c.state.Store(callGone)
		raceEnable()
		n.bells.put(c.done)
		return c.outcome(n, to, method, reply)
	case <-n.ctx.Done():
		c.leave()
		return outcome{err: n.fail(to, method, ErrDown, nil)}
	case <-ctx.Done():
		c.leave()
		if n.isDown() {
			return outcome{err: n.fail(to, method, ErrDown, nil)}
		}
		return outcome{err: n.fail(to, method, ErrNoReply, ctx.Err())}
	}
}

//go:norace
func (c *pendingCall) outcome(n *Node, to NodeID, method string, reply *plan) outcome {
	out := c.out
	if out.err != nil {
		raceAcquire(unsafe.Pointer(c)) // the network made the error
		return out
	}
	if out.m.plan != reply {
		why := fmt.Errorf("the handler of %v returns %v, the caller expects %v", to, out.m.plan.typ, reply.typ)
		out.err = n.fail(to, method, ErrType, why)
	}
	return out
}

// leave ends the wait without a reply.
//
//go:norace
func (c *pendingCall) leave() {
	raceDisable()
	if !c.state.CompareAndSwap(callWaits, callGone) {
		<-c.done // the reply came at the same instant
	}
	raceEnable()
	c.node.bells.put(c.done)
}

// bells are the channels of a node's calls that have ended, to be used again: a channel is most of what a call costs
// to make. A channel belongs to one synctest bubble, so each node has bells of its own.
//
// Under the race detector each call has a new one: a channel orders its users, those of two calls as well.
type bells struct {
	mu   sync.Mutex
	free []chan struct{}
}

// maxBells is how many channels a node keeps; more calls at once than that are rare.
const maxBells = 64

//go:norace
func (b *bells) take() chan struct{} {
	if !raceEnabled {
		b.mu.Lock()
		defer b.mu.Unlock()
		if last := len(b.free) - 1; last >= 0 {
			c := b.free[last]
			b.free = b.free[:last]
			return c
		}
	}
	return make(chan struct{}, 1)
}

// put takes back an empty channel that nobody uses any more.
//
//go:norace
func (b *bells) put(c chan struct{}) {
	if raceEnabled {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.free) < maxBells {
		b.free = append(b.free, c)
	}
}
