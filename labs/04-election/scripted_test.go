package election_test

import (
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/internal/harness/prevote"
	"distlabs/labrpc"
	. "distlabs/labs/04-election"
)

// A scriptedPeer is a server that the test plays. It grants no votes.
type scriptedPeer struct {
	s    *labtest.Sim
	node *labrpc.Node
}

func (c *cluster) scriptedPeers(ids ...labrpc.NodeID) []scriptedPeer {
	var ps []scriptedPeer
	for _, id := range ids {
		node := c.s.Start(id)
		labrpc.Handle(node, "RequestVote", func(from labrpc.NodeID, r VoteRequest) VoteReply {
			return VoteReply{Term: c.termFor(from, r)}
		})
		labrpc.Handle(node, "AppendEntries", func(_ labrpc.NodeID, r AppendRequest) AppendReply {
			return AppendReply{Term: r.Term, Success: true}
		})
		ps = append(ps, scriptedPeer{c.s, node})
	}
	return ps
}

// termFor is the term in a scripted server's reply to a request for its vote: the request's. A pre-vote raises no term, also if it names the next
// one: then it is the sender's.
func (c *cluster) termFor(sender labrpc.NodeID, r VoteRequest) int {
	if !prevote.In(r) {
		return r.Term
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return min(r.Term, c.terms[sender])
}

func (p scriptedPeer) askVote(to labrpc.NodeID, term int) VoteReply {
	return ask[VoteReply](ruleOneVote, p.s, p.node, to, "RequestVote", VoteRequest{Term: term, Candidate: p.node.ID()})
}

func (p scriptedPeer) heartbeat(to labrpc.NodeID, term int) AppendReply {
	return ask[AppendReply](ruleAnother, p.s, p.node, to, "AppendEntries", AppendRequest{Term: term, Leader: p.node.ID()})
}

// ask calls a method of a node that is up, from the body of the test. The node must reply: without a reply the rule cannot hold.
func ask[R, A any](rule string, s *labtest.Sim, node *labrpc.Node, to labrpc.NodeID, method string, args A) R {
	reply, err := tryToAsk[R](node, to, method, args)
	if err != nil {
		s.Failf(rule, "%v has not replied to %s: %v", to, method, err)
	}
	return reply
}

func tryToAsk[R, A any](node *labrpc.Node, to labrpc.NodeID, method string, args A) (R, error) {
	ctx, cancel := labtest.WithTimeout(node.Context(), 10*time.Second)
	defer cancel()
	return labrpc.Call[R](ctx, node, to, method, args)
}
