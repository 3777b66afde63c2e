// Package replication makes several servers behave like one server that does not fail: they
// apply the same commands in the same order (Ongaro and Ousterhout, "In
// Search of an Understandable Consensus Algorithm", the extended version). All §
// and figures in comments refer to that paper.
package replication

import "distlabs/labrpc"

// StartRaft starts a server of the cluster that servers lists, node's own ID
// included, with what an earlier incarnation left on the disk. It returns at once.
// All that it starts ends when node.Context() does.
//
// apply must be called for each committed entry once, in the order of the log,
// one call at a time and with no lock held, because apply may call all methods of the
// Raft. After a restart it is called again, first with the snapshot or with entry 1.
func StartRaft(node *labrpc.Node, servers []labrpc.NodeID, apply func(Applied)) *Raft {
	r := NewRaft(node, RaftOptions{
		Heartbeat: Heartbeat, ElectionTimeout: ElectionTimeout, Servers: servers, Apply: apply,
	})
	// TODO(5A): apply what is committed.
	// TODO(5C): read the disk.
	labrpc.Handle(node, "InstallSnapshot", r.installSnapshot)
	return r
}

// Submit asks for a command to be committed. If this server is not the leader, Submit
// changes nothing and returns false. Otherwise it returns at once, with the index and the term
// that the command has if it is ever committed. The entry may still be replaced if another
// server becomes leader. The bytes stay the caller's.
func (r *Raft) Submit(command []byte) (index, term int, leader bool) {
	// TODO(5A): append the command to the log, and send it to the others.
	return 0, r.State().Term, false // never the leader
}

// Status returns the server's state, all of it at one instant.
func (r *Raft) Status() Status {
	st := r.State()
	// TODO(5A): fill in the other fields, VotedFor first, all read under one
	// lock. What you return must not change afterwards.
	return Status{Term: st.Term, Role: st.Role, Leader: st.Leader}
}
