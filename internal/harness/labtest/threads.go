package labtest

import (
	"runtime"
	"slices"
	"sync"

	"distlabs/internal/harness/seeded"
)

// threads are the numbers of threads that tests ask for: several may run at once.
var threads struct {
	sync.Mutex
	wants  []int
	before int // GOMAXPROCS without them
}

// Threads lets at least n goroutines run at the same time, on a machine with so many processors, until restore is
// called. The grader allows one thread, on which goroutines interrupt each other every 10 ms only: a test of methods that
// several goroutines may call needs more. Meanwhile code that the grader has built gives way wherever it might be interrupted between two
// critical sections (seeded.Yield).
func Threads(n int) (restore func()) {
	threads.Lock()
	defer threads.Unlock()
	if len(threads.wants) == 0 {
		threads.before = runtime.GOMAXPROCS(0)
	}
	threads.wants = append(threads.wants, n)
	setThreads()
	return sync.OnceFunc(func() {
		threads.Lock()
		defer threads.Unlock()
		at := slices.Index(threads.wants, n)
		threads.wants = slices.Delete(threads.wants, at, at+1)
		setThreads()
	})
}

func setThreads() {
	want := threads.before
	for _, n := range threads.wants {
		want = max(want, n)
	}
	runtime.GOMAXPROCS(want)
	seeded.SetYielding(len(threads.wants) > 0, want)
}
