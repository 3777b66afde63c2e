// Package consistency has five stores, each with another answer to one question: which
// writes may a reader see?
package consistency

import (
	"sync"

	"distlabs/labrpc"
	"distlabs/labs/05-replication"
)

// A Server is one server of a replicated store of keys and values.
type Server struct {
	node    *labrpc.Node
	servers []labrpc.NodeID
	raft    *replication.Raft

	mu     sync.Mutex // guards all that follows
	values map[string]string
	// TODO(6A): which request waits for which command?
}

// StartServer starts a server of the store. The list of servers includes node's own ID.
// StartServer returns at once. All goroutines that it starts end when node.Context() ends.
func StartServer(node *labrpc.Node, servers []labrpc.NodeID) *Server {
	s := &Server{node: node, servers: servers, values: map[string]string{}}
	s.raft = replication.StartRaft(node, servers, s.apply)
	labrpc.Handle(node, "Put", s.put)
	labrpc.Handle(node, "LogGet", s.logGet)
	labrpc.Handle(node, "Get", s.get)
	labrpc.Handle(node, "Read", s.read)
	return s
}

// Raft returns the server's Raft.
func (s *Server) Raft() *replication.Raft { return s.raft }

// apply applies the command of the next entry in the log. Raft calls it, one
// call at a time, and holds no lock of its own. An entry may have an empty command:
// then Raft, or a test, has added it.
func (s *Server) apply(a replication.Applied) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// TODO(6A): apply it, and wake the request that waits for it.
}

// put writes a key, through the log. It replies within 3s.
//
// Done and Refused are final: a write that is Done has taken effect, a write that is
// Refused never will. If the server cannot know, it leaves both
// false.
func (s *Server) put(from labrpc.NodeID, req PutRequest) PutReply {
	// TODO(6A): submit it, and wait until it is applied.
	return PutReply{Refused: true}
}

// logGet reads a key, through the log like a write. It replies within 3s. The result
// must be linearizable: as if the key had been read at one instant between the
// client's call and its return.
func (s *Server) logGet(from labrpc.NodeID, req GetRequest) GetReply {
	// TODO(6A): submit it, and wait until it is applied.
	return GetReply{}
}
