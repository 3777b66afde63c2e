package transactions

import (
	"distlabs/labrpc"
	"distlabs/labs/05-replication"
)

// A Shard is one server of one group of a sharded store.
type Shard struct {
	node   *labrpc.Node
	layout Layout
	raft   *replication.Raft
	// TODO(7D): the group's state.
}

// StartShard starts a server of the group to which the node belongs, with what an earlier incarnation left on the disk. It
// returns at once. All goroutines that it starts end when node.Context() ends.
func StartShard(node *labrpc.Node, layout Layout) *Shard {
	s := &Shard{node: node, layout: layout}
	if group := layout.Member(node.ID()); group >= 0 {
		s.raft = replication.StartRaft(node, layout.Groups[group], s.apply)
	}
	// TODO(7D): handle the messages of clients and of other groups.
	return s
}

// Raft returns the server's Raft.
func (s *Shard) Raft() *replication.Raft { return s.raft }

// apply applies the next entry of the log, or a snapshot. Raft calls it, one call at a time, and holds no lock of its own. An
// entry may have an empty command: then Raft, or a test, has added it.
func (s *Shard) apply(a replication.Applied) {
	// TODO(7D): apply it, and make a snapshot after SnapshotEvery entries.
}
