package transactions

// TODO(7D): what the servers of a group agree on: values, locks, and which transactions have ended and how. It must follow
// from the log alone, and it must fit into a snapshot.
