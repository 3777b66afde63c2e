package transactions

import (
	"context"
	"errors"

	"distlabs/labrpc"
)

// A Coordinator runs transactions by two-phase commit with presumed abort. Its methods
// may be called by several goroutines at once.
type Coordinator struct {
	node *labrpc.Node
}

// StartCoordinator makes the node a coordinator, with the decisions that an earlier incarnation left
// on the disk. It returns at once. Every goroutine that it starts ends when node.Context() does.
func StartCoordinator(node *labrpc.Node) *Coordinator {
	// TODO(7C): read the disk, and register the handlers.
	return &Coordinator{node: node}
}

// Run runs a transaction, and returns its outcome. Each branch has a participant of its own.
// When ctx ends before all participants have voted, the transaction aborts.
// The error is not nil only if the node has crashed: then the outcome is Undecided.
func (c *Coordinator) Run(ctx context.Context, tx TxID, branches []Branch) (Outcome, error) {
	// TODO(7C): collect the votes, decide, and tell the participants.
	return Undecided, errors.New("transactions: Run is not written yet")
}
