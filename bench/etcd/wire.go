package replication

import (
	"time"

	"distlabs/labrpc"
)

// A message takes at most 20ms in a calm network.
const (
	// Heartbeat is how often a leader lets every other server hear from it.
	Heartbeat = 100 * time.Millisecond
	// ElectionTimeout is the shortest silence after which a server stands for
	// election; the longest is twice that. Each time, the server draws again.
	ElectionTimeout = 400 * time.Millisecond
)

// A Role is what a server is at an instant (Raft, figure 4).
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

// An Entry is one place of the log. The first has index 1.
type Entry struct {
	Term    int    // in which a leader received it
	Command []byte // empty for one that a leader made up for itself
}

// VoteRequest is the argument of "RequestVote" (Raft, figure 2). You may add
// fields to this and to every type below; zero must be a safe value of each.
type VoteRequest struct {
	Term         int
	Candidate    labrpc.NodeID
	LastLogIndex int // of the candidate
	LastLogTerm  int
}

// VoteReply answers a VoteRequest.
type VoteReply struct {
	Term    int // of the server that answers, once it knows the request
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

// AppendReply answers an AppendRequest. Index is no part of figure 2: it makes
// a reply mean the same whatever request it belongs to, and however late.
type AppendReply struct {
	Term    int // of the server that answers, once it knows the request
	Success bool
	// Index is, after success, the last place that this request showed to be the
	// same in both logs: PrevLogIndex + len(Entries). After a refusal it is where
	// the leader should go on, or 0 for no advice.
	Index int
	// HintTerm is etcd's: after a refusal, the term of the follower's entry before Index.
	HintTerm int
}

// SnapshotRequest is the argument of "InstallSnapshot" (Raft, figure 13, in one
// piece).
type SnapshotRequest struct {
	Term      int
	Leader    labrpc.NodeID
	LastIndex int // the snapshot holds all up to this entry
	LastTerm  int // the term of that entry
	Data      []byte
}

// SnapshotReply answers a SnapshotRequest.
type SnapshotReply struct {
	Term int // of the server that answers, once it knows the request
}

// Applied is what a server hands to its state machine: the next command, or a
// snapshot to begin again from.
type Applied struct {
	Index    int
	Term     int
	Command  []byte
	Snapshot []byte // not nil: replace the state by this one, which holds all up to Index
}

// Status is what a server thinks at one instant.
type Status struct {
	Term     int
	Role     Role          // in Term
	Leader   labrpc.NodeID // of Term, as far as this server knows; 0 if it does not
	VotedFor labrpc.NodeID // in Term; 0 for none

	CommitIndex int // all entries up to here are committed, as far as this server knows
	LastApplied int // all up to here were handed to apply, or will be before any other

	SnapshotIndex int     // the last entry that the snapshot holds; 0 without one
	SnapshotTerm  int     // the term of that entry
	Log           []Entry // from SnapshotIndex+1; the caller's to read
}
