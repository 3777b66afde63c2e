package clocks_test

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"distlabs/internal/harness/labtest"
)

// inParallel makes n goroutines call f at once, each so many times per round; virtual time moves between the rounds. f
// is given the goroutine's number and the call's, both from 0.
//
// The grader allows one thread, on which goroutines interrupt each other rarely. Here they have one each, so that two
// can be between any two instructions of a method. They begin each call together, as far as the machine lets them.
func inParallel(s *labtest.Sim, n, rounds, each int, f func(g, call int)) {
	defer threads(n)()
	for round := range rounds {
		var begun atomic.Int64
		var end sync.WaitGroup
		for g := range n {
			end.Go(func() {
				for i := range each {
					begun.Add(1)
					for spin := 0; begun.Load() < int64(n*(i+1)) && (i == 0 || spin < 200); spin++ {
						if spin%50 == 49 {
							runtime.Gosched()
						}
					}
					for range (g*5 + i*3) % 32 { // begin a little later than the others, by another distance each time
					}
					f(g, round*each+i)
				}
			})
		}
		end.Wait()
		s.Run(time.Second)
	}
}

// parallel counts the runs that need threads of their own: several seeds may run at once.
var parallel struct {
	sync.Mutex
	runs, before int
}

// threads allows at least n threads until the function that it returns is called.
func threads(n int) (restore func()) {
	parallel.Lock()
	defer parallel.Unlock()
	if parallel.runs++; parallel.runs == 1 {
		parallel.before = runtime.GOMAXPROCS(0)
	}
	runtime.GOMAXPROCS(max(n, runtime.GOMAXPROCS(0)))
	return func() {
		parallel.Lock()
		defer parallel.Unlock()
		if parallel.runs--; parallel.runs == 0 {
			runtime.GOMAXPROCS(parallel.before)
		}
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
