package consistency_test

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	consistency "distlabs/labs/06-consistency"
)

// A member is cut off when a request comes, and is back with a majority after half of Timeout. So it serves the request: a refusal comes at the
// end of Timeout, and not before. Wall clocks that jump meanwhile do not matter (rule 31).
func TestCPKeepsTrying6E(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 4}, func(s *labtest.Sim) {
		b := newBasketStore(s, consistency.CP, s.Net.Nodes()...)
		first := b.mustAdd(1)
		for round, id := range []labrpc.NodeID{2, 3} {
			s.Net.Isolate(id)
			calls := []*basketCall{b.goAdd(id), b.goItems(id)}
			s.Run(basketTimeout / 2)
			s.Net.JumpClock(id, time.Duration(round*2-1)*time.Hour)
			s.Net.Heal()
			for _, call := range calls {
				b.mustServe(call)
			}
			if got := b.mustRead(4); !slices.Contains(got, first) || !slices.Contains(got, calls[0].item) {
				s.Failf(ruleNoLies, "at %[2]v, Items at n4 returned %[1]q, without %[3]q or %[4]q, which was acknowledged before", got, labtest.At(s.Net.Now()), first, calls[0].item)
			}
		}
		b.majorityChanges()
		b.addsAmongAdds(1)
		b.asksToTheEnd(2)
	})
}

// majorityChanges reads at n3 an item that n1 alone has. n1 crashes when it has replied, and n4 and n5 are there instead: they
// and n3 are a majority too (rule 31).
func (b *basketStore) majorityChanges() {
	s := b.s
	b.addAlone(1)
	s.Net.Partition([]labrpc.NodeID{1, 2, 3})
	call := b.goItems(3)
	before := s.Net.Stats(labrpc.Match{From: 1, To: 3, Kind: labrpc.Reply}).Delivered
	s.Until(basketTimeout/3, func() bool { return s.Net.Stats(labrpc.Match{From: 1, To: 3, Kind: labrpc.Reply}).Delivered > before })
	s.Net.Crash(1)
	s.Net.Heal()
	s.Net.Partition([]labrpc.NodeID{3, 4, 5})
	b.mustServe(call)
	b.start(1)
	s.Net.Heal()
}

// A read needs a second round of messages: the first, which ended late, brought an item that the reader lacked. The second cannot
// end. So the read is refused at the end of Timeout, which is for the whole request (rule 31).
func TestTimeoutIsForAllRounds6E(t *testing.T) {
	const covered = "a member got an answer near the end of Timeout, and nothing after that, or no member had an item alone"
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 8, MustCover: []string{covered}}, func(s *labtest.Sim) {
		b := newBasketStore(s, consistency.CP, s.Net.Nodes()...)
		b.mustAdd(1)
		s.Run(basketSettles)
		s.Net.Crash(4)
		s.Net.Crash(5)
		_, stored := b.addAlone(1)
		s.Net.Isolate(1) // no member can pass the item on before
		call := b.goItems(2)
		s.Run(basketTimeout * 85 / 100)
		before := s.Net.Stats(labrpc.Match{From: 1, To: 2}).Delivered
		s.Net.Heal()
		s.Until(basketTimeout*14/100, func() bool { return s.Net.Stats(labrpc.Match{From: 1, To: 2}).Delivered > before })
		if !call.done() || !stored {
			s.Cover(covered)
		}
		s.Net.Isolate(2)
		b.wait(call)

		// Timeout counts from the call of each, also of calls that run at one time.
		for _, call := range []*basketCall{b.goAdd(2), b.goAdd(2), b.goItems(2), b.goItems(2)} {
			b.mustRefuse(call)
		}
	})
}

// What a member has answered for is on its disk: it crashes at the very instant at which the answer has come, on links that take 100µs (rule 34).
func TestCPAnswersAreOnDisk6E(t *testing.T) {
	const covered = "an item was read, and the members that had just got it crashed, or no member had an item alone"
	link := labrpc.Link{Latency: labrpc.Fixed(100 * time.Microsecond)}
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 4, Link: link, MustCover: []string{covered}}, func(s *labtest.Sim) {
		b := newBasketStore(s, consistency.CP, s.Net.Nodes()...)
		b.mustAdd(1)
		for range 2 {
			// An item is at n1 alone. n2 reads it, with n1 and n3.
			half, stored := b.addAlone(1)
			s.Net.Partition([]labrpc.NodeID{1, 2, 3})
			read := b.mustRead(2)
			s.Net.Crash(2)
			s.Net.Crash(3)
			if slices.Contains(read, half[0].item) || !stored {
				s.Cover(covered)
			}
			b.start(2)
			b.start(3)
			s.Net.Heal()
			s.Net.Partition([]labrpc.NodeID{3, 4, 5})
			later := b.mustRead(4)
			for _, item := range read {
				if !slices.Contains(later, item) {
					s.Failf(ruleOnDisk, "at %[2]v, Items at n4 returned %[1]q, without %[3]q: Items at n2 had returned this item before; then n2 and n3 crashed and came back", later, labtest.At(s.Net.Now()), item)
				}
			}
			s.Net.Heal()
			s.Net.Partition([]labrpc.NodeID{2, 3, 4})
			item := b.mustAdd(2)
			for _, id := range []labrpc.NodeID{2, 3, 4} {
				s.Net.Crash(id)
			}
			for _, id := range []labrpc.NodeID{2, 3, 4} {
				b.start(id)
			}
			s.Net.Heal()
			s.Net.Partition([]labrpc.NodeID{4, 5, 1})
			if later := b.mustRead(5); !slices.Contains(later, item) {
				s.Failf(ruleOnDisk, "at %[2]v, Items at n5 returned %[1]q, without %[3]q: n2, n3 and n4 had this item when it was acknowledged; then they crashed and came back", later, labtest.At(s.Net.Now()), item)
			}
			s.Net.Heal()
		}
	})
}

