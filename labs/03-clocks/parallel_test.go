package clocks_test

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"distlabs/internal/harness/labtest"
)

// inParallel makes n goroutines call f at once, each so many times per round; virtual time moves between the rounds. f
// is given the goroutine's number and the call's, both from 0.
//
// The grader allows one thread, on which goroutines interrupt each other every 10 ms only. Here they have one each, so
// that two can be between any two instructions of a method; and in every other round another goroutine stops them all
// the time, so that they go on in another order, also on a machine with one processor.
func inParallel(s *labtest.Sim, n, rounds, each int, f func(g, call int)) {
	defer labtest.Threads(n)()
	for round := range rounds {
		var over atomic.Bool
		var interrupts sync.WaitGroup
		if round%2 == 0 {
			interrupts.Go(func() {
				var unused runtime.MemStats
				for !over.Load() {
					runtime.ReadMemStats(&unused) // stops all goroutines briefly
				}
			})
		}
		var begin, end sync.WaitGroup
		begin.Add(n)
		for g := range n {
			end.Go(func() {
				begin.Done()
				begin.Wait() // the first must not be done before the last begins
				for i := range each {
					f(g, round*each+i)
				}
			})
		}
		end.Wait()
		over.Store(true)
		interrupts.Wait()
		s.Run(time.Second)
	}
}

// occupy keeps a processor busy for some tenths of a millisecond. Called by code that holds a mutex, it makes others
// wait for the mutex so long that each Unlock hands it over to one of them (see the documentation of sync.Mutex): who
// then unlocks and locks again between two halves of one step is overtaken in between.
func occupy() (x uint64) {
	for i := range uint64(200_000) {
		x = x*6364136223846793005 + i
	}
	return x
}

const stampers = 4

// ticks reports whether call i of a goroutine is one of Tick, and not of Receive.
func ticks(g, i int) bool { return (g+i/2)%2 == 0 }

// stampedBy names the call that returned a timestamp of stampInParallel, by its place among all.
func stampedBy(at int) string {
	g, i := at%stampers, at/stampers
	name := "Receive"
	if ticks(g, i) {
		name = "Tick"
	}
	return fmt.Sprintf("%s (call %d of goroutine %d)", name, i+1, g+1)
}

// stampInParallel calls tick and receive from several goroutines at once, and returns what they returned: call i of goroutine g
// at i*stampers+g.
func stampInParallel[T any](s *labtest.Sim, rounds, each int, tick, receive func() T) []T {
	stamps := make([]T, stampers*rounds*each)
	inParallel(s, stampers, rounds, each, func(g, i int) {
		if ticks(g, i) {
			stamps[stampers*i+g] = tick()
		} else {
			stamps[stampers*i+g] = receive()
		}
	})
	return stamps
}
