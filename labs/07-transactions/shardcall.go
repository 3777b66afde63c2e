package transactions

// TODO(7D): how a client, or a server of another group, finds the leader of a group and asks it until it has a reply.
