package replication

import (
	"sync"

	"distlabs/labrpc"
)

// This file is the server of lab 04, to go on from: `grade carry 05` puts yours here.

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
	// TODO(5A): stand for election when nobody is heard.
	labrpc.Handle(node, "RequestVote", r.requestVote)
	labrpc.Handle(node, "AppendEntries", r.appendEntries)
	return r
}

// State returns what the server thinks now of the election, as in lab 04.
func (r *Raft) State() State {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state
}

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
	return VoteReply{Term: r.state.Term} // refuses everybody
}

// appendEntries takes in what a leader sends: entries, or none as a heartbeat
// (§5.3; figure 2, "AppendEntries RPC").
//
// It must refuse a leader of an older term, and entries that do not continue our
// log. After success our log holds these entries, on the disk, whatever else it
// holds, and however often and late the request arrives.
func (r *Raft) appendEntries(from labrpc.NodeID, req AppendRequest) AppendReply {
	r.mu.Lock()
	defer r.mu.Unlock()
	// TODO(5A): follow the leader, as in lab 04; what replicate.go says, too.
	return AppendReply{Term: r.state.Term} // follows nobody
}
