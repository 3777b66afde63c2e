package labrpc

import (
	"fmt"
	"time"
	"unsafe"
)

// A Scheduler decides what a network does next, in place of links and their latencies: with one, schedules can be searched
// instead of sampled. Give it in [Options.Scheduler]; the network must be in virtual time.
//
// Every message that is sent stays pending until the scheduler delivers or loses it, and time does not
// pass before it says so. Between two steps everything runs until it waits: ordinary code with goroutines, locks and
// timers needs no change. The same seed and the same steps are the same run.
type Scheduler interface {
	// Next is asked at a quiescent point, when every node and every goroutine of the test waits. pending is what was
	// sent and has not arrived, in the order of sending; it is valid until Next returns. A message to a node that is down is lost if
	// it is delivered.
	//
	// Next is called one at a time. Unlike an observer, it may call those methods of the network that do not wait, such
	// as [Network.Crash] and [Network.Start]; what a node does about that is seen at the next quiescent point: see Settle.
	Next(pending []Pending) Step
}

// Pending is a message that was sent and has not arrived.
type Pending struct {
	From, To NodeID
	Method   string
	Kind     MessageKind
	Number   uint64 // its number on its link among those of its method and kind, from 1
	Copy     int    // how many copies were delivered already

	m *message
}

// Body returns a copy of the value sent.
func (p *Pending) Body() any { return p.m.view().Body }

// A Step is what a [Scheduler] wants to happen.
type Step struct {
	Do      Do
	Message int           // which of the pending ones, for those that are about one
	Limit   time.Duration // for Wait: how long at most
}

// Do says what happens in a [Step].
type Do int

// What may happen.
const (
	// Settle lets everything run until it waits, and asks again.
	Settle Do = iota
	// Deliver brings the message to its receiver.
	Deliver
	// DeliverCopy does too, and keeps the message pending: it will arrive twice, or be lost the second time.
	DeliverCopy
	// Lose loses it.
	Lose
	// Wait lets time pass until a timer makes a node send or tell something or crash, or until Limit is over. What a
	// node does that nobody else can notice does not end it.
	Wait
)

// pend keeps a message for the scheduler. The caller holds net.mu.
func (net *Network) pend(m *message) {
	net.pending = append(net.pending, Pending{From: m.from, To: m.to, Method: m.method, Kind: m.kind, Number: m.number, m: m})
}

// choose asks the scheduler and does what it says. Nobody else runs meanwhile. items are what the nodes have just done; idle is how long nothing
// else is due. It returns how long to sleep, unless something was done.
func (net *Network) choose(items []*item, idle time.Duration) (wait time.Duration, done bool) {
	if left := net.waitUntil - net.now(); left > 0 && !eventful(items) {
		return sooner(idle, left), false
	}
	net.waitUntil = 0
	before := len(net.newborn)
	step := net.opts.Scheduler.Next(net.pending)
	net.mu.Lock()
	defer net.mu.Unlock()
	// What the scheduler has started is complete; what another has waits for its starter to wait.
	for _, n := range net.newborn[before:] {
		raceRelease(unsafe.Pointer(n))
	}
	net.newborn = net.newborn[:before]
	if net.closed {
		return 0, true
	}
	switch step.Do {
	case Settle:
	case Wait:
		limit := max(step.Limit, 1)
		net.waitUntil = net.now() + limit
		return sooner(idle, limit), false
	case Deliver, DeliverCopy, Lose:
		net.settle(step)
	default:
		panic(fmt.Sprintf("labrpc: the scheduler asks for step %d, which there is not", step.Do))
	}
	return 0, true
}

// settle does what a step says about a message. The caller holds net.mu.
func (net *Network) settle(step Step) {
	if step.Message < 0 || step.Message >= len(net.pending) {
		panic(fmt.Sprintf("labrpc: the scheduler chooses message %d of %d", step.Message, len(net.pending)))
	}
	p := &net.pending[step.Message]
	d := delivery{m: p.m, copy: p.Copy}
	if step.Do == DeliverCopy {
		copied, err := p.m.plan.clone(p.m.body)
		if err != nil {
			return
		}
		p.Copy++
		net.observe(EventDuplicated, p.m, p.Copy, "")
		p.m.stream.stats.Duplicated++
		p.m = p.m.twin(copied)
	} else {
		copy(net.pending[step.Message:], net.pending[step.Message+1:])
		net.pending[len(net.pending)-1] = Pending{}
		net.pending = net.pending[:len(net.pending)-1]
	}
	if step.Do == Lose {
		net.lose(d, "loss")
		return
	}
	net.deliver(d)
}

// eventful reports whether the items hold more than remarks: these are made only when somebody observes, and that must
// not change the run.
func eventful(items []*item) bool {
	for _, it := range items {
		switch it.kind {
		case itemTell, itemSend, itemCrash, itemWait:
			return true
		}
	}
	return false
}

// sooner is the shorter of two waits, of which the first may be -1 for none.
func sooner(idle, limit time.Duration) time.Duration {
	if idle < 0 {
		return limit
	}
	return min(idle, limit)
}
