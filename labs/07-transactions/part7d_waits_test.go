package transactions_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
)

// A client whose messages are slow writes keys that others read all the time, while many transactions write other keys of the same groups: it commits
// (rule 36).
func TestReadersDoNotAbort7D(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: shardNodes(3, 3), Link: shardLink, Seeds: 2}, func(s *labtest.Sim) {
		c := newShardCluster(s, 3)
		slow := c.clients[0]
		c.slowLinks(slow)
		var stop atomic.Bool
		for _, id := range c.clients[1:] {
			c.repeats(id, &stop, reads("m"), reads("t"))
			for stream := range 2 {
				key := fmt.Sprint(id, stream)
				s.Run(time.Microsecond) // no two begin in one instant: chance would order their requests
				c.then(id, 1+stream, &stop, func() []shardStep { return []shardStep{writes("n" + key), writes("u" + key)} })
			}
		}
		r := c.start(slow, time.Minute, writes("m"), writes("t"))
		c.commits(r, 3*shardLease, ruleShardInTime)
		stop.Store(true)
		s.Run(shardServes)
		c.check()
	})
}

// slowLinks makes the messages of a client slow.
func (c *shardCluster) slowLinks(client labrpc.NodeID) {
	far := labrpc.Link{Latency: labrpc.Fixed(150 * time.Millisecond)}
	for _, id := range c.servers() {
		c.s.Net.SetLink(client, id, far)
		c.s.Net.SetLink(id, client, far)
	}
}

// Clients have died in the middle of transactions, a group has lost its majority, and two clients use the same keys without
// a pause: transactions that use other keys do not wait (rule 37).
func TestDisjointDoNotWait7D(t *testing.T) {
	cfg := labtest.Config{Nodes: shardNodes(3, 4), Link: shardLink, Seeds: 2}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		c := newShardCluster(s, 3)
		a, b := c.clients[0], c.clients[1]
		n := c.countRequests(a)
		var stop atomic.Bool
		for _, id := range c.clients[2:] {
			c.repeats(id, &stop, appends("bl"), appends("nl"))
		}
		c.start(b, time.Minute, reads("o"), rests(2*shardServes), reads("p")) // beside the others of this client
		for k := n / 2; k < n; k++ {
			c.cutAfter(a, k, time.Minute)
			s.Net.Crash(a)
			if k == n/2 {
				for range 8 { // which wait for the dead client's
					c.start(b, time.Minute, reads("m"))
				}
			}
			c.does(b, reads("b"), writes("n"), writes("b"))
			c.does(b, reads("n"), writes("u"), writes("b"))
			c.open(a)
			c.startClient(a)
		}
		stop.Store(true)
		s.Run(shardServes)
		for _, id := range c.layout.Groups[2][:2] {
			s.Net.Crash(id)
		}
		c.start(a, time.Second, reads("a"), writes("m"), writes("t"))
		s.Run(100 * time.Millisecond)
		for range 3 {
			c.does(b, reads("b"), writes("n"), writes("b"))
		}
		c.settle()
		c.commits(c.start(b, time.Minute, reads("m"), reads("t")), shardLease+shardSlack+shardServes, ruleShardLease)
		c.leadersAreDown(b)
		c.aServerIsAlone(b)
		c.check()
	})
}

// leadersAreDown: the leaders of all groups are down, which a client has asked last, and each group has another leader. A transaction that needs all groups
// does not wait for each of the old leaders in turn for so long that it is late, although all messages take nearly 20ms (rule 37).
func (c *shardCluster) leadersAreDown(client labrpc.NodeID) {
	c.s.Net.SetLinks(labrpc.Link{Latency: labrpc.Uniform(15*time.Millisecond, 20*time.Millisecond)})
	c.does(client, reads("a"), reads("m"), reads("t"))
	for g := range c.layout.Groups {
		old := c.leader(g)
		c.s.Net.Crash(old)
		c.waitForAnother(g, old)
	}
	c.s.Run(time.Second)
	c.waitForLeaders()
	c.does(client, reads("b"), reads("n"), reads("u"), reads("c"))
	c.settle()
}

