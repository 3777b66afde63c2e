package transactions_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	"distlabs/labs/05-replication"
	"distlabs/labs/07-transactions"
)

// While a transaction is under way, after each of its requests, the leader of a group crashes or is cut off from its group. The
// transaction commits all the same, as a whole, and what others commit meanwhile stays. Finally all groups have new leaders, and a client finds them in
// time (rules 33, 34 and 40).
func TestLeaderChanges7D(t *testing.T) {
	const changed = "a group changed its leader between two requests of a transaction that then committed"
	cfg := labtest.Config{Nodes: shardNodes(3, 2), Link: shardLink, Seeds: 2, MustCover: []string{changed}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		c := newShardCluster(s, 3)
		a, b := c.clients[0], c.clients[1]
		for i := range 2 * c.countRequests(a) {
			k := i / 2
			group := (k + int(s.Seed%3)) % 3
			old := c.leader(group)
			g := c.gate(a)
			r := c.start(a, time.Minute, reads("a"), appends("al"), writes("m"), writes("t"))
			s.Until(shardServes, func() bool { return c.requests(g) > k || r.Over })
			c.strike(old, i%2 == 0)
			under := !r.Over
			other := c.start(b, time.Minute, reads("m"), writes("t"), appends("al"))
			c.waitForAnother(group, old)
			c.settle()
			c.survives(r)
			c.survives(other)
			if under {
				s.Cover(changed)
			}
			c.does(b, reads("a"), reads("al"), reads("m"), reads("t"))
			c.check()
		}
		c.replaceLeaders()
		s.Run(shardHeals)
		c.commits(c.start(b, time.Minute, reads("a"), reads("m"), writes("t")), shardServes, ruleShardDurable) // it asked the old ones before
	})
}

// waitForAnother waits until another server than the old one leads a group, for as long as rule 40 allows.
func (c *shardCluster) waitForAnother(group int, old labrpc.NodeID) {
	c.s.Until(shardHeals, func() bool { l := c.leader(group); return l != 0 && l != old })
}

// replaceLeaders makes other servers lead all groups, and starts the old leaders again.
func (c *shardCluster) replaceLeaders() {
	for g := range c.layout.Groups {
		old := c.leader(g)
		c.s.Net.Crash(old)
		c.waitForAnother(g, old)
	}
	c.settle()
}

// strike crashes a server when it has had the time to reply, or cuts it off from all other servers at once.
func (c *shardCluster) strike(server labrpc.NodeID, crash bool) {
	if crash {
		c.s.Run(time.Duration(c.s.Rand().IntN(15)) * time.Millisecond)
		c.s.Net.Crash(server)
		return
	}
	for _, o := range c.servers() {
		if o != server {
			c.s.Net.CutBoth(server, o)
		}
	}
}

// The leader of a group is cut off from all other servers, and clients still reach it. Another client has found its successor and
// writes: the next transaction reads that, and not what the old leader has (rule 33).
func TestDeposedLeader7D(t *testing.T) {
	const asked = "a client asked a leader that had been replaced"
	cfg := labtest.Config{Nodes: shardNodes(3, 3), Link: shardLink, Seeds: 3, MustCover: []string{asked}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		c := newShardCluster(s, 3)
		a, b := c.clients[0], c.clients[1]
		for group, keys := range [][]string{{"a", "b"}, {"m", "n"}, {"t", "u"}} {
			key := keys[0]
			c.does(a, writes(key), writes(keys[1]))
			c.does(b, reads(key), reads(keys[1]))
			s.Run(200 * time.Millisecond) // until nothing of it is under way
			old := c.leader(group)
			c.strike(old, false)
			c.waitForAnother(group, old)
			s.Net.CutBoth(a, old)
			wrote := c.commits(c.start(a, time.Minute, writes(key), writes(keys[1])), shardHeals, ruleShardDurable)
			before := s.Net.Stats(labrpc.Match{From: b, To: old}).Sent
			reader := c.commits(c.start(b, time.Minute, reads(key), reads(keys[1])), shardHeals, ruleShardDurable)
			if s.Net.Stats(labrpc.Match{From: b, To: old}).Sent > before {
				s.Cover(asked)
			}
			if reader.saw(key) != wrote.wrote(key) {
				c.check()
				c.s.Fail(labtest.Violation{What: reader.String() + ", want what an earlier transaction wrote: " + wrote.String(), Rule: ruleShardStrict, Nodes: c.around(reader)})
			}
			c.settle()
		}
		c.lateAcknowledgements(a, b, c.clients[2])
		c.check()
	})
}

