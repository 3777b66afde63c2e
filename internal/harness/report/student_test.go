//lint:file-ignore SA2001 the mistakes are on purpose
//lint:file-ignore S1000 likewise
//lint:file-ignore SA5007 likewise
package report

import (
	"sync"
	"time"
)

// student stands in for the code of a student: each method makes one mistake.
// The tests find the lines by the comments at their ends.
type student struct {
	mu    sync.Mutex
	other sync.Mutex
	rw    sync.RWMutex
	cond  *sync.Cond
	votes int
	log   map[int]int
	next  *student
}

func (n *student) vote() {
	n.mu.Lock() // vote waits
	n.votes = 1
	n.mu.Unlock()
}

func (n *student) voteAndMore() { n.mu.Lock(); defer n.mu.Unlock(); n.votes = 1 } // voteAndMore waits

func (n *student) holdAcrossReceive(ch chan int) {
	n.mu.Lock() // receive locks
	defer n.mu.Unlock()
	<-ch // receive blocks
}

func (n *student) holdAcrossSleep(late bool) {
	n.rw.RLock() // sleep locks
	if late {
		n.rw.RUnlock()
		return
	}
	n.pause()
	n.rw.RUnlock()
}

func (n *student) pause() {
	time.Sleep(1000 * time.Hour) // sleep blocks
}

func (n *student) write() {
	n.rw.Lock() // write waits
	n.rw.Unlock()
}

// releaseThenReceive is right: it holds nothing while it waits.
func (n *student) releaseThenReceive(ch chan int) {
	n.mu.Lock()
	if n.votes > 5 {
		n.mu.Unlock()
		return
	}
	n.mu.Unlock()
	select {
	case <-ch: // released blocks
	}
}

// waitCond is right: Wait gives the lock back.
func (n *student) waitCond() {
	n.mu.Lock()
	n.cond.Wait() // cond blocks
	n.mu.Unlock()
}

func (n *student) twice() {
	n.mu.Lock() // twice locks
	n.vote()
	n.mu.Unlock()
}

func (n *student) forget() {
	n.mu.Lock()
	if n.votes == 0 {
		return
	}
	n.mu.Unlock()
}

func (n *student) oneThenOther() {
	n.mu.Lock() // one locks
	time.Sleep(time.Second)
	n.other.Lock() // one waits
	n.other.Unlock()
	n.mu.Unlock()
}

func (n *student) otherThenOne() {
	n.other.Lock() // other locks
	time.Sleep(time.Second)
	n.mu.Lock() // other waits
	n.mu.Unlock()
	n.other.Unlock()
}

func (n *student) spin() {
	for n.next == nil { // spins
		n.votes++
	}
}

func (n *student) spinWithLock() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for n.next == nil { // spins with lock
		n.votes++
	}
}

func (n *student) race() {
	go func() { // race starts
		n.votes++ // race first
	}()
	n.votes = 2 // race second
	time.Sleep(time.Second)
}

func (n *student) nilMap() {
	n.log[1] = n.votes // nil map
}

func (n *student) nilPointer() int {
	return n.next.votes // nil pointer
}

func (n *student) index() int {
	return []int{1, 2, 3}[n.votes+5] // index
}

func (n *student) repanic() {
	defer func() {
		r := recover()
		panic(r)
	}()
	panic("first") // repanic
}

func (n *student) nested() {
	defer func() {
		panic("second")
	}()
	panic("first")
}

func (n *student) endless(depth int) int {
	return n.endless(depth+1) + 1 // endless
}

func (n *student) concurrentMap() {
	n.log = map[int]int{}
	go func() {
		for {
			n.log[1] = 2 // map other
		}
	}()
	for {
		n.log[2] = 3 // map one
	}
}

func (n *student) closeTwice() {
	ch := make(chan int)
	close(ch)
	close(ch) // closes
}
