package consistency_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	consistency "distlabs/labs/06-consistency"
)

// Every member is isolated, and one has just restarted: each serves every request at
// once from its own items, and has every item that it has acknowledged (rule 33).
func TestAPAnswers6E(t *testing.T) {
	const stale = "a read lacked what had been acknowledged elsewhere, and it was accepted"
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 5, MustCover: []string{stale}}, func(s *labtest.Sim) {
		b := newBasketStore(s, consistency.AP, 1, 2, 3, 4, 5)
		for _, id := range b.members {
			s.Net.Isolate(id)
		}
		for range 3 {
			for _, id := range b.members {
				item := b.mustAdd(id)
				call := b.goItems(id)
				items := b.mustServe(call)
				if !slices.Contains(items, item) {
					s.Failf(ruleAlways, "under AP, %v, returned %q, without %q, which this member had acknowledged", call, items, item)
				}
				if b.missing(call, items) != "" {
					s.Cover(stale)
				}
			}
			s.Net.Crash(3)
			b.start(3)
			s.Run(time.Second)
		}
		s.Net.Heal()
		s.Run(basketSettles)
		b.reconciled()
	})
}

// Members on every side of a partition add items, and crash as soon as they have
// acknowledged them; some get items only through a third member. When the network heals, no item is lost (rule 34).
func TestAPReconciles6E(t *testing.T) {
	const crashed = "a member crashed in the middle of an add"
	labtest.Run(t, labtest.Config{Nodes: 5, Link: labrpc.FairLoss(0.1), MustCover: []string{crashed}}, func(s *labtest.Sim) {
		b := newBasketStore(s, consistency.AP, 1, 2, 3, 4, 5)
		for round := range 4 {
			s.Net.Partition([]labrpc.NodeID{1, labrpc.NodeID(2 + round%3)}, []labrpc.NodeID{5})
			for range 8 {
				id := b.members[s.Rand().IntN(5)]
				if s.Rand().IntN(3) == 0 {
					s.Net.CrashAtWrite(id, labrpc.CrashPoint{Write: s.Net.Writes(id) + 1 + s.Rand().IntN(2), After: s.Rand().IntN(2) == 0})
				}
				_, _ = b.wait(b.goAdd(id))
				if !s.Net.Up(id) {
					s.Cover(crashed)
				}
				s.Net.Crash(id)
				b.start(id)
				s.Run(time.Duration(s.Rand().IntN(200)) * time.Millisecond)
				for _, id := range b.members {
					if !s.Net.Up(id) {
						b.start(id)
					}
				}
			}
			s.Net.Heal()
			s.Run(basketSettles / 4)
		}
		// n1 reaches the others only through n3.
		for _, id := range []labrpc.NodeID{2, 4, 5} {
			s.Net.CutBoth(1, id)
		}
		for _, id := range b.members {
			s.Net.CrashAtWrite(id, labrpc.CrashPoint{})
			if !s.Net.Up(id) {
				b.start(id)
			}
		}
		b.mustAdd(1)
		b.mustAdd(2)
		s.Net.SetLinks(labrpc.Reliable())
		s.Logf("from now on no message is lost, and n1 reaches the others through n3")
		s.Run(2 * basketSettles)
		b.reconciled()
		b.differInTheMiddle()
	})
}

// differInTheMiddle: both sides of a partition add as many items, of the same length and of the same characters, between the smallest and the greatest that all have: the two sets are
// different all the same (rule 34).
func (b *basketStore) differInTheMiddle() {
	s := b.s
	first := b.mustRead(1)[0]
	s.Net.Partition([]labrpc.NodeID{1, 2}, []labrpc.NodeID{3, 4, 5})
	b.mustServe(b.goAddItem(1, first+" ab"))
	b.mustServe(b.goAddItem(3, first+" ba"))
	s.Run(basketSettles)
	s.Net.Heal()
	s.Run(basketSettles)
	b.reconciled()
}

// The trade-off. Two stores of five members, one under each policy, in the same
// network: the same requests, the same partition of two from three for ten
// seconds. Counted are the requests that were answered, the reads that lacked something
// acknowledged, and, afterwards, what was lost. The grader shows the figures side by side.
func TestTrade6E(t *testing.T) {
	const (
		refused = "CP refused"
		stale   = "AP answered with what was out of date"
	)
	labtest.Run(t, labtest.Config{Nodes: 10, MustCover: []string{refused, stale}}, func(s *labtest.Sim) {
		stores := []*basketStore{
			newBasketStore(s, consistency.CP, 1, 2, 3, 4, 5),
			newBasketStore(s, consistency.AP, 6, 7, 8, 9, 10),
		}
		tally := map[consistency.Policy]*basketTally{consistency.CP: {}, consistency.AP: {}}
		s.Run(time.Second)
		s.Net.Partition([]labrpc.NodeID{1, 2, 6, 7}, []labrpc.NodeID{3, 4, 5, 8, 9, 10})
		for round := range 10 {
			var calls [2][]*basketCall
			for member := range 5 {
				// Of the five, now one adds and then another; the others read.
				for i, b := range stores {
					if member == round%5 {
						calls[i] = append(calls[i], b.goAdd(b.members[member]))
					} else {
						calls[i] = append(calls[i], b.goItems(b.members[member]))
					}
				}
				s.Run(20 * time.Millisecond)
				for _, call := range calls[1][member:] {
					tally[consistency.AP].count(stores[1], call)
				}
			}
			for _, call := range calls[0] {
				tally[consistency.CP].count(stores[0], call)
			}
		}
		s.Net.Heal()
		s.Run(basketSettles)
		for _, b := range stores {
			b.reconciled() // nothing lost
		}
		cp, ap := tally[consistency.CP], tally[consistency.AP]
		if cp.answered < cp.asked {
			s.Cover(refused)
		}
		if ap.stale > 0 {
			s.Cover(stale)
		}
		s.Measure("2 of 5 cut off: requests answered, CP", cp.availability(), "%", "≥ 60")
		s.Measure("2 of 5 cut off: requests answered, AP", ap.availability(), "%", "≥ 100")
		s.Measure("2 of 5 cut off: reads out of date, CP", cp.anomalies(), "%", "≤ 0")
		s.Measure("2 of 5 cut off: reads out of date, AP", ap.anomalies(), "%", "")
		if cp.availability() < 60 {
			s.Failf(ruleServed, "CP served %.0f %% of the requests, want at least 60 %%: three of five members are a majority", cp.availability())
		}
		if cp.stale > 0 {
			s.Failf(ruleNoLies, "under CP, %s", cp.lie)
		}
		if ap.answered < ap.asked {
			s.Failf(ruleAlways, "AP served %d of %d requests, want all", ap.answered, ap.asked)
		}
	})
}

// A basketTally counts what became of the requests under one policy.
type basketTally struct {
	asked, answered, reads, stale int
	lie                           string // the first read that was out of date
}

func (t *basketTally) count(b *basketStore, call *basketCall) {
	items, ok := b.wait(call)
	t.asked++
	if !ok {
		return
	}
	t.answered++
	if !call.reads {
		return
	}
	t.reads++
	if lost := b.missing(call, items); lost != "" {
		t.stale++
		if t.lie == "" {
			t.lie = fmt.Sprintf("%v, returned %q, without %q, which was acknowledged before the call", call, items, lost)
		}
	}
}

func (t *basketTally) availability() float64 { return 100 * float64(t.answered) / float64(t.asked) }

func (t *basketTally) anomalies() float64 {
	return 100 * float64(t.stale) / float64(max(t.reads, 1))
}
