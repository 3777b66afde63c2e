// Package bench measures the reference Raft of lab 05 beside hashicorp/raft and
// go.etcd.io/raft. It is a module of its own, so that the course depends on
// neither:
//
//	cd bench
//	go test -bench . -benchtime 2s                 # commands, in real time
//	go test -run TestVirtualTime -v [-race] [-cpu 1]  # virtual seconds a real second
//	go test ./etcd                                 # lab 05's tests, on etcd's Raft
//
// All three run three servers in one process, keep their logs in memory, and have
// the same state machine, which does nothing. The reference's messages are
// encoded, pass through the simulated network and are decoded; those of hashicorp/raft are
// handed over as pointers by its in-memory transport; go.etcd.io/raft has no
// transport, so here it has channels. It is for orders of magnitude.
package bench

import (
	"fmt"
	"sync"
	"testing"
)

// A system is a cluster with a leader.
type system interface {
	// Do returns when the leader has applied the command. It may be called by several
	// goroutines at once.
	Do(command []byte) error
	Close()
}

// Each server makes a snapshot after that many commands, of a state machine that holds nothing, and keeps some entries for a follower that is
// behind: the log of a server that goes on does not grow forever.
const (
	compactEvery = 8192
	keepBehind   = 1024
)

var systems = []struct {
	name  string
	start func() (system, error)
}{
	{"reference", startReference},
	{"hashicorp", startHashicorp},
	{"etcd", startEtcd},
}

// One client, one command after another: the time of an operation is the latency.
func BenchmarkLatency(b *testing.B) { benchmark(b, 1) }

// Sixty-four clients: the time of an operation is the inverse of the throughput.
func BenchmarkThroughput(b *testing.B) { benchmark(b, 64) }

func benchmark(b *testing.B, clients int) {
	for _, sys := range systems {
		b.Run(sys.name, func(b *testing.B) {
			s, err := sys.start()
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			command := make([]byte, 100)
			b.ResetTimer()
			if err := drive(s, command, clients, b.N); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commands/s")
		})
	}
}

// drive has n commands applied, for that many clients at a time.
func drive(s system, command []byte, clients, n int) error {
	jobs := make(chan struct{})
	failed := make(chan error, clients)
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for range jobs {
				if err := s.Do(command); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	var err error
	for range n {
		select {
		case jobs <- struct{}{}:
			continue
		case err = <-failed:
		}
		break
	}
	close(jobs)
	all.Wait()
	if err == nil && len(failed) > 0 {
		err = <-failed
	}
	return err
}

// A waitingRoom lets those who submit a command wait until its index is applied.
type waitingRoom struct {
	mu      sync.Mutex
	applied int
	waiting map[int]chan struct{} // by index
}

func newWaitingRoom() *waitingRoom {
	return &waitingRoom{waiting: map[int]chan struct{}{}}
}

// submit runs f, which puts a command into a log, and waits for its index.
func (w *waitingRoom) submit(f func() (int, error)) error {
	index, err := f()
	if err != nil {
		return err
	}
	w.mu.Lock()
	if index <= w.applied {
		w.mu.Unlock()
		return nil
	}
	done := make(chan struct{})
	if w.waiting[index] != nil {
		w.mu.Unlock()
		return fmt.Errorf("bench: two commands have the index %d", index)
	}
	w.waiting[index] = done
	w.mu.Unlock()
	<-done
	return nil
}

func (w *waitingRoom) apply(index int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.applied = index
	if done := w.waiting[index]; done != nil {
		delete(w.waiting, index)
		close(done)
	}
}
