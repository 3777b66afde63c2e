package transactions_test

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	"distlabs/labs/07-transactions"
)

// Ten keys are overwritten hundreds of times, and others made and deleted, while no other transaction runs, and while some do. What nobody sees any more takes
// no memory (rule 20).
func TestVersionsGo7B(t *testing.T) {
	var begun atomic.Bool
	// A store may take 20 ms for each of the 24 000 calls, and twice as many where a bad result is measured again.
	labtest.OnceWithin(t, time.Hour, func(s *labtest.Sim) {
		if begun.Swap(true) {
			return // the heap belongs to the whole process: one run at a time, however many seeds are asked for
		}
		for _, level := range []transactions.Level{serializable, si} {
			checkVersions(s, level)
		}
	})
}

// overwritten is how many transactions of each kind leave no memory behind.
const overwritten = 200

// A memoryRun is a store on a network of its own, of which nothing is recorded.
type memoryRun struct {
	s     *labtest.Sim
	net   *labrpc.Network
	store store
	gone  int // keys that were deleted
}

func checkVersions(s *labtest.Sim, level transactions.Level) {
	net := labrpc.New(labrpc.Options{Nodes: 1})
	defer net.Close()
	node := net.Start(1)
	store, err := transactions.OpenVersionStore(node, node.Disk(), level)
	if err != nil {
		s.Failf(ruleOpenEnds7B, "the store returned the error %q when it was opened, but the node is up", err)
	}
	m := &memoryRun{s: s, net: net, store: store}
	m.overwrite(50)
	nothing := func() {}
	m.growth("while no other ran", func() func() {
		m.overwrite(overwritten)
		return nothing
	})
	m.growth("before the oldest running transaction began", func() func() {
		old := m.begin()
		m.overwrite(overwritten)
		reader := m.begin()
		old.Abort()
		return reader.Abort
	})
	m.growth("while another ran, which committed", func() func() {
		reader := m.begin()
		m.overwrite(overwritten)
		_ = reader.Commit()
		return nothing
	})
	m.growth("beside others that were aborted", func() func() {
		for range 10 {
			old := m.begin()
			m.overwrite(overwritten / 10)
			if err := old.Put("key 3", "old"); err == nil {
				_ = old.Commit() // others have written the key
			}
		}
		return nothing
	})
}

// begin begins a transaction that takes its snapshot now.
func (m *memoryRun) begin() transactions.Tx {
	tx := m.store.Begin()
	_, _, _ = tx.Get("key 1")
	return tx
}

// overwrite runs a client that overwrites keys, and deletes some that are never used again.
func (m *memoryRun) overwrite(n int) {
	err := errors.New("the client had not returned")
	done := make(chan error, 1)
	go func() { done <- m.client(n) }()
	m.net.RunUntil(time.Duration(n)*4*soon, func() bool { // of a dozen calls each
		select {
		case err = <-done:
			return true
		default:
			return false
		}
	})
	if err != nil {
		m.s.Failf(ruleNeedless7B, "a call of a transaction returned the error %[2]q at %[3]v, want nil: it overwrites keys, in one of %[1]d transactions, and no other transaction writes", n, err, labtest.At(m.net.Now()))
	}
}

func (m *memoryRun) client(n int) error {
	for i := range n {
		tx := m.store.Begin()
		for j := range 12 {
			var err error
			if j < 4 {
				err = tx.Put(fmt.Sprintf("key %d", (i+j)%10), fmt.Sprintf("%0150d", i))
			} else {
				m.gone++
				err = tx.Delete(fmt.Sprintf("gone %d", m.gone))
			}
			if err != nil {
				return err
			}
		}
		if err := tx.Commit(); err != nil {
			return err
		}
	}
	return nil
}

// growth checks that transactions leave no memory in use 10s later. f returns how to end those that are still running then. Another goroutine of the process may use memory meanwhile, and maps grow, so a bad result is
// measured again: a leak stays.
func (m *memoryRun) growth(name string, f func() (end func())) {
	const limit = 64 << 10
	more := int64(0)
	for range 4 {
		before := heapInUse()
		end := f()
		m.net.Run(10 * time.Second)
		more = heapInUse() - before
		end()
		m.net.Run(10 * time.Second)
		if more <= limit {
			break
		}
	}
	m.s.Measure("memory that transactions leave "+name, max(0, float64(more))/1024, "KiB", "≤ 64")
	if more > limit {
		m.s.Failf(ruleVersions7B, "%d transactions %s left %d bytes of old versions in memory, want at most %d", overwritten, name, more, limit)
	}
}

// heapInUse is the size of all objects that can still be reached.
func heapInUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // frees the objects that finalizers and pools have released
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
