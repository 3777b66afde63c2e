//go:build race

package labrpc

import (
	"runtime"
	"unsafe"
)

// The network must not hide data races. Each of its own locks and channels
// would order a node's goroutines for the race detector: a handler that
// runs after another has replied would count as synchronised with it, though
// nothing in the student's code orders the two. So nothing that the detector
// can see leads from the network to a node:
//
//   - what a node's goroutine hands to the network, it hands over between raceDisable and
//     raceEnable, in functions that are not instrumented (go:norace);
//   - handlers are started by a goroutine that knows nothing (spawn), and replies arrive unseen;
//   - bodies are copied without telling (copier), and again if the network has looked inside.
//
// What the dispatcher does for each message is not instrumented either: only net.mu guards it, and to watch it took a tenth of the time.
//
// The test's goroutines and the network's run one at a time, at quiescent points,
// and are ordered by their hand-overs (waiter): a test needs no locks of its own.

const raceEnabled = true

func raceDisable() { runtime.RaceDisable() }
func raceEnable()  { runtime.RaceEnable() }

func raceRelease(p unsafe.Pointer) { runtime.RaceReleaseMerge(p) }
func raceAcquire(p unsafe.Pointer) { runtime.RaceAcquire(p) }

// raceRead tells the detector that the caller reads n bytes at p, so that
// a value which changes while it is being sent is still reported.
func raceRead(p unsafe.Pointer, n uintptr) {
	if n > 0 {
		runtime.RaceReadRange(p, int(n))
	}
}
