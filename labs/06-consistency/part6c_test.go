package consistency_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"distlabs/internal/check/sequential"
	"distlabs/internal/labtest"
	"distlabs/labrpc"
	consistency "distlabs/labs/06-consistency"
)

// Which of two replicas lacks something, by their vectors alone.
func TestVersionVectors6C(t *testing.T) {
	type vector = consistency.VersionVector
	cases := []struct {
		name     string
		a, b     vector
		aIncB    bool
		bIncA    bool
		together vector
	}{
		{name: "nothing at all", aIncB: true, bIncA: true},
		{name: "nothing and something", a: vector{}, b: vector{1: 1}, bIncA: true, together: vector{1: 1}},
		{name: "the same", a: vector{1: 2, 2: 1}, b: vector{1: 2, 2: 1}, aIncB: true, bIncA: true, together: vector{1: 2, 2: 1}},
		{name: "a zero counts as nothing", a: vector{1: 2, 2: 0}, b: vector{1: 2}, aIncB: true, bIncA: true, together: vector{1: 2}},
		{name: "more of one", a: vector{1: 3, 2: 1}, b: vector{1: 2, 2: 1}, aIncB: true, together: vector{1: 3, 2: 1}},
		{name: "each has what the other lacks", a: vector{1: 9}, b: vector{2: 1}, together: vector{1: 9, 2: 1}},
		{name: "concurrent, whatever the sums", a: vector{1: 3, 2: 1}, b: vector{1: 1, 2: 2}, together: vector{1: 3, 2: 2}},
	}
	labtest.Once(t, func(s *labtest.Sim) {
		for _, c := range cases {
			before := gossipVector(c.a) + gossipVector(c.b)
			if got := c.a.Includes(c.b); got != c.aIncB {
				s.Failf(ruleVersion, "%s: %s.Includes(%s) = %v", c.name, gossipVector(c.a), gossipVector(c.b), got)
			}
			if got := c.b.Includes(c.a); got != c.bIncA {
				s.Failf(ruleVersion, "%s: %s.Includes(%s) = %v", c.name, gossipVector(c.b), gossipVector(c.a), got)
			}
			if got := c.a.Merge(c.b); gossipVector(got) != gossipVector(c.together) {
				s.Failf(ruleVersion, "%s: %s.Merge(%s) = %s", c.name, gossipVector(c.a), gossipVector(c.b), gossipVector(got))
			}
			if gossipVector(c.a)+gossipVector(c.b) != before {
				s.Failf(ruleVersion, "Merge has changed what it merges, to %s and %s", gossipVector(c.a), gossipVector(c.b))
			}
		}
	})
}

// Five replicas over bad links, divided, crashed now and then in the middle of a
// write. All take writes all the time; when it is over, all have the same.
func TestConverges6C(t *testing.T) {
	const (
		divided = "both sides of a partition took writes"
		crashed = "a replica crashed in the middle of an update"
		lost    = "messages were lost"
	)
	keys := []string{"x", "y", "z"}
	cfg := labtest.Config{Nodes: 5, Link: labrpc.FairLoss(0.2), MustBite: []string{divided, crashed, lost}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		g := newGossipGroup(s)
		for step := range 120 {
			switch step {
			case 20:
				s.Net.Partition([]labrpc.NodeID{1, 2}, []labrpc.NodeID{3, 4, 5})
			case 40:
				s.Net.Heal()
				s.Net.Isolate(4)
			case 80:
				s.Net.Heal()
			}
			id := labrpc.NodeID(1 + s.Rand().IntN(5))
			if s.Rand().IntN(8) == 0 {
				s.Net.CrashAtWrite(id, labrpc.CrashPoint{Write: s.Net.Writes(id) + 1 + s.Rand().IntN(3), After: s.Rand().IntN(2) == 0})
			}
			key := keys[s.Rand().IntN(len(keys))]
			if !s.Net.Up(id) {
				g.restart(id)
			}
			g.get(id, key)
			ok := true
			switch s.Rand().IntN(4) {
			case 0, 1:
				ok = g.put(id, key)
			case 2:
				ok = g.add(id, "total", s.Rand().IntN(20)-8)
			case 3:
				g.counts(id, "total")
			}
			if !ok {
				s.Bite(crashed)
				s.Run(50 * time.Millisecond)
				g.restart(id)
			}
			if 20 <= step && step < 40 && id > 2 {
				s.Bite(divided)
			}
			s.Run(time.Duration(s.Rand().IntN(80)) * time.Millisecond)
		}
		if s.Net.Stats(labrpc.Match{}).Lost > 0 {
			s.Bite(lost)
		}
		s.Net.Heal()
		s.Net.SetLinks(labrpc.Reliable())
		for _, id := range s.Net.Nodes() {
			s.Net.CrashAtWrite(id, labrpc.CrashPoint{})
			if !s.Net.Up(id) {
				g.restart(id)
			}
		}
		g.settle(gossipSettles, s.Net.Nodes()...)
		g.converged(keys...)
	})
}

