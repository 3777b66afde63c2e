package consistency

import (
	"context"
	"slices"
	"time"

	"distlabs/labrpc"
	"distlabs/labs/05-replication"
)

// roundTime is how long a server waits for a reply of another server.
const roundTime = 300 * time.Millisecond

// get reads a key without writing the log (Ongaro's dissertation, §6.4). It finds an index at
// least as high as that of every write that returned before the request came, and waits until this server has applied
// the log up to there.
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
	Index int // 0: this server has found none
}

// answerReadIndex replies with a read index. A server that does not lead asks the leader for one, as for its own clients.
func (s *Server) answerReadIndex(from labrpc.NodeID, req ReadIndexRequest) ReadIndexReply {
	index, _ := s.readIndex()
	return ReadIndexReply{Index: index}
}

// A question is a read that waits for its index; it gets 0 if none can be found.
type question chan int

// readIndex returns an index at least as high as that of every write that has already returned.
func (s *Server) readIndex() (int, bool) {
	ctx, cancel := context.WithTimeout(s.node.Context(), replyTimeout)
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

// findIndexes answers questions until the node crashes. All questions that wait share
// one round.
//
// A question that comes during a round waits for the next one. Its read must see every write that has
// returned by then, and the replies of this round may be older.
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
	reply, _ := ask[ReadIndexReply](s, status.Leader, "ReadIndex", ReadIndexRequest{})
	return reply.Index // 0 also if no reply came
}

// leaderIndex returns our commit index if no newer leader had been elected when we were asked; otherwise 0.
func (s *Server) leaderIndex(term int) int {
	if !s.termBegun(term) {
		return 0
	}
	index := s.raft.Status().CommitIndex
	if !s.stillLeads(term) {
		return 0
	}
	return index
}

// termBegun makes sure that an entry of the term that we lead is committed; it
// reports whether one is. Before that, a new leader has all committed entries in its log,
// but does not know which entries are committed: its commit index may be lower than that of its
// predecessor (Raft §8).
func (s *Server) termBegun(term int) bool {
	log := s.raft.Status().Log // from index 1 on: this store takes no snapshots
	first := slices.IndexFunc(log, func(e replication.Entry) bool { return e.Term == term })
	if first < 0 {
		_, result := s.propose(command{}) // at most once per term, a read costs an entry
		return result == done
	}
	_, ok := s.valueAt(first+1, "")
	return ok
}

// ConfirmRequest asks a server for its term.
type ConfirmRequest struct{}

// ConfirmReply answers a ConfirmRequest.
type ConfirmReply struct {
	Term int // of the server that replies
}

func (s *Server) confirm(from labrpc.NodeID, req ConfirmRequest) ConfirmReply {
	return ConfirmReply{Term: s.raft.Status().Term}
}

// stillLeads asks the peers whether a leader of a newer term can have been elected before
// now. Such a leader has the votes of a majority, and each of these servers has known its term
// since then, also after a crash. So if a majority knows no newer
// term, there was no newer leader when we asked, and no write that we do not
// know. We count ourselves: findIndex has seen that we lead the term.
//
// Do not skip the round for a while after one that succeeded: meanwhile the
// other servers may elect a leader and write.
func (s *Server) stillLeads(term int) bool {
	older := make(chan bool, len(s.peers))
	for _, peer := range s.peers {
		go func() {
			reply, err := ask[ConfirmReply](s, peer, "Confirm", ConfirmRequest{})
			older <- err == nil && reply.Term <= term
		}()
	}
	confirmed := 1 // by ourselves
	for range s.peers {
		if confirmed >= s.majority {
			break // the other peers may be down
		}
		if <-older {
			confirmed++
		}
	}
	return confirmed >= s.majority
}

// ask sends a request to another server, which may never reply.
func ask[R, A any](s *Server, to labrpc.NodeID, method string, args A) (R, error) {
	ctx, cancel := context.WithTimeout(s.node.Context(), roundTime)
	defer cancel()
	return labrpc.Call[R](ctx, s.node, to, method, args)
}
