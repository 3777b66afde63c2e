package election

import (
	"context"
	"errors"
	"fmt"

	"distlabs/labrpc"
)

var (
	// ErrStale: the store has seen the token of a newer lease. Nothing was written.
	ErrStale = errors.New("election: the lease is out of date")
	// ErrConflict: the file has changed since it was read. Nothing was written.
	ErrConflict = errors.New("election: the file has changed")
)

// A File is what a store keeps.
type File struct {
	Value   string
	Version int // how often it has been written
}

// A Store keeps one file, and protects it from writers that are late.
type Store struct {
	node *labrpc.Node

	todo chan func()

	// Owned by the loop.
	file  File
	token int
}

// ReadRequest is the argument of "Read"; the reply is a File.
type ReadRequest struct{}

// WriteRequest is the argument of "Write".
type WriteRequest struct {
	Token int
	Value string
}

// SwapRequest is the argument of "Swap".
type SwapRequest struct {
	Version int // the version that the writer has read
	Value   string
}

// WriteReply answers a WriteRequest or a SwapRequest.
type WriteReply struct {
	Written bool
}

// NewStore makes the node a store, with what an earlier incarnation left on the
// disk. It returns at once. All that it starts ends when node.Context() does.
func NewStore(node *labrpc.Node) *Store {
	s := &Store{node: node, todo: make(chan func())}
	var saved []int // version and token
	_, err := node.Disk().Load("numbers", &saved)
	if err == nil && len(saved) == 2 {
		s.file.Version, s.token = saved[0], saved[1]
		_, err = node.Disk().Load(value(saved[0]), &s.file.Value)
	}
	if err != nil {
		return s
	}
	go s.loop()
	labrpc.Handle(node, "Read", func(labrpc.NodeID, ReadRequest) (f File) {
		s.do(func() { f = s.file })
		return f
	})
	labrpc.Handle(node, "Write", func(_ labrpc.NodeID, r WriteRequest) (reply WriteReply) {
		s.do(func() { reply.Written = r.Token >= s.token && s.put(r.Value, r.Token) })
		return reply
	})
	labrpc.Handle(node, "Swap", func(_ labrpc.NodeID, r SwapRequest) (reply WriteReply) {
		s.do(func() { reply.Written = r.Version == s.file.Version && s.put(r.Value, s.token) })
		return reply
	})
	return s
}

func (s *Store) loop() {
	for {
		select {
		case f := <-s.todo:
			f()
		case <-s.node.Context().Done():
			return
		}
	}
}

func (s *Store) do(f func()) {
	done := make(chan struct{})
	select {
	case s.todo <- func() { f(); close(done) }:
		<-done
	case <-s.node.Context().Done():
	}
}

func value(version int) string { return fmt.Sprint("value ", version) }

// put writes the new value beside the old one, and then the numbers, which make
// it the file.
func (s *Store) put(text string, token int) bool {
	next := s.file.Version + 1
	disk := s.node.Disk()
	if disk.Save(value(next), text) != nil || disk.Save("numbers", []int{next, token}) != nil {
		return false
	}
	s.file, s.token = File{text, next}, token
	return disk.Delete(value(next-1)) == nil
}

// Read returns the store's file.
func (c *Client) Read(ctx context.Context) (File, error) {
	file, err := labrpc.Call[File](ctx, c.node, c.store, "Read", ReadRequest{})
	if err != nil {
		return File{}, fmt.Errorf("election: read: %w", err)
	}
	return file, nil
}

// Write writes the file under a lease. It does not ask whether the lease is still
// held; the store does, by its token. The error is ErrStale if the store has
// refused, or that of the call.
func (c *Client) Write(ctx context.Context, lease Lease, value string) error {
	reply, err := labrpc.Call[WriteReply](ctx, c.node, c.store, "Write", WriteRequest{Token: lease.Token, Value: value})
	switch {
	case err != nil:
		return fmt.Errorf("election: write %q: %w", value, err)
	case !reply.Written:
		return ErrStale
	}
	return nil
}

// Swap writes the file without any lease, if it is still as it was read. The
// error is ErrConflict if it is not, or that of the call.
func (c *Client) Swap(ctx context.Context, read File, value string) error {
	reply, err := labrpc.Call[WriteReply](ctx, c.node, c.store, "Swap", SwapRequest{Version: read.Version, Value: value})
	switch {
	case err != nil:
		return fmt.Errorf("election: swap %q: %w", value, err)
	case !reply.Written:
		return ErrConflict
	}
	return nil
}
