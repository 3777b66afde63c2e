package consistency_test

import (
	"fmt"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	"distlabs/labs/05-replication"
)

// The leader serves writes and reads, through the log and without it; the other servers refer a client to it, and to the next leader
// when another one leads. A single server is a majority (rules 1, 4 and 5).
func TestPutAndGet6A(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 20}, func(s *labtest.Sim) {
		servers := 3
		if s.Seed%5 == 0 {
			servers = 1
		}
		c := newStrongCluster(s, servers)
		a, b := c.clients[0], c.clients[1]
		leader, others := c.roles()
		c.sees(a, leader, "Get", "x", "")
		c.sees(a, leader, "LogGet", "x", "")
		first := c.writes(a, leader, "x", "1")
		c.sees(b, leader, "LogGet", "x", "1")
		c.sees(b, leader, "Get", "x", "1")
		c.sees(b, leader, "Get", "y", "")
		second := c.writes(b, leader, "x", "2")
		if first.Index <= 0 || second.Index <= first.Index {
			s.Failf(ruleIndex, "%v has Index %d, and %v, which came later, has Index %d, want a higher one", first, first.Index, second, second.Index)
		}
		c.sees(a, leader, "LogGet", "x", "2")
		c.refers(leader)
		if servers > 1 && s.Seed%2 == 0 {
			c.handOver(leader, others[0])
			c.refers(others[0])
			leader = others[0]
		}
		c.sees(a, leader, "Get", "x", "2")
	})
}

// refers asks every server but the leader, which serves neither a Put nor a LogGet, and names the leader.
func (c *strongCluster) refers(leader labrpc.NodeID) {
	for _, id := range c.except(leader) {
		put := c.put(c.clients[0], id, "x", "never")
		get := c.read(c.clients[1], id, "LogGet", "x")
		c.answered(put, get)
		for _, op := range []*strongOp{put, get} {
			if op.Done || op.write() != op.Refused || op.Leader != leader {
				want := "not done"
				if op.write() {
					want = "refused"
				}
				c.s.Failf(ruleLeader, "%v; the reply names %v as the leader, want %s, and %v as the leader", op, op.Leader, want, leader)
			}
		}
	}
}

// Every server serves a Get with the latest value, although two of five are down, and although it has served another one just before the
// write (rules 1 and 4).
func TestGetAtEveryServer6A(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 7, Seeds: 20}, func(s *labtest.Sim) {
		c := newStrongCluster(s, 5)
		if s.Seed%2 == 0 {
			s.Net.SetLinks(strongLink)
		}
		a, b := c.clients[0], c.clients[1]
		leader, others := c.roles()
		for _, id := range others[:2] {
			s.Net.Crash(id)
		}
		value := ""
		for i := range 3 {
			for j, id := range append(others[2:], leader) {
				c.sees(b, id, "Get", "x", value)
				value = fmt.Sprintf("%d.%d", i, j)
				c.writes(a, leader, "x", value)
				c.sees(b, id, "Get", "x", value)
			}
		}
	})
}

// A Get at a follower that has not applied a write yet waits for that write. So does a second Get for the next write, although the
// first is served before (rule 1).
func TestGetWaitsForApply6A(t *testing.T) {
	const covered = "a follower that lacked a write was asked for it"
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 20, Link: strongLink, MustCover: []string{covered}}, func(s *labtest.Sim) {
		c := newStrongCluster(s, 3)
		a, b := c.clients[0], c.clients[1]
		leader, others := c.roles()
		c.writes(a, leader, "x", "1")
		c.sees(b, others[0], "Get", "x", "1")
		// From now on, the follower does not learn that anything more is committed. It still hears from its leader: a Put may take longer than its election timeout.
		filter := newAppendFilter(s, c.status(others[0]).LastApplied)
		filter.noNews(others[0])
		put := c.writes(a, leader, "x", "2")
		get := c.read(b, others[0], "Get", "x")
		s.Until(60*time.Millisecond, func() bool { return get.Over })
		if c.status(others[0]).LastApplied < put.Index {
			s.Cover(covered)
		}
		next := c.put(a, leader, "x", "3")
		c.visible(next, 100*time.Millisecond) // the first Get must not wait for longer
		second := c.read(b, others[0], "Get", "x")
		s.Run(10 * time.Millisecond)
		filter.learns(put.Index)
		s.Until(servesLimit, func() bool { return c.status(others[0]).LastApplied >= put.Index })
		filter.calm()
		c.done(get)
		c.done(second)
		c.done(next)
		c.checkStrong()
	})
}

// Reads cost a bounded number of messages. They add nothing to the log and write nothing to the disk (rules 6 and 7).
func TestReadsCostNoEntries6A(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 20}, func(s *labtest.Sim) {
		c := newStrongCluster(s, 3)
		client := c.clients[0]
		leader, _ := c.roles()
		c.writes(client, leader, "x", "1")
		for _, id := range c.servers {
			c.sees(client, id, "Get", "x", "1") // now the term has its one entry
		}
		const reads = 10
		cost := c.cost(func() {
			for range reads {
				for _, id := range c.servers {
					c.sees(client, id, "Get", "x", "1")
				}
			}
		})
		if cost.term > 0 {
			s.Failf(ruleBase, "your lab 05 does not work yet: the term rose by %d in a calm network with a leader", cost.term)
		}
		if cost.entries > 0 {
			s.Failf(ruleNoEntry, "%d calls of Get, a third of them at each of 3 servers, added %d entries to the log of the leader, %v, want none: each term has its entry already", 3*reads, cost.entries, leader)
		}
		if cost.writes > 0 {
			s.Failf(ruleNoEntry, "%d calls of Get, a third of them at each of 3 servers, caused %d writes to the disks of these servers, want none", 3*reads, cost.writes)
		}
		const budget = reads * (4 + 6 + 6)
		if cost.messages > budget {
			s.Failf(ruleMessages, "%d calls of Get, a third of them at each of 3 servers, cost %d messages between servers, want at most %d", 3*reads, cost.messages, budget)
		}
		s.Measure("messages for a Get, of 3 servers", float64(cost.messages)/(3*reads), "messages", fmt.Sprintf("≤ %.2f", float64(budget)/(3*reads)))
		c.checkReadsOfANewLeader(client)
	})
}

