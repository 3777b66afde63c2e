package consistency

import (
	"context"
	"time"

	"distlabs/labrpc"
	"distlabs/labs/05-replication"
)

// roundTime is how long a server waits for the answers of others.
const roundTime = 300 * time.Millisecond

// get reads a key without writing the log (Ongaro's dissertation, §6.4). All that
// was written before the request came is within some index: it needs that, and
// the values up to there.
func (s *Server) get(from labrpc.NodeID, req GetRequest) GetReply {
	index, ok := s.readIndex()
	if !ok {
		return GetReply{Leader: s.leader()}
	}
	m, ok := s.valueAt(index, req.Key)
	return GetReply{Done: ok, Value: m.value}
}

// ReadIndexRequest is how a follower asks the leader for a read index.
type ReadIndexRequest struct{}

// ReadIndexReply answers a ReadIndexRequest.
type ReadIndexReply struct {
	Index int // 0: none, this server is not the leader
}

func (s *Server) answerReadIndex(from labrpc.NodeID, req ReadIndexRequest) ReadIndexReply {
	if s.raft.Status().Role != replication.Leader {
		return ReadIndexReply{}
	}
	index, _ := s.readIndex()
	return ReadIndexReply{Index: index}
}

// A question is a read that waits for its index: for 0 if there is none to be had.
type question chan int

// readIndex returns an index that no write which has returned by now is beyond.
func (s *Server) readIndex() (int, bool) {
	ctx, cancel := context.WithTimeout(s.node.Context(), patience)
	defer cancel()
	q := make(question, 1)
	select {
	case s.questions <- q:
	case <-ctx.Done():
		return 0, false
	}
	select {
	case index := <-q:
		return index, index > 0
	case <-ctx.Done():
		return 0, false
	}
}

// findIndexes answers questions, for as long as the node lives. All that have come
// share one round, however many they are.
//
// A question that comes during a round waits for the next. Its read must find
// what was written until then, and the round asks what was true before.
func (s *Server) findIndexes() {
	for {
		var batch []question
		select {
		case q := <-s.questions:
			batch = append(batch, q)
		case <-s.node.Context().Done():
			return
		}
		for len(s.questions) > 0 {
			batch = append(batch, <-s.questions)
		}
		index := s.findIndex()
		for _, q := range batch {
			q <- index
		}
	}
}

// findIndex finds an index: our own if we lead, else the leader's; 0 if there is none.
func (s *Server) findIndex() int {
	status := s.raft.Status()
	switch {
	case status.Role == replication.Leader:
		return s.leaderIndex(status.Term)
	case status.Leader == 0:
		return 0
	}
	reply, err := ask[ReadIndexReply](s, status.Leader, "ReadIndex", ReadIndexRequest{})
	if err != nil {
		return 0
	}
	return reply.Index
}

// leaderIndex returns our commit index, if we lead the term until it is known; else 0.
func (s *Server) leaderIndex(term int) int {
	if !s.termBegun(term) {
		return 0
	}
	status := s.raft.Status()
	if status.Role != replication.Leader || status.Term != term || !s.stillLeads(term) {
		return 0
	}
	return status.CommitIndex
}

// termBegun makes sure that an entry of the term that we lead is committed; it
// reports whether one is. Before that, a new leader has all committed entries in its log,
// but does not know which of them are: its commit index may be behind that of the
// leader before it (Raft §8).
func (s *Server) termBegun(term int) bool {
	status := s.raft.Status()
	last := status.SnapshotTerm // of the last committed entry
	if n := status.CommitIndex - status.SnapshotIndex; n > 0 {
		last = status.Log[n-1].Term
	}
	if last == term {
		return true
	}
	m, result := s.propose(command{}) // at most once a term, a read costs an entry
	return result == done && m.term == term
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
// Do not spare the round for a while after one that succeeded: in that while, the
// others may elect and write.
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
			break // the others may be down
		}
		if <-older {
			confirmed++
		}
	}
	return confirmed >= s.majority
}

// ask is a request to another server, which may never answer.
func ask[R, A any](s *Server, to labrpc.NodeID, method string, args A) (R, error) {
	ctx, cancel := context.WithTimeout(s.node.Context(), roundTime)
	defer cancel()
	return labrpc.Call[R](ctx, s.node, to, method, args)
}
