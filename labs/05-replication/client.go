package replication

import (
	"context"
	"errors"
	"time"

	"distlabs/labrpc"
)

var (
	// ErrExists: there is such a key already. Nothing was changed.
	ErrExists = errors.New("replication: the key exists")
	// ErrConflict: the key is not at that revision. Nothing was changed.
	ErrConflict = errors.New("replication: the key has changed")
	// ErrExpired: the client's session is over, and so are the keys that belonged to it;
	// this client can do nothing more. Whether the command was carried out before
	// the session ended, nobody knows; it will not be from now on.
	ErrExpired = errors.New("replication: the session has expired")
	// ErrCompacted: the store remembers only the last changes, and those asked for are older.
	ErrCompacted = errors.New("replication: the changes are forgotten")
)

// errTODO is what a command returns that is yet to be written.
var errTODO = errors.New("replication: the client is yet to be written")

// ClientOptions of a Client.
type ClientOptions struct {
	Servers []labrpc.NodeID // of the store
	TTL     time.Duration   // after how long a silence of the client its session ends; at least 2s
}

// A Client uses a store within one session. Its methods may be called by several
// goroutines at once; commands are then carried out one after another.
//
// A command whose context ends returns the context's error, and what became of
// it is unknown: it may have been carried out, or may be until the client's next
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

// Create sets a key that does not exist yet; else it returns ErrExists.
func (c *Client) Create(ctx context.Context, key, data string) (revision int, err error) {
	// TODO(5D): ask for it.
	return 0, errTODO
}

// CreateEphemeral is Create, and the key belongs to the client's session, whoever
// writes it later: when the session ends, it is deleted.
func (c *Client) CreateEphemeral(ctx context.Context, key, data string) (revision int, err error) {
	// TODO(5D): ask for it.
	return 0, errTODO
}

// CompareAndSet sets a key that is still at the given revision; else it returns
// ErrConflict. Revision 0 means that there must be no such key.
func (c *Client) CompareAndSet(ctx context.Context, key, data string, at int) (revision int, err error) {
	// TODO(5D): ask for it.
	return 0, errTODO
}

// Delete removes a key. To delete what does not exist is no change, and no error.
func (c *Client) Delete(ctx context.Context, key string) error {
	// TODO(5D): ask for it.
	return errTODO
}
