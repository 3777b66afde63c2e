// Package consistency is a second solution, of another build than the reference: a command has a number of its
// own, a leader begins its term unasked, followers hand reads over to it, and waiting is looking again.
package consistency

import (
	"slices"
	"sync"
	"time"

	"distlabs/labrpc"
	"distlabs/labs/05-replication"
)

const (
	look     = 3 * time.Millisecond // how often who waits looks again
	longest  = 800 * time.Millisecond
	vigil    = 10 * time.Millisecond // how often a server looks whether it leads
	pingTime = 250 * time.Millisecond
)

// A Server is one server of a replicated store of keys and values.
type Server struct {
	node    *labrpc.Node
	servers []labrpc.NodeID
	raft    *replication.Raft
	life    int64 // of this incarnation: tells its commands from those of another

	mu      sync.Mutex
	state   map[string]version
	applied int
	serial  int
	results map[int]result // of our own commands, by serial number, while somebody waits
	began   int            // the last term for which we have proposed an opening

	pings int                            // the number of the last round
	pongs map[int]map[labrpc.NodeID]bool // who knows of no newer term, by round
	round map[int]int                    // the term that a round asks about
}

// A version is a value and the entry that wrote it.
type version struct {
	Value string
	Index int
}

type result struct {
	come  bool
	index int
	was   version
}

// A proposal is what the log holds.
type proposal struct {
	Life   int64
	Serial int
	Kind   string // "put", "get", "open"
	Key    string
	Value  string
}

// StartServer starts a server of the store that servers lists.
func StartServer(node *labrpc.Node, servers []labrpc.NodeID) *Server {
	s := &Server{
		node: node, servers: slices.Clone(servers), life: node.Rand().Int64(),
		state: map[string]version{}, results: map[int]result{},
		pongs: map[int]map[labrpc.NodeID]bool{}, round: map[int]int{},
	}
	s.raft = replication.StartRaft(node, servers, s.apply)
	labrpc.Handle(node, "Put", s.put)
	labrpc.Handle(node, "LogGet", s.logGet)
	labrpc.Handle(node, "Get", s.get)
	labrpc.Handle(node, "Read", s.read)
	labrpc.Handle(node, "LeaderGet", s.leaderGet)
	labrpc.Receive(node, "Ping", s.ping)
	labrpc.Receive(node, "Pong", s.pong)
	go s.openTerms()
	return s
}

// Raft returns the server's Raft.
func (s *Server) Raft() *replication.Raft { return s.raft }

func (s *Server) apply(a replication.Applied) {
	var p proposal
	if len(a.Command) > 0 {
		_ = labrpc.Unmarshal(a.Command, &p)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.applied = a.Index
	if p.Kind == "put" {
		s.state[p.Key] = version{Value: p.Value, Index: a.Index}
	}
	if _, ours := s.results[p.Serial]; ours && p.Life == s.life {
		s.results[p.Serial] = result{come: true, index: a.Index, was: s.state[p.Key]}
	}
}

// submit proposes and waits; it reports whether the proposal got into the log, and what came of it.
func (s *Server) submit(kind, key, value string) (in bool, r result) {
	s.mu.Lock()
	s.serial++
	p := proposal{Life: s.life, Serial: s.serial, Kind: kind, Key: key, Value: value}
	s.results[p.Serial] = result{}
	s.mu.Unlock()
	data, err := labrpc.Marshal(p)
	if err == nil {
		_, _, in = s.raft.Submit(data)
	}
	if in {
		s.until(func() bool { return s.results[p.Serial].come })
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r = s.results[p.Serial]
	delete(s.results, p.Serial)
	return in, r
}

// until looks again and again whether something holds. It asks with the lock held.
func (s *Server) until(holds func() bool) bool {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for end := time.Now().Add(longest); ; {
		s.mu.Lock()
		ok := holds()
		s.mu.Unlock()
		if ok || time.Now().After(end) {
			return ok
		}
		select {
		case <-tick.C:
		case <-s.node.Context().Done():
			return false
		}
	}
}

func (s *Server) put(_ labrpc.NodeID, req PutRequest) PutReply {
	in, r := s.submit("put", req.Key, req.Value)
	return PutReply{Done: r.come, Refused: !in, Index: r.index, Leader: s.hint()}
}

func (s *Server) logGet(_ labrpc.NodeID, req GetRequest) GetReply {
	_, r := s.submit("get", req.Key, "")
	return GetReply{Done: r.come, Value: r.was.Value, Leader: s.hint()}
}

// hint is the leader, if it is another.
func (s *Server) hint() labrpc.NodeID {
	st := s.raft.Status()
	if st.Role == replication.Leader || st.Leader == s.node.ID() {
		return 0
	}
	return st.Leader
}
