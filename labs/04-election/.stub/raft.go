package election

import (
	"sync"

	"distlabs/labrpc"
)

// A Raft is one server of a cluster that elects a leader as Raft does (§5.1,
// §5.2). Its methods may be called by several goroutines at once.
type Raft struct {
	node *labrpc.Node
	opts RaftOptions

	mu    sync.Mutex // guards the fields below
	state State
	// TODO(4C): add the rest of a server's state.
}

// NewRaft starts a server, with the state that an earlier incarnation left on the
// disk. It returns at once. Every goroutine that it starts ends when
// node.Context() does.
func NewRaft(node *labrpc.Node, opts RaftOptions) *Raft {
	r := &Raft{node: node, opts: opts}
	// TODO(4C): read the disk, and start an election when the election timer fires.
	labrpc.Handle(node, "RequestVote", r.requestVote)
	labrpc.Handle(node, "AppendEntries", r.appendEntries)
	return r
}

// State returns the server's state at one instant: its term, and its role and its
// leader in that term.
func (r *Raft) State() State {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state
}

// requestVote handles a candidate's request for a vote (Raft §5.2).
//
// It must grant at most one vote per term, and none in a term older than the
// server's own. The vote must be on the disk before the reply leaves: a server
// that forgets its vote can vote twice.
func (r *Raft) requestVote(from labrpc.NodeID, req VoteRequest) VoteReply {
	r.mu.Lock()
	defer r.mu.Unlock()
	// TODO(4C): decide.
	return VoteReply{Term: r.state.Term} // denies every vote
}

// appendEntries handles a leader's heartbeat (Raft §5.2).
//
// It must make the server follow the leader of the server's own or a newer term.
// To the leader of an older term, it must reply with the server's term.
func (r *Raft) appendEntries(from labrpc.NodeID, req AppendRequest) AppendReply {
	r.mu.Lock()
	defer r.mu.Unlock()
	// TODO(4C): follow.
	return AppendReply{Term: r.state.Term} // follows no leader
}
