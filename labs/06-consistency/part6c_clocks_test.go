package consistency_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
)

// keepsDelete is covered if the replica to which no requests come has the Delete.
const keepsDelete = "a replica had a Delete, and did not know that the others had it"

// Wall clocks are an hour wrong, or are set back by an hour, with a restart in
// between: a write wins over the values that its replica had (rule 17).
func TestSlowClockDoesNotLose6C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 3, MustCover: []string{keepsDelete}}, func(s *labtest.Sim) {
		s.Net.SetClock(1, time.Hour, 0)
		s.Net.SetClock(3, -time.Hour, 0)
		g := newGossipGroup(s)
		g.put(1, "x")
		g.put(1, "y")
		g.settle(gossipSettles, 1, 2, 3)
		// n3 overwrites what it has read; so does n2, after a restart.
		g.get(3, "x")
		g.putValue(3, "x", "from the slow clock")
		if got := g.get(3, "x"); got != "from the slow clock" {
			s.Failf(ruleLastWriter, "n3 has x=%q at %v, although it has just acknowledged another write of x", got, labtest.At(s.Net.Now()))
		}
		s.Net.Crash(2)
		g.restart(2)
		g.get(2, "y")
		g.putValue(2, "y", "after the restart")
		g.settle(gossipSettles, 1, 2, 3)
		g.all(ruleLastWriter, "x", "from the slow clock")
		g.all(ruleLastWriter, "y", "after the restart")

		// One replica alone, whose clock goes back, and again while it is down.
		g.putValue(2, "z", "first")
		s.Net.JumpClock(2, -time.Hour)
		g.putValue(2, "z", "second")
		s.Net.Crash(2)
		s.Net.JumpClock(2, -time.Hour)
		g.restart(2)
		s.Net.JumpClock(3, -time.Hour) // of a replica that goes on
		g.putValue(2, "z", "third")
		g.delete(2, "x")
		g.settle(gossipSettles, 1, 2, 3)
		g.all(ruleLastWriter, "z", "third")
		g.all(ruleLastWriter, "x", "")

		// The wall clock of n1 shows the time of its last write again.
		began := s.Net.Now()
		g.putValue(1, "w", "first")
		g.settle(gossipSettles, 1, 2, 3)
		s.Net.JumpClock(1, began-s.Net.Now())
		g.putValue(1, "w", "at the same time")
		g.settle(gossipSettles, 1, 2, 3)
		g.all(ruleLastWriter, "w", "at the same time")

		// The latest write that n2 has is a Delete, by the fast clock. n2 restarts.
		g.delete(1, "z")
		g.settle(gossipSettles, 1, 2, 3)
		s.Net.Crash(2)
		g.restart(2)
		g.putValue(2, "z", "after the delete")
		g.settle(gossipSettles, 1, 2, 3)
		g.all(ruleLastWriter, "z", "after the delete")
		if s.Seed%18 < 6 { // each variant once
			g.deleteCountsForLong()
		}
	})
}

// deleteCountsForLong deletes a key by the fast clock. The two replicas that write the key later know that all have the Delete; the third one does not
// know it, since the requests to it are lost. So that one keeps the Delete, and the writes must win over it: of a replica that goes on, of one that has restarted, and of
// the replica that has deleted, whose clock was set back.
func (g *gossipGroup) deleteCountsForLong() {
	s := g.s
	ids := s.Net.Nodes()
	deletes := ids[0] // by the clock that is ahead
	writes, keeps := ids[1], ids[2]
	if s.Seed%2 == 0 {
		writes, keeps = keeps, writes
	}
	if s.Seed%3 == 0 {
		writes = deletes
	}
	s.Net.SetClock(deletes, 2*time.Hour, 0)
	g.putValue(keeps, "v", "first")
	g.settle(gossipSettles, ids...)
	lost := newDropper(s)
	requests := func(m *labrpc.Message) bool { return m.To == keeps && m.Kind == labrpc.Request }
	lost.set(requests)
	g.delete(deletes, "v")
	s.Run(gossipSettles)
	has := func() bool { return g.version(keeps)[deletes] == g.updates[deletes] }
	if !has() { // it takes updates from requests only: it may have some, until it has this one
		lost.set(nil)
		s.Until(gossipSettles, has)
		lost.set(requests)
		s.Run(gossipSettles)
	}
	if has() {
		s.Cover(keepsDelete)
	}
	if writes == deletes {
		s.Net.JumpClock(writes, -2*time.Hour)
	}
	if s.Seed%3 < 2 {
		s.Net.Crash(writes)
		g.restart(writes)
		s.Run(gossipSettles)
	}
	g.putValue(writes, "v", "after the delete")
	lost.set(nil)
	g.settle(gossipSettles, ids...)
	g.all(ruleLastWriter, "v", "after the delete")
}

