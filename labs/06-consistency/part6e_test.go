package consistency_test

import (
	"slices"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	consistency "distlabs/labs/06-consistency"
)

// Two of five members are isolated together. Each of their requests is refused at the end of Timeout, also an Add of an item that
// was refused before, and no reply is out of date; the other three serve every request. After that the network heals (rules 31, 32 and 34).
func TestCPRefuses6E(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 5}, func(s *labtest.Sim) {
		b := newBasketStore(s, consistency.CP, 1, 2, 3, 4, 5)
		b.mustAdd(1)
		for _, id := range b.members {
			call := b.goItems(id)
			if lost := b.missing(call, b.mustServe(call)); lost != "" {
				s.Failf(ruleNoLies, "under CP, %v: the result lacks %q, which was acknowledged before the call", call, lost)
			}
		}
		s.Net.Partition([]labrpc.NodeID{1, 2}, []labrpc.NodeID{3, 4, 5})
		for range 3 {
			for _, id := range []labrpc.NodeID{3, 4, 5} {
				b.mustAdd(id)
			}
			for _, id := range []labrpc.NodeID{1, 2} {
				b.mustRefuse(b.goItems(id))
				refused := b.goAdd(id)
				b.mustRefuse(refused)
				b.mustRefuse(b.goAddItem(id, refused.item))
			}
		}
		s.Net.Heal()
		s.Run(basketSettles)
		b.reconciled()

		// Half of four is no majority.
		s.Net.Stop(5)
		s.Net.Partition([]labrpc.NodeID{1, 2}, []labrpc.NodeID{3, 4})
		b.mustRefuse(b.goItems(1))
		b.mustRefuse(b.goAdd(3))
	})
}

// Two of four members are no majority. One of one is (rule 31).
func TestCPHalf6E(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 3}, func(s *labtest.Sim) {
		only := newBasketStore(s, consistency.CP, 5)
		item := only.mustAdd(5)
		if got := only.mustRead(5); !slices.Equal(got, []string{item}) {
			s.Failf(ruleNoLies, "Items at n5, the only member, returned %q at %v, want %q", got, labtest.At(s.Net.Now()), item)
		}
		b := newBasketStore(s, consistency.CP, 1, 2, 3, 4)
		b.mustAdd(1)
		s.Net.Partition([]labrpc.NodeID{1, 2}, []labrpc.NodeID{3, 4})
		for _, id := range b.members {
			b.mustRefuse(b.goAdd(id))
			b.mustRefuse(b.goItems(id))
		}
		s.Net.Heal()
		s.Net.Stop(4)
		b.mustAdd(1)
		if got := b.mustRead(3); len(got) == 0 {
			s.Failf(ruleServed, "Items at n3 returned nothing at %v", labtest.At(s.Net.Now()))
		}
	})
}

// Two adds have each reached one member when the network is partitioned; two readers
// ask different majorities, each of which has one of the adds. They cannot return one item each:
// in any order of all operations, one of the two adds is the first (rule 32).
func TestCPReadsAgree6E(t *testing.T) {
	const apart = "two members had each an item that the other had not, or no member had an item alone"
	labtest.Run(t, labtest.Config{Nodes: 5, MustCover: []string{apart}}, func(s *labtest.Sim) {
		b := newBasketStore(s, consistency.CP, 1, 2, 3, 4, 5)
		s.Run(basketGossip * 5 / 6) // so that no gossip is due while n2 and n4 read
		adds, stored := b.addAlone(1, 5)
		// n1 and n5 have one item each. n2 is connected to n1 and n3, n4 to n5 and n3; and
		// n2 and n4 read at the same time.
		for _, link := range [][2]labrpc.NodeID{{1, 4}, {1, 5}, {2, 4}, {2, 5}, {1, 3}, {5, 3}} {
			s.Net.CutBoth(link[0], link[1])
		}
		s.Net.SetLinks(labrpc.Link{Latency: labrpc.Uniform(5*time.Millisecond, 6*time.Millisecond)})
		one, other := b.goItems(2), b.goItems(4)
		_, okOne := b.wait(one)
		_, okOther := b.wait(other)
		if !okOne && !okOther {
			s.Failf(ruleServed, "%v and %v were refused, although each member is connected to three of five", one, other)
		}
		got := append(slices.Clone(one.items), other.items...)
		if !stored || slices.Contains(got, adds[0].item) && slices.Contains(got, adds[1].item) {
			s.Cover(apart)
		}
		b.linearizable()
	})
}

