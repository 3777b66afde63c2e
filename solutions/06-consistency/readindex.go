package consistency

import (
	"context"

	"distlabs/labrpc"
	"distlabs/labs/05-replication"
)

// get reads a key without writing the log (Ongaro's dissertation, §6.4). All that
// was written before the request came is within some index: it needs that, and
// the values up to there.
func (s *Server) get(from labrpc.NodeID, req GetRequest) GetReply {
	index, ok := s.readIndex()
	if !ok {
		return GetReply{Leader: s.leader()}
	}
	value, _, ok := s.await(index, req.Key)
	return GetReply{Done: ok, Value: value}
}

// readIndex returns an index that no write which has returned by now is beyond: our
// own if we lead, else the leader's.
func (s *Server) readIndex() (int, bool) {
	status := s.raft.Status()
	if status.Role == replication.Leader {
		return s.leaderIndex()
	}
	if status.Leader == 0 || status.Leader == s.node.ID() {
		return 0, false
	}
	reply, err := ask[ReadIndexReply](s, status.Leader, "ReadIndex", ReadIndexRequest{})
	return reply.Index, err == nil && reply.Done
}

// ReadIndexRequest asks the leader for a read index.
type ReadIndexRequest struct{}

// ReadIndexReply answers a ReadIndexRequest.
type ReadIndexReply struct {
	Done  bool
	Index int
}

func (s *Server) answerReadIndex(from labrpc.NodeID, req ReadIndexRequest) ReadIndexReply {
	index, ok := s.leaderIndex()
	return ReadIndexReply{Done: ok, Index: index}
}

// leaderIndex returns our commit index, if we lead while it is asked for.
func (s *Server) leaderIndex() (int, bool) {
	term, ok := s.termBegun()
	if !ok {
		return 0, false
	}
	status := s.raft.Status()
	if status.Role != replication.Leader || status.Term != term {
		return 0, false
	}
	return status.CommitIndex, s.stillLeads(term)
}

// termBegun waits until an entry of the term that we lead is committed. Before that, a
// new leader has all committed entries in its log, but does not know which of them
// are: its commit index may be behind that of the leader before it (Raft §8).
func (s *Server) termBegun() (term int, ok bool) {
	s.mu.Lock()
	if now := s.raft.Status(); now.Role != replication.Leader {
		s.mu.Unlock()
		return 0, false
	} else if s.begun.term != now.Term {
		// Once a term, a read costs an entry.
		data, err := labrpc.Marshal(command{})
		index, term, leader := s.raft.Submit(data)
		if err != nil || !leader {
			s.mu.Unlock()
			return 0, false
		}
		s.begun = place{index, term}
	}
	begun := s.begun
	s.mu.Unlock()
	// A leader removes no entry, so if we still lead, it is ours that was applied.
	_, _, ok = s.await(begun.index, "")
	return begun.term, ok
}

// ConfirmRequest asks a server whether it has heard of a newer term.
type ConfirmRequest struct{}

// ConfirmReply answers a ConfirmRequest.
type ConfirmReply struct {
	Term int // of the server that answers
}

func (s *Server) confirm(from labrpc.NodeID, req ConfirmRequest) ConfirmReply {
	return ConfirmReply{Term: s.raft.Status().Term}
}

// stillLeads asks the peers whether a newer leader than that of the term can have
// been elected before now. Such a leader has the votes of a majority, who have
// known its term since, over crashes too. So if a majority knows of no newer
// term, there was none when we asked, and nothing was written that we do not
// know.
//
// The question must be put after the read was asked for. An answer to an earlier
// one, or a lease since then, says nothing of what was written meanwhile.
func (s *Server) stillLeads(term int) bool {
	older := make(chan bool, len(s.peers))
	for _, peer := range s.peers {
		go func() {
			reply, err := ask[ConfirmReply](s, peer, "Confirm", ConfirmRequest{})
			older <- err == nil && reply.Term <= term
		}()
	}
	confirmed := 1 // we lead it
	for range s.peers {
		if confirmed >= s.majority {
			break
		}
		if <-older {
			confirmed++
		}
	}
	return confirmed >= s.majority
}

// ask is a request to another server, which may never answer.
func ask[R, A any](s *Server, to labrpc.NodeID, method string, args A) (R, error) {
	ctx, cancel := context.WithTimeout(s.node.Context(), patience)
	defer cancel()
	return labrpc.Call[R](ctx, s.node, to, method, args)
}
