package election

import (
	"context"
	"errors"
	"fmt"
	"sync"
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

	mu    sync.Mutex
	token int
	busy  bool
}

// LeaseRequest is the argument of "Acquire".
type LeaseRequest struct{}

// LeaseReply answers a LeaseRequest.
type LeaseReply struct {
	Granted bool
	Token   int           // from 1
	TTL     time.Duration // how long the lease lasts, from the grant
}

// NewLessor makes the node grant leases of the given length. It returns at once. All
// that it starts ends when node.Context() does.
func NewLessor(node *labrpc.Node, ttl time.Duration) *Lessor {
	l := &Lessor{node: node, ttl: ttl}
	if _, err := node.Disk().Load("last", &l.token); err != nil {
		return l
	}
	l.occupy() // whatever was before
	labrpc.Handle(node, "Acquire", l.grant)
	return l
}

// occupy keeps the lease from everybody else until it is over.
func (l *Lessor) occupy() {
	l.busy = true
	time.AfterFunc(l.ttl+l.ttl/10, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.busy = false
	})
}

func (l *Lessor) grant(labrpc.NodeID, LeaseRequest) LeaseReply {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy {
		return LeaseReply{}
	}
	next := l.token + 10
	if l.node.Disk().Save("last", next) != nil {
		return LeaseReply{}
	}
	l.token = next
	l.occupy()
	return LeaseReply{Granted: true, Token: next, TTL: l.ttl}
}

// A Lease is a client's right to be the only one, for a while.
type Lease struct {
	Token int // says to others which lease is the newer one
	until time.Time
}

// Held reports whether the lease still lasts. The answer can be out of date by
// the time that it is used: a program may stand still at any point.
func (l Lease) Held() bool { return time.Now().Before(l.until) }

// A Client uses the lease of one node and the store of another. Its methods may
// be called by several goroutines at once.
type Client struct {
	node          *labrpc.Node
	lessor, store labrpc.NodeID
}

// ClientOptions say to which store a client talks.
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
	// The lease began when it was granted. We do not know when that was, but it
	// was not before we asked; the reply may have taken long.
	asked := time.Now()
	reply, err := labrpc.Call[LeaseReply](ctx, c.node, c.lessor, "Acquire", LeaseRequest{})
	if err != nil {
		return Lease{}, fmt.Errorf("election: acquire: %w", err)
	}
	if !reply.Granted {
		return Lease{}, ErrTaken
	}
	return Lease{Token: reply.Token, until: asked.Add(reply.TTL)}, nil
}
