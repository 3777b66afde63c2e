package consistency

import (
	"context"
	"errors"

	"distlabs/labrpc"
)

// ErrUnknown says that the key may have been written already, may still be written, or never.
var ErrUnknown = errors.New("consistency: it is unknown whether the key was written")

// A Session reads from one server at a time and writes to the leader. Its reads
// never go back to an older state, whatever server it moves to, and always include its own
// writes. Its methods are for one goroutine.
type Session struct {
	node *labrpc.Node
	opts SessionOptions
}

// SessionOptions of a Session.
type SessionOptions struct {
	Servers []labrpc.NodeID // of the store
	Token   int             // of a session to continue; 0 for a new session
}

// NewSession starts a session that reads from the first of the servers.
func NewSession(node *labrpc.Node, opts SessionOptions) *Session {
	return &Session{node: node, opts: opts}
}

// Move makes the session read from another server from now on.
func (s *Session) Move(to labrpc.NodeID) {
	// TODO(6B): what must not change?
}

// Token returns a number with which another session, on any node, can continue this
// one.
func (s *Session) Token() int {
	// TODO(6B): return what the session has seen.
	return 0
}

// Get reads a key: "" if no client has written it. It asks the session's server until
// that can serve the read. If ctx ends before, it returns ctx's error.
func (s *Session) Get(ctx context.Context, key string) (string, error) {
	// TODO(6B): ask with "Read".
	return "", errors.New("consistency: Get is not implemented")
}

// Put writes a key at most once. It looks for the leader until ctx ends; then it returns
// ctx's error, and the key was not written and never will be. After ErrUnknown the outcome is
// unknown, and the session guarantees nothing about this write.
func (s *Session) Put(ctx context.Context, key, value string) error {
	// TODO(6B): ask with "Put", and think twice before you ask again.
	return errors.New("consistency: Put is not implemented")
}