// Writes on two sides of a partition, a second apart, with clocks that differ by
// less: the later one wins, although the other side has written more often, and whatever the IDs. So does the later of two writes
// that are a fraction of a millisecond apart, with equal clocks. The clocks show a time before 1970, which begins between two of the writes, or the year 1750. When
// the replicas started, their clocks were hours wrong (rule 17).
func TestLaterWins6C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 4}, func(s *labtest.Sim) {
		for i, wrong := range []time.Duration{5 * time.Hour, -time.Hour, 2 * time.Hour, -7 * time.Hour} {
			s.Net.SetClock(labrpc.NodeID(i+1), wrong, 0)
		}
		g := newGossipGroup(s)
		slow := time.Until(time.Unix(0, 0).Add(-1500 * time.Millisecond))
		if s.Seed%2 == 0 {
			slow = time.Until(time.Date(1750, 1, 1, 0, 0, 0, 0, time.UTC))
		}
		for i, ahead := range []time.Duration{50 * time.Millisecond, 0, -50 * time.Millisecond, 0} {
			s.Net.SetClock(labrpc.NodeID(i+1), slow+ahead, 0)
		}
		s.Net.Partition([]labrpc.NodeID{1, 2}, []labrpc.NodeID{3, 4})
		for _, pair := range [][2]labrpc.NodeID{{1, 3}, {4, 2}} {
			early, late := pair[0], pair[1]
			key := "by " + early.String()
			for range 20 {
				g.put(early, key)
			}
			s.Run(time.Second)
			g.putValue(late, key, "the later by "+late.String())
		}
		s.Run(time.Second) // n2 has just written
		g.put(4, "soon")
		s.Run(100 * time.Microsecond)
		g.putValue(2, "soon", "the later by n2")
		s.Net.Heal()
		g.settle(gossipSettles, s.Net.Nodes()...)
		g.all(ruleLaterWins, "soon", "the later by n2")
		g.all(ruleLaterWins, "by n1", "the later by n3")
		g.all(ruleLaterWins, "by n4", "the later by n2")
	})
}

// Twelve replicas write in one instant, with equal clocks, and get each other's writes and adds later (rules 17 and 19).
func TestSameInstant6C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 12, Seeds: 5}, func(s *labtest.Sim) {
		g := newGossipGroup(s)
		for _, id := range s.Net.Nodes() {
			s.Net.Isolate(id)
		}
		s.Run(time.Second)
		for _, id := range s.Net.Nodes() {
			g.put(id, "x")
			g.put(13-id, "y")
			g.add(id, "total", 1<<id)
		}
		s.Net.Heal()
		g.settle(gossipSettles, s.Net.Nodes()...)
		g.converged("x", "y")
	})
}

// A replica is isolated with old values, which are deleted elsewhere: by a replica that
// crashes after that, by one with a slow clock, and by one that writes a new value later. In some runs old messages arrive again (rules 18 and 19).
func TestDeletesStay6C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 4}, func(s *labtest.Sim) {
		g := newGossipGroup(s)
		s.Net.SetClock(2, -time.Minute, 0)
		keys := []string{"v", "w", "x", "y"}
		for _, key := range keys {
			g.put(4, key)
			g.add(1, key, 1) // a counter is no key: it is not deleted
		}
		g.settle(gossipSettles, 1, 2, 3, 4)
		for _, key := range keys {
			if got, _ := g.replicas[1].Get(key); got == "" {
				s.Failf(ruleConverges, "n1 has no value of %s at %v", key, labtest.At(s.Net.Now()))
			}
		}
		s.Net.Isolate(4)
		g.delete(1, "v")
		g.delete(2, "w")
		g.delete(3, "x")
		g.delete(1, "y")
		if value, ok := g.replicas[1].Get("v"); ok {
			s.Failf(ruleDeletes, "on n1, Get(\"v\") returned (%q, true) at %v, want (\"\", false): n1 has just acknowledged a Delete of v", value, labtest.At(s.Net.Now()))
		}
		s.Net.Crash(1)
		g.restart(1)
		s.Run(gossipSettles)
		g.putValue(3, "y", "new")
		s.Run(gossipSettles)
		s.Net.Heal()
		g.settle(gossipSettles, 1, 2, 3, 4)
		stayDeleted := func() {
			for _, key := range []string{"v", "w", "x"} {
				g.all(ruleDeletes, key, "")
			}
			g.all(ruleDeletes, "y", "new")
		}
		stayDeleted()
		if s.Seed%5 < 2 {
			g.copiesArrive(keys)
			stayDeleted()
			g.settle(gossipSettles, 1, 2, 3, 4)
			stayDeleted()
		}
	})
}

// copiesArrive makes each replica write each of the keys, and add twice to the counter of that name. Then the keys are deleted, y is written, and when each replica may
// know that all have that, copies of the older messages arrive, on even seeds after restarts.
func (g *gossipGroup) copiesArrive(keys []string) {
	s := g.s
	sent := keepSent(s)
	for _, id := range s.Net.Nodes() {
		for _, key := range keys {
			g.put(id, key)
			g.add(id, key, int(id))
			g.add(id, key, 10) // the copy of the first add is the older one
			s.Run(10 * time.Millisecond)
		}
	}
	g.settle(gossipSettles, 1, 2, 3, 4)
	old := sent()
	for _, key := range keys {
		g.delete(1, key)
	}
	g.putValue(1, "y", "new")
	g.settle(60*gossipPeriod, 1, 2, 3, 4)
	if s.Seed%2 == 0 {
		for _, id := range s.Net.Nodes() {
			s.Net.Crash(id)
			g.restart(id)
		}
	}
	for _, key := range keys {
		g.note(key, fmt.Sprintf("copies of messages that were sent before that arrive from %v on", labtest.At(s.Net.Now())))
	}
	for _, i := range s.Rand().Perm(len(old)) {
		_ = s.Net.Inject(old[i]) // it has travelled before, so it can travel
		s.Run(time.Millisecond)
	}
	s.Run(10 * time.Millisecond)
}

// keepSent records the messages that are sent from now on, until what it returns is called.
func keepSent(s *labtest.Sim) (until func() []labrpc.Message) {
	var mu sync.Mutex
	var sent []labrpc.Message
	s.Net.Intercept(func(m *labrpc.Message) labrpc.Verdict {
		if m.Kind != labrpc.Reply { // a reply to a call that is over goes nowhere
			mu.Lock()
			defer mu.Unlock()
			sent = append(sent, *m)
		}
		return labrpc.Pass
	})
	return func() []labrpc.Message {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(sent)
	}
}
