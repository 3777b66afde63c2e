package election

import (
	"context"
	"errors"
	"sync"
	"time"

	"distlabs/labrpc"
)

// A Paxos asks its own acceptor by a function call, and the others one round
// after the other, each of fixed length.
type Paxos struct {
	node *labrpc.Node
	mu   sync.Mutex
	st   AcceptorState
	top  int // the highest round that anybody has told us
}

// NewPaxos makes the node an acceptor.
func NewPaxos(node *labrpc.Node) *Paxos {
	p := &Paxos{node: node}
	if _, err := node.Disk().Load("paxos", &p.st); err != nil {
		return p
	}
	labrpc.Handle(node, "Prepare", func(_ labrpc.NodeID, r PrepareRequest) PrepareReply { return p.promise(r) })
	labrpc.Handle(node, "Accept", func(_ labrpc.NodeID, r AcceptRequest) AcceptReply { return p.take(r) })
	return p
}

// Acceptor returns the acceptor's state.
func (p *Paxos) Acceptor() AcceptorState {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.st
}

func (p *Paxos) keep(st AcceptorState) bool {
	if p.node.Disk().Save("paxos", st) != nil {
		return false
	}
	p.st = st
	return true
}

// promise answers only ballots above the last: so no ballot of ours is used twice,
// for our own acceptor has promised it.
func (p *Paxos) promise(r PrepareRequest) PrepareReply {
	p.mu.Lock()
	defer p.mu.Unlock()
	ok := r.Ballot.Compare(p.st.Promised) > 0 && p.keep(AcceptorState{r.Ballot, p.st.Accepted, p.st.Value})
	return PrepareReply{ok, p.st}
}

func (p *Paxos) take(r AcceptRequest) AcceptReply {
	p.mu.Lock()
	defer p.mu.Unlock()
	ok := r.Ballot.Compare(p.st.Promised) >= 0 && p.keep(AcceptorState{r.Ballot, r.Ballot, r.Value})
	return AcceptReply{ok, p.st}
}

var errDone = errors.New("election: the node or the context of Propose is done")

// Propose tries until a value is chosen.
func (p *Paxos) Propose(ctx context.Context, value labrpc.NodeID) (labrpc.NodeID, error) {
	for attempt := 1; ; attempt++ {
		if ctx.Err() != nil || p.node.Context().Err() != nil {
			return 0, errors.Join(errDone, ctx.Err(), p.node.Context().Err())
		}
		if v, ok := p.round(ctx, value); ok {
			return v, nil
		}
		spread := time.Duration(min(attempt, 10)) * 60 * time.Millisecond
		timer := time.NewTimer(time.Duration(p.node.Rand().Int64N(int64(spread))))
		select {
		case <-timer.C:
		case <-ctx.Done():
		case <-p.node.Context().Done():
		}
		timer.Stop()
	}
}

func (p *Paxos) round(ctx context.Context, value labrpc.NodeID) (labrpc.NodeID, bool) {
	p.mu.Lock()
	b := Ballot{max(p.st.Promised.Round, p.top) + 1, p.node.ID()}
	p.mu.Unlock()
	own := p.promise(PrepareRequest{b})
	if !own.OK {
		return 0, false
	}
	best, votes := own.State, 1
	for _, r := range collect[PrepareReply](ctx, p, "Prepare", PrepareRequest{b}) {
		p.hear(r.State)
		if r.OK {
			votes++
			if r.State.Accepted.Compare(best.Accepted) > 0 {
				best = r.State
			}
		}
	}
	if 2*votes <= len(p.node.Peers())+1 {
		return 0, false
	}
	if best.Accepted != (Ballot{}) {
		value = best.Value
	}
	if !p.take(AcceptRequest{b, value}).OK {
		return 0, false
	}
	votes = 1
	for _, r := range collect[AcceptReply](ctx, p, "Accept", AcceptRequest{b, value}) {
		p.hear(r.State)
		if r.OK {
			votes++
		}
	}
	return value, 2*votes > len(p.node.Peers())+1
}

func (p *Paxos) hear(st AcceptorState) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.top = max(p.top, st.Promised.Round)
}

// collect waits for all peers, or a fixed time.
func collect[R, A any](ctx context.Context, p *Paxos, method string, args A) (replies []R) {
	ctx, cancel := context.WithTimeout(ctx, 80*time.Millisecond)
	defer cancel()
	var mu sync.Mutex
	var asked sync.WaitGroup
	for _, peer := range p.node.Peers() {
		asked.Go(func() {
			if r, err := labrpc.Call[R](ctx, p.node, peer, method, args); err == nil {
				mu.Lock()
				defer mu.Unlock()
				replies = append(replies, r)
			}
		})
	}
	asked.Wait()
	return replies
}
