package labrpc_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"distlabs/labrpc"
)

// rumours is what a gossiper tells: all that it knows, sorted. An Answer is
// not answered again.
type rumours struct {
	Texts  []string
	Answer bool
}

// A gossiper spreads rumours by push-pull anti-entropy (Demers et al. 1987):
// ten times a second it tells a random peer what it knows, and hears from it
// what it lacks.
type gossiper struct {
	node *labrpc.Node

	mu    sync.Mutex
	known []string // sorted, so that what is sent does not depend on a map's order
}

func startGossiper(node *labrpc.Node) *gossiper {
	g := &gossiper{node: node}
	labrpc.Receive(node, "rumours", g.hear)
	go g.gossip()
	return g
}

// Say makes a rumour known here; the rest follows.
func (g *gossiper) Say(text string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.learn(text)
}

// Knows reports whether a rumour has come here.
func (g *gossiper) Knows(text string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Contains(g.known, text)
}

// learn adds a rumour if it is new. The caller holds g.mu.
func (g *gossiper) learn(text string) {
	if i, ok := slices.BinarySearch(g.known, text); !ok {
		g.known = slices.Insert(g.known, i, text)
		g.node.Logf("learns %q", text)
	}
}

func (g *gossiper) hear(from labrpc.NodeID, r rumours) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, text := range r.Texts {
		g.learn(text)
	}
	if !r.Answer && len(g.known) > len(r.Texts) {
		g.send(from, true)
	}
}

// send tells a peer everything. The caller holds g.mu, which is safe: Send does not wait.
func (g *gossiper) send(to labrpc.NodeID, answer bool) {
	if err := labrpc.Send(g.node, to, "rumours", rumours{Texts: g.known, Answer: answer}); err != nil {
		g.node.Logf("%v", err)
	}
}

func (g *gossiper) gossip() {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	peers := g.node.Peers()
	for {
		select {
		case <-g.node.Context().Done():
			return
		case <-tick.C:
		}
		g.mu.Lock()
		if len(g.known) > 0 {
			g.send(peers[g.node.Rand().IntN(len(peers))], false)
		}
		g.mu.Unlock()
	}
}

// Every rumour comes to every node although three messages in ten are lost
// and the network is divided for a while; while it is, none crosses.
func TestExampleGossip(t *testing.T) {
	var virtual, slowest time.Duration
	var all labrpc.MethodStats
	began := time.Now()
	for seed := range uint64(20) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				took, total, stats := gossipThroughPartition(t, seed)
				slowest = max(slowest, took)
				virtual += total
				all.Sent += stats.Sent
				all.Lost += stats.Lost
				all.Duplicated += stats.Duplicated
			})
		})
	}
	if all.Lost*4 < all.Sent || all.Duplicated == 0 {
		t.Errorf("of %d messages %d were lost and %d duplicated: the test tests nothing", all.Sent, all.Lost, all.Duplicated)
	}
	t.Logf("the slowest took %v from the heal; %v virtual at %.0f virtual seconds in a real one",
		slowest, virtual, virtual.Seconds()/time.Since(began).Seconds())
}

// gossipThroughPartition returns how long the rumours took from the heal
// until all knew them, how long the whole run was, and its messages.
func gossipThroughPartition(t *testing.T, seed uint64) (took, total time.Duration, stats labrpc.MethodStats) {
	net := labrpc.New(labrpc.Options{Seed: seed, Nodes: 12, Link: labrpc.FairLoss(0.3)})
	defer net.Close()
	var all []*gossiper
	for _, id := range net.Nodes() {
		all = append(all, startGossiper(net.Start(id)))
	}
	knows := func(g []*gossiper, text string) func() bool {
		return func() bool {
			return !slices.ContainsFunc(g, func(g *gossiper) bool { return !g.Knows(text) })
		}
	}

	left, right := all[:5], all[5:]
	net.Partition(net.Nodes()[:5], net.Nodes()[5:])
	left[0].Say("left")
	right[0].Say("right")
	if !net.RunUntil(5*time.Second, knows(left, "left")) || !net.RunUntil(5*time.Second, knows(right, "right")) {
		t.Fatalf("at %v: one side does not know its own rumour", net.Now())
	}
	for _, g := range all {
		if g.Knows("left") && g.Knows("right") {
			t.Errorf("at %v: a rumour crossed the partition to %v", net.Now(), g.node.ID())
		}
	}

	net.Heal()
	healed := net.Now()
	if !net.RunUntil(5*time.Second, knows(all, "left")) || !net.RunUntil(5*time.Second, knows(all, "right")) {
		t.Fatalf("at %v: not all know both rumours, %v after the heal", net.Now(), net.Now()-healed)
	}
	return net.Now() - healed, net.Now(), net.Stats(labrpc.Match{Method: "rumours"})
}
