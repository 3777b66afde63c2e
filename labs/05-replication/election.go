package replication

import "distlabs/labrpc"

// requestVote answers a candidate that asks for our vote (§5.2, §5.4.1).
//
// It must grant at most one vote a term, none in a term that is over, and none to
// a candidate whose log is behind ours. The vote must be on the disk before the
// answer leaves: a server that forgets its vote can vote twice.
func (r *Raft) requestVote(from labrpc.NodeID, req VoteRequest) VoteReply {
	r.mu.Lock()
	defer r.mu.Unlock()
	// TODO(5A): decide, as in lab 04.
	// TODO(5B): compare the logs.
	// TODO(5C): save before you answer.
	return VoteReply{Term: r.status.Term} // refuses everybody
}
