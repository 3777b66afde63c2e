package replication

import "distlabs/labrpc"

// appendEntries takes in what a leader sends: entries, or none as a heartbeat
// (§5.3; figure 2, "AppendEntries RPC").
//
// It must refuse a leader of an older term, and entries that do not continue our
// log. After success our log holds these entries, on the disk, whatever else it
// holds, and however often and late the request arrives.
func (r *Raft) appendEntries(from labrpc.NodeID, req AppendRequest) AppendReply {
	r.mu.Lock()
	defer r.mu.Unlock()
	// TODO(5A): follow the leader; store its entries; learn what is committed.
	// TODO(5B): refuse what does not continue our log, and advise where to go on.
	// TODO(5C): save before you answer.
	return AppendReply{Term: r.status.Term} // follows nobody
}