// checkReadsOfANewLeader: many calls of Get at once are the first requests that a new leader gets. They share the one entry that they may add (rule 6).
func (c *strongCluster) checkReadsOfANewLeader(client labrpc.NodeID) {
	const each = 5
	old, _ := c.roles()
	c.s.Net.Crash(old)
	c.s.WaitFor(healLimit, labtest.Violation{What: fmt.Sprintf("your lab 05 does not work yet: %v crashed, and no other server became the leader", old), Rule: ruleBase, Nodes: c.servers}, func() bool {
		return c.leader() != 0 && c.leader() != old
	})
	leader := c.leader()
	var reads []*strongOp
	cost := c.cost(func() {
		for range each {
			for _, id := range c.servers {
				if id != old {
					reads = append(reads, c.read(client, id, "Get", "x"))
				}
			}
		}
		c.s.Run(servesLimit)
	})
	if !c.leads(leader) {
		c.s.Failf(ruleBase, "your lab 05 does not work yet: %v, which was the leader, is not the leader any more in a calm network", leader)
	}
	if cost.entries > 1 {
		c.s.Failf(ruleNoEntry, "%d calls of Get at once, the first since %v became the leader, added %d entries to the log, want at most 1 for this term", 2*each, leader, cost.entries)
	}
	for _, op := range reads {
		c.doneInTime(op)
	}
	c.startDown()
	c.settles()
	if c.s.Seed%4 == 0 {
		c.checkReadsInVain(client)
	}
}

// checkReadsInVain: the first requests that a new leader gets are calls of Get, one after another, and no other server acknowledges an entry. It adds one
// entry for all of them (rule 6).
func (c *strongCluster) checkReadsInVain(client labrpc.NodeID) {
	old, _ := c.roles()
	c.s.Net.Crash(old)
	leader := c.waitForLeader(old)
	newAppendFilter(c.s, 0).noAnswers(leader)
	var calls []*strongOp
	used := c.window(func() {
		for range 4 {
			calls = append(calls, c.read(client, leader, "Get", "x"))
			c.s.Run(1100 * time.Millisecond)
		}
	})
	if terms, entries := used[expense{what: "term"}]+1, used[expense{what: "entries"}]; entries > terms {
		c.s.Failf(ruleNoEntry, "4 calls of Get in 4.4s, while no server acknowledged an entry, added %d entries to the log, want at most one per term: %d", entries, terms)
	}
	c.answered(calls...)
}

// A strongCost is what the store has cost.
type strongCost struct{ term, entries, writes, messages int }

// cost measures do, without what the servers do in the background, whatever its period: of each kind, as much as in the busiest of several idle
// windows of the same length, and one more, for a timer may fire once more in one window than in another one.
func (c *strongCluster) cost(do func()) strongCost {
	const late = 100 * time.Millisecond // late messages of these requests count
	c.s.Run(5 * time.Second)            // earlier requests do not count, nor what a server does some time after a write
	at := c.s.Net.Now()
	used := c.window(func() { do(); c.s.Run(late) })
	length := c.s.Net.Now() - at
	idle := map[expense]int{}
	for range 10 {
		for kind, n := range c.window(func() { c.s.Run(length) }) {
			idle[kind] = max(idle[kind], n)
		}
	}
	var cost strongCost
	for kind, n := range used {
		if idle[kind] > 0 {
			n = max(0, n-idle[kind]-1)
		}
		switch kind.what {
		case "term":
			cost.term += n
		case "entries":
			cost.entries += n
		case "writes":
			cost.writes += n
		default:
			cost.messages += n
		}
	}
	return cost
}

// An expense is one kind of what the servers do: the term that rises, entries of the leader's log, disk writes of a server, messages from a server to
// another one by a method.
type expense struct {
	what     string // "term", "entries", "writes", or the method after "method "
	from, to labrpc.NodeID
}

// window returns how much of each kind there was while do ran. Raft's own messages do not count.
func (c *strongCluster) window(do func()) map[expense]int {
	before := c.expenses()
	do()
	after := c.expenses()
	for kind, n := range before {
		after[kind] -= n
	}
	return after
}

func (c *strongCluster) expenses() map[expense]int {
	sum := map[expense]int{}
	for _, id := range c.servers {
		st := c.status(id)
		sum[expense{what: "term"}] = max(sum[expense{what: "term"}], st.Term)
		sum[expense{what: "entries"}] = max(sum[expense{what: "entries"}], lastIndex(st))
		sum[expense{what: "writes", from: id}] = c.s.Net.Writes(id)
		for _, method := range c.s.Net.Methods() {
			if method == "AppendEntries" || method == "RequestVote" || method == "InstallSnapshot" {
				continue
			}
			for _, o := range c.except(id) {
				sum[expense{"method " + method, id, o}] = c.s.Net.Stats(labrpc.Match{From: id, To: o, Method: method}).Sent
			}
		}
	}
	return sum
}

// leads reports whether a server thinks that it leads.
func (c *strongCluster) leads(id labrpc.NodeID) bool {
	return c.status(id).Role == replication.Leader
}
