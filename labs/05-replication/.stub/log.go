package replication

// TODO(5A): a place for the log. It starts at index 1; from 5E on at any index.
// TODO(5C): it survives a crash on node.Disk(), with a crash possible between any
// two writes.
