package replication

import (
	"context"
	"errors"
	"time"

	"distlabs/labrpc"
)

var (
	// ErrExists: the key exists already. Nothing was changed.
	ErrExists = errors.New("replication: the key exists")
	// ErrConflict: the key is not at that revision. Nothing was changed.
	ErrConflict = errors.New("replication: the key has changed")
	// ErrExpired: the client's session has ended, and the keys that belonged to it were deleted;
	// every further command of this client returns ErrExpired too. The command may have been applied before
	// the session ended; it can no longer be applied.
	ErrExpired = errors.New("replication: the session has expired")
	// ErrCompacted: the store keeps only the last changes, and the changes asked for are older.
	ErrCompacted = errors.New("replication: the changes have been compacted")
)

// errTODO is what a command returns that is not written yet.
var errTODO = errors.New("replication: the client is not written yet")

// ClientOptions of a Client.
type ClientOptions struct {
	Servers []labrpc.NodeID // of the store
	TTL     time.Duration   // how long without a request of the client until its session may expire; at least 2s
}

// A Client uses a store within one session. Its methods may be called by several
// goroutines at once; commands are then executed one after another.
//
// A command whose context ends returns the context's error, and its outcome
// is unknown: it may have been applied already, or may still be applied until the client's next
// command is.
type Client struct {
	node *labrpc.Node
	opts ClientOptions
	// TODO(5D): what tells a second attempt from a second command?
}

// Connect opens a session. The session lasts until Close, or until the client has been
// unable to reach the store for its TTL.
func Connect(ctx context.Context, node *labrpc.Node, opts ClientOptions) (*Client, error) {
	c := &Client{node: node, opts: opts}
	go c.keepAlive()
	// TODO(5D): open the session.
	return c, errTODO
}

// Close ends the session, and with it the keys that belong to it.
func (c *Client) Close(ctx context.Context) error {
	// TODO(5D): end it.
	return errTODO
}

// Get returns the value of a key; its Revision is 0 if there is none.
func (c *Client) Get(ctx context.Context, key string) (Value, error) {
	// TODO(5D): ask for it.
	return Value{}, errTODO
}

// Put sets a key. It returns the revision of this change.
func (c *Client) Put(ctx context.Context, key, data string) (revision int, err error) {
	// TODO(5D): ask for it.
	return 0, errTODO
}

// Create sets a key that does not exist yet; otherwise it returns ErrExists.
func (c *Client) Create(ctx context.Context, key, data string) (revision int, err error) {
	// TODO(5D): ask for it.
	return 0, errTODO
}

// CreateEphemeral is Create, and the key belongs to the client's session, whichever client
// writes it later: when the session ends, the key is deleted.
func (c *Client) CreateEphemeral(ctx context.Context, key, data string) (revision int, err error) {
	// TODO(5D): ask for it.
	return 0, errTODO
}

// CompareAndSet sets a key that is still at the given revision; otherwise it returns
// ErrConflict. Revision 0 means that there must be no such key.
func (c *Client) CompareAndSet(ctx context.Context, key, data string, at int) (revision int, err error) {
	// TODO(5D): ask for it.
	return 0, errTODO
}

// Delete removes a key. Deleting a key that does not exist is no change, and no error.
func (c *Client) Delete(ctx context.Context, key string) error {
	// TODO(5D): ask for it.
	return errTODO
}
