package consistency_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	consistency "distlabs/labs/06-consistency"
)

// A member is away for 3600 gossip periods, or on most seeds for 900: it is down, and then alone. Meanwhile 300 items are added elsewhere, and some at the
// member before it crashes. When it is back all members have all of them. Before that, two members have different items that are one string when they are
// joined (rule 34).
func TestLongAbsence6E(t *testing.T) {
	const period = 2 * time.Second
	labtest.Run(t, labtest.Config{Nodes: 3, Seeds: 1, Limit: 4 * time.Hour}, func(s *labtest.Sim) {
		away := longAway(s)
		b := newBasketStore(s, consistency.AP)
		b.members, b.period = s.Net.Nodes(), period
		b.timeout = away // only CP has a use for it
		for _, id := range b.members {
			b.start(id)
		}
		b.joinedAlike()
		b.mustAdd(3)
		s.Net.Isolate(3)
		for range 3 {
			b.mustAdd(3)
		}
		s.Net.Crash(3)
		for i := range 300 {
			b.mustAdd(labrpc.NodeID(1 + i%2))
			s.Run(away / 300)
			if i == 150 {
				s.Net.Crash(1)
				b.start(1)
				b.start(3)
			}
		}
		s.Net.Heal()
		s.Run(40 * period)
		b.reconciled()
		b.withoutAPause()
	})
}

// joinedAlike adds items at n1 and other items at n2 while the two are not connected: as many, and one string when they are joined, without a separator or with
// one. So a member that compares such strings, or hashes of them, takes the two sets for equal. Afterwards all members have all items (rule 34).
func (b *basketStore) joinedAlike() {
	for i, separator := range []string{"", " ", ",", "\n", "\x00", "/", ";", "|"} {
		words := func(n int) string { // of equal words, so that the new items are neighbours in the sorted set
			return strings.Repeat(fmt.Sprint("word", i, separator), n-1) + fmt.Sprint("word", i)
		}
		b.s.Net.Isolate(1)
		for at, n := range []int{1, 2, 3, 4} {
			b.mustServe(b.goAddItem([]labrpc.NodeID{1, 2, 2, 1}[at], words(n)))
		}
		b.s.Net.Heal()
		b.s.Run(40 * b.period)
		b.reconciled()
	}
}

// withoutAPause adds at every member, twice in each gossip period. What was acknowledged before the network healed reaches all of them meanwhile (rule 34).
func (b *basketStore) withoutAPause() {
	for _, id := range b.members {
		b.s.Net.Isolate(id)
		b.mustAdd(id)
	}
	before := slices.Clone(b.acknowledged)
	b.s.Net.Heal()
	for range 2 * 40 {
		b.s.Run(b.period / 2)
		for _, id := range b.members {
			b.mustAdd(id)
		}
	}
	for _, id := range b.members {
		got := b.mustRead(id)
		for _, item := range before {
			if !slices.Contains(got, item) {
				b.s.Failf(ruleReconciles, "at %v, %v lacks %q, which was acknowledged before the network healed, 40 gossip periods ago; meanwhile the members added items without a pause", labtest.At(b.s.Net.Now()), id, item)
			}
		}
	}
}

// addsAmongAdds adds an item at one member while the others add items without a pause (rule 31).
func (b *basketStore) addsAmongAdds(at labrpc.NodeID) {
	var calls []*basketCall
	others := slices.DeleteFunc(slices.Clone(b.members), func(id labrpc.NodeID) bool { return id == at })
	load := func(until func() bool) {
		for i := 0; !until(); i++ {
			calls = append(calls, b.goAdd(others[i%len(others)]))
			b.s.Run(5 * time.Millisecond)
		}
	}
	load(func() bool { return len(calls) == 20 })
	call := b.goAdd(at)
	load(func() bool { return call.done() || b.s.Net.Now() > call.began+basketTimeout })
	b.mustServe(call)
	for _, call := range calls {
		b.mustServe(call)
	}
}

// asksToTheEnd makes requests whose Timeout is 240 times as long as Gossip, at a member that is connected to the others for the last third of it only (rule 31).
func (b *basketStore) asksToTheEnd(at labrpc.NodeID) {
	s := b.s
	s.Net.Crash(at)
	b.timeout = 240 * basketGossip
	b.start(at)
	s.Net.Isolate(at)
	calls := []*basketCall{b.goAdd(at), b.goItems(at)}
	s.Run(calls[0].began + b.timeout*2/3 - s.Net.Now())
	s.Net.Heal()
	for _, call := range calls {
		b.mustServe(call)
	}
}