// An add has reached n1 when that is isolated. A reader that asks n1 may
// return the item; then every later reader must, whatever members it asks (rule 32).
func TestCPReadsDoNotGoBack6E(t *testing.T) {
	const seen = "a read returned what had not been acknowledged, or no member had an item alone"
	labtest.Run(t, labtest.Config{Nodes: 5, MustCover: []string{seen}}, func(s *labtest.Sim) {
		b := newBasketStore(s, consistency.CP, 1, 2, 3, 4, 5)
		switch s.Seed % 4 {
		case 0:
			checkThirdRound(b)
			return
		case 1:
			checkMeanwhile(b)
			return
		}
		_, stored := b.addAlone(1)
		s.Net.Partition([]labrpc.NodeID{1, 2, 3}, []labrpc.NodeID{4, 5})
		first, ok := b.wait(b.goItems(2))
		s.Net.Crash(2)
		s.Net.Heal()
		s.Net.Isolate(1)
		if ok && len(first) > 0 || !stored {
			s.Cover(seen)
		}
		b.keeps(first, 2, 4)
	})
}

// keeps reads at a member: what another one returned before must be in the result (rule 32).
func (b *basketStore) keeps(first []string, by, at labrpc.NodeID) {
	second := b.mustRead(at)
	for _, item := range first {
		if !slices.Contains(second, item) {
			b.s.Failf(ruleNoLies, "at %v, Items at %v returned %q, without %q, which Items at %v had returned before", labtest.At(b.s.Net.Now()), at, second, item, by)
		}
	}
	b.linearizable()
}

// checkThirdRound: n1 and n2 have one item each. n3 reads: first n1 and n4 reply, and when n4 is gone, n1 and n2. What n3 has learnt last, it may
// return only when a majority has it: n5, which reads with n1 and n4, must return it too (rule 32).
func checkThirdRound(b *basketStore) {
	s := b.s
	b.addAlone(b.members[:2]...)
	s.Net.CutBoth(3, 5)
	for _, id := range []labrpc.NodeID{4, 5} { // so that gossip does not spread the items meanwhile
		s.Net.CutBoth(1, id)
		s.Net.CutBoth(2, id)
	}
	s.Net.CutBoth(1, 2)
	s.Net.CutBoth(2, 3)
	replies := labrpc.Match{From: 4, To: 3, Kind: labrpc.Reply}
	before := s.Net.Stats(replies).Delivered
	call := b.goItems(3)
	s.Until(basketTimeout/4, func() bool { return call.done() || s.Net.Stats(replies).Delivered > before })
	s.Net.CutBoth(3, 4)
	s.Net.HealBoth(2, 3)
	first, _ := b.wait(call)
	s.Net.Heal()
	s.Net.Isolate(2)
	s.Net.Isolate(3)
	b.keeps(first, 3, 5)
}

