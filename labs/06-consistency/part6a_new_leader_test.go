package consistency_test

import (
	"math"
	"sync"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	"distlabs/labs/05-replication"
)

// A new leader has an entry that its predecessor committed, and does not know that it is committed. It must find out
// before it serves a read, for its own clients and for the clients of its followers (rule 1).
func TestNewLeaderReads6A(t *testing.T) {
	const covered = "a new leader was asked for a write that it did not know to be committed"
	cfg := labtest.Config{Nodes: 5, Seeds: 20, Link: strongLink, MustCover: []string{covered}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		c := newStrongCluster(s, 3)
		a, b := c.clients[0], c.clients[1]
		old, others := c.roles()
		leader, third := others[0], others[1]
		if s.Seed%2 == 0 {
			// The new leader has led before. What it knew in its earlier term says nothing about the next one.
			old, leader = leader, old
			c.sees(b, leader, "Get", "x", "")
			c.handOver(leader, old)
		}
		if s.Seed%5 == 1 {
			for range 130 { // an index is compared as a whole number
				c.raft(old).Submit(nil)
			}
		}
		first := c.writes(a, old, "x", "1")
		s.Until(servesLimit, func() bool {
			return c.status(leader).LastApplied >= first.Index && c.status(third).LastApplied >= first.Index
		})
		// From now on, no server learns that anything more is committed; later, the new leader gets no replies, and so
		// commits nothing.
		filter := newAppendFilter(s, first.Index)
		second := c.writes(a, old, "x", "2")
		c.allowWinner(leader)
		s.Until(servesLimit, func() bool { return lastIndex(c.status(leader)) >= second.Index })
		if beyond := []int{0, 0, 1 << 8, 1 << 16, 0}[s.Seed%5]; beyond > 0 {
			c.statesTerm(c.status(old).Term + beyond - 1) // a term is compared as a whole number
		}
		s.Net.Crash(old)
		filter.noAnswers(leader)
		c.waitForLeader(old)
		reads := []*strongOp{c.read(b, third, "Get", "x")}
		s.Run(20 * time.Millisecond)
		reads = append(reads, c.read(b, leader, "Get", "x"), c.read(b, leader, "LogGet", "x"))
		s.Run(30 * time.Millisecond)
		if st := c.status(leader); st.Role == replication.Leader && st.CommitIndex < second.Index {
			s.Cover(covered)
		}
		if s.Seed%5 == 1 {
			// It gets no replies for longer than a request may wait.
			s.Run(1100 * time.Millisecond)
			reads = append(reads, c.read(b, leader, "Get", "x"))
			s.Run(1300 * time.Millisecond)
			filter.calm()
			c.answered(reads...)
			c.checkStrong()
			c.startDown()
			c.settles()
		}
		// Now it gets replies, and finds out; the third server still does not learn of it for a while.
		filter.noNews(third)
		s.Run(80 * time.Millisecond)
		filter.calm()
		c.answered(reads...)
		c.checkStrong()
		c.sees(b, leader, "Get", "x", "2")
		c.sees(b, third, "Get", "x", "2")
	})
}

// handOver makes another server the leader.
func (c *strongCluster) handOver(from, to labrpc.NodeID) {
	c.allowWinner(to)
	c.disconnect(from)
	c.waitForLeader(from)
	c.s.Net.Heal()
	c.settles()
	c.allowWinner(0)
}

// An appendFilter decides what servers learn from AppendEntries: less than a leader says, which is always true, or no answer.
type appendFilter struct {
	mu    sync.Mutex
	known int           // no server learns that more than this is committed
	deaf  labrpc.NodeID // if not 0, only this server does not learn it
	alone labrpc.NodeID // the replies to this server are lost
}

func newAppendFilter(s *labtest.Sim, known int) *appendFilter {
	g := &appendFilter{known: known}
	s.Net.Intercept(g.rewrite)
	return g
}

func (g *appendFilter) rewrite(m *labrpc.Message) labrpc.Verdict {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, answer := m.Body.(replication.AppendReply); answer && g.alone == m.To {
		return labrpc.Drop
	}
	req, ok := m.Body.(replication.AppendRequest)
	if !ok || req.Commit <= g.known || g.deaf != 0 && g.deaf != m.To {
		return labrpc.Pass
	}
	req.Commit = g.known
	m.Body = req
	return labrpc.Replace
}

// noAnswers loses what is answered to a server's AppendEntries.
func (g *appendFilter) noAnswers(to labrpc.NodeID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.alone = to
}

// noNews lets answers travel again, and keeps only this server from hearing what is committed.
func (g *appendFilter) noNews(to labrpc.NodeID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.alone, g.deaf = 0, to
}

// learns lets servers learn of more entries that they are committed.
func (g *appendFilter) learns(known int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.known = known
}

// calm lets every message pass as it is.
func (g *appendFilter) calm() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.alone, g.deaf, g.known = 0, 0, math.MaxInt
}

// A client asks a follower. The server that this takes for the leader does not lead any more, and knows that; it must not
// give the follower an index (rule 1).
func TestFollowerOfAnOldLeader6A(t *testing.T) {
	const covered = "a follower asked a server that leads no more, and knew nothing of what was written since"
	cfg := labtest.Config{Nodes: 7, Seeds: 20, Link: strongLink, MustCover: []string{covered}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		c := newStrongCluster(s, 5)
		a, b := c.clients[0], c.clients[1]
		old, others := c.roles()
		follower, leader := others[0], others[1]
		c.writes(a, old, "x", "1")
		c.sees(a, follower, "Get", "x", "1")
		for _, id := range others[1:] {
			s.Net.CutBoth(follower, id)
		}
		c.allowWinner(leader)
		drops := newDropper(s)
		drops.set(func(m *labrpc.Message) bool {
			return m.Method == "AppendEntries" && (m.From == old && m.To == leader || m.From == leader && m.To == old)
		})
		// The old leader learns of the new term, but not of what is written in it.
		if !s.Until(leaderLimit, func() bool { return c.leader() != 0 && c.leader() != old }) {
			// With pre-votes (Ongaro's dissertation, §9.6) no other server starts an election while a majority has a leader.
			drops.set(func(m *labrpc.Message) bool {
				return m.Method == "AppendEntries" && m.To != follower && (m.From == old || m.From == leader && m.To == old)
			})
		}
		c.waitForLeader(old)
		put := c.put(b, leader, "x", "2")
		c.visible(put, servesLimit) // the follower has no leader when its election timeout is over
		get := c.read(a, follower, "Get", "x")
		s.Run(5 * time.Millisecond)
		if c.status(follower).Leader == old && !c.leads(old) {
			s.Cover(covered)
		}
		c.answered(get)
		c.done(put)
		c.checkStrong()
	})
}
