package clocks_test

import (
	"runtime"
	"sync"
	"time"

	"distlabs/internal/harness/labtest"
)

// inParallel makes n goroutines call f at once, each so many times per round; virtual time moves between the rounds. f
// is given the goroutine's number and the call's, both from 0.
//
// The grader allows one thread, on which goroutines interrupt each other rarely. Here they have one each, so that two
// can be between any two instructions of a method.
func inParallel(s *labtest.Sim, n, rounds, each int, f func(g, call int)) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(max(n, runtime.GOMAXPROCS(0))))
	for round := range rounds {
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

// stampInParallel calls tick and receive from two goroutines at once, and returns what they returned.
func stampInParallel[T any](s *labtest.Sim, rounds, each int, tick, receive func() T) []T {
	stamps := make([]T, 2*rounds*each)
	inParallel(s, 2, rounds, each, func(g, i int) {
		if (g+i/2)%2 == 0 {
			stamps[2*i+g] = tick()
		} else {
			stamps[2*i+g] = receive()
		}
	})
	return stamps
}
