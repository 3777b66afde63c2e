package consistency

import (
	"context"
	"errors"

	"distlabs/labrpc"
)

// ErrUnknown: the key may have been written, or may be later, or never.
var ErrUnknown = errors.New("consistency: nobody knows whether the key was written")

// A Session reads from one server at a time and writes to the leader. What it sees
// never goes back, whatever server it moves to, and always includes its own
// writes. Its methods are for one goroutine.
type Session struct {
	node *labrpc.Node
	opts SessionOptions
}

// SessionOptions of a Session.
type SessionOptions struct {
	Servers []labrpc.NodeID // of the store
	Token   int             // of an earlier session, to go on where that one was; 0 to begin anew
}

// NewSession begins a session that reads from the first of the servers.
func NewSession(node *labrpc.Node, opts SessionOptions) *Session {
	return &Session{node: node, opts: opts}
}

// Move makes the session read from another server from now on.
func (s *Session) Move(to labrpc.NodeID) {
	// TODO(6B): what must not change?
}

// Token returns what another session needs to go on where this one is, on whatever
// node.
func (s *Session) Token() int {
	// TODO(6B): say how far the session has seen.
	return 0
}

// Get reads a key: "" if nobody has written it. It asks the session's server until
// that can answer or ctx ends; then it returns ctx's error.
func (s *Session) Get(ctx context.Context, key string) (string, error) {
	// TODO(6B): ask with "Read".
	return "", errors.New("consistency: Get is yet to be written")
}

// Put writes a key, once. It looks for the leader until ctx ends; then it returns
// ctx's error, and nothing was written. After ErrUnknown nobody knows, and the
// session promises nothing about this write.
func (s *Session) Put(ctx context.Context, key, value string) error {
	// TODO(6B): ask with "Put", and think twice before you ask again.
	return errors.New("consistency: Put is yet to be written")
}
