package labrpc_test

import (
	"context"
	"sync"
	"time"

	"distlabs/labrpc"
)

type ballot struct {
	Term int
}

type vote struct {
	Term    int
	Granted bool
}

// An electorRecord is what an elector may not forget.
type electorRecord struct {
	Term     int
	VotedFor labrpc.NodeID
}

// A claim is an elector's word that it leads a term, told to the test.
type claim struct {
	ID   labrpc.NodeID
	Term int
}

// An elector elects a leader as Raft does (Raft §5.1, §5.2), without a log.
type elector struct {
	node  *labrpc.Node
	claim func(claim)

	mu      sync.Mutex
	rec     electorRecord
	leading bool
	heard   time.Time // last sign of a leader, or a vote granted
	votes   map[labrpc.NodeID]bool
}

func startElector(node *labrpc.Node, onClaim func(claim)) error {
	e := &elector{node: node, claim: onClaim, heard: time.Now()}
	if _, err := node.Disk().Load("record", &e.rec); err != nil {
		return err
	}
	labrpc.Handle(node, "vote", e.vote)
	labrpc.Handle(node, "heartbeat", e.heartbeat)
	go e.watch()
	return nil
}

// save makes the record durable before anything follows from it; it reports
// whether it did. The caller holds e.mu.
func (e *elector) save() bool {
	return e.node.Disk().Save("record", e.rec) == nil
}

// adopt takes over a newer term (Raft §5.1). The caller holds e.mu.
func (e *elector) adopt(term int) {
	if term > e.rec.Term {
		e.rec = electorRecord{Term: term}
		e.leading = false
		e.votes = nil
	}
}

func (e *elector) vote(from labrpc.NodeID, b ballot) vote {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.adopt(b.Term)
	granted := b.Term == e.rec.Term && (e.rec.VotedFor == 0 || e.rec.VotedFor == from)
	if granted {
		e.rec.VotedFor = from
		e.heard = time.Now()
	}
	if !e.save() {
		return vote{}
	}
	return vote{Term: e.rec.Term, Granted: granted}
}

func (e *elector) heartbeat(_ labrpc.NodeID, b ballot) vote {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.adopt(b.Term)
	if b.Term == e.rec.Term {
		e.votes = nil // another has won
		e.heard = time.Now()
	}
	e.save()
	return vote{Term: e.rec.Term}
}

// watch starts an election whenever a randomised timeout passes without a message,
// and sends heartbeats while leading.
func (e *elector) watch() {
	for e.node.Context().Err() == nil {
		wait := 150*time.Millisecond + time.Duration(e.node.Rand().Int64N(int64(150*time.Millisecond)))
		e.mu.Lock()
		if e.leading {
			wait = 50 * time.Millisecond
		}
		e.mu.Unlock()
		since := time.Now()
		select {
		case <-e.node.Context().Done():
			return
		case <-time.After(wait):
		}
		e.turn(since)
	}
}

// turn does what is due after a wait that began at since.
func (e *elector) turn(since time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.leading:
		e.ask("heartbeat", func(labrpc.NodeID, vote) {})
	case e.heard.Before(since):
		e.rec = electorRecord{Term: e.rec.Term + 1, VotedFor: e.node.ID()}
		e.votes = map[labrpc.NodeID]bool{e.node.ID(): true}
		if e.save() {
			e.node.Note("term", e.rec.Term)
			e.ask("vote", e.count)
		}
	}
}

// ask calls every peer at once with the current term and hands each reply of
// the same term to got, which is called with e.mu held. The caller holds e.mu.
func (e *elector) ask(method string, got func(labrpc.NodeID, vote)) {
	term := e.rec.Term
	for _, peer := range e.node.Peers() {
		go func() {
			ctx, cancel := context.WithTimeout(e.node.Context(), 100*time.Millisecond)
			defer cancel()
			reply, err := labrpc.Call[vote](ctx, e.node, peer, method, ballot{Term: term})
			if err != nil {
				return
			}
			e.mu.Lock()
			defer e.mu.Unlock()
			e.adopt(reply.Term)
			if e.rec.Term == term {
				got(peer, reply)
			}
		}()
	}
}

// count counts a vote. The caller holds e.mu.
func (e *elector) count(from labrpc.NodeID, v vote) {
	if !v.Granted || e.votes == nil || e.leading {
		return
	}
	e.votes[from] = true
	if len(e.votes) > (len(e.node.Peers())+1)/2 {
		e.leading = true
		e.node.Note("role", "leader")
		e.claim(claim{ID: e.node.ID(), Term: e.rec.Term})
		e.ask("heartbeat", func(labrpc.NodeID, vote) {})
	}
}
