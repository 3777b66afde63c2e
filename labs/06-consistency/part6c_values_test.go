package consistency_test

import (
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
)

// Every Put and every Delete is a write: of the value that the key has, of the empty value, of a key without a value. Each wins over
// a write that is concurrent and earlier (rule 17).
func TestEveryWriteCounts6C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 3, Seeds: 5}, func(s *labtest.Sim) {
		g := newGossipGroup(s)
		g.busyReplica(1, 2)
		for _, key := range []string{"equal", "empty", "deleted twice"} {
			g.putValue(2, key, "old")
		}
		g.delete(2, "deleted twice")
		g.settle(gossipSettles, 1, 2, 3)
		s.Net.Isolate(1)
		for _, key := range []string{"equal", "empty", "absent", "deleted twice"} {
			g.put(1, key)
		}
		s.Run(time.Second)
		g.putValue(2, "equal", "old")
		g.putValue(2, "empty", "")
		g.delete(2, "absent")
		g.delete(2, "deleted twice")
		s.Run(time.Second)
		s.Net.Heal()
		s.Run(gossipSettles)
		g.all(ruleLaterWins, "equal", "old")
		g.all(ruleLaterWins, "absent", "")
		g.all(ruleLaterWins, "deleted twice", "")
		for _, id := range s.Net.Nodes() {
			if got, ok := g.replicas[id].Get("empty"); got != "" || !ok {
				s.Failf(ruleLaterWins, "on %v, Get(\"empty\") = %q, %v at %v, want \"\", true: the empty value was put last", id, got, ok, labtest.At(s.Net.Now()))
			}
		}
		// The same the other way round: a value that is put again wins over a delete that was earlier and concurrent.
		s.Net.Isolate(1)
		g.delete(1, "equal")
		s.Run(time.Second)
		g.putValue(3, "equal", "old")
		s.Net.Heal()
		s.Run(gossipSettles)
		g.all(ruleLaterWins, "equal", "old")
	})
}

// busyReplica writes often in one instant. A later write of another replica wins all the same (rule 17).
func (g *gossipGroup) busyReplica(busy, other labrpc.NodeID) {
	g.s.Net.CutBoth(busy, other)
	for range 300 {
		g.put(busy, "busy")
	}
	g.s.Run(100 * time.Millisecond)
	g.putValue(other, "busy", "the later")
	g.s.Net.HealBoth(busy, other)
	g.settle(gossipSettles, busy, other)
	g.all(ruleLaterWins, "busy", "the later")
}

// More writes than a byte, or 16 bits, can count, all while the wall clock of their replica is behind an earlier write: the last one wins (rule 17), the
// Version counts them all (rule 21), and they reach the other replicas, as do writes of 5000 keys (rule 16).
func TestManyWritesOfOneInstant6C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 2, Seeds: 1}, func(s *labtest.Sim) {
		g := newGossipGroup(s)
		s.Run(time.Second)
		g.put(1, "y")
		s.Net.JumpClock(1, -time.Hour)
		totals := []int{250, 264, 1010, 1030, 4080, 4100}
		if wide(s) {
			totals = append(totals, 1<<16-10, 1<<16+10)
		}
		for _, total := range totals {
			for _, number := range []int{1 << 8, 1 << 16} {
				if int(g.updates[1]) < number && number < total {
					g.interruptsUpdate(number)
				}
			}
			g.putsMany(total-1-int(g.updates[1]), func(int) string { return "x" })
			want := g.value()
			g.putValue(1, "x", want)
			g.add(1, "late", 1)
			// A replica may send many updates in several messages: rule 16 bounds them.
			limit := gossipSettles
			if total > updatesAtOnce {
				limit *= 10
			}
			g.settle(limit, 1, 2)
			g.all(ruleLastWriter, "x", want)
		}
		g.putsMany(updatesAtOnce, func(i int) string { return fmt.Sprint("key ", i) })
		g.settle(gossipSettles, 1, 2)
		g.all(ruleConverges, fmt.Sprint("key ", updatesAtOnce-1), "one of many")
	})
}

// interruptsUpdate has a crash interrupt the update of n1 that has the number. If n1 has the value after its restart, its Version counts the update (rule 21).
func (g *gossipGroup) interruptsUpdate(number int) {
	s, key := g.s, fmt.Sprint("interrupted ", number)
	g.putsMany(number-1-int(g.updates[1]), func(int) string { return "x" })
	s.Net.CrashAtWrite(1, labrpc.CrashPoint{Write: s.Net.Writes(1) + 1, After: true})
	before := g.updates[1]
	if !g.put(1, key) {
		g.restart(1)
		_, has := g.replicas[1].Get(key)
		if counted := g.updates[1] > before; counted != has {
			s.Failf(ruleVersion, "a crash interrupted update %d of n1, a Put; after the restart the key has a value: %v, and the Version counts the Put: %v, want both or none",
				number, has, counted)
		}
	}
	s.Net.CrashAtWrite(1, labrpc.CrashPoint{})
}

