package lock

import (
	"sync"
	"time"

	"distlabs/labrpc"
)

type Ask struct{}
type Reply struct{ Term int }

type server struct {
	node *labrpc.Node
	mu   sync.Mutex
	rw   sync.RWMutex
	term int
	done chan bool
	room chan int
}

func (s *server) deferred() {
	s.mu.Lock()
	defer s.mu.Unlock()
	labrpc.Call[Reply](s.node.Context(), s.node, 2, "ask", Ask{}) // want `s.mu, locked at lock.go:23, is held while this goroutine waits for the reply of labrpc.Call`
}

func (s *server) sleeps() {
	s.rw.RLock()
	time.Sleep(time.Second) // want `s.rw, locked at lock.go:29, is held while this goroutine sleeps`
	s.rw.RUnlock()
	time.Sleep(time.Second)
}

func (s *server) channels() {
	s.mu.Lock()
	s.done <- true // want `sends to a channel`
	<-s.done       // want `receives from a channel`
	select {       // want `waits in a select`
	case <-s.done:
	case <-s.node.Context().Done():
	}
	select {
	case s.done <- true:
	default:
	}
	for range s.done { // want `receives from a channel`
	}
	s.mu.Unlock()
}

// Where the package makes buffered channels of the type, there may be room.
func (s *server) buffered() {
	s.room = make(chan int, 1)
	s.mu.Lock()
	s.room <- 1
	s.mu.Unlock()
}

func (s *server) indirect() {
	s.mu.Lock()
	s.ask() // want `is held while this goroutine waits in ask`
	s.mu.Unlock()
}

func (s *server) ask() int {
	reply, _ := labrpc.Call[Reply](s.node.Context(), s.node, 2, "ask", Ask{})
	return reply.Term
}

// What others do does not make us wait.
func (s *server) others() {
	s.mu.Lock()
	defer s.mu.Unlock()
	go s.ask()
	go func() {
		s.ask()
		time.Sleep(time.Second)
	}()
	time.AfterFunc(time.Second, func() { s.done <- true })
}

// On one path the lock is free: not sure, so silent.
func (s *server) paths(early bool) {
	s.mu.Lock()
	if early {
		s.mu.Unlock()
	}
	s.ask()
	if !early {
		s.mu.Unlock()
		return
	}
	s.mu.Lock()
	if s.term > 0 {
		s.mu.Unlock()
		return
	}
	s.ask() // want `waits in ask`
	s.mu.Unlock()
}

// The right way.
func (s *server) right() {
	for range 3 {
		s.mu.Lock()
		term := s.term
		s.mu.Unlock()
		if got := s.ask(); got > term {
			s.mu.Lock()
			s.term = max(s.term, got)
			s.mu.Unlock()
		}
	}
}

// unlocked is called with the lock, which it gives back for a while.
func (s *server) unlocked() {
	s.mu.Unlock()
	s.ask()
	s.mu.Lock()
}

func (s *server) callsUnlocked() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unlocked()
}

func (s *server) cond(c *sync.Cond) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.Wait() // gives the lock back
	switch s.term {
	case 1:
		s.ask() // want `waits in ask`
	}
	var wg sync.WaitGroup
	wg.Wait() // want `waits for a WaitGroup`
}
