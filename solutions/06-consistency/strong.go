// Package consistency is five answers to one question: what may a reader see of
// what was written?
package consistency

import (
	"context"
	"slices"
	"sync"
	"time"

	"distlabs/labrpc"
	"distlabs/labs/05-replication"
)

// patience is how long a server lets a request wait.
const patience = time.Second

// A Server is one server of a replicated store of keys and values.
type Server struct {
	node     *labrpc.Node
	raft     *replication.Raft
	peers    []labrpc.NodeID // the other servers
	majority int             // of all servers

	questions chan question // for a read index

	mu      sync.Mutex
	values  map[string]string
	applied int // the last entry that values holds
	waiting []wait
}

// A command is what the log holds: a write, a read, or neither.
type command struct {
	Put        bool
	Key, Value string
}

// A wait is for the moment at which this server has carried out all up to an index.
type wait struct {
	index  int
	key    string
	answer chan moment // has room for the one answer
}

// A moment is what the server had just when it had carried out an entry.
type moment struct {
	index, term int    // of the entry
	value       string // of the key that was asked for
}

// StartServer starts a server of the store that servers lists, node's own ID
// included. It returns at once. All that it starts ends when node.Context() does.
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

// logGet reads a key as if it were a write: what the log puts in order is
// linearizable.
func (s *Server) logGet(from labrpc.NodeID, req GetRequest) GetReply {
	m, result := s.propose(command{Key: req.Key})
	if result != done {
		return GetReply{Leader: s.leader()}
	}
	return GetReply{Done: true, Value: m.value}
}

// leader is whom to ask instead of this server; 0 if it does not know.
func (s *Server) leader() labrpc.NodeID {
	if leader := s.raft.Status().Leader; leader != s.node.ID() {
		return leader
	}
	return 0
}

// What became of a command.
type outcome int

const (
	refused outcome = iota // it is in no log, or another has its place
	unknown                // it may yet be carried out
	done
)

// propose has a command agreed on and carried out. It returns what the server had
// just then.
//
// To run out of patience is no refusal: the entry is in a log, and may be committed
// when the client has long gone.
func (s *Server) propose(c command) (moment, outcome) {
	data, err := labrpc.Marshal(c)
	if err != nil {
		return moment{}, refused
	}
	// The lock is held from before the entry exists until we wait for it: else it
	// could be carried out in between.
	s.mu.Lock()
	index, term, leader := s.raft.Submit(data)
	if !leader {
		s.mu.Unlock()
		return moment{}, refused
	}
	w := s.wait(index, c.Key)
	s.mu.Unlock()
	m, ok := s.await(w)
	switch {
	case !ok:
		return moment{}, unknown
	case m.term != term:
		// Another leader's entry is at that index. Do not look at the index alone.
		return moment{}, refused
	}
	return m, done
}

// wait begins to wait for an index. The caller holds s.mu.
func (s *Server) wait(index int, key string) wait {
	w := wait{index: index, key: key, answer: make(chan moment, 1)}
	if s.applied >= index {
		w.answer <- moment{index: s.applied, value: s.values[key]}
	} else {
		s.waiting = append(s.waiting, w)
	}
	return w
}

// await waits until the moment has come; it reports whether it has.
func (s *Server) await(w wait) (moment, bool) {
	ctx, cancel := context.WithTimeout(s.node.Context(), patience)
	defer cancel()
	select {
	case m := <-w.answer:
		return m, true
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = slices.DeleteFunc(s.waiting, func(o wait) bool { return o == w })
	return moment{}, false
}

// valueAt returns the value of a key when this server has carried out all up to an
// index, or later; it reports whether that came to be.
func (s *Server) valueAt(index int, key string) (moment, bool) {
	s.mu.Lock()
	w := s.wait(index, key)
	s.mu.Unlock()
	return s.await(w)
}

// apply carries out the command of the next place in the log, and answers whoever
// waits for it: now, and not when they next run, for by then the state may have
// moved on.
func (s *Server) apply(a replication.Applied) {
	var c command
	// An entry without a command is one that somebody made up.
	if len(a.Command) > 0 {
		if err := labrpc.Unmarshal(a.Command, &c); err != nil {
			s.node.Logf("store: entry %d is no command: %v", a.Index, err)
		}
	}
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
		w.answer <- moment{index: a.Index, term: a.Term, value: s.values[w.key]}
		return true
	})
}
