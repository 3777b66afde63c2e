package replication

import (
	"sync"

	"distlabs/labrpc"
)

// ServerOptions of a Server.
type ServerOptions struct {
	Servers       []labrpc.NodeID // all servers of the store, this one too
	SnapshotEvery int             // after how many entries a snapshot is due; 0 means 500
	History       int             // how many changes are kept for watches that come late; 0 means 1000
}

// A Server is one replica of a store of keys and values.
type Server struct {
	node *labrpc.Node
	opts ServerOptions
	raft *Raft

	mu    sync.Mutex // guards all that follows
	state state
	// TODO(5D): which requests wait for their entries?
}

// StartServer starts a replica, with what an earlier incarnation left on the
// disk. It returns at once. All that it starts ends when node.Context() does.
func StartServer(node *labrpc.Node, opts ServerOptions) *Server {
	s := &Server{node: node, opts: opts, state: state{}}
	// TODO(5D): serve clients.
	go s.expireSessions()
	// Raft may apply entries before we know it: until then, apply waits.
	s.mu.Lock()
	defer s.mu.Unlock()
	s.raft = StartRaft(node, opts.Servers, s.apply)
	return s
}

// Raft returns the server's Raft.
func (s *Server) Raft() *Raft {
	return s.raft
}

// apply executes the commands that Raft has committed.
//
// All replicas must come to the same state, and a command must be executed
// once, also if it is in the log twice. An entry without a command is one that Raft
// made for itself.
func (s *Server) apply(a Applied) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// TODO(5D): execute it, and reply to the handler that waits for it.
	// TODO(5E): if it is a snapshot, begin again from it; make one when it is due.
}
