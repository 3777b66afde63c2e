package transactions_test

import (
	"fmt"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	"distlabs/labs/07-transactions"
)

// More transactions than a log may have entries; a server that was down for most of them comes back and leads. Snapshots have the locks of those that only
// read a key (rules 33, 40 and 42).
func TestLongLog7D(t *testing.T) {
	const leads = "a server that was down for most of the log led its group"
	cfg := labtest.Config{Nodes: shardNodes(2, 2), Link: shardLink, Seeds: 2, Limit: 2 * time.Hour, MustCover: []string{leads}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		c := newShardClusterWith(s, 2, transactions.Layout{Lease: 10 * shardLease, SnapshotEvery: 20 + s.Rand().IntN(20)})
		a := c.clients[0]
		c.keepsShortLogs(c.layout.SnapshotEvery)
		var away []labrpc.NodeID
		for g := range c.layout.Groups {
			away = append(away, c.layout.Groups[g][(int(s.Seed%3)+g)%3])
			s.Net.Crash(away[g])
		}
		s.Run(time.Second)
		c.waitForLeaders()
		dead := c.clients[1] // it leaves locks, which are no reason to keep the log
		c.cutAfter(dead, c.countRequests(dead)/2, time.Minute)
		s.Net.Crash(dead)
		last := c.does(a, writes("n"), writes("b"))
		for range 30 {
			last = c.does(a, reads("n"), writes("n"), writes("b"))
		}
		for range 30 { // entries that only read count, too
			c.does(a, reads("b"), reads("c"))
		}
		c.settle()
		c.emptyEntries(3 * c.layout.SnapshotEvery)
		for g := range c.layout.Groups {
			if c.waitUntilLeads(g, away[g]) {
				s.Cover(leads)
			}
		}
		reader := c.commits(c.start(a, time.Minute, reads("n"), reads("b")), shardHeals, ruleShardDurable)
		c.hasRead(reader, last, labtest.Violation{Rule: ruleShardDurable}, "n", "b")
		c.does(a, appends("al"), appends("ml"))
		c.check()
		c.open(dead)
		c.startClient(dead)
		c.readersKeepTheirLocks(dead, a)
	})
}

// emptyEntries puts that many entries without a command into the log of each group, as new leaders do.
func (c *shardCluster) emptyEntries(n int) {
	for range n {
		for g := range c.layout.Groups {
			if id := c.leader(g); id != 0 {
				c.mu.Lock()
				server := c.running[id]
				c.mu.Unlock()
				server.Raft().Submit(nil)
			}
		}
		c.s.Run(20 * time.Millisecond)
	}
}

// readersKeepTheirLocks: a transaction reads a key in one group and writes one in the other. Its client is cut off after each of its requests; many others read
// in the first group, and all servers of that group restart. Another client writes the key that was read, and a third transaction reads both. Then the first client
// continues: one order of the three explains all that was read (rules 33 and 40).
func (c *shardCluster) readersKeepTheirLocks(client, other labrpc.NodeID) {
	c.does(client, reads("d"), reads("o"))
	g := c.gate(client)
	c.does(client, reads("o"), writes("d"))
	c.s.Run(300 * time.Millisecond)
	n := c.requests(g)
	for k := n / 2; k < n; k++ {
		c.setGate(client, shardGate{limit: k})
		r := c.start(client, time.Hour, reads("o"), writes("d"))
		c.s.Until(shardServes, func() bool { return c.requests(g) > k || r.Over })
		c.s.Run(50 * time.Millisecond)
		for range 2 * c.layout.SnapshotEvery {
			c.does(other, reads("p"))
		}
		for _, id := range c.layout.Groups[1] {
			c.s.Net.Crash(id)
		}
		c.startDown()
		c.s.Run(time.Second)
		c.waitForLeaders()
		wrote := c.start(other, time.Minute, writes("o"))
		c.s.Run(time.Second)
		reader := c.start(other, time.Minute, reads("o"), reads("d"))
		c.s.Run(300 * time.Millisecond)
		c.open(client)
		for _, o := range []*shardRun{wrote, reader} {
			c.commits(o, c.layout.Lease+shardSlack+shardServes, ruleShardLease)
		}
		c.delayed(r, shardProgress, ruleShardProgress)
		c.check()
	}
}

