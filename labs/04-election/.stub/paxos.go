package election

import (
	"context"
	"errors"

	"distlabs/labrpc"
)

// A Paxos is a node that helps to choose one value, once and for all, as Lamport's
// synod does (Paxos Made Simple): here the name of a leader. Every node is an acceptor, and may
// propose. Its methods may be called by several goroutines at once.
type Paxos struct {
	node *labrpc.Node
}

// NewPaxos makes the node an acceptor, with what an earlier incarnation left on
// the disk. It returns at once. All that it starts ends when node.Context()
// does.
func NewPaxos(node *labrpc.Node) *Paxos {
	p := &Paxos{node: node}
	// TODO(4D): read the disk.
	labrpc.Handle(node, "Prepare", p.prepare)
	labrpc.Handle(node, "Accept", p.accept)
	return p
}

// Acceptor returns what this node's acceptor has promised and accepted.
func (p *Paxos) Acceptor() AcceptorState {
	// TODO(4D): remember.
	return AcceptorState{}
}

// prepare answers phase 1.
//
// The promise must be on the disk before the answer leaves.
func (p *Paxos) prepare(from labrpc.NodeID, req PrepareRequest) PrepareReply {
	// TODO(4D): promise.
	return PrepareReply{} // promises nothing
}

// accept answers phase 2.
//
// What is accepted must be on the disk before the answer leaves.
func (p *Paxos) accept(from labrpc.NodeID, req AcceptRequest) AcceptReply {
	// TODO(4D): accept.
	return AcceptReply{} // accepts nothing
}

// Propose tries to have value chosen, until some value is, and returns the
// chosen one. It gives up with an error when ctx ends or the node goes down;
// then value may be chosen nevertheless.
func (p *Paxos) Propose(ctx context.Context, value labrpc.NodeID) (labrpc.NodeID, error) {
	// TODO(4D): propose, to the node's own acceptor and to all others.
	return 0, errors.New("election: Propose is yet to be written")
}
