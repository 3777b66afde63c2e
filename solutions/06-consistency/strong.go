// Package consistency has five stores, each with another answer to one question: which
// writes may a reader see?
package consistency

import (
	"context"
	"slices"
	"sync"
	"time"

	"distlabs/labrpc"
	"distlabs/labs/05-replication"
)

// replyTimeout is how long a server lets a request wait before it replies that it is not Done.
const replyTimeout = time.Second

// A Server is one server of a replicated store of keys and values.
type Server struct {
	node     *labrpc.Node
	raft     *replication.Raft
	peers    []labrpc.NodeID // the other servers
	majority int             // of all servers

	questions chan question // for a read index

	mu      sync.Mutex
	values  map[string]string
	applied int // the index of the last entry that values contains
	waiting []wait
}

// A command is what the log holds: a write, a read, or neither.
type command struct {
	Put        bool
	Key, Value string
}

// A wait ends when this server has applied the log up to an index.
type wait struct {
	index  int
	key    string
	answer chan appliedState // has room for the one result
}

// An appliedState is the server's state at the instant at which it has applied an entry.
type appliedState struct {
	index, term int    // of the entry
	value       string // of the key that was asked for
}

// StartServer starts a server of the store. The list of servers includes node's own ID.
// StartServer returns at once. All goroutines that it starts end when node.Context() ends.
func StartServer(node *labrpc.Node, servers []labrpc.NodeID) *Server {
	s := &Server{
		node:     node,
		peers:    slices.DeleteFunc(slices.Clone(servers), func(id labrpc.NodeID) bool { return id == node.ID() }),
		majority: len(servers)/2 + 1, questions: make(chan question, 100), values: map[string]string{},
	}
	s.raft = replication.StartRaft(node, servers, s.apply)
	labrpc.Handle(node, "Put", s.put)
	labrpc.Handle(node, "LogGet", s.logGet)
	labrpc.Handle(node, "Get", s.get)
	labrpc.Handle(node, "ReadIndex", s.answerReadIndex)
	labrpc.Handle(node, "Confirm", s.confirm)
	labrpc.Handle(node, "Read", s.read)
	go s.findIndexes()
	return s
}

// Raft returns the server's Raft.
func (s *Server) Raft() *replication.Raft { return s.raft }

// put writes a key.
func (s *Server) put(from labrpc.NodeID, req PutRequest) PutReply {
	m, result := s.propose(command{Put: true, Key: req.Key, Value: req.Value})
	switch result {
	case refused:
		return PutReply{Refused: true, Leader: s.leader()}
	case unknown:
		return PutReply{}
	}
	return PutReply{Done: true, Index: m.index}
}

// logGet reads a key as if it were a write: operations that the log orders are
// linearizable.
func (s *Server) logGet(from labrpc.NodeID, req GetRequest) GetReply {
	m, result := s.propose(command{Key: req.Key})
	if result != done {
		return GetReply{Leader: s.leader()}
	}
	return GetReply{Done: true, Value: m.value}
}

// leader returns the server to ask instead of this one; 0 if this server does not know it.
func (s *Server) leader() labrpc.NodeID {
	if leader := s.raft.Status().Leader; leader != s.node.ID() {
		return leader
	}
	return 0
}

// An outcome says what happened to a command.
type outcome int

const (
	refused outcome = iota // it is in no log, or another entry has replaced it
	unknown                // it may still be applied
	done
)

// propose submits a command and waits until it is applied. It returns the server's state at
// that instant.
//
// A wait that takes too long is no refusal: the entry is in a log, and may be committed
// long after the client has been answered.
func (s *Server) propose(c command) (appliedState, outcome) {
	data, _ := labrpc.Marshal(c) // cannot fail: a bool and two strings
	// The lock is held from before the entry exists until we wait for it: otherwise it
	// could be applied in between.
	s.mu.Lock()
	index, term, leader := s.raft.Submit(data)
	if !leader {
		s.mu.Unlock()
		return appliedState{}, refused
	}
	w := s.wait(index, c.Key)
	s.mu.Unlock()
	m, ok := s.await(w)
	switch {
	case !ok:
		return appliedState{}, unknown
	case m.term != term:
		// The entry at that index is another leader's. Do not compare the index alone.
		return appliedState{}, refused
	}
	return m, done
}

// wait begins to wait for an index. The caller holds s.mu.
func (s *Server) wait(index int, key string) wait {
	w := wait{index: index, key: key, answer: make(chan appliedState, 1)}
	if s.applied >= index {
		w.answer <- appliedState{index: s.applied, value: s.values[key]}
	} else {
		s.waiting = append(s.waiting, w)
	}
	return w
}

// await waits for the result; it reports whether it came in time.
func (s *Server) await(w wait) (appliedState, bool) {
	ctx, cancel := context.WithTimeout(s.node.Context(), replyTimeout)
	defer cancel()
	select {
	case m := <-w.answer:
		return m, true
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = slices.DeleteFunc(s.waiting, func(o wait) bool { return o == w })
	return appliedState{}, false
}

// valueAt returns the value of a key when this server has applied the log up to an index
// at least; it reports whether that happened in time.
func (s *Server) valueAt(index int, key string) (appliedState, bool) {
	s.mu.Lock()
	w := s.wait(index, key)
	s.mu.Unlock()
	return s.await(w)
}

// apply applies the command of the next entry, and gives the requests that wait for it their results
// at once: when their goroutines run, the state may be newer.
func (s *Server) apply(a replication.Applied) {
	var c command
	_ = labrpc.Unmarshal(a.Command, &c) // an entry that was added by Raft, or by a test, has no command: c remains empty
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.Put {
		s.values[c.Key] = c.Value
	}
	s.applied = a.Index
	s.waiting = slices.DeleteFunc(s.waiting, func(w wait) bool {
		if w.index > s.applied {
			return false
		}
		w.answer <- appliedState{index: a.Index, term: a.Term, value: s.values[w.key]}
		return true
	})
}
