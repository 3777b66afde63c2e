package replication

// Replication, from both sides (§5.3; figure 2, "AppendEntries RPC" and "Rules for
// Servers"). Lab 04's appendEntries, in election.go, takes heartbeats; now they carry
// entries.
//
// A follower must refuse a leader of an older term, and entries whose previous entry is not in
// its log. After success its log holds these entries, on the disk,
// however often and however late the request arrives.
//
// TODO(5A): the leader sends the entries that each follower lacks, and learns which entries a majority
// has stored; the follower stores them, and learns which are committed. A follower that lacks
// the previous entry refuses, and the leader goes back.
// TODO(5B): remove entries that conflict, and advise where to continue.
// TODO(5C): save before you reply.
