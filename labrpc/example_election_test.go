package labrpc_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
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

// watch stands for election whenever a randomised timeout passes in silence,
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

// An electorate is five electors and what they have claimed so far.
type electorate struct {
	t       *testing.T
	net     *labrpc.Network
	leaders map[int]labrpc.NodeID
	latest  claim
}

func (el *electorate) start(id labrpc.NodeID) {
	node := el.net.Start(id)
	err := startElector(node, func(c claim) {
		// After a crash Tell answers ErrDown: a dead node has nothing to claim.
		_ = labrpc.Tell(node, c, el.claimed)
	})
	if err != nil {
		el.t.Errorf("%v does not start: %v", id, err)
	}
}

// claimed checks Election Safety: at most one leader a term (Raft §5.2).
func (el *electorate) claimed(at time.Duration, c claim) {
	if other, ok := el.leaders[c.Term]; ok && other != c.ID {
		el.t.Errorf("at %v: two leaders in term %d: %v and %v", at, c.Term, other, c.ID)
	}
	el.leaders[c.Term] = c.ID
	if c.Term > el.latest.Term {
		el.latest = c
	}
}

// newLeader waits for a leader of a later term than any before.
func (el *electorate) newLeader() labrpc.NodeID {
	el.t.Helper()
	before := el.latest.Term
	if !el.net.RunUntil(10*time.Second, func() bool { return el.latest.Term > before }) {
		el.t.Fatalf("no leader after term %d within 10s; now %v", before, el.net.Now())
	}
	return el.latest.ID
}

// story takes an electorate through a partition, a crash, a crash at a disk
// write, a one-way cut and random trouble, and in the end lets it recover.
func (el *electorate) story(rng *rand.Rand) {
	net := el.net
	old := el.newLeader()

	// The leader keeps one companion; the majority elects another.
	with := labrpc.NodeID((int(old)+rng.IntN(4))%5 + 1)
	net.Partition([]labrpc.NodeID{old, with})
	el.newLeader()
	net.Heal()
	net.Run(time.Second)

	// The leader of now crashes, and one voter with it, just after it saved its vote.
	second := el.latest.ID
	voter := second%5 + 1
	net.CrashAtWrite(voter, labrpc.CrashPoint{Write: net.Writes(voter) + 1, After: true})
	net.Crash(second)
	el.newLeader()
	if !net.RunUntil(time.Second, func() bool { return !net.Up(voter) }) {
		el.t.Errorf("%v has not crashed at its write", voter)
	}
	el.start(voter)
	el.start(second)

	for range 10 {
		id := net.Nodes()[rng.IntN(5)]
		switch rng.IntN(4) {
		case 0:
			net.Crash(id)
			el.start(id)
		case 1:
			net.Cut(id, id%5+1)
		case 2:
			net.Isolate(id)
		case 3:
			net.Pause(id, 300*time.Millisecond)
		}
		net.Run(time.Duration(rng.IntN(500)) * time.Millisecond)
		if rng.IntN(3) == 0 {
			net.Heal()
		}
	}
	net.Heal()
	net.Crash(el.latest.ID)
	el.newLeader()
}

func runElection(t *testing.T, seed uint64, observe func(labrpc.Event)) (el *electorate, took time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		net := labrpc.New(labrpc.Options{Seed: seed, Nodes: 5, Link: labrpc.FairLoss(0.1), Observe: observe})
		defer net.Close()
		el = &electorate{t: t, net: net, leaders: map[int]labrpc.NodeID{}}
		for _, id := range net.Nodes() {
			el.start(id)
		}
		el.story(rand.New(rand.NewPCG(seed, 1)))
		took = net.Now()
	})
	return el, took
}

// At most one node leads a term, whatever the network does, and one always
// comes to lead in the end (Raft §5.2). Five nodes in virtual time meet a
// partition, crashes and one-way cuts on lossy links.
func TestExampleElection(t *testing.T) {
	var virtual time.Duration
	split, lost := 0, 0
	began := time.Now()
	for seed := range uint64(50) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			el, took := runElection(t, seed, nil)
			virtual += took
			split += el.latest.Term - len(el.leaders)
			lost += el.net.Stats(labrpc.Match{}).Lost
		})
	}
	if split == 0 || lost == 0 {
		t.Errorf("%d terms without a leader and %d messages lost: the test tests nothing", split, lost)
	}
	t.Logf("%v virtual at %.0f virtual seconds in a real one; %d terms without a leader",
		virtual, virtual.Seconds()/time.Since(began).Seconds(), split)
}

// The same seed gives the same election, event for event.
func TestExampleElectionReplays(t *testing.T) {
	record := func(seed uint64) (events []string) {
		runElection(t, seed, func(e labrpc.Event) { events = append(events, fmt.Sprintf("%+v", e)) })
		return events
	}
	for seed := range uint64(5) {
		a, b := record(seed), record(seed)
		if !slices.Equal(a, b) {
			t.Errorf("seed %d: two runs of %d and %d events differ", seed, len(a), len(b))
		}
	}
}
