package replication

import (
	"fmt"
	"time"

	"distlabs/labrpc"
)

// In a calm network each message arrives within 20ms.
const (
	// Heartbeat is the time between two requests that a leader sends to a server although there is nothing new.
	Heartbeat = 100 * time.Millisecond
	// ElectionTimeout is the shortest election timeout; the longest is twice that. A
	// server draws it at random each time.
	ElectionTimeout = 400 * time.Millisecond
)

// RaftOptions has the fields of lab 04, so that NewRaft can be carried over, and Apply.
type RaftOptions struct {
	Heartbeat       time.Duration
	ElectionTimeout time.Duration

	// Servers lists the servers of the cluster, this one included. Do not use
	// node.Peers(): from 5D on the network has clients too.
	Servers []labrpc.NodeID
	// Apply is called for each committed entry.
	Apply func(Applied)
}

// A Role is the state of a server (Raft, figure 4).
type Role int

// The roles.
const (
	Follower Role = iota
	Candidate
	Leader
)

// String returns the role's name in lower case.
func (r Role) String() string {
	switch r {
	case Follower:
		return "follower"
	case Candidate:
		return "candidate"
	case Leader:
		return "leader"
	}
	return "no role"
}

// State describes a server's election state at one instant, as in lab 04.
type State struct {
	Term   int           // from 0; never decreases
	Role   Role          // in Term
	Leader labrpc.NodeID // of Term; 0 if this server does not know it
}

// String returns a text such as "leader of term 3, its leader n1".
func (st State) String() string {
	return fmt.Sprintf("%v of term %d, its leader %v", st.Role, st.Term, st.Leader)
}

// An Entry is one entry of the log. The first has index 1.
type Entry struct {
	Term    int    // of the leader that appended it
	Command []byte // empty in an entry that a leader appended without a Submit
}

// VoteRequest is the argument of "RequestVote" (Raft, figure 2). You may add
// fields to this and to every type below; their zero value must be safe.
type VoteRequest struct {
	Term         int
	Candidate    labrpc.NodeID
	LastLogIndex int // of the candidate
	LastLogTerm  int
}

// VoteReply answers a VoteRequest.
type VoteReply struct {
	Term    int // of the server that replies, after it has received the request
	Granted bool
}

// AppendRequest is the argument of "AppendEntries" (Raft, figure 2).
type AppendRequest struct {
	Term         int
	Leader       labrpc.NodeID
	PrevLogIndex int // of the entry before the new ones; 0 for none
	PrevLogTerm  int
	Entries      []Entry // none in a heartbeat
	Commit       int     // the leader's CommitIndex
}

// AppendReply answers an AppendRequest. Index is not in figure 2: with it, a
// reply means the same whichever request it answers, and however late it arrives.
type AppendReply struct {
	Term    int // of the server that replies, after it has received the request
	Success bool
	// Index is, after success, the last index that the request has shown to be the
	// same in both logs: PrevLogIndex + len(Entries). After a refusal it is the index
	// from which the leader should send next, or 0 for no advice.
	Index int
}

// SnapshotRequest is the argument of "InstallSnapshot" (Raft, figure 13, in one
// piece).
type SnapshotRequest struct {
	Term      int
	Leader    labrpc.NodeID
	LastIndex int // of the last entry that the snapshot replaces
	LastTerm  int // of that entry
	Data      []byte
}

// SnapshotReply answers a SnapshotRequest.
type SnapshotReply struct {
	Term int // of the server that replies, after it has received the request
}

// Applied is the argument of apply: the next entry, or a snapshot that replaces
// the state.
type Applied struct {
	Index    int
	Term     int
	Command  []byte
	Snapshot []byte // if not nil, the state after the entry at Index; it replaces the present state
}

// Status describes a server at one instant.
type Status struct {
	Term     int
	Role     Role          // in Term
	Leader   labrpc.NodeID // of Term; 0 if this server does not know it
	VotedFor labrpc.NodeID // in Term; 0 if this server has not voted

	CommitIndex int // the last index that this server knows to be committed
	LastApplied int // the last index that apply has been called for, or is about to be called for

	SnapshotIndex int     // of the last entry that the snapshot replaces; 0 without a snapshot
	SnapshotTerm  int     // of that entry
	Log           []Entry // from SnapshotIndex+1; the caller must not change it
}
