package labrpc_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"distlabs/labrpc"
)

// An electorate is five electors and what they have claimed so far.
//
// The lock is for the race detector: Tell's function runs between the steps of
// the network, in the network's goroutine, not in the test's.
type electorate struct {
	t   *testing.T
	net *labrpc.Network

	mu      sync.Mutex
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
	el.mu.Lock()
	defer el.mu.Unlock()
	if other, ok := el.leaders[c.Term]; ok && other != c.ID {
		el.t.Errorf("at %v: two leaders in term %d: %v and %v", at, c.Term, other, c.ID)
	}
	el.leaders[c.Term] = c.ID
	if c.Term > el.latest.Term {
		el.latest = c
	}
}

// last returns the claim of the highest term.
func (el *electorate) last() claim {
	el.mu.Lock()
	defer el.mu.Unlock()
	return el.latest
}

// newLeader waits for a leader of a later term than any before.
func (el *electorate) newLeader() labrpc.NodeID {
	el.t.Helper()
	before := el.last().Term
	if !el.net.RunUntil(10*time.Second, func() bool { return el.last().Term > before }) {
		el.t.Fatalf("no leader after term %d within 10s; now %v", before, el.net.Now())
	}
	return el.last().ID
}

// restart crashes a node, if it is up, and starts it again at once.
func (el *electorate) restart(id labrpc.NodeID) {
	el.net.Crash(id)
	el.start(id)
}

// story takes an electorate through a partition, a crash, a crash at a disk
// write, forgetful voters and random faults, and finally lets it recover.
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
	second := el.last().ID
	voter := second%5 + 1
	net.CrashAtWrite(voter, labrpc.CrashPoint{Write: net.Writes(voter) + 1, After: true})
	net.Crash(second)
	el.newLeader()
	if !net.RunUntil(time.Second, func() bool { return !net.Up(voter) }) {
		el.t.Errorf("%v has not crashed at its write", voter)
	}
	el.start(voter)
	el.start(second)

	// Two voters crash every few milliseconds while the rest elect: a vote that
	// was not on the disk before its reply left would be given twice.
	leader := el.last().ID
	el.restart(leader)
	for range 200 {
		el.restart(leader%5 + 1)
		el.restart((leader+1)%5 + 1)
		net.Run(3 * time.Millisecond)
	}

	el.faults(rng)
	net.Heal()
	net.Crash(el.last().ID)
	el.newLeader()
}

// faults lets ten random faults befall the electorate.
func (el *electorate) faults(rng *rand.Rand) {
	net := el.net
	for range 10 {
		id := net.Nodes()[rng.IntN(5)]
		switch rng.IntN(4) {
		case 0:
			el.restart(id)
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
// comes to lead eventually (Raft §5.2). Five nodes in virtual time meet a
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