// A replica on its own answers all the same. So two clients can each write and
// then not see the other's write: no one order of the operations has that, and no
// rule forbids it here. That is what is given up for an answer at once.
func TestAnswersAlone6C(t *testing.T) {
	const weaker = "the clients saw what is not sequentially consistent, and it was accepted"
	labtest.Run(t, labtest.Config{Nodes: 3, Seeds: 3, MustBite: []string{weaker}}, func(s *labtest.Sim) {
		g := newGossipGroup(s)
		for _, id := range s.Net.Nodes() {
			s.Net.Isolate(id)
		}
		s.Run(time.Second)
		for _, id := range []labrpc.NodeID{1, 2} {
			mine, other := []string{"", "x", "y"}[id], []string{"", "y", "x"}[id]
			g.put(id, mine)
			if g.get(id, mine) == "" {
				s.Failf(ruleAnswersAt, "%v has nothing in %s at %v, which it has just acknowledged", id, mine, s.Net.Now())
			}
			g.get(id, other)
			g.add(id, "total", 2)
			g.counts(id, "total")
			if got := g.replicas[id].Count("total"); got != 2 {
				s.Failf(ruleCounts, "%v counts %d at %v, after its own add of 2", id, got, s.Net.Now())
			}
			s.Run(time.Second)
		}
		v, err := sequential.Check(g.ops, sequential.Options{})
		if err != nil {
			panic(err)
		}
		if v != nil {
			s.Bite(weaker)
		}
		s.Net.Heal()
		g.settle(gossipSettles, s.Net.Nodes()...)
		g.converged("x", "y")
	})
}

// Wall clocks that are an hour off, or are set back by one, with a restart in
// between: who has seen a value and overwrites it has the last word.
func TestSlowClockDoesNotLose6C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 3}, func(s *labtest.Sim) {
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
			s.Failf(ruleLastWriter, "n3 has %q in x at %v, and has just acknowledged another write, which its slow clock must not hide", got, s.Net.Now())
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
		g.putValue(2, "z", "third")
		g.delete(2, "x")
		g.settle(gossipSettles, 1, 2, 3)
		g.all(ruleLastWriter, "z", "third")
		g.all(ruleLastWriter, "x", "")
	})
}

// Writes on two sides of a partition, a second apart, by clocks that differ by
// less: the later wins, though the other side has been busier, and whatever the names.
func TestLaterWins6C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 4}, func(s *labtest.Sim) {
		g := newGossipGroup(s)
		s.Net.SetClock(1, 50*time.Millisecond, 0)
		s.Net.SetClock(3, -50*time.Millisecond, 0)
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
		s.Net.Heal()
		g.settle(gossipSettles, s.Net.Nodes()...)
		g.all(ruleLaterWins, "by n1", "the later by n3")
		g.all(ruleLaterWins, "by n4", "the later by n2")
	})
}

