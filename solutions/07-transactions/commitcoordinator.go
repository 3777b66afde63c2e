package transactions

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"distlabs/labrpc"
)

// A Coordinator runs transactions by two-phase commit with presumed abort (Mohan,
// Lindsay, Obermarck 1986). Its methods may be called by several goroutines at once.
type Coordinator struct {
	node *labrpc.Node

	mu      sync.Mutex
	running map[TxID]bool            // undecided
	commits map[TxID][]labrpc.NodeID // the participants that have not acknowledged yet
}

const (
	resendFirst  = 100 * time.Millisecond
	resendAtMost = time.Second
)

const commitPrefix = "commit-"

// StartCoordinator makes the node a coordinator, with the decisions that an earlier incarnation left
// on the disk. Every goroutine that it starts ends when node.Context() does.
func StartCoordinator(node *labrpc.Node) *Coordinator {
	c := &Coordinator{node: node, running: map[TxID]bool{}, commits: map[TxID][]labrpc.NodeID{}}
	if err := c.load(); err != nil {
		node.Logf("coordinator: the disk cannot be read: %v", err)
		return c // a coordinator that cannot know its decisions must not reply
	}
	labrpc.Handle(node, "commit-question", c.answer)
	for _, tx := range slices.Sorted(maps.Keys(c.commits)) {
		for _, to := range c.commits[tx] {
			go c.deliver(tx, to)
		}
	}
	return c
}

func (c *Coordinator) load() error {
	for _, name := range c.node.Disk().Names() {
		tx, ok := strings.CutPrefix(name, commitPrefix)
		if !ok {
			continue
		}
		var to []labrpc.NodeID
		if _, err := c.node.Disk().Load(name, &to); err != nil {
			return err
		}
		c.commits[TxID(tx)] = to
	}
	return nil
}

// Run runs a transaction, and returns its outcome. When ctx ends before all participants have
// voted, the transaction aborts. The error is not nil only if the node has crashed, or if tx is under way already: then
// the outcome is Undecided.
func (c *Coordinator) Run(ctx context.Context, tx TxID, branches []Branch) (Outcome, error) {
	c.mu.Lock()
	if c.running[tx] || c.commits[tx] != nil {
		c.mu.Unlock()
		return Undecided, fmt.Errorf("transactions: transaction %q is under way already", tx)
	}
	c.running[tx] = true
	c.mu.Unlock()

	votes, all := c.collect(ctx, tx, branches)
	var updated []labrpc.NodeID
	for _, b := range branches {
		if votes[b.Participant] == VoteYes {
			updated = append(updated, b.Participant)
		}
	}
	if c.node.Context().Err() != nil {
		return Undecided, fmt.Errorf("transactions: transaction %q: %w", tx, labrpc.ErrDown)
	}
	if !all {
		c.abort(tx, branches, votes)
		return Aborted, nil
	}
	if err := c.commit(tx, updated); err != nil {
		return Undecided, fmt.Errorf("transactions: transaction %q: %w", tx, err)
	}
	return Committed, nil
}

// A ballot is the vote of one participant, or an error if it did not vote in time.
type ballot struct {
	from labrpc.NodeID
	vote Vote
	err  error
}

// collect asks all participants for their votes. It returns when one has voted no, when ctx ends, or with
// all votes and true.
func (c *Coordinator) collect(ctx context.Context, tx TxID, branches []Branch) (map[labrpc.NodeID]Vote, bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ballots := make(chan ballot, len(branches))
	for _, b := range branches {
		req := prepareRequest{Tx: tx, Work: b.Work}
		for _, other := range branches {
			if other.Participant != b.Participant {
				req.Others = append(req.Others, other.Participant)
			}
		}
		go func() {
			reply, err := insist[prepareReply](ctx, c.node, b.Participant, "commit-prepare", req)
			ballots <- ballot{b.Participant, reply.Vote, err}
		}()
	}
	votes := map[labrpc.NodeID]Vote{}
	for range branches {
		got := <-ballots
		if got.err != nil {
			return votes, false
		}
		votes[got.from] = got.vote
		if got.vote == VoteNo {
			return votes, false
		}
	}
	return votes, true
}

// insist calls until a reply comes, ctx ends or the node crashes.
func insist[R, A any](ctx context.Context, node *labrpc.Node, to labrpc.NodeID, method string, args A) (R, error) {
	for limit := resendFirst; ; limit = min(2*limit, resendAtMost) {
		try, cancel := context.WithTimeout(ctx, limit)
		reply, err := labrpc.Call[R](try, node, to, method, args)
		if err == nil || ctx.Err() != nil || node.Context().Err() != nil {
			cancel()
			return reply, err
		}
		<-try.Done() // an error may come early, and must not be answered with a call at once
		cancel()
	}
}

// commit writes the decision, and then tells the participants. Without participants that have changed
// something, there is nothing to remember.
func (c *Coordinator) commit(tx TxID, updated []labrpc.NodeID) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(updated) > 0 {
		if err := c.node.Disk().Save(commitPrefix+string(tx), updated); err != nil {
			return err
		}
		c.commits[tx] = updated
	}
	delete(c.running, tx)
	for _, to := range updated {
		go c.deliver(tx, to)
	}
	return nil
}

// deliver sends the decision to commit until the participant has acknowledged it.
func (c *Coordinator) deliver(tx TxID, to labrpc.NodeID) {
	_, err := insist[decideReply](c.node.Context(), c.node, to, "commit-decide", decideRequest{Tx: tx, Outcome: Committed})
	if err == nil { // else this node is down
		c.acknowledged(tx, to)
	}
}

// acknowledged forgets a commit when no participant can ask for it any more.
func (c *Coordinator) acknowledged(tx TxID, from labrpc.NodeID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.commits[tx] = slices.DeleteFunc(slices.Clone(c.commits[tx]), func(id labrpc.NodeID) bool { return id == from })
	if len(c.commits[tx]) == 0 && c.node.Disk().Delete(commitPrefix+string(tx)) == nil {
		delete(c.commits, tx)
	}
}

// abort tells the participants that may have voted yes, once: a participant that does not hear of it will ask.
func (c *Coordinator) abort(tx TxID, branches []Branch, votes map[labrpc.NodeID]Vote) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.running, tx)
	for _, b := range branches {
		if vote, voted := votes[b.Participant]; voted && vote != VoteYes {
			continue
		}
		go func() {
			ctx, cancel := context.WithTimeout(c.node.Context(), resendFirst)
			defer cancel()
			_, _ = labrpc.Call[decideReply](ctx, c.node, b.Participant, "commit-decide", decideRequest{Tx: tx, Outcome: Aborted})
		}()
	}
}

// answer tells a participant in doubt the outcome. A transaction that is neither under way nor
// on the disk has not committed, or all its participants know that it has: it is presumed to have aborted.
func (c *Coordinator) answer(_ labrpc.NodeID, req questionRequest) questionReply {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.running[req.Tx]:
		return questionReply{Outcome: Undecided}
	case c.commits[req.Tx] != nil:
		return questionReply{Outcome: Committed}
	}
	return questionReply{Outcome: Aborted}
}
