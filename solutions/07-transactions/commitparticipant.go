package transactions

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"distlabs/labrpc"
)

// A Participant takes part in two-phase commit with one resource (Gray 1978). Its
// methods may be called by several goroutines at once.
type Participant struct {
	node     *labrpc.Node
	resource Resource

	mu       sync.Mutex
	branches map[TxID]*branch
}

// A branch is the state of one transaction at a participant.
type branch struct {
	record branchRecord  // as on the disk, if there is one
	vote   Vote          // valid when voted is closed
	voted  chan struct{} // closed when the participant has voted
	ended  chan struct{} // closed when a participant that was in doubt has the outcome
}

// inDoubt reports whether the participant has voted yes and does not know the outcome.
func (b *branch) inDoubt() bool {
	return b.vote == VoteYes && b.record.Outcome == Undecided
}

// A branchRecord is the record of a branch that was prepared or has ended. One without
// an outcome is in doubt.
type branchRecord struct {
	Outcome     Outcome
	Work        string
	Coordinator labrpc.NodeID
	Others      []labrpc.NodeID // the other participants
}

// The messages. A questionRequest goes to the coordinator and to participants.
type (
	prepareRequest struct {
		Tx     TxID
		Work   string
		Others []labrpc.NodeID
	}
	prepareReply struct {
		Vote Vote
	}
	decideRequest struct {
		Tx      TxID
		Outcome Outcome
	}
	decideReply     struct{} // it acknowledges: the participant has the outcome on its disk
	questionRequest struct {
		Tx TxID
	}
	questionReply struct {
		Outcome Outcome
	}
)

const (
	askFirst  = 200 * time.Millisecond // after a vote yes, a participant waits for so long before it asks
	askAtMost = time.Second            // the longest time between two questions
)

const branchPrefix = "branch-"

// StartParticipant makes the node a participant, with the transactions that an earlier incarnation
// left on the disk. Every goroutine that it starts ends when node.Context() does.
func StartParticipant(node *labrpc.Node, resource Resource) *Participant {
	p := &Participant{node: node, resource: resource, branches: map[TxID]*branch{}}
	if err := p.load(); err != nil {
		node.Logf("participant: the disk cannot be read: %v", err)
		return p // a participant that cannot know its votes must not reply
	}
	labrpc.Handle(node, "commit-prepare", p.prepare)
	labrpc.Handle(node, "commit-decide", p.decide)
	labrpc.Handle(node, "commit-ask", p.answer)
	return p
}

// load reads the branches, and takes the locks of those in doubt again.
func (p *Participant) load() error {
	for _, name := range p.node.Disk().Names() {
		tx, ok := strings.CutPrefix(name, branchPrefix)
		if !ok {
			continue
		}
		b := newBranch()
		if _, err := p.node.Disk().Load(name, &b.record); err != nil {
			return err
		}
		p.branches[TxID(tx)] = b
		if b.record.Outcome != Aborted {
			b.vote = VoteYes
		}
		close(b.voted)
		if b.inDoubt() {
			p.resource.Restore(TxID(tx), b.record.Work)
			go p.resolve(TxID(tx), b, b.record)
		}
	}
	return nil
}

func newBranch() *branch {
	return &branch{voted: make(chan struct{}), ended: make(chan struct{})}
}

// InDoubt returns the transactions in doubt, sorted.
func (p *Participant) InDoubt() []TxID {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []TxID
	for tx, b := range p.branches {
		if b.inDoubt() {
			all = append(all, tx)
		}
	}
	slices.Sort(all)
	return all
}

// prepare votes. Only the first request of a transaction reaches the resource.
func (p *Participant) prepare(from labrpc.NodeID, req prepareRequest) prepareReply {
	p.mu.Lock()
	b, seen := p.branches[req.Tx]
	if !seen {
		b = newBranch()
		p.branches[req.Tx] = b
	}
	p.mu.Unlock()
	if !seen {
		vote := p.resource.Prepare(req.Tx, req.Work)
		p.cast(req.Tx, b, vote, branchRecord{Work: req.Work, Coordinator: from, Others: req.Others})
	}
	select {
	case <-b.voted:
		p.mu.Lock()
		defer p.mu.Unlock()
		return prepareReply{Vote: b.vote}
	case <-p.node.Context().Done():
		return prepareReply{}
	}
}

