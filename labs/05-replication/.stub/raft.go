// Package replication makes several servers behave like one that does not fail:
// the same commands, in the same order, on each (Ongaro and Ousterhout, "In
// Search of an Understandable Consensus Algorithm", the extended version). All §
// and figures in comments are of that paper.
package replication

import "distlabs/labrpc"

// StartRaft starts a server of the cluster that servers lists, node's own ID
// included, with what an earlier incarnation left on the disk. It returns at once.
// All that it starts ends when node.Context() does.
//
// apply must be called for each committed entry once, in the order of the log,
// one call at a time and with no lock held, for apply may call all methods of the
// Raft. After a restart that begins anew with the snapshot, or entry 1.
func StartRaft(node *labrpc.Node, servers []labrpc.NodeID, apply func(Applied)) *Raft {
	r := NewRaft(node, RaftOptions{
		Heartbeat: Heartbeat, ElectionTimeout: ElectionTimeout, Servers: servers, Apply: apply,
	})
	// TODO(5A): apply what is committed.
	// TODO(5C): read the disk.
	labrpc.Handle(node, "InstallSnapshot", r.installSnapshot)
	return r
}

// Submit asks for a command to be agreed on. If this server is no leader, it
// changes nothing and reports so. Otherwise it returns at once with the place
// that the command has if it is ever committed: in this term, at this index. It
// may yet lose the place to another, when another leads.
func (r *Raft) Submit(command []byte) (index, term int, leader bool) {
	// TODO(5A): append the command to the log, and see that the others do.
	return 0, r.State().Term, false // leads nobody
}

// Status returns what the server thinks now: all of one moment.
func (r *Raft) Status() Status {
	st := r.State()
	// TODO(5A): tell the rest that you know too, the vote first, all read under one
	// lock. What you return must not change afterwards.
	return Status{Term: st.Term, Role: st.Role, Leader: st.Leader}
}
