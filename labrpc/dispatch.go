package labrpc

import (
	"container/heap"
	"testing/synctest"
	"time"
)

// A queuedEvent happens at an instant of virtual time: a delivery, or a function.
type queuedEvent struct {
	due   time.Duration
	order uint64 // in which it was queued: breaks ties
	d     delivery
	f     func()
}

type eventQueue []queuedEvent

func (q eventQueue) Len() int { return len(q) }
func (q eventQueue) Less(i, j int) bool {
	if q[i].due != q[j].due {
		return q[i].due < q[j].due
	}
	return q[i].order < q[j].order
}
func (q eventQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *eventQueue) Push(x any)   { *q = append(*q, x.(queuedEvent)) }
func (q *eventQueue) Pop() any {
	old := *q
	last := len(old) - 1
	e := old[last]
	old[last] = queuedEvent{}
	*q = old[:last]
	return e
}

// schedule queues a delivery d from now. The caller holds net.mu.
func (net *Network) schedule(in time.Duration, d delivery) {
	if net.virtual {
		net.enqueue(queuedEvent{due: net.now() + in, d: d})
		return
	}
	if in <= 0 {
		net.deliver(d)
		return
	}
	time.AfterFunc(in, func() { net.locked(func() { net.deliver(d) }) })
}

// after queues a function. The caller holds net.mu, and so does the function.
func (net *Network) after(in time.Duration, f func()) {
	if net.virtual {
		net.enqueue(queuedEvent{due: net.now() + in, f: f})
		net.rouse()
		return
	}
	time.AfterFunc(in, func() { net.locked(f) })
}

func (net *Network) locked(f func()) {
	net.mu.Lock()
	defer net.mu.Unlock()
	if !net.closed {
		f()
	}
}

func (net *Network) enqueue(e queuedEvent) {
	net.order++
	e.order = net.order
	heap.Push(&net.queue, e)
}

// dispatch is the one goroutine that makes things happen in virtual time. It lets
// every node run until all of them wait, takes what they did in canonical order, and only then
// delivers one event: so the order in which the nodes' goroutines ran makes no difference.
func (net *Network) dispatch() {
	defer close(net.done)
	defer net.startHandler(nil)
	alarm := time.NewTimer(time.Hour)
	defer alarm.Stop()
	var items []*item
	for {
		quiesce()
		net.steps.Add(1)
		net.mu.Lock()
		items = net.gather(items[:0])
		if net.closed {
			net.mu.Unlock()
			return
		}
		if net.moved && len(net.waiters) > 0 {
			net.moved = false
			watchers := net.waiters
			net.mu.Unlock()
			net.step(watchers)
			continue
		}
		wait, done := net.next()
		net.mu.Unlock()
		if !done && net.opts.Scheduler != nil {
			wait, done = net.choose(items, wait)
		}
		if !done {
			net.sleep(alarm, wait)
		}
	}
}

// quiesce waits until every other goroutine of the bubble is durably blocked. The
// race detector must not take that for synchronisation between them: see race.go.
func quiesce() {
	raceDisable()
	synctest.Wait()
	raceEnable()
}

// gather takes what the nodes did since the last quiescent point. The caller holds net.mu.
func (net *Network) gather(items []*item) []*item {
	items = net.box.take(items)
	canonical(items)
	for _, it := range items {
		net.process(it)
	}
	return items
}

// next makes one due event happen; otherwise it returns how long to wait for the
// next, or -1 when there is none. The caller holds net.mu.
func (net *Network) next() (wait time.Duration, done bool) {
	if len(net.queue) == 0 {
		return -1, false
	}
	if wait = net.queue[0].due - net.now(); wait > 0 {
		return wait, false
	}
	e := heap.Pop(&net.queue).(queuedEvent)
	if e.f != nil {
		e.f()
	} else {
		net.deliver(e.d)
	}
	return 0, true
}

// sleep waits until the alarm, or until somebody does something.
func (net *Network) sleep(alarm *time.Timer, wait time.Duration) {
	net.asleep.Store(true)
	defer net.asleep.Store(false)
	if wait < 0 {
		<-net.wake
		return
	}
	alarm.Reset(wait)
	select {
	case <-alarm.C:
	case <-net.wake:
	}
}

// rouse wakes the dispatcher if it sleeps.
//
//go:norace
func (net *Network) rouse() {
	if !net.virtual {
		return
	}
	raceDisable()
	select {
	case net.wake <- struct{}{}:
	default:
	}
	raceEnable()
}