// aServerIsAlone: in each group, one server is cut off from the others, and not from the clients. A client that has just started, and may ask it first, finds
// the leader, which all others follow (rule 37).
func (c *shardCluster) aServerIsAlone(client labrpc.NodeID) {
	for g, servers := range c.layout.Groups {
		c.strike(servers[g%2], false)
	}
	c.s.Run(2 * time.Second)
	c.waitForLeaders()
	c.s.Net.Crash(client)
	c.startClient(client)
	c.does(client, reads("b"), writes("n"), writes("u"))
	c.settle()
}

// Four clients append to the same lists, and then read and write the same keys for 20s without a pause: each gets its turn (rules 33 and 38).
func TestContention7D(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: shardNodes(3, 4), Link: shardLink, Seeds: 2}, func(s *labtest.Sim) {
		c := newShardCluster(s, 3)
		for range 3 {
			var runs []*shardRun
			for i, id := range c.clients {
				steps := []shardStep{appends("al"), appends("ml"), appends("tl")}
				if i%2 == 1 {
					steps[0], steps[2] = steps[2], steps[0]
				}
				runs = append(runs, c.start(id, time.Minute, steps...))
			}
			for _, r := range runs {
				c.commits(r, shardProgress, ruleShardProgress)
			}
		}
		c.does(c.clients[0], reads("al"), reads("ml"), reads("tl"))
		if wide(s) {
			c.turns(20 * time.Second)
		}
		c.check()
	})
}

// turns: each client runs one transaction after another, all of them on the same two keys. Each Run returns in time, also if others run several
// transactions meanwhile (rule 38).
func (c *shardCluster) turns(d time.Duration) {
	current := make([]*shardRun, len(c.clients))
	for end := c.s.Net.Now() + d; c.s.Net.Now() < end; c.s.Run(2 * time.Millisecond) {
		for i, id := range c.clients {
			if r := current[i]; r != nil {
				if !r.Over && c.s.Net.Now()-r.Call <= shardProgress {
					continue
				}
				c.commits(r, 0, ruleShardProgress)
			}
			steps := []shardStep{reads("a"), writes("a"), reads("m"), writes("m")}
			if i%2 == 1 {
				steps = append(steps[2:], steps[:2]...)
			}
			current[i] = c.start(id, time.Minute, steps...)
		}
	}
	for _, r := range current {
		c.commits(r, r.Call+shardProgress-c.s.Net.Now(), ruleShardProgress)
	}
}

// Two clients begin transactions at nearly the same time, again and again: each reads what the other writes; then one, which is
// further away, writes two keys while the other reads both, or writes both, or writes one key while the other reads and replaces it (rule 33).
func TestPairs7D(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: shardNodes(3, 2), Link: shardLink, Seeds: 3}, func(s *labtest.Sim) {
		c := newShardCluster(s, 3)
		a, b := c.clients[0], c.clients[1]
		c.does(a, writes("a"), writes("m"))
		c.does(b, reads("a"), reads("m"), reads("t"))
		for range 30 {
			c.pair(s.Rand().Int64N(3), c.steps(a, reads("a"), writes("m")), c.steps(b, reads("m"), writes("a")))
		}
		for _, id := range c.servers() {
			s.Net.SetLink(a, id, labrpc.Link{Latency: labrpc.Uniform(15*time.Millisecond, 20*time.Millisecond)})
			s.Net.SetLink(id, a, labrpc.Link{Latency: labrpc.Uniform(15*time.Millisecond, 20*time.Millisecond)})
		}
		for range 12 {
			pause := time.Duration(s.Rand().IntN(150)) * time.Millisecond
			c.pair(s.Rand().Int64N(120), c.steps(a, writes("m"), writes("t")), c.steps(b, reads("m"), rests(pause), reads("t")))
		}
		for range 12 {
			c.pair(s.Rand().Int64N(120), c.steps(a, writes("m"), writes("t")), c.steps(b, writes("m"), writes("t")))
			c.does(b, reads("m"), reads("t"))
		}
		for range 12 {
			c.pair(s.Rand().Int64N(80), c.steps(a, writes("m")), c.steps(b, reads("m"), rests(100*time.Millisecond), writes("m")))
			c.does(b, reads("m"))
		}
		c.does(a, reads("a"), reads("m"), reads("t"))
		c.check()
		c.beginTogether(a, b)
	})
}

