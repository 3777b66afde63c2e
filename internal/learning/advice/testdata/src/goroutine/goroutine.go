package goroutine

import (
	"context"
	"time"

	"distlabs/labrpc"
)

type Beat struct{}

type server struct {
	node  *labrpc.Node
	acked func() bool
}

func start(s *server) {
	go func() {
		for { // want `this loop goes on when its node has crashed`
			time.Sleep(time.Second)
		}
	}()
	go s.loop()
	go s.until()
	go s.right()
	go s.rightByHand()
	go s.rightByError()
	go s.helper(s.node.Context())
	go s.hoisted()
	go s.stops(make(chan struct{}))
	go s.counts()
	go s.forgets()
	go func() {
		for msg := range make(chan int) { // whoever closes it ends it
			_ = msg
		}
	}()
}

func (s *server) loop() {
	ticker := time.NewTicker(time.Second)
	for range ticker.C { // want `this loop goes on`
		s.look()
	}
}

func (s *server) until() {
	for !s.acked() { // want `this loop goes on`
		s.pause()
	}
}

// What it starts each time asks, and it does not.
func (s *server) forgets() {
	ticker := time.NewTicker(time.Second)
	for { // want `this loop goes on`
		go labrpc.Send(s.node, 2, "beat", Beat{})
		<-ticker.C
	}
}

func (s *server) pause() { time.Sleep(time.Second) }
func (s *server) look()  {}

func (s *server) right() {
	ticker := time.NewTicker(time.Second)
	for {
		select {
		case <-ticker.C:
			s.look()
		case <-s.node.Context().Done():
			return
		}
	}
}

func (s *server) rightByHand() {
	for s.up() {
		s.pause()
	}
}

func (s *server) up() bool { return s.node.Context().Err() == nil }

func (s *server) rightByError() {
	for {
		if labrpc.Send(s.node, 2, "beat", Beat{}) != nil {
			return
		}
		s.pause()
	}
}

func (s *server) helper(ctx context.Context) {
	for {
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return
		}
	}
}

// The channel is the same one, asked for once.
func (s *server) hoisted() {
	done := s.node.Context().Done()
	for {
		select {
		case <-time.After(time.Second):
		case <-done:
			return
		}
	}
}

// Whoever closes it knows.
func (s *server) stops(stop chan struct{}) {
	for {
		select {
		case <-time.After(time.Second):
		case <-stop:
			return
		}
	}
}

func (s *server) counts() {
	for i := 0; i < 3; i++ {
		s.pause()
	}
	for range []int{1, 2} {
		s.pause()
	}
}

// Not in a goroutine of its own: the caller waits for it.
func (s *server) called() {
	for !s.acked() {
		s.pause()
	}
}