// checkMeanwhile: n2 has an item alone, and its replies to n1, which reads, are late. Before they come, n1 gets the item of another client. What n1 has now, it may
// return only when a majority has it: n3, n4 and n5 have not (rule 32).
func checkMeanwhile(b *basketStore) {
	s := b.s
	adds, _ := b.addAlone(2)
	for _, id := range []labrpc.NodeID{3, 4, 5} {
		s.Net.CutBoth(2, id)
	}
	s.Net.CutBoth(1, 4)
	s.Net.CutBoth(1, 5)
	late := s.Net.Hold(labrpc.Match{From: 2, To: 1})
	replies := labrpc.Match{From: 3, To: 1, Kind: labrpc.Reply}
	before := s.Net.Stats(replies).Delivered
	call := b.goItems(1)
	s.Until(basketTimeout/4, func() bool { return call.done() || s.Net.Stats(replies).Delivered > before })
	s.Net.CutBoth(1, 3)
	again := b.goAddItem(1, adds[0].item)
	s.Run(basketGossip / 2)
	late.Release()
	first, _ := b.wait(call)
	_, _ = b.wait(again)
	s.Net.Heal()
	s.Net.Isolate(1)
	s.Net.Isolate(2)
	b.keeps(first, 1, 3)
}

// Three of five members have an item when two of them crash; when these are back, the third is
// isolated. The item was acknowledged, so every reader returns it (rule 34).
func TestCPSurvivesCrashes6E(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 5}, func(s *labtest.Sim) {
		b := newBasketStore(s, consistency.CP, 1, 2, 3, 4, 5)
		s.Net.Partition([]labrpc.NodeID{1, 2, 3}, []labrpc.NodeID{4, 5})
		item := b.mustAdd(1)
		for _, id := range []labrpc.NodeID{2, 3} {
			s.Net.Crash(id)
			b.start(id)
		}
		s.Net.Heal()
		s.Net.Isolate(1)
		if got := b.mustRead(4); !slices.Contains(got, item) {
			s.Failf(ruleOnDisk, "at %[2]v, Items at n4 returned %[1]q, without %[3]q: n1, n2 and n3 had this item when it was acknowledged; then n2 and n3 crashed and came back", got, labtest.At(s.Net.Now()), item)
		}
	})
}

// Five members over lossy links are partitioned and crash: all results are linearizable (rule 32).
func TestCPUnderFaults6E(t *testing.T) {
	const (
		refused = "a request was refused"
		unknown = "an add that was refused took effect"
	)
	cfg := labtest.Config{Nodes: 5, Link: labrpc.FairLoss(0.1), MustCover: []string{refused, unknown}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		b := newBasketStore(s, consistency.CP, 1, 2, 3, 4, 5)
		for round := range 16 {
			switch round % 5 {
			case 1:
				split := s.Rand().Perm(5)
				s.Net.Partition([]labrpc.NodeID{labrpc.NodeID(split[0] + 1), labrpc.NodeID(split[1] + 1)})
			case 3:
				s.Net.Heal()
				victim := b.members[s.Rand().IntN(5)]
				s.Net.CrashAtWrite(victim, labrpc.CrashPoint{Write: s.Net.Writes(victim) + 1, After: s.Rand().IntN(2) == 0})
			}
			var calls []*basketCall
			for _, at := range s.Rand().Perm(5)[:3] {
				id := labrpc.NodeID(at + 1)
				if !s.Net.Up(id) {
					b.start(id)
				}
				if s.Rand().IntN(3) == 0 {
					calls = append(calls, b.goAdd(id))
				} else {
					calls = append(calls, b.goItems(id))
				}
			}
			for _, call := range calls {
				if _, ok := b.wait(call); !ok {
					s.Cover(refused)
				}
			}
			s.Run(time.Duration(s.Rand().IntN(60)) * time.Millisecond)
		}
		s.Net.Heal()
		for _, id := range b.members {
			s.Net.CrashAtWrite(id, labrpc.CrashPoint{})
			if !s.Net.Up(id) {
				b.start(id)
			}
		}
		for _, id := range b.members {
			b.mustRead(id) // a lost message is no excuse
			b.mustAdd(id)
		}
		s.Net.SetLinks(labrpc.Reliable())
		s.Run(basketSettles)
		b.reconciled()
		if items := b.mustRead(1); len(items) > len(b.acknowledged) {
			s.Cover(unknown)
		}
		b.linearizable()
	})
}
