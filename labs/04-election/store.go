package election

import (
	"context"
	"errors"

	"distlabs/labrpc"
)

var (
	// ErrStale: the store has executed a Write with a higher token. It has written nothing.
	ErrStale = errors.New("election: the lease is out of date")
	// ErrConflict: the file has changed since it was read. The store has written nothing.
	ErrConflict = errors.New("election: the file has changed")
)

// A File is the content of a store.
type File struct {
	Value   string
	Version int // the number of executed writes
}

// A Store keeps one file, and protects it from late writes.
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

// WriteReply is the reply to a WriteRequest or a SwapRequest.
type WriteReply struct {
	Written bool
}

// NewStore makes the node a store, with the state that an earlier incarnation left
// on the disk. It returns at once. Every goroutine that it starts ends when
// node.Context() does.
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

// write executes a write unless its token is lower than the highest token of the
// writes executed before. A write that it confirms outlives a crash.
func (s *Store) write(from labrpc.NodeID, req WriteRequest) WriteReply {
	// TODO(4E): compare the token, and write.
	return WriteReply{} // refuses every write
}

// swap executes a write if the file has the version that the writer has read.
func (s *Store) swap(from labrpc.NodeID, req SwapRequest) WriteReply {
	// TODO(4E): compare the version, and write.
	return WriteReply{} // refuses every write
}

// Read returns the store's file.
func (c *Client) Read(ctx context.Context) (File, error) {
	// TODO(4E): ask the store.
	return File{}, errors.New("election: Read is not written yet")
}

// Write writes the file with the token of a lease. It does not check whether the
// lease is still held: the store compares the tokens. The error is ErrStale if the
// store refuses the write, or the error of the call.
func (c *Client) Write(ctx context.Context, lease Lease, value string) error {
	// TODO(4E): ask the store.
	return errors.New("election: Write is not written yet")
}

// Swap writes the file without a lease, if its version is still the one that was
// read. The error is ErrConflict if it is not, or the error of the call.
func (c *Client) Swap(ctx context.Context, read File, value string) error {
	// TODO(4E): ask the store.
	return errors.New("election: Swap is not written yet")
}
