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

	mu      sync.Mutex
	values  map[string]string
	applied int                     // the last entry that values holds
	changed chan struct{}           // closed when applied grows
	waiting map[place]chan<- string // for the command of that place: the key's value afterwards
	begun   place                   // of a leader: its first entry, as far as readIndex is concerned
}

// A place is where a command is in the log if it is ever committed. An index alone
// can be taken by another leader's command.
type place struct{ index, term int }

// A command is what the log holds: a write, a read, or neither.
type command struct {
	Put        bool
	Key, Value string
}

// StartServer starts a server of the store that servers lists, node's own ID
// included. It returns at once. All that it starts ends when node.Context() does.
func StartServer(node *labrpc.Node, servers []labrpc.NodeID) *Server {
	s := &Server{
		node:     node,
		peers:    slices.DeleteFunc(slices.Clone(servers), func(id labrpc.NodeID) bool { return id == node.ID() }),
		majority: len(servers)/2 + 1,
		values:   map[string]string{}, changed: make(chan struct{}), waiting: map[place]chan<- string{},
	}
	s.raft = replication.StartRaft(node, servers, s.apply)
	labrpc.Handle(node, "Put", s.put)
	labrpc.Handle(node, "LogGet", s.logGet)
	labrpc.Handle(node, "Get", s.get)
	labrpc.Handle(node, "ReadIndex", s.answerReadIndex)
	labrpc.Handle(node, "Confirm", s.confirm)
	labrpc.Handle(node, "Read", s.read)
	return s
}

// Raft returns the server's Raft.
func (s *Server) Raft() *replication.Raft { return s.raft }

// put writes a key.
func (s *Server) put(from labrpc.NodeID, req PutRequest) PutReply {
	at, _, result := s.propose(command{Put: true, Key: req.Key, Value: req.Value})
	switch result {
	case refused:
		return PutReply{Refused: true, Leader: s.leader()}
	case unknown:
		return PutReply{}
	}
	return PutReply{Done: true, Index: at.index}
}

// logGet reads a key as if it were a write: what the log puts in order is
// linearizable.
func (s *Server) logGet(from labrpc.NodeID, req GetRequest) GetReply {
	_, value, result := s.propose(command{Key: req.Key})
	if result != done {
		return GetReply{Leader: s.leader()}
	}
	return GetReply{Done: true, Value: value}
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
	refused outcome = iota // it is not in the log
	unknown                // it is, and may yet be carried out
	done
)

// propose has a command agreed on and carried out. It returns its place, and the
// value of its key afterwards.
//
// To run out of patience is no refusal: the entry is in a log, and may be committed
// when the client has long gone.
func (s *Server) propose(c command) (place, string, outcome) {
	data, err := labrpc.Marshal(c)
	if err != nil {
		return place{}, "", refused
	}
	// The lock is held from before the entry exists until we wait for it: else it
	// could be applied in between.
	s.mu.Lock()
	index, term, leader := s.raft.Submit(data)
	if !leader {
		s.mu.Unlock()
		return place{}, "", refused
	}
	at, value := place{index, term}, make(chan string, 1)
	s.waiting[at] = value
	s.mu.Unlock()

	ctx, cancel := context.WithTimeout(s.node.Context(), patience)
	defer cancel()
	select {
	case v := <-value:
		return at, v, done
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.waiting, at)
	return place{}, "", unknown
}

// apply carries out the command of the next place in the log.
func (s *Server) apply(a replication.Applied) {
	var c command
	// An entry without a command is one that Raft made for itself.
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
	close(s.changed)
	s.changed = make(chan struct{})
	// The entry at this index may be another leader's. Do not look at the index alone.
	if value, ok := s.waiting[place{a.Index, a.Term}]; ok {
		delete(s.waiting, place{a.Index, a.Term})
		value <- s.values[c.Key] // has room for the one answer
	}
}

// await waits until the values hold all up to an index, and returns that of the
// key. It reports whether they do.
func (s *Server) await(index int, key string) (value string, applied int, ok bool) {
	ctx, cancel := context.WithTimeout(s.node.Context(), patience)
	defer cancel()
	for {
		s.mu.Lock()
		value, applied, changed := s.values[key], s.applied, s.changed
		s.mu.Unlock()
		if applied >= index {
			return value, applied, true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return "", 0, false
		}
	}
}