// All write in one instant, by equal clocks, and nobody hears of it until later.
func TestSameInstant6C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 4, Seeds: 5}, func(s *labtest.Sim) {
		g := newGossipGroup(s)
		for _, id := range s.Net.Nodes() {
			s.Net.Isolate(id)
		}
		s.Run(time.Second)
		for _, id := range s.Net.Nodes() {
			g.put(id, "x")
			g.put(5-id, "y")
		}
		s.Net.Heal()
		g.settle(gossipSettles, s.Net.Nodes()...)
		g.converged("x", "y")
	})
}

// A replica is cut off with old values, which are deleted elsewhere: by one who
// crashes after that, by a slow clock, and with a new value later.
func TestDeletesStay6C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 4}, func(s *labtest.Sim) {
		g := newGossipGroup(s)
		s.Net.SetClock(2, -time.Minute, 0)
		keys := []string{"v", "w", "x", "y"}
		for _, key := range keys {
			g.put(4, key)
		}
		g.settle(gossipSettles, 1, 2, 3, 4)
		for _, key := range keys {
			if got, _ := g.replicas[1].Get(key); got == "" {
				s.Failf(ruleConverges, "n1 has nothing in %s at %v", key, s.Net.Now())
			}
		}
		s.Net.Isolate(4)
		g.delete(1, "v")
		g.delete(2, "w")
		g.delete(3, "x")
		g.delete(1, "y")
		if value, ok := g.replicas[1].Get("v"); ok {
			s.Failf(ruleDeletes, "n1: Get(\"v\") = %q, true at %v, and it has just acknowledged a delete", value, s.Net.Now())
		}
		s.Net.Crash(1)
		g.restart(1)
		s.Run(gossipSettles)
		g.putValue(3, "y", "new")
		s.Run(gossipSettles)
		s.Net.Heal()
		g.settle(gossipSettles, 1, 2, 3, 4)
		g.all(ruleDeletes, "v", "")
		g.all(ruleDeletes, "w", "")
		g.all(ruleDeletes, "x", "")
		g.all(ruleDeletes, "y", "new")
	})
}

// Adds on both sides of a partition, over links that duplicate everything; then
// the replicas go on exchanging for a while, which must not count anything again.
func TestCountsEachAddOnce6C(t *testing.T) {
	const duplicated = "messages arrived twice"
	link := labrpc.Link{Latency: labrpc.Uniform(time.Millisecond, 60*time.Millisecond), Duplicate: 0.7}
	labtest.Run(t, labtest.Config{Nodes: 5, Link: link, MustBite: []string{duplicated}}, func(s *labtest.Sim) {
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
			s.Bite(duplicated)
		}
	})
}

