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

	mu    sync.Mutex // guards all that follows
	state State
	// TODO(4C): what else must a server know?
}

// NewRaft starts a server, with what an earlier incarnation left on the disk. It
// returns at once. All that it starts ends when node.Context() does.
func NewRaft(node *labrpc.Node, opts RaftOptions) *Raft {
	r := &Raft{node: node, opts: opts}
	// TODO(4C): read the disk; stand for election when nobody is heard.
	labrpc.Handle(node, "RequestVote", r.requestVote)
	labrpc.Handle(node, "AppendEntries", r.appendEntries)
	return r
}

// State returns what the server thinks now: a term, and the role and the leader
// that go with that term.
func (r *Raft) State() State {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state
}

// requestVote answers a candidate that asks for our vote (Raft §5.2).
//
// It must grant at most one vote a term, and none in a term that is over. The
// vote must be on the disk before the answer leaves: a server that forgets its
// vote can vote twice.
func (r *Raft) requestVote(from labrpc.NodeID, req VoteRequest) VoteReply {
	r.mu.Lock()
	defer r.mu.Unlock()
	// TODO(4C): decide.
	return VoteReply{Term: r.state.Term} // refuses everybody
}

// appendEntries takes a leader's heartbeat (Raft §5.2).
//
// It must follow the leader of the newest term that it knows, and tell one of an
// older term that its time is over.
func (r *Raft) appendEntries(from labrpc.NodeID, req AppendRequest) AppendReply {
	r.mu.Lock()
	defer r.mu.Unlock()
	// TODO(4C): follow.
	return AppendReply{Term: r.state.Term} // follows nobody
}
