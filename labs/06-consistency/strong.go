// Package consistency is five answers to one question: what may a reader see of
// what was written?
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
	// TODO(6A): who waits for which command?
}

// StartServer starts a server of the store that servers lists, node's own ID
// included. It returns at once. All that it starts ends when node.Context() does.
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

// apply carries out the command of the next place in the log. Raft calls it, one
// call at a time, with no lock of its own held. An entry may have an empty command:
// then Raft, or a test, has made it up.
func (s *Server) apply(a replication.Applied) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// TODO(6A): carry it out, and wake who waits for it.
}

// put writes a key, through the log. It answers within 3s.
//
// Done and Refused are promises, for ever: what is Done has happened, what is
// Refused never will. Where a server can promise neither it says so, by leaving
// both false.
func (s *Server) put(from labrpc.NodeID, req PutRequest) PutReply {
	// TODO(6A): submit it, and wait until it is carried out.
	return PutReply{Refused: true}
}

// logGet reads a key, through the log like a write. It answers within 3s. The answer
// must be linearizable: as if the key had been read at one moment between the
// client's call and its return.
func (s *Server) logGet(from labrpc.NodeID, req GetRequest) GetReply {
	// TODO(6A): submit it, and wait until it is carried out.
	return GetReply{}
}
