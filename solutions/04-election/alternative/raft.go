package election

import (
	"context"
	"sync/atomic"
	"time"

	"distlabs/labrpc"
)

// A Raft is one server of a cluster that elects a leader as Raft does, with a
// PreVote before each election. One goroutine owns the state; everybody else
// hands it functions to run.
type Raft struct {
	node   *labrpc.Node
	opts   RaftOptions
	events chan func()
	view   atomic.Pointer[State]

	// Owned by the loop.
	st       State
	vote     ballotRecord
	heard    time.Time
	timeout  time.Duration
	lastBeat time.Time
	yes      map[labrpc.NodeID]bool
}

type ballotRecord struct {
	Term int
	For  labrpc.NodeID
}

// PreVoteRequest asks whether an election in that term could be won.
type PreVoteRequest struct{ Term int }

// PreVoteReply answers it.
type PreVoteReply struct {
	Term int
	Yes  bool
}

const tick = 10 * time.Millisecond

// NewRaft starts a server.
func NewRaft(node *labrpc.Node, opts RaftOptions) *Raft {
	r := &Raft{node: node, opts: opts, events: make(chan func())}
	_, err := node.Disk().Load("term", &r.st.Term)
	if err == nil {
		_, err = node.Disk().Load("vote", &r.vote)
	}
	r.publish()
	if err != nil {
		return r
	}
	r.rest()
	labrpc.Handle(node, "RequestVote", func(_ labrpc.NodeID, req VoteRequest) (reply VoteReply) {
		r.do(func() { reply = r.onVote(req) })
		return reply
	})
	labrpc.Handle(node, "AppendEntries", func(_ labrpc.NodeID, req AppendRequest) (reply AppendReply) {
		r.do(func() { reply = r.onAppend(req) })
		return reply
	})
	labrpc.Handle(node, "PreVote", func(_ labrpc.NodeID, req PreVoteRequest) (reply PreVoteReply) {
		r.do(func() {
			calm := r.st.Role != Leader && time.Since(r.heard) >= r.opts.ElectionTimeout
			reply = PreVoteReply{Term: r.st.Term, Yes: calm && req.Term > r.st.Term}
		})
		return reply
	})
	go r.loop()
	return r
}

// State returns what the server thinks.
func (r *Raft) State() State { return *r.view.Load() }

func (r *Raft) publish() {
	st := r.st
	r.view.Store(&st)
}

// do runs f in the loop, unless the node is down.
func (r *Raft) do(f func()) {
	done := make(chan struct{})
	select {
	case r.events <- func() { defer close(done); f() }:
		<-done
	case <-r.node.Context().Done():
	}
}

func (r *Raft) loop() {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-r.node.Context().Done():
			return
		case f := <-r.events:
			f()
		case <-ticker.C:
			r.onTick()
		}
		r.publish()
	}
}

func (r *Raft) onTick() {
	switch {
	case r.st.Role == Leader:
		if time.Since(r.lastBeat) >= r.opts.Heartbeat {
			r.beat()
		}
	case time.Since(r.heard) >= r.timeout:
		r.rest()
		r.heard = r.heard.Add(-r.opts.ElectionTimeout) // we are as ready to vote as to stand
		r.timeout += r.opts.ElectionTimeout
		r.preVote()
	}
}

// rest begins a new wait.
func (r *Raft) rest() {
	r.heard = time.Now()
	r.timeout = r.opts.ElectionTimeout + time.Duration(r.node.Rand().Int64N(int64(r.opts.ElectionTimeout)))
}

func (r *Raft) enough(votes int) bool { return 2*votes > len(r.node.Peers())+1 }

// toAll calls every peer and hands each answer to the loop.
func toAll[R, A any](r *Raft, method string, args A, got func(labrpc.NodeID, R)) {
	for _, peer := range r.node.Peers() {
		go func() {
			ctx, cancel := context.WithTimeout(r.node.Context(), time.Second)
			defer cancel()
			if reply, err := labrpc.Call[R](ctx, r.node, peer, method, args); err == nil {
				r.do(func() { got(peer, reply) })
			}
		}()
	}
}

func (r *Raft) preVote() {
	term := r.st.Term + 1
	yes := map[labrpc.NodeID]bool{r.node.ID(): true}
	began := r.heard
	if r.enough(len(yes)) {
		r.campaign()
		return
	}
	toAll(r, "PreVote", PreVoteRequest{term}, func(peer labrpc.NodeID, reply PreVoteReply) {
		r.newer(reply.Term)
		if !reply.Yes || r.st.Term+1 != term || r.heard != began || r.st.Role == Leader {
			return
		}
		yes[peer] = true
		if r.enough(len(yes)) {
			r.campaign()
		}
	})
}

func (r *Raft) campaign() {
	term := r.st.Term + 1
	if r.node.Disk().Save("vote", ballotRecord{term, r.node.ID()}) != nil || r.node.Disk().Save("term", term) != nil {
		return
	}
	r.vote = ballotRecord{term, r.node.ID()}
	r.st = State{Term: term, Role: Candidate}
	r.rest()
	r.yes = map[labrpc.NodeID]bool{r.node.ID(): true}
	if r.enough(1) {
		r.win()
		return
	}
	toAll(r, "RequestVote", VoteRequest{Term: term, Candidate: r.node.ID()}, func(peer labrpc.NodeID, reply VoteReply) {
		r.newer(reply.Term)
		if r.st.Term == term && r.st.Role == Candidate && reply.Granted {
			r.yes[peer] = true
			if r.enough(len(r.yes)) {
				r.win()
			}
		}
	})
}

func (r *Raft) win() {
	r.st = State{Term: r.st.Term, Role: Leader, Leader: r.node.ID()}
	r.beat()
}

func (r *Raft) beat() {
	r.lastBeat = time.Now()
	toAll(r, "AppendEntries", AppendRequest{Term: r.st.Term, Leader: r.node.ID()}, func(_ labrpc.NodeID, reply AppendReply) {
		r.newer(reply.Term)
	})
}

// newer adopts a higher term.
func (r *Raft) newer(term int) {
	if term <= r.st.Term || r.node.Disk().Save("term", term) != nil {
		return
	}
	if r.st.Role == Leader {
		r.rest()
	}
	r.st = State{Term: term}
}

func (r *Raft) onVote(req VoteRequest) VoteReply {
	r.newer(req.Term)
	mine := ballotRecord{req.Term, req.Candidate}
	switch {
	case req.Term < r.st.Term, r.vote.Term == req.Term && r.vote != mine:
	case r.vote != mine && r.node.Disk().Save("vote", mine) != nil:
	default:
		r.vote = mine
		r.rest()
		return VoteReply{Term: r.st.Term, Granted: true}
	}
	return VoteReply{Term: r.st.Term}
}

func (r *Raft) onAppend(req AppendRequest) AppendReply {
	r.newer(req.Term)
	if req.Term != r.st.Term {
		return AppendReply{Term: r.st.Term}
	}
	r.st = State{Term: req.Term, Leader: req.Leader}
	r.rest()
	return AppendReply{Term: req.Term, Success: true}
}
