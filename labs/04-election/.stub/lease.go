package election

import (
	"context"
	"errors"
	"time"

	"distlabs/labrpc"
)

// ErrTaken: the lease may still be held, by another client or by this one.
var ErrTaken = errors.New("election: the lease is taken")

// A Lessor grants a lease to one client at a time. Each grant has a fencing
// token, higher than the tokens of all grants before it.
type Lessor struct {
	node *labrpc.Node
	ttl  time.Duration
}

// LeaseRequest is the argument of "Acquire".
type LeaseRequest struct{}

// LeaseReply is the reply to a LeaseRequest.
type LeaseReply struct {
	Granted bool
	Token   int           // from 1
	TTL     time.Duration // how long the lease lasts, from its grant
}

// NewLessor makes the node grant leases of length ttl. It returns at once. Every
// goroutine that it starts ends when node.Context() does.
func NewLessor(node *labrpc.Node, ttl time.Duration) *Lessor {
	l := &Lessor{node: node, ttl: ttl}
	// TODO(4E): read the disk.
	labrpc.Handle(node, "Acquire", l.grant)
	return l
}

// grant grants the lease to a client if no client can hold it any longer.
func (l *Lessor) grant(from labrpc.NodeID, req LeaseRequest) LeaseReply {
	// TODO(4E): decide.
	return LeaseReply{} // grants no lease
}

// A Lease is a client's exclusive right, for a limited time.
type Lease struct {
	Token int // a newer lease has a higher token
	// TODO(4E): add the time at which the lease ends.
}

// Held reports whether the lease is still held. The result may be out of date when
// the caller uses it: a program may be paused at any point.
func (l Lease) Held() bool {
	// TODO(4E): look at the time.
	return false
}

// A Client uses the lease of one node and the store of another node. Its methods may
// be called by several goroutines at once.
type Client struct {
	node          *labrpc.Node
	lessor, store labrpc.NodeID
}

// ClientOptions are the nodes that a client uses.
type ClientOptions struct {
	Lessor, Store labrpc.NodeID
}

// NewClient returns a client that runs on the node.
func NewClient(node *labrpc.Node, opts ClientOptions) *Client {
	return &Client{node: node, lessor: opts.Lessor, store: opts.Store}
}

// Acquire asks for the lease once. The error is ErrTaken if the lease is not free,
// or the error of the call.
func (c *Client) Acquire(ctx context.Context) (Lease, error) {
	// TODO(4E): ask the lessor.
	return Lease{}, errors.New("election: Acquire is not written yet")
}
