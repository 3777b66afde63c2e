package replication

import "distlabs/labrpc"

// Snapshot says that data holds all of the application's state up to and
// including the entry at index, which has been applied: the log up to that index is
// no longer needed (§7). An index that is not higher than that of the present snapshot changes
// nothing. The bytes stay the caller's.
func (r *Raft) Snapshot(index int, data []byte) {
	// TODO(5E): keep the data, and drop the entries. A crash may come between.
}

// installSnapshot takes in a leader's snapshot, in place of entries that the
// leader has no more (§7, figure 13).
//
// It must never take the state back to one that is older than what was applied,
// and must keep the entries of our log that follow the snapshot.
func (r *Raft) installSnapshot(from labrpc.NodeID, req SnapshotRequest) SnapshotReply {
	// TODO(5E): keep the snapshot, and hand it to apply in its turn.
	return SnapshotReply{Term: r.State().Term} // keeps nothing
}
