package replication_test

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
)

// realTicks counts ticks of real time. Inside a bubble time is virtual, and stands still while a goroutine waits for a
// mutex; so a goroutine outside counts.
var realTicks atomic.Int64

const realTick = 50 * time.Millisecond

func TestMain(m *testing.M) {
	go func() {
		for range time.Tick(realTick) {
			realTicks.Add(1)
		}
	}()
	labtest.Main(m)
}

// realTimeWait waits until the channel is closed, for at most some seconds of real time, in which no virtual time passes. A
// goroutine that waits for a mutex would stop virtual time, and the test could not say why.
func realTimeWait(closed <-chan struct{}) bool {
	for from := realTicks.Load(); realTicks.Load()-from < int64(5*time.Second/realTick); {
		select {
		case <-closed:
			return true
		default:
			runtime.Gosched()
		}
	}
	return false
}
