package consistency

import (
	"context"
	"errors"
	"time"

	"distlabs/labrpc"
)

// ErrUnknown says that the key may have been written already, may still be written, or never.
var ErrUnknown = errors.New("consistency: it is unknown whether the key was written")

// A Session reads from one server at a time and writes to the leader.
type Session struct {
	node    *labrpc.Node
	servers []labrpc.NodeID
	reads   labrpc.NodeID
	writes  int // the index in servers of the server to try next
	newest  int // the latest version seen
}

// SessionOptions of a Session.
type SessionOptions struct {
	Servers []labrpc.NodeID // of the store
	Token   int             // of an earlier session
}

// NewSession starts a session that reads from the first of the servers.
func NewSession(node *labrpc.Node, opts SessionOptions) *Session {
	return &Session{node: node, servers: opts.Servers, reads: opts.Servers[0], newest: opts.Token}
}

// Move makes the session read from another server from now on.
func (s *Session) Move(to labrpc.NodeID) { s.reads = to }

// Token returns what another session needs to go on where this one is.
func (s *Session) Token() int { return s.newest }

// Get reads a key.
func (s *Session) Get(ctx context.Context, key string) (string, error) {
	for ctx.Err() == nil {
		short, cancel := context.WithTimeout(ctx, longest)
		reply, err := labrpc.Call[ReadReply](short, s.node, s.reads, "Read", ReadRequest{Key: key, Index: s.newest})
		cancel()
		if err == nil && reply.Done {
			s.newest = max(s.newest, reply.Index)
			return reply.Value, nil
		}
		s.rest(ctx)
	}
	return "", ctx.Err()
}

// Put writes a key, once.
func (s *Session) Put(ctx context.Context, key, value string) error {
	for ctx.Err() == nil {
		reply, err := labrpc.Call[PutReply](ctx, s.node, s.servers[s.writes], "Put", PutRequest{Key: key, Value: value})
		if err != nil || !reply.Done && !reply.Refused {
			s.writes = (s.writes + 1) % len(s.servers)
			return ErrUnknown
		}
		if reply.Done {
			s.newest = max(s.newest, reply.Index)
			return nil
		}
		s.writes = (s.writes + 1) % len(s.servers)
		s.rest(ctx)
	}
	return ctx.Err()
}

func (s *Session) rest(ctx context.Context) {
	select {
	case <-time.After(15 * time.Millisecond):
	case <-ctx.Done():
	case <-s.node.Context().Done():
	}
}
