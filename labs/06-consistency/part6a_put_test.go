package consistency_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	"distlabs/labs/05-replication"
)

// An isolated leader accepts writes: one before it is deposed, one after. Then the next leader's entries replace these
// entries in the log. Neither write is done, whatever is applied at its index (rules 1 and 2).
func TestPutIsItsOwn6A(t *testing.T) {
	const covered = "another write was committed at the index of one whose client was waiting, or the client had been told by then that it is not done"
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 20, Link: strongLink, MustCover: []string{covered}}, func(s *labtest.Sim) {
		c := startStrongCluster(s, 3)
		a, b := c.clients[0], c.clients[1]
		c.putsWithoutALeader(a)
		old := c.waitForLeader(0)
		c.writes(a, old, "x", "1")
		s.Net.Partition([]labrpc.NodeID{old, a})
		early := c.put(a, old, "x", "early")
		s.Until(servesLimit, func() bool { return lastIndex(c.status(old)) > c.status(old).CommitIndex })
		accepted := lastIndex(c.status(old))
		leader := c.waitForLeader(old)
		if beyond := []int{0, 1 << 8, 0, 1 << 16}[s.Seed%4]; beyond > 0 {
			leader = c.raiseTerm(c.status(old).Term + beyond - 1) // a term is compared as a whole number
		}
		for range 6 {
			c.writes(b, leader, "z", "same")
		}
		c.writes(b, leader, "z", "other")
		last := 0
		for i := range 4 {
			last = c.writes(b, leader, "x", fmt.Sprintf("b%d", i)).Index
		}
		// The same command as one that is committed at its index is another command all the same.
		same := c.put(a, old, "z", "same")
		s.Run(5 * time.Millisecond)
		ours := c.put(a, old, "x", "a")
		get := c.read(a, old, "LogGet", "x")
		s.Run(20 * time.Millisecond)
		if c.leads(old) && lastIndex(c.status(old)) <= last && !ours.Over || accepted <= last && !early.Done {
			s.Cover(covered)
		}
		s.Net.Heal()
		c.answered(early, same, ours, get)
		leader = c.waitForLeader(0)
		c.done(c.read(b, leader, "LogGet", "x"))
		c.done(c.read(b, leader, "LogGet", "z"))
		c.checkStrong()
	})
}

// putsWithoutALeader writes at every server when there has not been a leader yet. A server that says that it is done must have done it (rule 1).
func (c *strongCluster) putsWithoutALeader(client labrpc.NodeID) {
	var calls []*strongOp
	for _, id := range c.servers {
		calls = append(calls, c.put(client, id, "before", id.String()))
	}
	c.answered(calls...)
	c.needLab05()
	c.done(c.read(client, c.leader(), "LogGet", "before"))
	c.checkStrong()
}

// A leader's entries reach everybody, but no acknowledgement comes back. It must not tell a client that a write is done, nor
// that the write never will be: later the links heal (rules 2 and 3).
func TestUnknownIsNoRefusal6A(t *testing.T) {
	const covered = "a write that was neither Done nor Refused took effect"
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 20, MustCover: []string{covered}}, func(s *labtest.Sim) {
		c := newStrongCluster(s, 3)
		a, b := c.clients[0], c.clients[1]
		leader, others := c.roles()
		c.writes(a, leader, "x", "1")
		for _, id := range others {
			s.Net.Cut(id, leader)
		}
		put := c.put(a, leader, "x", "2")
		get, logGet := c.read(b, leader, "Get", "x"), c.read(b, leader, "LogGet", "x")
		c.answered(put, get, logGet)
		for _, op := range []*strongOp{put, get, logGet} {
			if op.Done {
				s.Failf(ruleStrong, "%[1]v, want no Done: no reply of another server could reach %[2]v, so %[2]v could not know whether it was still the leader", op, leader)
			}
			if op.Leader != 0 && op.Leader != leader {
				s.Failf(ruleLeader, "%v; the reply names %v as the leader, but %v leads", op, op.Leader, leader)
			}
		}
		s.Net.Heal()
		leader = c.waitForLeader(0)
		value := c.done(c.read(b, leader, "LogGet", "x")).Value
		c.checkStrong()
		if value == "2" || put.Refused { // Refused for good, as checkStrong has found: the leader asks the others before it takes a write
			s.Cover(covered)
		}
		c.answersLate(a, b)
		c.inherits(a, b)
		c.answersAlone(a)
	})
}

// answersLate asks a follower that learns for 1.3 s only from its Raft what the others know, and gets no entries for longer. It replies to a Get in time: all that
// it waits for counts together (rule 3).
func (c *strongCluster) answersLate(a, b labrpc.NodeID) {
	c.settles()
	leader, others := c.roles()
	late := others[0]
	lost := newDropper(c.s)
	entries := func(m *labrpc.Message) bool {
		req, ok := m.Body.(replication.AppendRequest)
		return ok && m.To == late && len(req.Entries) > 0
	}
	isServer := func(id labrpc.NodeID) bool { return slices.Contains(c.servers, id) }
	lost.set(func(m *labrpc.Message) bool {
		return entries(m) || isServer(m.From) && isServer(m.To) && (m.From == late || m.To == late) && !ofRaft(m)
	})
	c.writes(a, leader, "x", "late")
	get := c.read(b, late, "Get", "x")
	c.s.Run(1300 * time.Millisecond)
	lost.set(entries)
	c.answered(get)
	lost.set(nil)
}

// answersAlone sends each server requests when it has been alone for so long that it knows no leader (rule 3).
func (c *strongCluster) answersAlone(client labrpc.NodeID) {
	for _, id := range c.servers {
		c.disconnect(id)
	}
	c.s.Run(leaderLimit)
	var calls []*strongOp
	for _, id := range c.servers {
		calls = append(calls, c.put(client, id, "x", "alone"), c.read(client, id, "Get", "x"), c.read(client, id, "LogGet", "x"))
	}
	c.answered(calls...)
}

// inherits has a leader take a write and lose the lead, to one that has the write in its log, and commits it.
func (c *strongCluster) inherits(a, b labrpc.NodeID) {
	c.settles()
	old, others := c.roles()
	heir := others[0]
	quiet := newDropper(c.s)
	quiet.set(func(m *labrpc.Message) bool {
		return m.To == old && m.Method == "AppendEntries" && m.Kind == labrpc.Reply
	})
	put := c.put(a, old, "x", "inherited")
	c.s.Until(servesLimit, func() bool { return lastIndex(c.status(heir)) > c.status(heir).LastApplied })
	c.allowWinner(heir)
	quiet.set(func(m *labrpc.Message) bool {
		return m.Method == "AppendEntries" && (m.From == old || m.To == old && m.Kind == labrpc.Reply)
	})
	c.waitForLeader(old)
	c.writes(b, heir, "y", "1")
	c.answered(put)
	c.done(c.read(b, heir, "LogGet", "x"))
	c.checkStrong()
	c.allowWinner(0)
}