// cast records the vote that the resource has given. If the node crashes meanwhile, there is no vote.
func (p *Participant) cast(tx TxID, b *branch, vote Vote, record branchRecord) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if vote == VoteYes && b.record.Outcome == Aborted {
		vote = VoteNo // the decision to abort was faster than the resource
		p.resource.Abort(tx)
	}
	switch vote {
	case VoteYes:
		if p.save(tx, b, record) != nil {
			return
		}
		go p.resolve(tx, b, record)
	case VoteNo:
		// The record lets a participant in doubt learn from this one, also after a crash.
		if p.save(tx, b, branchRecord{Outcome: Aborted}) != nil {
			return
		}
	case VoteReadOnly:
		p.resource.Release(tx)
	}
	b.vote = vote
	close(b.voted)
}

// save writes the branch's record. The caller holds p.mu.
func (p *Participant) save(tx TxID, b *branch, record branchRecord) error {
	if err := p.node.Disk().Save(branchPrefix+string(tx), record); err != nil {
		return err
	}
	b.record = record
	return nil
}

// decide takes the coordinator's decision.
func (p *Participant) decide(_ labrpc.NodeID, req decideRequest) decideReply {
	p.mu.Lock()
	defer p.mu.Unlock()
	b, seen := p.branches[req.Tx]
	switch {
	case seen && b.inDoubt():
		p.end(req.Tx, b, req.Outcome)
	case !seen && req.Outcome == Aborted:
		b = newBranch() // its Prepare is late, or lost
		close(b.voted)
		p.branches[req.Tx] = b
		b.record.Outcome = Aborted
	case seen && b.record.Outcome == Undecided && req.Outcome == Aborted:
		b.record.Outcome = Aborted // the resource is at work; cast will see it
	}
	return decideReply{}
}

// end gives a branch in doubt its outcome. If the disk does not have it afterwards, the node has
// crashed, and no reply leaves. The caller holds p.mu.
//
// The resource comes first: the record without the work says that the resource needs
// it no more. A crash between the two leaves the branch in doubt, and the outcome is learned again.
func (p *Participant) end(tx TxID, b *branch, outcome Outcome) {
	if outcome == Committed {
		p.resource.Commit(tx, b.record.Work)
	} else {
		p.resource.Abort(tx)
	}
	if p.save(tx, b, branchRecord{Outcome: outcome}) == nil {
		close(b.ended)
	}
}

// answer tells another participant the outcome, if this one knows it.
//
// A transaction that is not known here may have committed: a vote read-only leaves no
// record. So do not answer that it has aborted.
func (p *Participant) answer(_ labrpc.NodeID, req questionRequest) questionReply {
	p.mu.Lock()
	defer p.mu.Unlock()
	if b, seen := p.branches[req.Tx]; seen {
		return questionReply{Outcome: b.record.Outcome}
	}
	return questionReply{}
}

// resolve asks all nodes that may know the outcome of a branch, until it has ended
// (Bernstein, Hadzilacos, Goodman §7.4, cooperative termination).
func (p *Participant) resolve(tx TxID, b *branch, record branchRecord) {
	for wait := askFirst; ; wait = min(2*wait, askAtMost) {
		select {
		case <-b.ended:
			return
		case <-p.node.Context().Done():
			return
		case <-time.After(wait):
		}
		go p.ask(tx, b, record.Coordinator, "commit-question", wait)
		for _, other := range record.Others {
			go p.ask(tx, b, other, "commit-ask", wait)
		}
	}
}

// ask asks one node.
func (p *Participant) ask(tx TxID, b *branch, to labrpc.NodeID, method string, limit time.Duration) {
	ctx, cancel := context.WithTimeout(p.node.Context(), limit)
	defer cancel()
	reply, err := labrpc.Call[questionReply](ctx, p.node, to, method, questionRequest{Tx: tx})
	if err != nil || reply.Outcome == Undecided {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if b.inDoubt() { // else the reply is late, and may come from a coordinator that has forgotten a commit
		p.end(tx, b, reply.Outcome)
	}
}