// beginTogether: a client, to which replies are slow, has begun a transaction and waits for a reply. Another client commits; then the first client begins
// another transaction, which reads that (rule 33).
func (c *shardCluster) beginTogether(slow, b labrpc.NodeID) {
	for _, id := range c.servers() {
		c.s.Net.SetLink(slow, id, shardLink)
		c.s.Net.SetLink(id, slow, labrpc.Link{Latency: labrpc.Fixed(150 * time.Millisecond)})
	}
	for i := range 8 {
		first := c.start(slow, time.Minute, reads([]string{"a", "m"}[i%2]))
		c.s.Run(time.Duration(10+c.s.Rand().IntN(200)) * time.Millisecond)
		wrote := c.does(b, writes("m"))
		c.s.Run(time.Millisecond)
		second := c.start(slow, time.Minute, reads("m"))
		c.commits(first, shardProgress, ruleShardProgress)
		c.hasRead(c.commits(second, shardProgress, ruleShardProgress), wrote, labtest.Violation{Rule: ruleShardStrict}, "m")
	}
	c.check()
}

// steps is a transaction that can be started.
func (c *shardCluster) steps(client labrpc.NodeID, steps ...shardStep) func() *shardRun {
	return func() *shardRun { return c.start(client, time.Minute, steps...) }
}

// pair starts two transactions in some order, some milliseconds apart.
func (c *shardCluster) pair(apart int64, first, second func() *shardRun) {
	if c.s.Rand().IntN(2) == 0 {
		first, second = second, first
	}
	r := first()
	c.s.Run(time.Duration(apart) * time.Millisecond)
	o := second()
	c.commits(r, shardProgress, ruleShardProgress)
	c.commits(o, shardProgress, ruleShardProgress)
}

// A transaction reads a key, pauses while both its keys are written many times, and reads the other: both of one state (rule 33).
func TestSlowReader7D(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: shardNodes(2, 2), Link: shardLink, Seeds: 2}, func(s *labtest.Sim) {
		c := newShardCluster(s, 2)
		a, b := c.clients[0], c.clients[1]
		c.does(b, writes("a"), writes("m"))
		r := c.start(a, time.Minute, reads("a"), rests(time.Second), reads("m"))
		for range 24 { // each may wait for the reader, which has a key
			c.commits(c.start(b, time.Minute, writes("a"), writes("m")), shardProgress, ruleShardProgress)
		}
		c.commits(r, shardProgress, ruleShardProgress)
		c.check()

		// All servers restart meanwhile: what a reader may still need is on their disks.
		r = c.start(a, time.Minute, reads("a"), rests(4*time.Second), reads("m"))
		for range 15 {
			c.commits(c.start(b, time.Minute, writes("a"), writes("m")), shardProgress, ruleShardProgress)
		}
		c.crashAll()
		c.commits(r, shardProgress, ruleShardProgress)
		c.check()
		c.twoReaders(a, b)
	})
}

// twoReaders: while a transaction of a slow client, which has read a key, commits, another one that has read the same key begins and ends. Then
// a third writes the key, and a fourth reads what the third and the first have written: in one order (rule 33).
func (c *shardCluster) twoReaders(slow, b labrpc.NodeID) {
	for _, id := range c.layout.Groups[0] {
		c.s.Net.SetLink(slow, id, labrpc.Link{Latency: labrpc.Fixed(150 * time.Millisecond)})
	}
	for range 6 {
		first := c.start(slow, time.Minute, reads("m"), writes("a"))
		c.s.Run(time.Duration(140+c.s.Rand().IntN(60)) * time.Millisecond)
		for _, steps := range [][]shardStep{{reads("m"), writes("t")}, {writes("m")}, {reads("m"), reads("a")}} {
			c.commits(c.start(b, time.Minute, steps...), shardProgress, ruleShardProgress)
		}
		c.commits(first, shardProgress, ruleShardProgress)
	}
	c.check()
}

// repeats makes a client run a transaction again and again until stop is set.
func (c *shardCluster) repeats(client labrpc.NodeID, stop *atomic.Bool, steps ...shardStep) {
	c.then(client, 0, stop, func() []shardStep { return steps })
}
