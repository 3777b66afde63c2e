package consistency

import (
	"context"
	"time"

	"distlabs/labrpc"
	"distlabs/labs/05-replication"
)

// openTerms proposes an opening in each term that this server leads, as soon as it sees that it does.
func (s *Server) openTerms() {
	tick := time.NewTicker(vigil)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-s.node.Context().Done():
			return
		}
		st := s.raft.Status()
		s.mu.Lock()
		fresh := st.Role == replication.Leader && s.began < st.Term
		if fresh {
			s.began = st.Term
		}
		s.mu.Unlock()
		if fresh {
			if data, err := labrpc.Marshal(proposal{Kind: "open"}); err == nil {
				s.raft.Submit(data)
			}
		}
	}
}

// get serves a read as the leader, or hands it over.
func (s *Server) get(from labrpc.NodeID, req GetRequest) GetReply {
	if st := s.raft.Status(); st.Role == replication.Leader || st.Leader == 0 || st.Leader == s.node.ID() {
		return s.leaderGet(from, req)
	}
	leader := s.raft.Status().Leader
	if leader == 0 {
		return GetReply{}
	}
	ctx, cancel := context.WithTimeout(s.node.Context(), 2*longest)
	defer cancel()
	reply, err := labrpc.Call[GetReply](ctx, s.node, leader, "LeaderGet", req)
	if err != nil {
		return GetReply{Leader: leader}
	}
	return reply
}

// leaderGet serves a read as the leader, or not at all.
func (s *Server) leaderGet(_ labrpc.NodeID, req GetRequest) GetReply {
	st := s.raft.Status()
	if st.Role != replication.Leader {
		return GetReply{Leader: s.hint()}
	}
	term := st.Term
	known := func() bool {
		st = s.raft.Status()
		return st.Role == replication.Leader && st.Term == term && termAt(st, st.CommitIndex) == term
	}
	if !s.until(known) || !s.alone(term) {
		return GetReply{Leader: s.hint()}
	}
	if !s.until(func() bool { return s.applied >= st.CommitIndex }) {
		return GetReply{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return GetReply{Done: true, Value: s.state[req.Key].Value}
}

func termAt(st replication.Status, index int) int {
	if index <= st.SnapshotIndex {
		return st.SnapshotTerm
	}
	return st.Log[index-st.SnapshotIndex-1].Term
}

// A Ping asks whether there is a newer term; Round tells the answers to one question from those to another.
type Ping struct{ Round int }

// A Pong answers it.
type Pong struct{ Round, Term int }

// alone reports whether a majority, asked now, knows of no newer term.
func (s *Server) alone(term int) bool {
	s.mu.Lock()
	s.pings++
	n := s.pings
	s.round[n], s.pongs[n] = term, map[labrpc.NodeID]bool{s.node.ID(): true}
	s.mu.Unlock()
	for _, id := range s.servers {
		if id != s.node.ID() {
			_ = labrpc.Send(s.node, id, "Ping", Ping{Round: n})
		}
	}
	ok := s.until(func() bool { return len(s.pongs[n]) > len(s.servers)/2 })
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.pongs, n)
	delete(s.round, n)
	return ok
}

func (s *Server) ping(from labrpc.NodeID, p Ping) {
	_ = labrpc.Send(s.node, from, "Pong", Pong{Round: p.Round, Term: s.raft.Status().Term})
}

func (s *Server) pong(from labrpc.NodeID, p Pong) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if who := s.pongs[p.Round]; who != nil && p.Term <= s.round[p.Round] {
		who[from] = true
	}
}
