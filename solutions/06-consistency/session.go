package consistency

import (
	"context"
	"errors"
	"slices"
	"time"

	"distlabs/labrpc"
)

const (
	// attemptTime is how long a session waits for one reply. A server that can reply at all
	// is faster.
	attemptTime = replyTimeout + 200*time.Millisecond
	// pauseTime is how long a session waits before it asks again.
	pauseTime = 20 * time.Millisecond
)

// ErrUnknown says that the key may have been written already, may still be written, or never.
var ErrUnknown = errors.New("consistency: it is unknown whether the key was written")

// A Session reads from one server at a time and writes to the leader. Its reads
// never go back to an older state, whatever server it moves to, and always include its own
// writes. Its methods are for one goroutine.
type Session struct {
	node    *labrpc.Node
	servers []labrpc.NodeID
	server  labrpc.NodeID // to read from
	leader  labrpc.NodeID // to write to, if we know it
	index   int           // of the newest state that the session has seen
}

// SessionOptions of a Session.
type SessionOptions struct {
	Servers []labrpc.NodeID // of the store
	Token   int             // of a session to continue; 0 for a new session
}

// NewSession starts a session that reads from the first of the servers.
func NewSession(node *labrpc.Node, opts SessionOptions) *Session {
	return &Session{node: node, servers: opts.Servers, server: opts.Servers[0], leader: opts.Servers[0], index: opts.Token}
}

// Move makes the session read from another server from now on.
func (s *Session) Move(to labrpc.NodeID) { s.server = to }

// Token returns a number with which another session, on any node, can continue this
// one.
func (s *Session) Token() int { return s.index }

// Get reads a key: "" if no client has written it. It asks the session's server until
// that can serve the read. If ctx ends before, it returns ctx's error.
func (s *Session) Get(ctx context.Context, key string) (string, error) {
	for {
		reply := attempt[ReadReply](ctx, s, s.server, "Read", ReadRequest{Key: key, Index: s.index})
		if reply.Done {
			s.index = reply.Index // not below the request's
			return reply.Value, nil
		}
		if err := s.pause(ctx); err != nil {
			return "", err
		}
	}
}

// Put writes a key at most once. It looks for the leader until ctx ends; then it returns
// ctx's error, and the key was not written and never will be. After ErrUnknown the outcome is
// unknown, and the session guarantees nothing about this write.
//
// A request without a reply is not sent again: it could be applied twice, the second
// time over a value that another client has written since.
func (s *Session) Put(ctx context.Context, key, value string) error {
	for {
		reply := attempt[PutReply](ctx, s, s.leader, "Put", PutRequest{Key: key, Value: value})
		switch {
		case reply.Done:
			s.index = reply.Index // above that of every state that was read before
			return nil
		case !reply.Refused:
			s.leader = s.after(s.leader)
			return ErrUnknown
		case reply.Leader != 0:
			s.leader = reply.Leader
		default:
			s.leader = s.after(s.leader)
		}
		if err := s.pause(ctx); err != nil {
			return err
		}
	}
}

// after returns the next server of the list.
func (s *Session) after(server labrpc.NodeID) labrpc.NodeID {
	return s.servers[(slices.Index(s.servers, server)+1)%len(s.servers)]
}

// attempt asks a server once. If no reply comes, it returns the zero reply: neither done nor refused.
func attempt[R, A any](ctx context.Context, s *Session, to labrpc.NodeID, method string, args A) R {
	ctx, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	reply, _ := labrpc.Call[R](ctx, s.node, to, method, args)
	return reply
}

// pause waits before the next attempt. It returns an error if there is to be none.
func (s *Session) pause(ctx context.Context) error {
	select {
	case <-time.After(pauseTime):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.node.Context().Done():
		return labrpc.ErrDown
	}
}
