package replication

import (
	"sync"
	"time"

	"distlabs/labrpc"
)

const (
	// applyTimeout is how long a server lets a request wait for its entry to be applied.
	// After a change of leader it may wait in vain.
	applyTimeout = time.Second
	// pollTime is how long a watch waits for news, before its client is to ask again.
	pollTime = time.Second
	// sessionTick is how often the leader looks for sessions that are silent.
	sessionTick = 200 * time.Millisecond
)

// ServerOptions of a Server.
type ServerOptions struct {
	Servers       []labrpc.NodeID // all servers of the store, this one too
	SnapshotEvery int             // after how many entries a snapshot is due; 0 means 500
	History       int             // how many changes are kept for watches that come late; 0 means 1000
}

// A Server is one replica of a store of keys and values. It answers clients while
// it is the leader.
type Server struct {
	node *labrpc.Node
	opts ServerOptions
	raft *Raft

	mu          sync.Mutex
	state       state
	snapshot    int               // the index of the last snapshot
	waiting     map[int]waiter    // by the index that their entry should get
	changed     chan struct{}     // closed at the next change of the state
	lastContact map[int]time.Time // of a leader: when each session was last heard of
	contactTerm int               // the term in which lastContact was begun
}

// A waiter is a request whose entry is not applied yet.
type waiter struct {
	term  int
	reply chan reply // has room for the one reply
}

// A reply is what a server says to a client.
type reply struct {
	Served bool          // false: not the leader, or not any more; what became of the request is unknown
	Leader labrpc.NodeID // if not served: the server to ask instead; 0 if not known
	Result result
}

// StartServer starts a replica, with what an earlier incarnation left on the
// disk. It returns at once. All that it starts ends when node.Context() does.
func StartServer(node *labrpc.Node, opts ServerOptions) *Server {
	if opts.SnapshotEvery == 0 {
		opts.SnapshotEvery = 500
	}
	if opts.History == 0 {
		opts.History = 1000
	}
	s := &Server{
		node: node, opts: opts, state: newState(),
		waiting: map[int]waiter{}, changed: make(chan struct{}), lastContact: map[int]time.Time{},
	}
	// Raft may apply entries before we know it: until then, apply waits.
	s.mu.Lock()
	defer s.mu.Unlock()
	s.raft = StartRaft(node, opts.Servers, s.apply)
	labrpc.Handle(node, "Execute", s.execute)
	labrpc.Handle(node, "Watch", s.watch)
	go s.expireSessions()
	return s
}

// Raft returns the server's Raft.
func (s *Server) Raft() *Raft {
	return s.raft
}

// execute puts a client's request into the log and waits until it is applied.
func (s *Server) execute(from labrpc.NodeID, req request) reply {
	command, err := labrpc.Marshal(req)
	if err != nil {
		return reply{}
	}
	// The lock is held from before the entry exists until we wait for it: else it
	// could be applied in between.
	s.mu.Lock()
	index, term, leader := s.raft.Submit(command)
	if !leader {
		s.mu.Unlock()
		return s.redirect()
	}
	w := waiter{term: term, reply: make(chan reply, 1)}
	s.waiting[index] = w
	// The client is alive, even if its command must wait for a majority: do not note it
	// only when the command is applied.
	s.lastContact[req.Session] = time.Now()
	s.mu.Unlock()

	timeout := time.NewTimer(applyTimeout)
	defer timeout.Stop()
	select {
	case a := <-w.reply:
		return a
	case <-timeout.C:
	case <-s.node.Context().Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting[index] == w {
		delete(s.waiting, index)
	}
	return reply{}
}

// redirect sends a client to the leader, if one is known.
func (s *Server) redirect() reply {
	if leader := s.raft.Status().Leader; leader != s.node.ID() {
		return reply{Leader: leader}
	}
	return reply{}
}

// apply executes the commands that Raft has committed, and replies to the handlers that wait for them.
func (s *Server) apply(a Applied) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.changed)
	s.changed = make(chan struct{})
	if a.Snapshot != nil {
		s.restore(a)
		return
	}
	var req request
	var r result
	// An entry without a command is one that Raft made for itself.
	if len(a.Command) > 0 {
		if err := labrpc.Unmarshal(a.Command, &req); err != nil {
			s.node.Logf("store: entry %d is not a request: %v", a.Index, err)
			return
		}
		r = s.state.apply(a.Index, req, s.opts.History)
	}
	if w, ok := s.waiting[a.Index]; ok {
		delete(s.waiting, a.Index)
		// The entry at this index may be another leader's, and then the one that we wait
		// for is lost. Do not look at the index alone.
		if w.term == a.Term {
			w.reply <- reply{Served: true, Result: r}
		} else {
			w.reply <- reply{}
		}
	}
	if a.Index >= s.snapshot+s.opts.SnapshotEvery {
		s.save(a.Index)
	}
}

// restore replaces the state by that of a snapshot. The caller holds s.mu.
func (s *Server) restore(a Applied) {
	restored, err := decode(a.Snapshot)
	if err != nil {
		s.node.Logf("store: the snapshot up to %d cannot be read: %v", a.Index, err)
		return
	}
	s.state, s.snapshot = restored, a.Index
	for index, w := range s.waiting {
		if index <= a.Index {
			// It may be among what the snapshot holds, or not.
			delete(s.waiting, index)
			w.reply <- reply{}
		}
	}
}

// save gives Raft a snapshot of the state, so that it can drop the entries that
// led to it. The caller holds s.mu.
func (s *Server) save(index int) {
	data, err := s.state.encode()
	if err != nil {
		s.node.Logf("store: the state cannot be encoded: %v", err)
		return
	}
	s.snapshot = index
	s.raft.Snapshot(index, data)
}