// putsMany has n1 write n times. It is not shown in the record of the run.
func (g *gossipGroup) putsMany(n int, key func(i int) string) {
	for i := range n {
		if err := g.replicas[1].Put(key(i), "one of many"); err != nil {
			g.s.Failf(ruleAnswersAt, "n1: Put returned the error %q", err)
		}
		g.updates[1]++
		if i%1000 == 999 {
			g.s.Run(time.Microsecond) // so that the harness sees that time moves, on a slow machine too
		}
	}
}

// Wall clocks that are wrong by days or by a century: what one replica writes the others accept, and a replica that has it overwrites
// it (rules 16 and 17).
func TestClocksFarApart6C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 3, Seeds: 5}, func(s *labtest.Sim) {
		g := newGossipGroup(s)
		for _, ahead := range []time.Duration{2 * time.Hour, 48 * time.Hour, 40 * 24 * time.Hour, 100 * 365 * 24 * time.Hour} {
			s.Net.JumpClock(1, ahead)
			s.Net.JumpClock(3, -ahead/8)
			g.putValue(1, "x", "from the future")
			g.add(1, "total", 1)
			g.putValue(3, "y", "from the past")
			g.settle(gossipSettles, 1, 2, 3)
			g.all(ruleFarApart, "x", "from the future")
			g.all(ruleFarApart, "y", "from the past")
			s.Net.Crash(3)
			g.restart(3)
			g.putValue(3, "x", "later")
			g.delete(1, "y")
			g.settle(gossipSettles, 1, 2, 3)
			g.all(ruleLastWriter, "x", "later")
			g.all(ruleLastWriter, "y", "")
		}
	})
}

// Keys and values are any strings; a key and a counter of one name have nothing to do with each other; a crash changes nothing (rules 16 and 20). Counters
// need all the bits of an int (rule 19). Updates that are one string when key and value are joined are different updates (rule 16).
func TestAnyValue6C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 3, Seeds: 2}, func(s *labtest.Sim) {
		g := newGossipGroup(s)
		if wide(s) {
			g.joinedAlike()
		}
		for i, key := range anyStrings {
			g.putValue(labrpc.NodeID(1+i%3), key, "value of "+key)
			g.add(labrpc.NodeID(1+i%3), key, 1+i)
		}
		check := func(rule string) {
			for i, key := range anyStrings {
				g.all(rule, key, "value of "+key)
				for _, id := range s.Net.Nodes() {
					if got := g.replicas[id].Count(key); got != 1+i {
						s.Failf(rule, "on %v, Count(%.20q) = %d at %v, want %d", id, key, got, labtest.At(s.Net.Now()), 1+i)
					}
				}
			}
		}
		g.settle(gossipSettles, 1, 2, 3)
		check(ruleConverges)
		for _, id := range s.Net.Nodes() {
			s.Net.Crash(id)
			g.restart(id)
		}
		check(ruleSurvives)
		for i, value := range anyStrings {
			g.putValue(labrpc.NodeID(1+i%3), "key", value)
			g.settle(gossipSettles, 1, 2, 3)
			for _, id := range s.Net.Nodes() {
				if got, ok := g.replicas[id].Get("key"); got != value || !ok {
					s.Failf(ruleConverges, "on %v, Get(\"key\") = %.20q, %v at %v, want %.20q, true", id, got, ok, labtest.At(s.Net.Now()), value)
				}
			}
		}
		g.largeNumbers()
	})
}

// joinedAlike has n1 and n2 make different updates while the two are not connected: in one instant, and one string when key and value are joined, without a
// separator or with one. Afterwards all replicas have both (rule 16).
func (g *gossipGroup) joinedAlike() {
	for i, separator := range []string{"", " ", ",", "\n", "\x00", "/", "=", ":"} {
		word := fmt.Sprint("word", i)
		two := word + separator + word
		g.s.Net.Isolate(1)
		g.putValue(1, word, two)
		g.putValue(2, two, word)
		g.s.Net.Heal()
		g.settle(gossipSettles, 1, 2, 3)
		g.all(ruleConverges, word, two)
		g.all(ruleConverges, two, word)
	}
	// A name and a sum.
	g.s.Net.Isolate(1)
	g.add(1, "joined ", 11)
	g.add(2, "joined 1", 1)
	g.s.Net.Heal()
	g.settle(gossipSettles, 1, 2, 3)
}

