package consistency_test

import (
	"slices"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/internal/harness/prevote"
	"distlabs/labrpc"
	"distlabs/labs/05-replication"
)

// A leader is isolated with one follower and a client, and does not know that another server leads by now. The client
// must not read an old value from either of the two (rule 1).
func TestDeposedLeader6A(t *testing.T) {
	const covered = "a deposed leader that did not know of it was asked for a value that had changed"
	labtest.Run(t, labtest.Config{Nodes: 7, Seeds: 20, MustCover: []string{covered}}, func(s *labtest.Sim) {
		c := newStrongCluster(s, 5)
		a, b := c.clients[0], c.clients[1]
		old, others := c.roles()
		c.writes(a, old, "x", "1")
		c.sees(a, old, "Get", "x", "1")
		c.sees(a, others[0], "Get", "x", "1")
		s.Net.Partition([]labrpc.NodeID{old, others[0], a})
		// One server counts once, however often its replies arrive.
		twice := labrpc.Reliable()
		twice.Duplicate = 1
		s.Net.SetLink(others[0], old, twice)
		leader := c.waitForLeader(old)
		put := c.put(b, leader, "x", "2")
		c.visible(put, servesLimit)
		if c.leads(old) {
			s.Cover(covered)
		}
		asked := []*strongOp{
			c.read(a, old, "Get", "x"), c.read(a, others[0], "Get", "x"), c.read(a, old, "LogGet", "x"), c.read(a, others[0], "LogGet", "x"),
		}
		c.answered(asked...)
		c.done(put)
		c.checkStrong()
		s.Net.Heal()
		c.settles()
		for _, id := range c.servers {
			c.sees(a, id, "Get", "x", "2")
		}
		c.checkStrong()
		switch s.Seed % 4 {
		case 0:
			c.readsWithoutALeader(a, b)
		case 1:
			c.overwrittenHere(a, b)
		}
	})
}

// overwrittenHere: an entry of a Put is in the logs of its leader and of one follower. In the leader's own log, the next leader's entry takes its place. That says nothing
// about the Put: the follower leads later, and commits the entry (rule 2; Raft figure 8).
func (c *strongCluster) overwrittenHere(a, b labrpc.NodeID) {
	s := c.s
	old, others := c.roles()
	follower, next, rest := others[0], others[1], others[2:]
	c.allowWinner(next)
	for _, id := range others[1:] {
		s.Net.CutBoth(old, id)
		s.Net.CutBoth(follower, id)
	}
	s.Run(350 * time.Millisecond) // so that the next leader wins before the Put is answered
	put := c.put(a, old, "over", "1")
	last := func(id labrpc.NodeID) int { st := c.status(id); return st.SnapshotIndex + len(st.Log) }
	before := last(next)
	s.Until(servesLimit, func() bool { return last(follower) > before })
	s.Net.CutBoth(old, follower)
	c.waitForLeader(old)
	for _, id := range rest {
		s.Net.CutBoth(next, id)
	}
	s.Net.HealBoth(next, old)
	c.put(b, next, "y", "2")
	c.answered(put)
	s.Net.Crash(old)
	s.Net.Crash(next)
	c.allowWinner(0)
	s.Net.Heal()
	leader := c.waitForLeader(0)
	c.writes(b, leader, "y", "3")
	c.done(c.read(b, leader, "LogGet", "over"))
	c.startDown()
	c.settles()
	c.checkStrong()
}

// readsWithoutALeader reads at a server that knows no leader: it has restarted alone, and later it is a candidate; then one that has been alone for long. Meanwhile the
// others write (rule 1).
func (c *strongCluster) readsWithoutALeader(reader, writer labrpc.NodeID) {
	leader, others := c.roles()
	alone := others[0]
	c.disconnect(alone)
	c.s.Net.Crash(alone)
	c.startDown()
	c.writes(writer, leader, "x", "3")
	for range 2 {
		c.answered(c.read(reader, alone, "Get", "x"), c.read(reader, alone, "LogGet", "x"))
		c.checkStrong()
		c.s.Run(2 * time.Second)
	}
	// One that has not restarted has old values.
	c.s.Net.Heal()
	c.settles()
	leader, others = c.roles()
	c.disconnect(others[0])
	c.s.Run(leaderLimit)
	c.writes(writer, leader, "x", "4")
	c.answered(c.read(reader, others[0], "Get", "x"), c.read(reader, others[0], "LogGet", "x"))
	c.checkStrong()
}

func lastIndex(st replication.Status) int { return st.SnapshotIndex + len(st.Log) }

// A rival is a candidate while the old leader still exchanges heartbeats with the third server. The third server's vote
// then makes the rival the leader, within milliseconds of the old leader's last confirmed read.
type rival struct {
	c               *strongCluster
	old, new, third labrpc.NodeID
	asks            *labrpc.Held // the rival's requests for votes
	drops           *dropper
	// polite says that the rival does not win while the third server has a leader: lab 05 has pre-votes, or ignores candidates (Ongaro's
	// dissertation, §9.6 and §4.2.3). Then the old leader must lose its contact with the third server first.
	polite bool
}

// rivalWins is how soon another server leads after a read that the old leader has served.
const rivalWins = 50 * time.Millisecond