// lateAcknowledgements: the acknowledgements of an entry are under way for so long that another leader is elected and serves a client. Then they reach the old
// leader, which commits the entry. A client that asks it reads what the other leader has (rule 33).
func (c *shardCluster) lateAcknowledgements(writer, reader, first labrpc.NodeID) {
	for range 3 {
		for _, id := range []labrpc.NodeID{writer, reader, first} {
			c.does(id, reads("m"))
		}
		c.s.Run(200 * time.Millisecond)
		old := c.leader(1)
		applied := c.status(old).LastApplied
		others := c.others(1, old)
		for _, id := range others {
			c.s.Net.SetLink(id, old, labrpc.Link{Latency: labrpc.Fixed(1400 * time.Millisecond)})
		}
		r := c.start(first, time.Minute, reads("m"), writes("n"))
		c.s.Run(50 * time.Millisecond)
		for _, id := range others {
			c.s.Net.Cut(old, id)
		}
		c.waitForAnother(1, old)
		c.s.Net.CutBoth(writer, old)
		wrote := c.commits(c.start(writer, time.Minute, writes("m")), shardHeals, ruleShardDurable)
		c.s.Until(time.Second, func() bool { return c.status(old).LastApplied > applied })
		saw := c.commits(c.start(reader, time.Minute, reads("m")), shardHeals, ruleShardDurable)
		c.hasRead(saw, wrote, labtest.Violation{Rule: ruleShardStrict}, "m")
		c.settle()
		c.over(r, shardHeals, ruleShardDurable)
	}
}

// Clients send requests to a leader that was replaced, while its successor serves other clients. When the old leader is connected
// again, other entries take the place of its own. Each transaction that returns nil has been committed (rules 33 and 34).
func TestReplacedEntries7D(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: shardNodes(2, 2), Link: shardLink, Seeds: 3}, func(s *labtest.Sim) {
		c := newShardCluster(s, 2)
		near, late := c.clients[0], c.clients[1]
		for range 3 {
			for _, id := range c.clients {
				c.does(id, reads("a"), reads("m"))
			}
			s.Run(200 * time.Millisecond)
			old := c.leader(0)
			c.strike(old, false)
			c.raiseTerms(old)
			c.waitForAnother(0, old)
			s.Net.CutBoth(near, old)
			c.commits(c.start(near, time.Minute, writes("a")), shardHeals, ruleShardDurable)
			var runs []*shardRun
			for i := range 6 {
				runs = append(runs, c.start(late, time.Minute, writes(fmt.Sprint("m", i))))
				s.Run(time.Millisecond)
			}
			for i := range 6 {
				runs = append(runs, c.start(near, time.Minute, reads("b"), rests(time.Duration(60+4*i)*time.Millisecond), writes(fmt.Sprint("n", i))))
				s.Run(time.Millisecond)
			}
			s.Run(40 * time.Millisecond)
			c.settle()
			for _, r := range runs {
				c.survives(r)
			}
			for i, r := range runs {
				key := fmt.Sprint([]string{"m", "n"}[i/6], i%6)
				if reader := c.does(near, reads(key)); r.committed() && reader.saw(key) != r.wrote(key) {
					c.s.Fail(labtest.Violation{
						What: reader.String() + ", want what an earlier transaction wrote: " + r.String(), Rule: ruleShardOutcome, Nodes: append(c.around(r), near),
					})
				}
			}
		}
		c.check()
	})
}

// raiseTerms makes the servers of group 0, except its old leader, learn of a term, each from the other as a candidate for which it does not
// vote: the next one is equal to the old leader's in 16 bits.
func (c *shardCluster) raiseTerms(old labrpc.NodeID) {
	others := c.others(0, old)
	term := c.status(old).Term + 1<<16 - 1
	for i, to := range others {
		from := others[1-i]
		vote := replication.VoteRequest{Term: term, Candidate: from}
		_ = c.s.Net.Inject(labrpc.Message{From: from, To: to, Method: "RequestVote", Kind: labrpc.Request, Body: vote})
	}
	c.s.Run(10 * time.Millisecond)
}

// others lists the servers of a group except one.
func (c *shardCluster) others(group int, server labrpc.NodeID) []labrpc.NodeID {
	return slices.DeleteFunc(slices.Clone(c.layout.Groups[group]), func(id labrpc.NodeID) bool { return id == server })
}

