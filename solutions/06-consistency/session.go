package consistency

import (
	"context"
	"errors"
	"slices"
	"time"

	"distlabs/labrpc"
)

const (
	// attemptTime is how long a session waits for one answer. A server that knows whom
	// to ask, or what to answer, is faster.
	attemptTime = patience + 200*time.Millisecond
	// pauseTime is how long it rests before it asks again.
	pauseTime = 20 * time.Millisecond
)

// ErrUnknown: the key may have been written, or may be later, or never.
var ErrUnknown = errors.New("consistency: nobody knows whether the key was written")

// A Session reads from one server at a time and writes to the leader. What it sees
// never goes back, whatever server it moves to, and always includes its own
// writes. Its methods are for one goroutine.
type Session struct {
	node    *labrpc.Node
	servers []labrpc.NodeID
	server  labrpc.NodeID // whom to read from
	leader  labrpc.NodeID // whom to write to, as far as we know
	index   int           // all up to here has been seen
}

// SessionOptions of a Session.
type SessionOptions struct {
	Servers []labrpc.NodeID // of the store
	Token   int             // of an earlier session, to go on where that one was; 0 to begin anew
}

// NewSession begins a session that reads from the first of the servers.
func NewSession(node *labrpc.Node, opts SessionOptions) *Session {
	return &Session{node: node, servers: opts.Servers, server: opts.Servers[0], leader: opts.Servers[0], index: opts.Token}
}

// Move makes the session read from another server from now on.
func (s *Session) Move(to labrpc.NodeID) { s.server = to }

// Token returns what another session needs to go on where this one is, on whatever
// node.
func (s *Session) Token() int { return s.index }

// Get reads a key: "" if nobody has written it. It asks the session's server until
// that can answer or ctx ends; then it returns ctx's error.
func (s *Session) Get(ctx context.Context, key string) (string, error) {
	for {
		reply, err := attempt[ReadReply](ctx, s, s.server, "Read", ReadRequest{Key: key, Index: s.index})
		if err == nil && reply.Done {
			s.index = max(s.index, reply.Index)
			return reply.Value, nil
		}
		if err := s.pause(ctx); err != nil {
			return "", err
		}
	}
}

// Put writes a key, once. It looks for the leader until ctx ends; then it returns
// ctx's error, and nothing was written. After ErrUnknown nobody knows, and the
// session promises nothing about this write.
//
// A request without an answer is not sent again: it could be carried out twice,
// the second time over what another has written since.
func (s *Session) Put(ctx context.Context, key, value string) error {
	for {
		reply, err := attempt[PutReply](ctx, s, s.leader, "Put", PutRequest{Key: key, Value: value})
		switch {
		case err == nil && reply.Done:
			s.index = max(s.index, reply.Index)
			return nil
		case err != nil || !reply.Refused:
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

// attempt asks a server once.
func attempt[R, A any](ctx context.Context, s *Session, to labrpc.NodeID, method string, args A) (R, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	return labrpc.Call[R](ctx, s.node, to, method, args)
}

// pause waits before the next attempt. It returns why there is to be none.
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