// Items are any strings, the empty one too, and many. They are sorted as Go sorts strings. To add one again changes nothing. The slice
// that Items returns belongs to the caller (rule 35).
func TestAnyItem6E(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 6, Seeds: 2}, func(s *labtest.Sim) {
		ap := newBasketStore(s, consistency.AP, 1, 2, 3)
		cp := newBasketStore(s, consistency.CP, 4, 5, 6)
		var want []string
		for range 2 {
			for i, item := range anyStrings {
				for _, b := range []*basketStore{ap, cp} {
					b.mustServe(b.goAddItem(b.members[i%3], item))
				}
				want = append(want, item)
			}
		}
		slices.Sort(want)
		want = slices.Compact(want)
		s.Run(basketSettles)
		for _, b := range []*basketStore{ap, cp} {
			for _, id := range b.members {
				if got := b.mustRead(id); !slices.Equal(got, want) {
					s.Failf(ruleInvents, "under %v, Items at %v returned at %v %s", b.policy, id, labtest.At(s.Net.Now()), itemsDiffer(got, want))
				}
			}
			for _, id := range b.members {
				s.Net.Crash(id)
			}
			for _, id := range b.members {
				b.start(id)
			}
			if got := b.mustRead(b.members[0]); !slices.Equal(got, want) {
				s.Failf(ruleInvents, "under %v, Items at %v returned after a restart %s", b.policy, b.members[0], itemsDiffer(got, want))
			}
			b.sliceIsACopy(b.members[0])
		}
	})
}

// itemsDiffer says by which items a result differs from the expected one.
func itemsDiffer(got, want []string) string {
	lacks := slices.DeleteFunc(slices.Clone(want), func(item string) bool { return slices.Contains(got, item) })
	extra := slices.DeleteFunc(slices.Clone(got), func(item string) bool { return slices.Contains(want, item) })
	switch {
	case len(lacks) > 0 && len(extra) > 0:
		return fmt.Sprintf("the items %.40q, want %.40q instead", extra, lacks)
	case len(lacks) > 0:
		return fmt.Sprintf("%d items without %.40q, want this too", len(got), lacks)
	case len(extra) > 0:
		return fmt.Sprintf("%d items with %.40q, which no client has added", len(got), extra)
	}
	return fmt.Sprintf("%.40q, want %.40q", got, want)
}

// sliceIsACopy changes a slice that Items returned, and compares one with what it was after more Adds.
func (b *basketStore) sliceIsACopy(at labrpc.NodeID) {
	got := b.mustRead(at)
	want, before := slices.Clone(got), len(got)
	_ = append(got[:1], "junk")
	got = append(got, "zzz")
	slices.Reverse(got)
	if now := b.mustRead(at); !slices.Equal(now, want) {
		b.s.Failf(ruleInvents, "under %v, the caller of Items changed the slice that it got, and now Items at %v returns %.80q, want %.80q", b.policy, at, now, want)
	}
	kept := b.mustRead(at)
	for range 3 {
		b.mustAdd(at)
	}
	if !slices.Equal(kept[:before], want) {
		b.s.Failf(ruleInvents, "under %v, Items at %v returned %.80q, and after more Adds the slice holds %.80q", b.policy, at, want, kept)
	}
}

// Eight goroutines add to one member at once, under AP. Every item is there from its acknowledgement on, also after a crash (rules 33 and 34). All
// goroutines add the same items in one order, so that the run does not depend on theirs.
func TestManyAtOnce6E(t *testing.T) {
	const goroutines, each = 8, 100
	labtest.Run(t, labtest.Config{Nodes: 2, Seeds: 2}, func(s *labtest.Sim) {
		defer labtest.Threads(1)()
		b := newBasketStore(s, consistency.AP, 1, 2)
		basket := b.baskets[1]
		var want []string
		for i := range each {
			want = append(want, fmt.Sprintf("%03d", i))
		}
		var wg sync.WaitGroup
		var lost atomic.Int64
		for range goroutines {
			wg.Go(func() {
				for _, item := range want {
					if basket.Add(item) != nil {
						continue
					}
					if got, err := basket.Items(); err == nil && !slices.Contains(got, item) {
						lost.Add(1)
					}
				}
			})
		}
		wg.Wait()
		if n := lost.Load(); n > 0 {
			s.Failf(ruleAlways, "%d goroutines of n1 each added %d items; %d times an item that n1 had acknowledged was missing from the next Items at n1", goroutines, each, n)
		}
		check := func(id labrpc.NodeID, when string) {
			got, err := b.baskets[id].Items()
			if err != nil || !slices.Equal(got, want) {
				s.Failf(ruleAlways, "%d goroutines of n1 each added %d items, but %s %v has %d items (error %v), want %d", goroutines, each, when, id, len(got), err, len(want))
			}
		}
		check(1, "at once")
		s.Net.Crash(1)
		b.start(1)
		check(1, "after a crash")
		s.Run(basketSettles)
		check(2, "40 gossip periods later")
	})
}