// All servers of all groups crash at once, again and again, and start with what is on their disks. What was committed
// before is read, and later transactions come after it (rules 33 and 40).
func TestAllServersRestart7D(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: shardNodes(3, 2), Link: shardLink, Seeds: 3, Limit: time.Hour}, func(s *labtest.Sim) {
		c := newShardCluster(s, 3)
		a, b := c.clients[0], c.clients[1]
		for round := range 4 {
			for range 3 + round {
				c.does(a, writes("m"), writes("t"), writes("a"))
				c.does(b, appends("ml"), appends("al"), appends("tl"))
			}
			under := c.start(a, time.Minute, reads("m"), appends("al"), appends("tl"))
			s.Run(time.Duration(s.Rand().IntN(60)) * time.Millisecond)
			for _, id := range c.servers() {
				s.Net.Crash(id)
			}
			c.settle()
			c.commits(c.start(b, time.Minute, reads("m"), reads("t"), reads("al"), reads("ml")), shardHeals, ruleShardDurable)
			c.commits(c.start(b, time.Minute, writes("m"), writes("a"), appends("tl")), shardHeals, ruleShardDurable)
			c.survives(under)
			c.does(b, reads("m"), reads("t"), reads("a"))
			c.check()
		}
		if wide(s) {
			c.longOutage()
		}
	})
}

// longOutage: all servers are down for ten minutes, while transactions of clients go on that began at different times. When the servers
// are back, all return in time (rule 40).
func (c *shardCluster) longOutage() {
	for _, id := range c.servers() {
		c.s.Net.Crash(id)
	}
	var runs []*shardRun
	for range 6 {
		for _, id := range c.clients {
			runs = append(runs, c.start(id, time.Hour, writes(fmt.Sprint("c", len(runs)))))
			c.s.Run(17 * time.Second)
		}
	}
	c.s.Run(6*time.Minute + time.Duration(c.s.Rand().IntN(60_000))*time.Millisecond)
	c.settle()
	for _, r := range runs {
		c.survives(r)
	}
	c.check()
}

// The wall clocks of servers and clients are wrong by hours, and jump (rule 33).
func TestWrongClocks7D(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: shardNodes(3, 3), Link: shardLink, Seeds: 3}, func(s *labtest.Sim) {
		c := newShardCluster(s, 3)
		for range 4 {
			for _, id := range s.Net.Nodes() {
				s.Net.JumpClock(id, time.Duration(s.Rand().IntN(20)-10)*time.Hour)
			}
			for _, writer := range c.clients {
				wrote := c.does(writer, writes("m"), writes("t"))
				for _, reader := range c.clients {
					c.sees(reader, wrote, "m", "t")
				}
			}
			for _, client := range c.clients {
				c.does(client, reads("t"), appends("al"), writes("m"))
			}
			c.check()
		}
	})
}

// More transactions than a log may have entries; a server that was down for most of them comes back and leads. Snapshots have the locks of those that only
// read a key (rules 33, 40 and 42).
func TestLongLog7D(t *testing.T) {
	const leads = "a server that was down for most of the log led its group"
	cfg := labtest.Config{Nodes: shardNodes(2, 2), Link: shardLink, Seeds: 2, MustCover: []string{leads}}
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
		r := c.start(client, time.Minute, reads("o"), writes("d"))
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
		for _, r := range []*shardRun{r, wrote, reader} {
			c.commits(r, c.layout.Lease+shardSlack+shardServes, ruleShardLease)
		}
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
		if c.ended(r, shardProgress, ruleShardProgress); r.Err != "unknown" { // which it may be only after a Lease
			c.commits(r, 0, ruleShardProgress)
		}
	}
}

// waitUntilLeads crashes the leader of a group until a given server leads it, and reports whether it does.
func (c *shardCluster) waitUntilLeads(group int, id labrpc.NodeID) bool {
	for tries := 0; tries < 20 && c.leader(group) != id; tries++ {
		c.s.Net.Crash(c.leader(group))
		c.s.Run(time.Second)
		c.settle()
	}
	return c.leader(group) == id
}

// crashAll crashes all servers that are up, and starts all.
func (c *shardCluster) crashAll() {
	for _, id := range c.servers() {
		if c.s.Net.Up(id) {
			c.s.Net.Crash(id)
		}
	}
	c.settle()
}

// many makes clients run that many transactions each, on keys of their own.
func (c *shardCluster) many(rounds int, clients []labrpc.NodeID) {
	for range rounds {
		var runs []*shardRun
		for _, id := range clients {
			runs = append(runs, c.start(id, time.Minute, writes(fmt.Sprint("b", id))))
		}
		for _, r := range runs {
			c.commits(r, shardServes, ruleShardDisjoint)
		}
	}
}