// keepsShortLogs checks from now on that no log has more than twice that many entries (rule 42).
func (c *shardCluster) keepsShortLogs(every int) {
	c.s.Always(func() *labtest.Violation {
		for _, id := range c.servers() {
			if st := c.status(id); st.LastApplied-st.SnapshotIndex > 2*every {
				return &labtest.Violation{
					What: fmt.Sprintf("%v has %d entries in its log that it has applied, want at most twice SnapshotEvery, which is %d", id, st.LastApplied-st.SnapshotIndex, every),
					Rule: ruleShardSpace, Nodes: c.servers(),
				}
			}
		}
		return nil
	})
}

// A group is down from the instant at which a client knows that its transaction was committed; the client dies. The other group
// commits more than a thousand transactions, and restarts. When the first one is back, the transaction is whole. After many more and another restart, all its
// requests arrive again. Finally clients ask for outcomes after many other transactions (rules 34, 40 and 41).
func TestOutcomeIsKept7D(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: shardNodes(2, 7), Link: shardLink, Seeds: 1}, func(s *labtest.Sim) {
		// Snapshots of thousands of outcomes take most of the time: there are few.
		c := newShardClusterWith(s, 2, transactions.Layout{Lease: shardLease, SnapshotEvery: 100 + s.Rand().IntN(100)})
		rounds, more := 11, manyMore // a server which remembers the last thousand has forgotten the first
		if !wide(s) {
			rounds, more = 3, 30
		}
		a, b, dies := c.clients[0], c.clients[1], c.clients[2]
		s.Net.JumpClock(b, 5*time.Hour) // those of the others are behind the clock of this one, which runs most of the transactions
		c.does(a, reads("a"), reads("m"))
		c.does(dies, reads("a"))
		g := c.setGate(a, shardGate{limit: -1, keep: true})
		r := c.does(a, writes("a"), writes("m"))
		leaders := []labrpc.NodeID{c.leader(0), c.leader(1)}
		s.Net.Crash(a)
		for _, id := range c.layout.Groups[1] {
			s.Net.Crash(id)
		}
		// Another client dies with so many transactions that numbers of 8 bits are used up, and are committed without its help.
		c.batch(dies, more, steps("c%d"))
		s.Run(manyDies)
		s.Net.Crash(dies)
		s.Run(60 * shardLease) // however rarely one tries by then to tell the group that is down
		c.startClient(dies)
		c.many(10, c.clients[1:])
		for round := range rounds {
			for _, r := range c.batch(b, 100, steps(fmt.Sprint("d", round, "-%d"))) {
				c.commits(r, r.Call+shardServes-s.Net.Now(), ruleShardDisjoint)
			}
		}
		c.crashAll() // what the servers remember is in their snapshots
		reader := c.commits(c.start(b, time.Minute, reads("a"), reads("m")), shardLease+shardSlack+shardServes, ruleShardLease)
		c.hasRead(reader, r, labtest.Violation{Rule: ruleShardDurable}, "a", "m")
		c.many(40, c.clients[1:])
		next := c.does(b, writes("a"), writes("m"))
		c.crashAll()
		for g, id := range leaders {
			c.waitUntilLeads(g, id) // requests to another server have no effect
		}
		c.again(g)
		c.overwritten(b, next, "a", "m")
		c.startClient(a)
		for _, id := range c.clients {
			c.does(id, reads("a"), reads("m"))
			c.does(id, writes("a"))
		}
		c.asksAfterMany(b, more, append([]labrpc.NodeID{a}, c.clients[2:]...))
		c.check()
	})
}

// asksAfterMany: clients have no replies for a while, each from another one of its requests on. Before they ask again, many transactions of another client
// end. The servers still know the outcomes of the first ones: a Lease has not passed (rule 34).
func (c *shardCluster) asksAfterMany(other labrpc.NodeID, more int, cut []labrpc.NodeID) {
	runs := c.cutAll(cut, "e%d", "x%d")
	c.s.Run(150 * time.Millisecond) // until the groups have told each other of the outcomes, if they do
	for _, r := range c.batch(other, more, steps("f%d")) {
		c.commits(r, r.Call+shardServes-c.s.Net.Now(), ruleShardDisjoint)
	}
	for _, id := range cut {
		c.open(id)
	}
	for _, r := range runs {
		c.delayed(r, shardProgress, ruleShardProgress)
	}
}
