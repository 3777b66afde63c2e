package transactions

import "distlabs/labrpc"

// A Participant takes part in two-phase commit with one resource. Its methods may be
// called by several goroutines at once.
type Participant struct {
	node     *labrpc.Node
	resource Resource
}

// StartParticipant makes the node a participant, with the transactions that an earlier incarnation
// left on the disk. Before it returns, it calls Restore for each transaction in doubt. Every goroutine that it starts
// ends when node.Context() does.
//
// The messages between participants and coordinators are yours.
func StartParticipant(node *labrpc.Node, resource Resource) *Participant {
	// TODO(7C): read the disk, and register the handlers.
	return &Participant{node: node, resource: resource}
}

// InDoubt returns the transactions in doubt, sorted: those in which the participant has voted yes, and whose outcome it
// does not know.
func (p *Participant) InDoubt() []TxID {
	// TODO(7C): list them.
	return nil
}