// largeNumbers adds numbers that need all the bits of an int, zero, and numbers that cancel each other.
func (g *gossipGroup) largeNumbers() {
	want := 0
	for i, n := range []int{300, -70_000, 3 << 30, -5 << 32, 0, math.MaxInt / 2, -math.MaxInt / 2, -1, 1 << 53, 1} {
		g.add(labrpc.NodeID(1+i%3), "total", n)
		want += n
		g.settle(gossipSettles, 1, 2, 3)
		for _, id := range g.s.Net.Nodes() {
			if got := g.replicas[id].Count("total"); got != want {
				g.s.Failf(ruleCounts, "on %v, Count(\"total\") = %d at %v, want %d", id, got, labtest.At(g.s.Net.Now()), want)
			}
		}
	}
	for i := range 300 {
		g.add(labrpc.NodeID(1+i%3), "ones", 1)
	}
	g.settle(gossipSettles, 1, 2, 3)
	if got := g.replicas[1].Count("ones"); got != 300 {
		g.s.Failf(ruleCounts, "n1: Count(\"ones\") = %d at %v, want 300", got, labtest.At(g.s.Net.Now()))
	}
	if got := g.replicas[2].Count("never added to"); got != 0 {
		g.s.Failf(ruleCounts, "n2: Count of a counter without an add is %d, want 0", got)
	}
}

// Eight goroutines update one replica at once. No add is lost, and no two updates have one number (rules 19 and 21).
func TestManyAtOnce6C(t *testing.T) {
	const goroutines, each = 8, 100
	labtest.Run(t, labtest.Config{Nodes: 2, Seeds: 2, Simultaneous: true}, func(s *labtest.Sim) {
		defer labtest.Threads(1)()
		g := gossipGroupOf(s)
		n1, n2 := s.Start(1), s.Start(2)
		g.boot(n1)
		g.boot(n2)
		g.updatesWhileMerging(n1, n2, goroutines)
		store := g.replicas[1]
		for _, update := range []func() error{
			func() error { return store.Add("total", 1) },
			func() error { return store.Put("x", "x") },
			func() error { return store.Delete("gone") },
		} {
			var wg sync.WaitGroup
			for range goroutines {
				wg.Go(func() {
					for range each {
						_ = update()
						_ = store.Count("total")
						_, _ = store.Get("x")
						_ = store.Version()
					}
				})
			}
			wg.Wait()
			g.updates[1] += goroutines * each
			if got := store.Count("total"); got != goroutines*each {
				s.Failf(ruleCounts, "%d goroutines of n1 each added 1 to a counter %d times, and its value is %d, want %d", goroutines, each, got, goroutines*each)
			}
			if got := store.Version()[1]; got != g.updates[1] {
				s.Failf(ruleVersion, "several goroutines of n1 made %d updates, but the Version of n1 counts %d", g.updates[1], got)
			}
		}
		for i := range goroutines * each {
			g.adds = append(g.adds, gossipAdd{at: 1, number: g.updates[1] - 3*goroutines*each + uint64(i+1), counter: "total", n: 1})
		}
		g.settle(gossipSettles, 1, 2)
		g.all(ruleConverges, "x", "x")
	})
}

// updatesWhileMerging has goroutines update n1 at the very instant at which it receives updates of n2. They are handlers of the test on
// n1, whose messages arrive together with those of the store.
func (g *gossipGroup) updatesWhileMerging(n1, n2 *labrpc.Node, goroutines int) {
	const rounds, method = 30, "the test: update"
	s, store := g.s, g.replicas[1]
	labrpc.Receive(n1, method, func(labrpc.NodeID, bool) { _ = store.Put("x", "x") })
	held := s.Net.Hold(labrpc.Match{From: 2, To: 1})
	for range rounds {
		g.putValue(2, "y", "y")
		for range goroutines {
			_ = labrpc.Send(n2, 1, method, true)
			g.updates[1]++
		}
		s.Until(2*gossipPeriod, func() bool { return len(held.Messages()) > goroutines })
		held.DeliverAtOnce(nil)
		s.Run(0)
		if got := store.Version()[1]; got != g.updates[1] {
			s.Failf(ruleVersion, "at %v, %d goroutines of n1 had made an update each while it received those of n2, and its Version counts %d of all %d updates, want all",
				labtest.At(s.Net.Now()), goroutines, got, g.updates[1])
		}
	}
	held.Release()
}
