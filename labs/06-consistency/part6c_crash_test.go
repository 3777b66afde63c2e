package consistency_test

import (
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
)

// Adds on both sides of a partition, over links that duplicate everything; then
// the replicas go on exchanging for a while, which must not count anything again.
func TestCountsEachAddOnce6C(t *testing.T) {
	const duplicated = "messages arrived twice"
	link := labrpc.Link{Latency: labrpc.Uniform(time.Millisecond, 60*time.Millisecond), Duplicate: 0.7}
	labtest.Run(t, labtest.Config{Nodes: 5, Link: link, MustCover: []string{duplicated}}, func(s *labtest.Sim) {
		g := newGossipGroup(s)
		for round := range 3 {
			s.Net.Partition([]labrpc.NodeID{1, 2, labrpc.NodeID(3 + round)})
			for range 12 {
				id := labrpc.NodeID(1 + s.Rand().IntN(5))
				g.add(id, []string{"likes", "stock"}[s.Rand().IntN(2)], s.Rand().IntN(15)-7)
				g.counts(id, "likes")
				s.Run(time.Duration(s.Rand().IntN(100)) * time.Millisecond)
			}
			s.Net.Heal()
			g.settle(gossipSettles, s.Net.Nodes()...)
			g.settle(10*gossipPeriod, s.Net.Nodes()...)
		}
		if s.Net.Stats(labrpc.Match{}).Duplicated > 0 {
			s.Cover(duplicated)
		}
	})
}

// n1 crashes at one disk write after another: during its own updates, and while it
// accepts updates of others. It keeps every update that it has acknowledged; its next updates
// reach the others; and it still gets the updates that it lacked (rules 16, 20 and 21).
func TestCrashAtEveryWrite6C(t *testing.T) {
	const (
		updating = "n1 crashed in the middle of an update"
		merging  = "n1 crashed in the middle of taking over what others had"
	)
	labtest.Run(t, labtest.Config{Nodes: 3, MustCover: []string{updating, merging}}, func(s *labtest.Sim) {
		g := newGossipGroup(s)
		g.add(1, "up", 3) // a counter whose record comes after that of the counter that is interrupted
		for round := range 8 {
			g.settle(gossipSettles, 1, 2, 3)
			s.Net.Isolate(1)
			s.Net.CrashAtWrite(1, labrpc.CrashPoint{Write: s.Net.Writes(1) + 1 + round/2, After: round%2 == 1})
			for _, update := range []func() bool{
				func() bool { return g.put(1, "x") },
				func() bool { return g.add(1, "total", 1) },
				func() bool { return g.put(1, "y") },
				func() bool { return g.add(1, "total", 5) },
			} {
				if !update() {
					s.Cover(updating)
					g.restart(1)
					break
				}
			}
			s.Net.CrashAtWrite(1, labrpc.CrashPoint{})
			g.counts(1, "total")
			g.put(1, "x") // gets the number after the last: no number may have two updates
			g.add(1, "total", 10)

			// Now those of others.
			g.put(2, "y")
			g.add(2, "total", 100)
			g.put(3, "z")
			g.add(3, "other", 1000)
			g.put(2, "u")
			s.Run(gossipSettles)
			s.Net.CrashAtWrite(1, labrpc.CrashPoint{Write: s.Net.Writes(1) + 1 + round, After: round%2 == 1})
			s.Net.Heal()
			s.Run(gossipSettles)
			if !s.Net.Up(1) {
				s.Cover(merging)
				g.restart(1)
			}
			s.Net.CrashAtWrite(1, labrpc.CrashPoint{})
			g.get(1, "x") // what it has acknowledged is still there
			g.counts(1, "total")
		}
		g.settle(gossipSettles, 1, 2, 3)

		// The last update of n1 is overwritten by n2, and n1 crashes. It still counts.
		g.put(1, "y")
		g.settle(gossipSettles, 1, 2, 3)
		g.get(2, "y")
		g.put(2, "y")
		g.settle(gossipSettles, 1, 2, 3)
		s.Net.Crash(1)
		g.restart(1)
		g.put(1, "z")
		g.settle(gossipSettles, 1, 2, 3)
		g.converged("x", "y", "z", "u")
	})
}

// A crash interrupts an update of n1. After the restart n1 has the update, and counts it in its Version; other replicas may have
// it by then. So n1 must have it from then on, also if n2 overwrites
// it and n1 crashes in the middle of accepting that write (rules 20 and 21).
func TestRecoveredUpdateCounts6C(t *testing.T) {
	const (
		found   = "n1 had an update when it started again that it had not acknowledged"
		merging = "n1 crashed in the middle of taking over what had overwritten it"
	)
	labtest.Run(t, labtest.Config{Nodes: 3, Seeds: 5, MustCover: []string{found, merging}}, func(s *labtest.Sim) {
		g := newGossipGroup(s)
		for round := range 16 {
			g.settle(gossipSettles, 1, 2, 3)
			s.Net.Isolate(1)
			// After its first write, or after the second one: that may be the write by which it has happened.
			s.Net.CrashAtWrite(1, labrpc.CrashPoint{Write: s.Net.Writes(1) + 1 + round%4, After: true})
			before := g.updates[1]
			if !g.put(1, "y") {
				g.restart(1)
				if g.updates[1] > before {
					s.Cover(found)
				}
			}
			s.Net.CrashAtWrite(1, labrpc.CrashPoint{})
			s.Run(gossipPeriod)
			g.put(2, "y")
			g.put(3, "x")
			s.Run(gossipSettles)
			s.Net.CrashAtWrite(1, labrpc.CrashPoint{Write: s.Net.Writes(1) + 1 + round/4, After: true})
			s.Net.Heal()
			s.Run(gossipSettles)
			if !s.Net.Up(1) {
				s.Cover(merging)
				g.restart(1)
			}
			s.Net.CrashAtWrite(1, labrpc.CrashPoint{})
			g.put(1, "z") // no number may have two updates
		}
		g.settle(gossipSettles, 1, 2, 3)
		g.converged("x", "y", "z")
		g.deleteIsCounted()
	})
}

// deleteIsCounted interrupts Deletes of n1, which is alone. If n1 has the Delete after its restart, its Version counts it; otherwise it does not (rule 21).
func (g *gossipGroup) deleteIsCounted() {
	s := g.s
	s.Net.Isolate(1)
	for round := range 4 {
		g.putValue(1, "gone", "before")
		s.Net.CrashAtWrite(1, labrpc.CrashPoint{Write: s.Net.Writes(1) + 1 + round/2, After: round%2 == 0})
		before := g.updates[1]
		if !g.delete(1, "gone") {
			g.restart(1)
			_, has := g.replicas[1].Get("gone")
			if counted := g.updates[1] > before; counted == has {
				is := map[bool]string{true: "n1 has deleted the key \"gone\", but its Version does not count the Delete", false: "n1 has not deleted the key \"gone\", but its Version counts the Delete"}
				s.Failf(ruleVersion, "after the restart from a crash that interrupted Delete(\"gone\"), %s, want both or neither", is[!has])
			}
		}
		s.Net.CrashAtWrite(1, labrpc.CrashPoint{})
	}
}
