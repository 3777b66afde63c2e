// Package replication makes several servers behave like one that does not fail:
// the same commands, in the same order, on each (Ongaro and Ousterhout, "In
// Search of an Understandable Consensus Algorithm", the extended version). All §
// and figures in comments are of that paper.
package replication

import (
	"sync"

	"distlabs/labrpc"
)

// A Raft is one server of a cluster that agrees on a log of commands. Its methods
// may be called by several goroutines at once.
type Raft struct {
	node    *labrpc.Node
	servers []labrpc.NodeID
	apply   func(Applied)

	mu     sync.Mutex // guards all that follows
	status Status
	// TODO(5A): what else must a server know? Begin with your server of lab 04.
}

// StartRaft starts a server of the cluster that servers lists, node's own ID
// included, with what an earlier incarnation left on the disk. It returns at once.
// All that it starts ends when node.Context() does.
//
// apply must be called for each committed entry once, in the order of the log,
// one call at a time and with no lock held, for apply may call all methods of the
// Raft. After a restart that begins anew with the snapshot, or entry 1.
func StartRaft(node *labrpc.Node, servers []labrpc.NodeID, apply func(Applied)) *Raft {
	r := &Raft{node: node, servers: servers, apply: apply}
	// TODO(5A): stand for election when nobody is heard; apply what is committed.
	// TODO(5C): read the disk.
	labrpc.Handle(node, "RequestVote", r.requestVote)
	labrpc.Handle(node, "AppendEntries", r.appendEntries)
	labrpc.Handle(node, "InstallSnapshot", r.installSnapshot)
	return r
}

// Submit asks for a command to be agreed on. If this server is no leader, it
// changes nothing and reports so. Otherwise it returns at once with the place
// that the command has if it is ever committed: in this term, at this index. It
// may yet lose the place to another, when another leads.
func (r *Raft) Submit(command []byte) (index, term int, leader bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	// TODO(5A): append the command to the log, and see that the others do.
	return 0, r.status.Term, false // leads nobody
}

// Status returns what the server thinks now: all of one moment.
func (r *Raft) Status() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	// TODO(5A): tell what you know. What you return must not change afterwards.
	return r.status
}
