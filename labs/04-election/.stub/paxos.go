package election

import (
	"context"
	"errors"

	"distlabs/labrpc"
)

// A Paxos is a node that takes part in choosing one value by Lamport's algorithm
// (Paxos Made Simple): here the ID of a leader. Every node is an acceptor, and may
// propose. Its methods may be called by several goroutines at once.
type Paxos struct {
	node *labrpc.Node
}

// NewPaxos makes the node an acceptor, with the state that an earlier incarnation
// left on the disk. It returns at once. Every goroutine that it starts ends when
// node.Context() does.
func NewPaxos(node *labrpc.Node) *Paxos {
	p := &Paxos{node: node}
	// TODO(4D): read the disk.
	labrpc.Handle(node, "Prepare", p.prepare)
	labrpc.Handle(node, "Accept", p.accept)
	return p
}

// Acceptor returns the state of this node's acceptor.
func (p *Paxos) Acceptor() AcceptorState {
	// TODO(4D): return the state.
	return AcceptorState{}
}

// prepare handles phase 1.
//
// The promise must be on the disk before the reply leaves.
func (p *Paxos) prepare(from labrpc.NodeID, req PrepareRequest) PrepareReply {
	// TODO(4D): promise.
	return PrepareReply{} // promises nothing
}

// accept handles phase 2.
//
// The accepted ballot and value must be on the disk before the reply leaves.
func (p *Paxos) accept(from labrpc.NodeID, req AcceptRequest) AcceptReply {
	// TODO(4D): accept.
	return AcceptReply{} // accepts nothing
}

// Propose proposes value until some value is chosen, and returns the chosen value.
// It returns an error only when ctx ends or the node crashes; value may be chosen
// nevertheless.
func (p *Paxos) Propose(ctx context.Context, value labrpc.NodeID) (labrpc.NodeID, error) {
	// TODO(4D): propose to the node's own acceptor and to all others.
	return 0, errors.New("election: Propose is not written yet")
}
