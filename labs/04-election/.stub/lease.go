package election

import (
	"context"
	"errors"
	"time"

	"distlabs/labrpc"
)

// ErrTaken: another client may still hold the lease.
var ErrTaken = errors.New("election: the lease is taken")

// A Lessor grants a lease to one client at a time. Each grant has a fencing
// token, higher than all before.
type Lessor struct {
	node *labrpc.Node
	ttl  time.Duration
}

// LeaseRequest is the argument of "Acquire".
type LeaseRequest struct{}

// LeaseReply answers a LeaseRequest.
type LeaseReply struct {
	Granted bool
	Token   int           // from 1
	TTL     time.Duration // how long the lease lasts, from the moment of the grant
}

// NewLessor makes the node grant leases of the given length. It returns at once. All
// that it starts ends when node.Context() does.
func NewLessor(node *labrpc.Node, ttl time.Duration) *Lessor {
	l := &Lessor{node: node, ttl: ttl}
	// TODO(4E): read the disk.
	labrpc.Handle(node, "Acquire", l.grant)
	return l
}

// grant gives the lease to a client if nobody can hold it any more.
func (l *Lessor) grant(from labrpc.NodeID, req LeaseRequest) LeaseReply {
	// TODO(4E): decide.
	return LeaseReply{} // grants nothing
}

// A Lease is a client's right to be the only one, for a while.
type Lease struct {
	Token int // says to others which lease is the newer one
	// TODO(4E): until when?
}

// Held reports whether the lease still lasts. The answer can be out of date by
// the time that it is used: a program may stand still at any point.
func (l Lease) Held() bool {
	// TODO(4E): look at the time.
	return false
}

// A Client uses the lease of one node and the store of another. Its methods may
// be called by several goroutines at once.
type Client struct {
	node          *labrpc.Node
	lessor, store labrpc.NodeID
}

// ClientOptions say whom a client talks to.
type ClientOptions struct {
	Lessor, Store labrpc.NodeID
}

// NewClient returns a client that runs on the node.
func NewClient(node *labrpc.Node, opts ClientOptions) *Client {
	return &Client{node: node, lessor: opts.Lessor, store: opts.Store}
}

// Acquire asks for the lease, once. The error is ErrTaken if the lease is not
// free, or that of the call.
func (c *Client) Acquire(ctx context.Context) (Lease, error) {
	// TODO(4E): ask the lessor.
	return Lease{}, errors.New("election: Acquire is yet to be written")
}
