package labrpc

import (
	"testing/synctest"
	"time"
)

// A queuedEvent happens at an instant of virtual time: a delivery, or a function.
type queuedEvent struct {
	due   time.Duration
	order uint64 // in which it was queued: breaks ties
	d     delivery
	f     func()
	own   bool // of a delivery: due is an instant at which nothing else arrives at that node
}

//go:norace
func (e *queuedEvent) before(o *queuedEvent) bool {
	if e.due != o.due {
		return e.due < o.due
	}
	return e.order < o.order
}

// eventQueue is a binary heap, the first event first. Package container/heap would box every event.
type eventQueue []queuedEvent

//go:norace
func (q *eventQueue) push(e queuedEvent) {
	h := append(*q, e)
	*q = h
	i := len(h) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if !e.before(&h[parent]) {
			break
		}
		h[i] = h[parent]
		i = parent
	}
	h[i] = e
}

//go:norace
func (q *eventQueue) pop() queuedEvent {
	h := *q
	first, last := h[0], len(h)-1
	e := h[last]
	h[last] = queuedEvent{}
	h = h[:last]
	*q = h
	if last == 0 {
		return first
	}
	i := 0
	for {
		child := 2*i + 1
		if child >= last {
			break
		}
		if child+1 < last && h[child+1].before(&h[child]) {
			child++
		}
		if !h[child].before(&e) {
			break
		}
		h[i] = h[child]
		i = child
	}
	h[i] = e
	return first
}

// schedule queues a delivery d from now. The caller holds net.mu.
//
//go:norace
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

//go:norace
func (net *Network) enqueue(e queuedEvent) {
	net.order++
	e.order = net.order
	net.queue.push(e)
}

// dispatch is the one goroutine that makes things happen in virtual time. It lets
// every node run until all of them wait, takes what they did in canonical order, and only then
// delivers one event: so the order in which the nodes' goroutines ran makes no difference.
func (net *Network) dispatch() {
	defer close(net.done)
	defer net.endSpawn()
	alarm := time.NewTimer(time.Hour)
	defer alarm.Stop()
	var items []*item
	for {
		quiesce()
		net.heard()
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
//
//go:norace
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
//
//go:norace
func (net *Network) next() (wait time.Duration, done bool) {
	now := net.now()
	for len(net.queue) > 0 {
		if wait = net.queue[0].due - now; wait > 0 {
			return wait, false
		}
		e := net.queue.pop()
		if e.f != nil {
			e.f()
			return 0, true
		}
		if !e.own {
			e.own, e.due = true, net.hosts[e.d.m.to].ownInstant(now)
			if e.due > now {
				net.queue.push(e)
				continue
			}
		}
		net.deliver(e.d)
		return 0, true
	}
	return -1, false
}

// sleep waits until the alarm, or until somebody does something.
func (net *Network) sleep(alarm *time.Timer, wait time.Duration) {
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

// heard takes back what rouse did before this quiescent point: gather will see what it was about.
//
//go:norace
func (net *Network) heard() {
	raceDisable()
	select {
	case <-net.wake:
	default:
	}
	raceEnable()
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
