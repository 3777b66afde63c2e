package election

import (
	"context"
	"errors"

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
	s := &Store{node: node}
	// TODO(4E): read the disk.
	labrpc.Handle(node, "Read", s.read)
	labrpc.Handle(node, "Write", s.write)
	labrpc.Handle(node, "Swap", s.swap)
	return s
}

func (s *Store) read(from labrpc.NodeID, req ReadRequest) File {
	// TODO(4E): read.
	return File{}
}

// write obeys the holder of the newest lease that the store has heard of, and nobody
// else. What it has answered for outlives a crash.
func (s *Store) write(from labrpc.NodeID, req WriteRequest) WriteReply {
	// TODO(4E): compare the token, and write.
	return WriteReply{} // refuses everybody
}

// swap obeys whoever has read what it overwrites.
func (s *Store) swap(from labrpc.NodeID, req SwapRequest) WriteReply {
	// TODO(4E): compare the version, and write.
	return WriteReply{} // refuses everybody
}

// Read returns the store's file.
func (c *Client) Read(ctx context.Context) (File, error) {
	// TODO(4E): ask the store.
	return File{}, errors.New("election: Read is yet to be written")
}

// Write writes the file under a lease. It does not ask whether the lease is still
// held; the store does, by its token. The error is ErrStale if the store has
// refused, or that of the call.
func (c *Client) Write(ctx context.Context, lease Lease, value string) error {
	// TODO(4E): ask the store.
	return errors.New("election: Write is yet to be written")
}

// Swap writes the file without any lease, if it is still as it was read. The
// error is ErrConflict if it is not, or that of the call.
func (c *Client) Swap(ctx context.Context, read File, value string) error {
	// TODO(4E): ask the store.
	return errors.New("election: Swap is yet to be written")
}
