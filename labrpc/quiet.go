package labrpc

import (
	"slices"
	"time"
	"unsafe"
)

// A waiter is a goroutine of the test that goes on only at quiescent points, when every node waits.
type waiter struct {
	ch    chan bool     // true: a step happened; false: the time is up, or the network closed
	until time.Duration // when the time is up; 0 for never
	steps bool          // wants to be woken at every step
	poll  time.Duration // and at least this often; 0 for no more than that
	gone  bool
}

// signal wakes the waiter.
func (w *waiter) signal(step bool) {
	select {
	case w.ch <- step:
	default:
	}
}

// wait waits for a signal. What the waiter did before is ordered before what the dispatcher does
// once it has seen that the waiter waits (seen), and that before what the waiter does next.
func (w *waiter) wait() bool {
	raceRelease(unsafe.Pointer(w))
	return <-w.ch
}

func (w *waiter) seen() { raceAcquire(unsafe.Pointer(w)) }

// admit takes a waiter in. The caller holds net.mu.
func (net *Network) admit(w *waiter) {
	w.seen()
	if w.steps {
		net.waiters = append(net.waiters, w)
	}
	if w.until > 0 {
		net.after(w.until-net.now(), func() {
			if !w.gone {
				net.dismiss(w)
				w.signal(false)
			}
		})
	}
	if w.poll > 0 {
		net.tick(w)
	}
}

// tick makes a step happen even when nothing else does. The caller holds net.mu.
func (net *Network) tick(w *waiter) {
	net.after(w.poll, func() {
		if !w.gone {
			net.moved = true
			net.tick(w)
		}
	})
}

func (net *Network) dismiss(w *waiter) {
	w.gone = true
	net.waiters = slices.DeleteFunc(slices.Clone(net.waiters), func(o *waiter) bool { return o == w })
}

// step lets each waiter run until it blocks again.
func (net *Network) step(watchers []*waiter) {
	for _, w := range watchers {
		w.signal(true)
		quiesce()
		w.seen()
	}
}

// born tells the race detector that the nodes which were started since the last call are complete. No message arrives before their
// starter waits, so what a constructor does after it has registered a handler is ordered before that handler.
func (net *Network) born() {
	net.lock()
	defer net.mu.Unlock()
	for _, n := range net.newborn {
		raceRelease(unsafe.Pointer(n))
	}
	net.newborn = nil
}

// join takes w in at the next quiescent point.
//
//go:norace
func (net *Network) join(w *waiter) {
	net.born()
	raceRelease(unsafe.Pointer(w))
	it := new(item)
	it.kind = itemWait
	it.wait = w
	net.submit(it)
}

// Run lets the network and its nodes run for d, and returns at a quiescent point: all that was due by then has
// happened, and every node waits. Tests use it in place of time.Sleep, and Run(0) in place of synctest.Wait, which the
// network itself is in. In real time it is time.Sleep.
func (net *Network) Run(d time.Duration) {
	if !net.virtual {
		time.Sleep(d)
		return
	}
	if net.isOpen() {
		w := &waiter{ch: make(chan bool, 1), until: net.now() + max(d, 1)}
		net.join(w)
		w.wait()
	}
}

// RunUntil lets the network run until cond holds, and at most for limit; it reports whether
// cond held. The caller's goroutine asks cond after every step, at a quiescent point, and at least every
// thousandth of limit (but not more often than every millisecond). In real time it asks every millisecond. cond may run the network, too.
func (net *Network) RunUntil(limit time.Duration, cond func() bool) bool {
	if cond() {
		return true
	}
	if !net.virtual {
		return net.poll(limit, cond)
	}
	if !net.isOpen() {
		return false
	}
	w := &waiter{
		ch: make(chan bool, 1), until: net.now() + max(limit, 1),
		steps: true, poll: max(limit/1000, time.Millisecond),
	}
	net.join(w)
	for w.wait() {
		if cond() {
			net.leave(w)
			return true
		}
		if net.now() > w.until { // cond has run the network itself, beyond limit
			net.leave(w)
			return false
		}
	}
	return cond()
}

// leave makes w no longer a waiter.
func (net *Network) leave(w *waiter) {
	net.lock()
	defer net.mu.Unlock()
	net.dismiss(w)
}

func (net *Network) poll(limit time.Duration, cond func() bool) bool {
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if cond() {
			return true
		}
	}
	return cond()
}

// OnStep calls f after every step, at a quiescent point, in a goroutine of its own, until the network is closed or f
// returns false: for rules that must hold at all times. In real time it calls f every millisecond.
func (net *Network) OnStep(f func() bool) {
	if !net.virtual {
		go func() {
			for net.isOpen() && f() {
				time.Sleep(time.Millisecond)
			}
		}()
		return
	}
	w := &waiter{ch: make(chan bool, 1), steps: true}
	net.join(w)
	go func() {
		for w.wait() {
			if !f() {
				net.leave(w)
				return
			}
		}
	}()
}

func (net *Network) isOpen() bool {
	net.lock()
	defer net.mu.Unlock()
	return !net.closed
}