// n1 crashes at one write after another: while it takes an update, and while it
// takes over those of others. What it has acknowledged is there; what it does next
// reaches the others; and what it lacked it still gets.
func TestCrashAtEveryWrite6C(t *testing.T) {
	const (
		updating = "n1 crashed in the middle of an update"
		merging  = "n1 crashed in the middle of taking over what others had"
	)
	labtest.Run(t, labtest.Config{Nodes: 3, MustBite: []string{updating, merging}}, func(s *labtest.Sim) {
		g := newGossipGroup(s)
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
					s.Bite(updating)
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
			s.Run(10 * gossipPeriod)
			if !s.Net.Up(1) {
				s.Bite(merging)
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

// Four hundred keys, then rest, then twenty updates: the bytes on the wire follow
// what is new, not what there is.
func TestDigestsTravel6C(t *testing.T) {
	const (
		atRest  = 400 // bytes a replica a gossip period, questions and answers
		each    = 400 // bytes for each replica that lacks an update
		periods = 50
	)
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 2, CountBytes: true}, func(s *labtest.Sim) {
		g := newGossipGroup(s)
		for i := range 400 {
			g.putValue(labrpc.NodeID(1+i%5), fmt.Sprintf("key %d", i), fmt.Sprintf("the value of key %d", i))
		}
		g.settle(gossipSettles, s.Net.Nodes()...)
		for i := range 400 {
			g.all(ruleConverges, fmt.Sprintf("key %d", i), fmt.Sprintf("the value of key %d", i))
		}
		measure := func() (messages, bytes float64) {
			before := s.Net.Stats(labrpc.Match{})
			s.Run(periods * gossipPeriod)
			used := s.Net.Stats(labrpc.Match{}).Sub(before)
			return float64(used.Sent), float64(used.Bytes)
		}
		messages, bytes := measure()
		s.Measure("bytes a replica a gossip period, at rest", bytes/5/periods, "", fmt.Sprintf("≤ %d", atRest))
		if bytes > 5*periods*atRest {
			s.Failf(ruleGossipBytes, "5 replicas with the same 400 keys send %.0f bytes in %d gossip periods, want at most %d", bytes, periods, 5*periods*atRest)
		}
		if messages < periods {
			s.Failf(ruleConverges, "5 replicas send %.0f messages in %d gossip periods: nobody compares itself with anybody", messages, periods)
		}
		for i := range 10 {
			g.putValue(labrpc.NodeID(1+i%5), fmt.Sprintf("key %d", 40*i), fmt.Sprintf("new value %d", i))
			g.add(labrpc.NodeID(1+i%5), fmt.Sprintf("counter %d", i), 1)
		}
		_, bytes = measure()
		most := 5*periods*atRest + 20*4*each
		s.Measure("bytes for 20 updates in 50 periods", bytes, "", fmt.Sprintf("≤ %d", most))
		if bytes > float64(most) {
			s.Failf(ruleGossipBytes, "for 20 updates, 5 replicas with 400 keys send %.0f bytes in %d gossip periods, want at most %d", bytes, periods, most)
		}
		g.settle(0, s.Net.Nodes()...)
		g.all(ruleConverges, "key 0", "new value 0")
	})
}

// n1 and n3 can talk to n2 only, in turns: what n1 has reaches n3 through n2, and back.
func TestHearsay6C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 3}, func(s *labtest.Sim) {
		g := newGossipGroup(s)
		s.Net.CutBoth(1, 3)
		s.Net.CutBoth(2, 3)
		g.put(1, "x")
		g.put(1, "gone")
		g.add(1, "total", 3)
		s.Run(gossipSettles)
		g.get(2, "x")
		g.delete(2, "gone")
		s.Net.Stop(1)
		s.Net.Mend(2, 3)
		s.Run(gossipSettles)
		if got, want := g.replicas[3].Version()[1], g.updates[1]; got != want {
			s.Failf(ruleConverges, "n3 has %d of the %d updates of n1 at %v: n2 has them, and can talk to n3", got, want, s.Net.Now())
		}
		g.counts(3, "total")
		if got := g.get(3, "x"); got == "" {
			s.Failf(ruleConverges, "n3 has nothing in x at %v, though its version %s has the put of n1", s.Net.Now(), gossipVector(g.replicas[3].Version()))
		}
		if got, ok := g.replicas[3].Get("gone"); ok {
			s.Failf(ruleDeletes, "n3: Get(\"gone\") = %q, true at %v, and n2 has deleted it", got, s.Net.Now())
		}
	})
}

// Those that are down or cut off hold nobody up.
func TestDeadPeers6C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5}, func(s *labtest.Sim) {
		g := newGossipGroup(s)
		live := []labrpc.NodeID{1 + labrpc.NodeID(s.Rand().IntN(2)), 4 + labrpc.NodeID(s.Rand().IntN(2))}
		for _, id := range s.Net.Nodes() {
			switch {
			case slices.Contains(live, id):
			case id%2 == 0:
				s.Net.Stop(id)
			default:
				s.Net.Isolate(id)
			}
		}
		s.Run(time.Second)
		g.put(live[0], "x")
		g.add(live[1], "total", 4)
		g.settle(gossipSettles, live...)
		a, _ := g.replicas[live[0]].Get("x")
		if b, _ := g.replicas[live[1]].Get("x"); a != b || a == "" {
			s.Failf(ruleConverges, "%v has %q in x, %v has %q at %v", live[0], a, live[1], b, s.Net.Now())
		}
	})
}
