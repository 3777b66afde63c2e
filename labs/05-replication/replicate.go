package replication

// Replication, from both sides (§5.3; figure 2, "AppendEntries RPC" and "Rules for
// Servers"). Lab 04's appendEntries, in election.go, takes heartbeats; now they carry
// entries.
//
// A follower must refuse a leader of an older term, and entries that do not
// continue its log. After success its log holds these entries, on the disk, whatever
// else it holds, and however often and late the request arrives.
//
// TODO(5A): the leader sends what each follower lacks, and learns what a majority
// has; the follower stores it, and learns what is committed.
// TODO(5B): refuse what does not continue our log, and advise where to go on.
// TODO(5C): save before you answer.
