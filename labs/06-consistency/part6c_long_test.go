package consistency_test

import (
	"fmt"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
)

// wide reports whether a test runs at its full length. The first seed does; of others, which repeat it, one of eight is enough.
func wide(s *labtest.Sim) bool { return s.Seed%8 == 1 }

// longAway is how long a node is away: two hours, or on most seeds half an hour.
func longAway(s *labtest.Sim) time.Duration {
	if wide(s) {
		return 2 * time.Hour
	}
	return 30 * time.Minute
}

// A replica is away for 3600 gossip periods, or on most seeds for 900, of two seconds each: it is down, and then alone. Its wall clock and those of the others jump by years. What was deleted meanwhile stays
// deleted when it is back, and what it had added counts once (rules 18 and 19). Some of the others restart, too.
func TestLongAbsence6C(t *testing.T) {
	const period = 2 * time.Second
	labtest.Run(t, labtest.Config{Nodes: 4, Seeds: 1, Limit: 4 * time.Hour}, func(s *labtest.Sim) {
		away := longAway(s)
		g := gossipGroupOf(s)
		g.period = period
		for _, id := range s.Net.Nodes() {
			g.start(id)
		}
		keys := []string{"u", "v", "w", "x"}
		for _, key := range keys {
			g.put(4, key)
		}
		g.add(4, "total", 7)
		g.add(3, "total", 1)
		g.settle(40*period, 1, 2, 3, 4)
		s.Net.Isolate(4)
		g.add(4, "total", 10)
		for i, key := range keys {
			g.delete(labrpc.NodeID(1+i%3), key)
		}
		for i := range 300 { // later deletes do not make a replica forget these
			g.delete(2, fmt.Sprintf("other/%d", i))
		}
		s.Net.Crash(4)
		s.Run(away / 4)
		for i, id := range []labrpc.NodeID{1, 2, 3} {
			s.Net.JumpClock(id, time.Duration(i+1)*5*365*24*time.Hour)
		}
		s.Run(away / 4)
		s.Net.Crash(1)
		g.restart(1)
		for _, id := range []labrpc.NodeID{1, 2, 3} {
			g.add(id, "total", 30)
			g.put(id, "z")
		}
		g.add(2, "total", 10)
		g.restart(4) // and it asks in vain
		s.Run(away / 2)
		g.put(2, "y")
		s.Net.Heal()
		g.settle(40*period, 1, 2, 3, 4)
		for _, key := range keys {
			g.all(ruleDeletes, key, "")
		}
		for _, id := range s.Net.Nodes() {
			if got := g.replicas[id].Count("total"); got != 118 {
				s.Failf(ruleCounts, "on %v, Count(\"total\") = %d at %v, want 118", id, got, labtest.At(s.Net.Now()))
			}
		}
	})
}

// What a replica has acknowledged is there after a crash at that very instant (rule 20).
func TestCrashAtOnce6C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 2, Seeds: 2}, func(s *labtest.Sim) {
		g := newGossipGroup(s)
		s.Net.Isolate(1)
		s.Run(time.Second)
		crash := func() {
			s.Net.Crash(1)
			g.restart(1)
		}
		for range 3 {
			want := g.value()
			g.putValue(1, "x", want)
			crash()
			if got := g.get(1, "x"); got != want {
				s.Failf(ruleSurvives, "n1 acknowledged x=%s and crashed at once; after its restart it has x=%q, want what it acknowledged", want, got)
			}
			g.putValue(1, "y", g.value())
			g.delete(1, "y")
			crash()
			if got, ok := g.replicas[1].Get("y"); ok {
				s.Failf(ruleSurvives, "n1 acknowledged a Delete of y and crashed at once; after its restart it has y=%q, want no value", got)
			}
			g.add(1, "total", 5)
			crash()
			g.counts(1, "total")
			g.add(1, "total", -3)
			g.add(1, "other", 1)
			crash()
			g.counts(1, "total")
			g.counts(1, "other")
		}
		s.Net.Heal()
		g.settle(gossipSettles, 1, 2)
	})
}