// newRival cuts the link between the old leader and the rival, and waits until the rival starts an election.
func newRival(c *strongCluster) *rival {
	c.settles() // a server that lacks an entry could not win
	old, others := c.roles()
	r := &rival{c: c, old: old, new: others[0], third: others[1], drops: newDropper(c.s)}
	c.allowWinner(r.new)
	r.asks = c.s.Net.HoldIf(labrpc.Match{From: r.new, Method: "RequestVote", Kind: labrpc.Request}, func(m labrpc.Message) bool { return !prevote.In(m.Body) })
	r.drops.set(func(m *labrpc.Message) bool {
		return m.From == r.old && m.To == r.new || m.From == r.new && m.To == r.old
	})
	r.polite = !c.s.Until(leaderLimit, func() bool { return len(r.asks.Messages()) > 0 })
	return r
}

// wins lets the third server vote. The old leader does not learn of the new term from its Raft: all messages of its lab 05
// are lost, but all other messages that it sends arrive and are answered.
func (r *rival) wins() {
	r.drops.set(func(m *labrpc.Message) bool {
		return ofRaft(m) && (m.From == r.old || m.To == r.old)
	})
	r.asks.Discard(func(m labrpc.Message) bool { return m.To == r.old })
	released := r.c.s.Net.Now()
	r.asks.Release()
	r.c.waitForLeader(r.old)
	if r.c.s.Net.Now()-released >= rivalWins { // the third server may ignore candidates until its timer fires, or reply late
		r.polite = true
	}
}

// isAsked reports whether the old leader, asked now, still believes that it leads. A polite rival came too late for
// that if its old leader steps down by itself when it has lost its majority; so that counts too.
func (r *rival) isAsked() bool { return r.polite || r.c.leads(r.old) }

// A leader has just been confirmed, and has served a read. Milliseconds later another server leads and writes. A confirmation
// for one read is no confirmation for the next one (rule 1).
func TestConfirmsEachRead6A(t *testing.T) {
	const covered = "a leader served a read less than 50ms before another was elected"
	cfg := labtest.Config{Nodes: 5, Seeds: 20, Link: strongLink, MustCover: []string{covered}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		c := newStrongCluster(s, 3)
		a, b := c.clients[0], c.clients[1]
		c.skewClocks()
		old := c.waitForLeader(0)
		if last := []int{0, 1<<7 - 1, 0, 1<<15 - 1}[s.Seed%4]; last > 0 {
			old = c.raiseTerm(last - 1) // the rival's term needs one more bit
		}
		c.writes(a, old, "x", "1")
		c.sees(a, old, "Get", "x", "1")
		r := newRival(c)
		last := c.done(c.read(a, r.old, "Get", "x"))
		r.wins()
		soon := s.Net.Now()-last.Return < rivalWins
		put := c.put(b, r.new, "x", "2")
		c.visible(put, servesLimit)
		if r.isAsked() && (r.polite || soon) {
			s.Cover(covered)
		}
		for range 3 {
			c.answered(c.read(a, r.old, "Get", "x"))
			c.checkStrong()
		}
		c.done(put)
	})
}

// skewClocks sets the servers' wall clocks wrong, and makes them run wrong.
func (c *strongCluster) skewClocks() {
	for _, id := range c.servers {
		skew := time.Duration(c.s.Rand().Int64N(int64(20*time.Second))) - 10*time.Second
		c.s.Net.SetClock(id, skew, float64(c.s.Rand().IntN(400)-200))
	}
}

// A read waits for its confirmation, which is late. Meanwhile another server leads and writes; then the next read comes. The
// late confirmation is from before that: it serves the first read, not the second (rule 1).
func TestLateConfirmation6A(t *testing.T) {
	const covered = "a read was confirmed by answers from before another had written, or the server had given it up by then"
	cfg := labtest.Config{Nodes: 5, Seeds: 20, Link: strongLink, MustCover: []string{covered}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		c := newStrongCluster(s, 3)
		a, b := c.clients[0], c.clients[1]
		old := c.waitForLeader(0)
		c.writes(a, old, "x", "1")
		c.sees(a, old, "Get", "x", "1")
		r := newRival(c)
		late := s.Net.Hold(labrpc.Match{To: r.old})
		first := c.read(a, r.old, "Get", "x")
		// It must reach the old leader, and the replies of the old leader's peers must be sent, but not arrive. A leader may collect reads
		// before it asks.
		late.Deliver(func(m labrpc.Message) bool { return m.From == a })
		s.Run(15 * time.Millisecond)
		late.Deliver(func(m labrpc.Message) bool { return m.From == a })
		s.Run([]time.Duration{15, 120}[s.Seed%2] * time.Millisecond)
		offered := slices.ContainsFunc(late.Messages(), func(m labrpc.Message) bool { return m.Kind == labrpc.Reply && m.From == r.third && !ofRaft(&m) })
		r.wins()
		put := c.put(b, r.new, "x", "2")
		c.visible(put, servesLimit)
		gaveUp := first.Over // no rule says how long a server waits for a confirmation
		second := c.read(a, r.old, "Get", "x")
		s.Run(5 * time.Millisecond)
		late.Deliver(func(m labrpc.Message) bool { return m.From == a })
		s.Run(15 * time.Millisecond)
		late.Release()
		c.answered(first, second)
		c.done(put)
		if first.Done && first.Value == "1" || gaveUp || r.polite || offered && !first.Done { // it may also ask again, and ignore the late ones
			s.Cover(covered)
		}
		c.checkStrong()
	})
}
