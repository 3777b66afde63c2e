package transactions_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	"distlabs/labs/05-replication"
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
