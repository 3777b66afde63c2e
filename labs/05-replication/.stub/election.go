package replication

import (
	"sync"

	"distlabs/labrpc"
)

// This file is the server of lab 04, to build on: `go run ./cmd/grade carry 05` puts yours here.

// A Raft is one server of a cluster that agrees on a log of commands. Its methods
// may be called by several goroutines at once.
type Raft struct {
	node *labrpc.Node
	opts RaftOptions

	mu    sync.Mutex // guards all that follows
	state State
	// TODO(5A): what else must a server know? Begin with your server of lab 04.
}

// NewRaft starts a server of the cluster that opts.Servers lists, as in lab 04.
func NewRaft(node *labrpc.Node, opts RaftOptions) *Raft {
	r := &Raft{node: node, opts: opts}
	// TODO(5A): start an election when the election timer fires.
	labrpc.Handle(node, "RequestVote", r.requestVote)
	labrpc.Handle(node, "AppendEntries", r.appendEntries)
	return r
}

// State returns the server's term, role and leader, as in lab 04.
func (r *Raft) State() State {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state
}

// requestVote answers a candidate that asks for our vote (§5.2, §5.4.1).
//
// It must grant at most one vote per term, none in an earlier term, and none to
// a candidate whose log is less up-to-date than ours. The vote must be on the disk before the
// reply leaves: a server that forgets its vote can vote twice.
func (r *Raft) requestVote(from labrpc.NodeID, req VoteRequest) VoteReply {
	r.mu.Lock()
	defer r.mu.Unlock()
	// TODO(5A): decide, as in lab 04.
	// TODO(5B): compare the logs.
	// TODO(5C): save before you reply.
	return VoteReply{Term: r.state.Term} // refuses every candidate
}

// appendEntries takes in what a leader sends: entries, or none as a heartbeat
// (§5.3; figure 2, "AppendEntries RPC").
//
// It must refuse a leader of an older term, and entries whose previous entry is not in our
// log. After success our log holds these entries, on the disk,
// however often and however late the request arrives.
func (r *Raft) appendEntries(from labrpc.NodeID, req AppendRequest) AppendReply {
	r.mu.Lock()
	defer r.mu.Unlock()
	// TODO(5A): follow the leader, as in lab 04; then do what replicate.go says.
	return AppendReply{Term: r.state.Term} // follows no leader
}
