package election_test

import (
	"context"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/04-election"
)

// A puppet is a server whose part the test plays. It gives nobody its vote.
type puppet struct {
	s    *labtest.Sim
	node *labrpc.Node
}

func (c *cluster) puppets(ids ...labrpc.NodeID) []puppet {
	var ps []puppet
	for _, id := range ids {
		node := c.s.Start(id)
		labrpc.Handle(node, "RequestVote", func(_ labrpc.NodeID, r VoteRequest) VoteReply {
			return VoteReply{Term: r.Term}
		})
		labrpc.Handle(node, "AppendEntries", func(_ labrpc.NodeID, r AppendRequest) AppendReply {
			return AppendReply{Term: r.Term, Success: true}
		})
		ps = append(ps, puppet{c.s, node})
	}
	return ps
}

func (p puppet) askVote(to labrpc.NodeID, term int) VoteReply {
	return ask[VoteReply](p.s, p.node, to, "RequestVote", VoteRequest{Term: term, Candidate: p.node.ID()})
}

func (p puppet) beat(to labrpc.NodeID, term int) AppendReply {
	return ask[AppendReply](p.s, p.node, to, "AppendEntries", AppendRequest{Term: term, Leader: p.node.ID()})
}

// ask is a call from the test's body. It must be answered.
func ask[R, A any](s *labtest.Sim, node *labrpc.Node, to labrpc.NodeID, method string, args A) R {
	reply, err := tryToAsk[R](node, to, method, args)
	if err != nil {
		s.Failf("a node that is up answers", "%v does not answer %s: %v", to, method, err)
	}
	return reply
}

func tryToAsk[R, A any](node *labrpc.Node, to labrpc.NodeID, method string, args A) (R, error) {
	ctx, cancel := context.WithTimeout(node.Context(), 10*time.Second)
	defer cancel()
	return labrpc.Call[R](ctx, node, to, method, args)
}
