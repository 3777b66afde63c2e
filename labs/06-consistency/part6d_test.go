package consistency_test

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"distlabs/internal/labtest"
	"distlabs/labrpc"
	consistency "distlabs/labs/06-consistency"
)

const (
	one    = consistency.One
	quorum = consistency.Quorum
	all    = consistency.All
)

// quorumSizes is how many of N replicas each level takes.
var quorumSizes = map[int]map[consistency.Level]int{
	3: {one: 1, quorum: 2, all: 3},
	4: {one: 1, quorum: 3, all: 4},
	5: {one: 1, quorum: 3, all: 5},
}

// How many of N each level takes, and which of two stamps is newer.
func TestLevels6D(t *testing.T) {
	labtest.Once(t, func(s *labtest.Sim) {
		for n, sizes := range quorumSizes {
			for level, want := range sizes {
				if got := level.Of(n); got != want {
					s.Failf(ruleLevels, "%v of %d replicas is %d, want %d", level, n, got, want)
				}
			}
		}
		stamps := []consistency.Stamp{{}, {Counter: 1, Node: 2}, {Counter: 1, Node: 3}, {Counter: 2, Node: 1}, {Counter: 10, Node: 1}}
		for i, a := range stamps {
			for j, b := range stamps {
				if got := a.Compare(b); cmp.Compare(got, 0) != cmp.Compare(i, j) {
					s.Failf(ruleNewer, "%v.Compare(%v) = %d; by counter, then by node", a, b, got)
				}
			}
		}
	})
}

// One replica after another goes, by a crash or by a cut, with four and with
// five of them: each level works for as long as its number of replicas is left, for
// writes and for reads, and then refuses in time.
func TestLevelsSurvive6D(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 7, Seeds: 6}, func(s *labtest.Sim) {
		n := 4 + int(s.Seed%2)
		q := newQuorumStoreOf(s, n, 1)
		via := q.first
		q.put(via, "x", all)
		gone := s.Rand().Perm(n)
		for down := range n + 1 {
			if down > 0 {
				id := q.replicas[gone[down-1]]
				if down%2 == 1 {
					s.Net.Crash(id)
				} else {
					s.Net.CutBoth(id, via)
				}
			}
			for _, level := range []consistency.Level{one, quorum, all} {
				put := q.goPut(via, fmt.Sprintf("%v after %d", level, down), q.value(), level)
				get := q.goGet(via, "x", consistency.ReadOptions{Level: level})
				for _, call := range []*quorumCall{put, get} {
					q.survives(call, level, n-down)
				}
			}
		}
	})
}

// survives checks that a call succeeds if and only if enough replicas are left.
func (q *quorumStore) survives(call *quorumCall, level consistency.Level, left int) {
	cell, err := q.wait(call)
	n := len(q.replicas)
	enough := left >= quorumSizes[n][level]
	switch {
	case enough && err != nil:
		q.s.Failf(ruleLevels, "%s fails, with %d of %d replicas left: %v", call.what, left, n, err)
	case !enough && err == nil:
		q.s.Failf(ruleLevels, "%s succeeds with %s, and %d of %d replicas are left", call.what, quorumCell(cell), left, n)
	case enough && cell.Value == "":
		q.s.Failf(ruleOverlap, "%s returns nothing, and all replicas have a value", call.what)
	}
}

// A write reaches only as many replicas as it must, a read others, as far as the
// levels allow; and those that have the value answer last.
func TestAcknowledgedIsSeen6D(t *testing.T) {
	const narrow = "a write had not reached all replicas"
	labtest.Run(t, labtest.Config{Nodes: 8, Seeds: 6, MustBite: []string{narrow}}, func(s *labtest.Sim) {
		n := 4 + int(s.Seed%2)
		q := newQuorumStoreOf(s, n, 2)
		writer, reader := q.first, q.first+1
		for _, levels := range [][2]consistency.Level{{one, all}, {quorum, quorum}, {quorum, all}, {all, one}, {all, quorum}, {all, all}} {
			key := fmt.Sprintf("%v, %v", levels[0], levels[1])
			w, r := quorumSizes[n][levels[0]], quorumSizes[n][levels[1]]
			q.reaches(reader, q.replicas...)
			q.put(reader, key, all)
			q.reaches(writer, q.replicas[:w]...)
			q.reaches(reader, q.replicas[n-r:]...)
			for _, id := range q.replicas {
				delay := time.Millisecond
				if int(id) <= w {
					delay = 40 * time.Millisecond
				}
				s.Net.SetLink(id, reader, labrpc.Link{Latency: labrpc.Fixed(delay)})
			}
			wrote := q.put(writer, key, levels[0])
			if q.peek(q.replicas[n-1], key) != wrote {
				s.Bite(narrow)
			}
			q.want(ruleOverlap, q.goGet(reader, key, consistency.ReadOptions{Level: levels[1]}), wrote, "that was acknowledged before")
		}
	})
}

// Coordinators take turns, with wall clocks that are hours apart; then one writes
// at ONE, each time at another replica, and restarts in between. The last write is the newest.
func TestLaterWriteIsNewer6D(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 9}, func(s *labtest.Sim) {
		s.Net.SetClock(6, time.Hour, 0)
		s.Net.SetClock(8, -time.Hour, 0)
		q := newQuorumStore(s, 3)
		subsets := [][]labrpc.NodeID{{1, 2, 3}, {3, 4, 5}, {5, 1, 2}}
		for turn := range 6 {
			via := q.first + labrpc.NodeID(turn%3)
			q.reaches(via, subsets[s.Rand().IntN(3)]...)
			wrote := q.put(via, "x", quorum)
			reader := q.first + labrpc.NodeID((turn+1)%3)
			q.reaches(reader, subsets[s.Rand().IntN(3)]...)
			q.want(ruleNewer, q.goGet(reader, "x", consistency.ReadOptions{Level: quorum}), wrote, "that is the last write, whatever the clocks show")
		}
		// Of those that the second meets, only the slowest has what the first has written.
		for _, id := range []labrpc.NodeID{6, 7, 8} {
			q.reaches(id, q.replicas...)
		}
		q.put(7, "z", all)
		s.Run(2 * quorumTimeout)
		q.reaches(6, 1, 2, 3)
		for range 4 {
			q.put(6, "z", quorum)
		}
		q.reaches(7, 3, 4, 5)
		s.Net.SetLink(3, 7, labrpc.Link{Latency: labrpc.Fixed(60 * time.Millisecond)})
		last := q.put(7, "z", quorum)
		q.reaches(8, 1, 2, 3)
		q.want(ruleNewer, q.goGet(8, "z", consistency.ReadOptions{Level: quorum}), last, "that is the last write; three replicas have it, n3 among them")

		// ONE and ALL, and one coordinator on its own.
		for _, id := range []labrpc.NodeID{6, 7, 8} {
			q.reaches(id, q.replicas...)
		}
		for turn := range 4 {
			// Two at one replica, and one at another, which has none of the two.
			q.reaches(6, q.replicas[turn])
			q.put(6, "y", one)
			q.put(6, "y", one)
			if turn%2 == 0 {
				s.Net.Crash(6)
				q.start(6)
			}
			q.reaches(6, q.replicas[turn+1])
			wrote := q.put(6, "y", one)
			s.Run(2 * quorumTimeout)
			q.want(ruleNewer, q.goGet(7, "y", consistency.ReadOptions{Level: all}), wrote, "that is the coordinator's last write")
		}
		wrote := q.put(7, "y", all)
		q.want(ruleNewer, q.goGet(8, "y", consistency.ReadOptions{Level: one}), wrote, "that is the last write, and was at ALL")
	})
}

// A coordinator crashes in the middle of a write, starts again, and writes
// something else, without having met the replica that has the first.
func TestNoStampTwice6D(t *testing.T) {
	const half = "a write was on one replica when its coordinator crashed"
	labtest.Run(t, labtest.Config{Nodes: 8, MustBite: []string{half}}, func(s *labtest.Sim) {
		q := newQuorumStore(s, 2)
		q.put(6, "x", all)
		s.Run(2 * quorumTimeout)
		held := s.Net.Hold(labrpc.Match{From: 6, Method: "Store"})
		q.goPut(6, "x", "half", quorum)
		s.Run(quorumRetry / 2)
		held.Deliver(func(m labrpc.Message) bool { return m.To == 1 })
		s.Run(quorumRetry / 2)
		held.Discard(nil)
		held.Release()
		s.Net.Crash(6)
		if q.peek(1, "x").Value == "half" {
			s.Bite(half)
		}
		q.start(6)
		q.reaches(6, 2, 3, 4, 5)
		q.put(6, "x", quorum)
		s.Run(2 * quorumTimeout)
		q.reaches(6, q.replicas...)
		cells := map[consistency.Stamp]string{}
		for _, id := range q.replicas {
			cell := q.peek(id, "x")
			if other, ok := cells[cell.Stamp]; ok && other != cell.Value {
				s.Failf("a stamp is given to one write only (rule 25)", "the stamp %d of %v is that of two writes, %q and %q, which no replica can order", cell.Stamp.Counter, cell.Stamp.Node, other, cell.Value)
			}
			cells[cell.Stamp] = cell.Value
		}
	})
}

// Two writes through one coordinator at one time get two stamps: later, all
// replicas have the same.
func TestTwoWritesAtOnce6D(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 7, Seeds: 5}, func(s *labtest.Sim) {
		q := newQuorumStore(s, 1)
		q.put(6, "x", all)
		var calls []*quorumCall
		for range 4 {
			calls = append(calls, q.goPut(6, "x", q.value(), quorum))
		}
		stamps := map[consistency.Stamp]string{}
		for _, call := range calls {
			cell := q.mustDo(call)
			if other, ok := stamps[cell.Stamp]; ok {
				s.Failf("a stamp is given to one write only (rule 25)", "the writes of %q and of %q have the stamp %d of %v", other, cell.Value, cell.Stamp.Counter, cell.Stamp.Node)
			}
			stamps[cell.Stamp] = cell.Value
		}
		s.Run(2 * quorumTimeout)
		first := q.peek(1, "x")
		for _, id := range q.replicas {
			if got := q.peek(id, "x"); got != first {
				s.Failf(ruleReaches, "long after four writes at once, n1 has %s and %v has %s", quorumCell(first), id, quorumCell(got))
			}
		}
	})
}

// The price of ONE: a read meets a replica that a write has not reached, and
// returns the old value; and that is no fault. Once the network is whole, the write gets there.
func TestOneMayBeStale6D(t *testing.T) {
	const stale = "a read at ONE returned what had been overwritten, and it was accepted"
	labtest.Run(t, labtest.Config{Nodes: 8, MustBite: []string{stale}}, func(s *labtest.Sim) {
		q := newQuorumStore(s, 2)
		old := q.put(7, "x", all)
		q.reaches(6, 1)
		q.reaches(7, 2)
		wrote := q.put(6, "x", one)
		switch got := q.get(7, "x", consistency.ReadOptions{Level: one}); got.Value {
		case old.Value:
			s.Bite(stale)
		case wrote.Value:
			s.Failf(ruleMayBeStale, "a read at ONE returns %s, which the only replica that it can reach does not have", quorumCell(got))
		default:
			s.Failf(ruleMayBeStale, "a read at ONE returns %s, and n2 has %s", quorumCell(got), quorumCell(old))
		}
		// n1 can be asked, but no store arrives anywhere: then no replica has it, and ONE is not reached.
		lost := s.Net.Hold(labrpc.Match{From: 6, Method: "Store", Kind: labrpc.Request})
		call := q.goPut(6, "y", q.value(), one)
		if _, err := q.wait(call); err == nil {
			s.Failf(ruleLevels, "%s succeeds at %v, and no replica has it", call.what, call.ended)
		}
		lost.Discard(nil)
		lost.Release()
		wrote = q.put(6, "x", one)
		// n2 answers at once, n1 later: ONE does not wait for the newer.
		q.reaches(7, 1, 2)
		s.Net.SetLink(1, 7, labrpc.Link{Latency: labrpc.Fixed(quorumTimeout / 2)})
		call = q.goGet(7, "x", consistency.ReadOptions{Level: one})
		q.mustDo(call)
		if took := call.ended - call.began; took > quorumTimeout/4 {
			s.Failf(ruleLevels, "%s takes %v; the first replica answers within 40ms", call.what, took)
		}
		q.reaches(6, q.replicas...)
		s.Run(quorumTimeout)
		for _, id := range q.replicas {
			if got := q.peek(id, "x"); got.Value != wrote.Value {
				s.Failf(ruleReaches, "%v has %s at %v, want %s: the coordinator can reach it, and Timeout is not over", id, quorumCell(got), s.Net.Now(), quorumCell(wrote))
			}
		}
	})
}

// Two of five replicas can be reached, and answer later than they are asked again,
// and twice: many answers, and not enough replicas. Three of them, as slow, are enough.
func TestCountsReplicasNotAnswers6D(t *testing.T) {
	const twice = "a replica answered one request several times"
	cfg := labtest.Config{Nodes: 8, MustBite: []string{twice}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		q := newQuorumStore(s, 2)
		q.put(7, "x", all)
		s.Run(2 * quorumTimeout)
		slow := labrpc.Link{Latency: labrpc.Fixed(quorumRetry + quorumRetry/8), Duplicate: 1}
		for _, id := range q.replicas {
			s.Net.SetLink(id, 6, slow)
			s.Net.SetLink(6, id, slow)
		}
		q.reaches(6, 4, 5)
		if _, err := q.wait(q.goGet(6, "x", consistency.ReadOptions{Level: quorum})); err == nil {
			s.Failf(ruleLevels, "a read at QUORUM succeeds at %v, and two of five replicas can be reached: n4 and n5, whose answers come more than once", s.Net.Now())
		}
		if replies := s.Net.Stats(labrpc.Match{From: 4, To: 6, Kind: labrpc.Reply}); replies.Sent > 1 {
			s.Bite(twice)
		}
		// The read of a write's stamp gets three answers, the write itself two.
		q.reaches(6, 3, 4, 5)
		call := q.goPut(6, "x", q.value(), quorum)
		stored := s.Net.Hold(labrpc.Match{To: 3, Method: "Store", Kind: labrpc.Request})
		if _, err := q.wait(call); err == nil {
			s.Failf(ruleLevels, "%s succeeds at %v, and two of five replicas have it: n4 and n5, whose answers come more than once", call.what, s.Net.Now())
		}
		stored.Discard(nil)
		stored.Release()
		s.Run(2 * quorumTimeout)
		q.put(6, "x", quorum)
		q.get(6, "x", consistency.ReadOptions{Level: quorum})
	})
}

// Links that lose two messages in five: the coordinator asks again.
func TestAsksAgain6D(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 5}, func(s *labtest.Sim) {
		q := newQuorumStore(s, 1)
		for _, id := range q.replicas {
			s.Net.SetLink(id, 4, labrpc.Link{Latency: labrpc.Uniform(time.Millisecond, 20*time.Millisecond), Loss: 0.2})
			s.Net.SetLink(4, id, labrpc.Link{Latency: labrpc.Uniform(time.Millisecond, 20*time.Millisecond), Loss: 0.2})
		}
		for range 12 {
			wrote := q.put(4, "x", quorum)
			q.want(ruleOverlap, q.goGet(4, "x", consistency.ReadOptions{Level: quorum}), wrote, "that was acknowledged before")
		}
	})
}

// A write is on three of five replicas when its coordinator crashes. A read meets
// one of them and two others, and afterwards these have it too. A read of what all have writes nothing.
func TestReadRepair6D(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 8}, func(s *labtest.Sim) {
		q := newQuorumStore(s, 2)
		q.put(7, "x", all)
		q.reaches(6, 1, 2, 3)
		wrote := q.put(6, "x", quorum)
		s.Net.Crash(6)
		s.Run(time.Second)
		q.reaches(7, 3, 4, 5)
		q.want(ruleOverlap, q.goGet(7, "x", consistency.ReadOptions{Level: quorum}), wrote, "that was acknowledged before")
		s.Run(quorumTimeout)
		for _, id := range q.replicas {
			if got := q.peek(id, "x"); got != wrote {
				s.Failf(ruleRepairs, "%v has %s at %v, want %s: a read at QUORUM has met it", id, quorumCell(got), s.Net.Now(), quorumCell(wrote))
			}
		}
		q.reaches(7, q.replicas...)
		s.Run(quorumTimeout)
		before := s.Net.Stats(labrpc.Match{Method: "Store", Kind: labrpc.Request})
		q.get(7, "x", consistency.ReadOptions{Level: all})
		s.Run(quorumTimeout)
		if n := s.Net.Stats(labrpc.Match{Method: "Store", Kind: labrpc.Request}).Sub(before).Sent; n > 0 {
			s.Failf(ruleRepairs, "a read of what all replicas have sends %d stores", n)
		}
	})
}

// A repair is under way for a long time. Meanwhile its replica gets a newer value.
func TestRepairIsLate6D(t *testing.T) {
	const late = "a store arrived after a newer one"
	labtest.Run(t, labtest.Config{Nodes: 9, MustBite: []string{late}}, func(s *labtest.Sim) {
		q := newQuorumStore(s, 3)
		q.put(7, "x", all)
		q.reaches(6, 1, 2, 3)
		q.put(6, "x", quorum)
		s.Net.Crash(6)
		held := s.Net.Hold(labrpc.Match{From: 7, Method: "Store", Kind: labrpc.Request})
		q.reaches(7, 3, 4, 5)
		q.goGet(7, "x", consistency.ReadOptions{Level: quorum})
		s.Run(quorumTimeout / 2)
		q.reaches(7, q.replicas...)
		newer := q.put(8, "x", all)
		if len(held.Messages()) > 0 {
			s.Bite(late)
		}
		held.Release()
		s.Run(2 * quorumTimeout)
		for _, id := range q.replicas {
			if got := q.peek(id, "x"); got != newer {
				s.Failf(ruleHolds, "%v has %s at %v, want %s: what came later was older", id, quorumCell(got), s.Net.Now(), quorumCell(newer))
			}
		}
	})
}

// A write has reached n1 when its coordinator crashes. One reader meets n1, and what
// it repairs is slow. If it has returned the new value, the next reader must not
// return the old one, whomever it meets.
func TestReadsDoNotGoBack6D(t *testing.T) {
	const seen = "a read met a write that was half done"
	labtest.Run(t, labtest.Config{Nodes: 9, MustBite: []string{seen}}, func(s *labtest.Sim) {
		q := newQuorumStore(s, 3)
		q.put(7, "x", all)
		s.Run(2 * quorumTimeout)
		held := s.Net.Hold(labrpc.Match{From: 6, Method: "Store"})
		q.goPut(6, "x", "half", quorum)
		s.Run(quorumRetry / 2)
		held.Deliver(func(m labrpc.Message) bool { return m.To == 1 })
		s.Run(quorumRetry / 2)
		held.Discard(nil)
		held.Release()
		s.Net.Crash(6)
		half := q.peek(1, "x")
		if half.Value == "half" {
			s.Bite(seen)
		}

		slow := s.Net.Hold(labrpc.Match{From: 7, Method: "Store", Kind: labrpc.Request})
		q.reaches(7, 1, 2, 3)
		first, err := q.wait(q.goGet(7, "x", consistency.ReadOptions{Level: quorum}))
		s.Net.Crash(7)
		slow.Discard(nil)
		slow.Release()
		if err != nil {
			return // it has not returned anything
		}
		q.reaches(8, 3, 4, 5)
		second := q.goGet(8, "x", consistency.ReadOptions{Level: quorum})
		q.want(ruleRepairs, second, first, fmt.Sprintf("an earlier read at QUORUM has returned it, when n1 alone had it: its stores are still under way at %v", s.Net.Now()))
	})
}

// Reads for a session: what it has written is at n1, what it has read is too, and
// the others answer sooner; then n1 is away.
func TestSessionReads6D(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 8}, func(s *labtest.Sim) {
		q := newQuorumStore(s, 2)
		old := q.put(7, "x", all)
		s.Run(2 * quorumTimeout)
		q.reaches(6, 1)
		wrote := q.put(6, "x", one)
		s.Net.SetLink(1, 7, labrpc.Link{Latency: labrpc.Fixed(60 * time.Millisecond)})
		for _, level := range []consistency.Level{one, quorum} {
			s.Net.CutBoth(1, 7)
			q.want(ruleMayBeStale, q.goGet(7, "x", consistency.ReadOptions{Level: one}), old, "the replicas that answer have nothing newer")
			call := q.goGet(7, "x", consistency.ReadOptions{Level: level, AtLeast: wrote.Stamp})
			if cell, err := q.wait(call); err == nil {
				s.Failf(ruleAtLeast, "%s returns %s at %v, and only n1, which is cut off, has anything as new", call.what, quorumCell(cell), s.Net.Now())
			}
			s.Net.Mend(1, 7)
			q.want(ruleAtLeast, q.goGet(7, "x", consistency.ReadOptions{Level: level, AtLeast: wrote.Stamp}), wrote, "n1 has it, and answers in 80ms")
		}
		// At least the old is satisfied by the old, at once.
		s.Net.CutBoth(1, 7)
		if got := q.get(7, "y", consistency.ReadOptions{Level: one}); got != (consistency.Cell{}) {
			s.Failf(ruleOverlap, "a read of what was never written returns %s", quorumCell(got))
		}
		cell := q.get(7, "x", consistency.ReadOptions{Level: one, AtLeast: old.Stamp})
		if quorumCompare(cell.Stamp, old.Stamp) < 0 {
			s.Failf(ruleAtLeast, "a read returns %s, older than AtLeast, %s", quorumCell(cell), quorumCell(old))
		}
	})
}

// Within the bound a read costs no message; beyond it, it is fresh or fails. How old
// something is counts from when it was asked for, by no wall clock, and what was
// read at ONE is as old as you like.
func TestStalenessBound6D(t *testing.T) {
	const (
		bound = 2 * time.Second
		slow  = "an answer was 900ms on its way, while a write was acknowledged"
	)
	labtest.Run(t, labtest.Config{Nodes: 8, MustBite: []string{slow}}, func(s *labtest.Sim) {
		q := newQuorumStore(s, 2)
		within := consistency.ReadOptions{MaxStale: bound}
		first := q.put(6, "x", quorum)
		q.want(ruleOverlap, q.goGet(7, "x", within), first, "it has not read it before, so a majority must be asked")
		s.Run(quorumTimeout / 2)

		// For nothing, as long as the bound allows; also when no one can be reached.
		second := q.put(6, "x", quorum)
		q.reaches(7)
		sent := s.Net.Stats(labrpc.Match{From: 7}).Sent
		q.want(ruleStaleness, q.goGet(7, "x", within), first, "that is what a majority had half a second ago, and no more is asked for")
		if n := s.Net.Stats(labrpc.Match{From: 7}).Sent - sent; n != 0 {
			s.Failf(ruleStaleness, "a read with MaxStale sends %d messages at %v; what it has read at QUORUM half a second ago would do", n, s.Net.Now())
		}
		q.want(ruleAtLeast, q.withHealed(7, func() *quorumCall {
			return q.goGet(7, "x", consistency.ReadOptions{MaxStale: bound, AtLeast: second.Stamp})
		}), second, "AtLeast says so")

		// Beyond it, whatever the wall clock shows.
		s.Run(bound + 100*time.Millisecond)
		third := q.put(6, "x", quorum)
		s.Net.JumpClock(7, -bound)
		call := q.goGet(7, "x", within)
		if cell, err := q.wait(call); err == nil {
			s.Failf(ruleStaleness, "%s returns %s at %v, and no replica can be reached", call.what, quorumCell(cell), s.Net.Now())
		}

		// A read at ONE does not make it any younger.
		q.reaches(7, 5)
		q.get(7, "x", consistency.ReadOptions{Level: one})
		q.reaches(7)
		call = q.goGet(7, "x", within)
		if cell, err := q.wait(call); err == nil {
			s.Failf(ruleStaleness, "%s returns %s at %v: after a read at ONE, nobody knows how old that is", call.what, quorumCell(cell), s.Net.Now())
		}
		q.reaches(7, q.replicas...)
		s.Net.JumpClock(7, bound)
		q.want(ruleStaleness, q.goGet(7, "x", within), third, "what it knew is too old")
		s.Run(2 * bound)

		// The answers to a read are under way for 900ms.
		held := s.Net.Hold(labrpc.Match{To: 7, Kind: labrpc.Reply})
		call = q.goGet(7, "x", consistency.ReadOptions{Level: quorum})
		s.Run(50 * time.Millisecond)
		fourth := q.put(6, "x", quorum)
		s.Run(850*time.Millisecond - (s.Net.Now() - call.began - 50*time.Millisecond))
		if len(held.Messages()) >= 3 && !call.done() {
			s.Bite(slow)
		}
		held.Deliver(func(m labrpc.Message) bool {
			cell, ok := m.Body.(consistency.Cell)
			return ok && cell.Value == third.Value // and not those to what was asked again
		})
		s.Run(30 * time.Millisecond)
		held.Discard(nil)
		held.Release()
		if _, err := q.wait(call); err != nil {
			s.Failf(ruleLevels, "%s fails, though the answers were under way for less than a second: %v", call.what, err)
		}
		s.Run(bound - 700*time.Millisecond)
		q.want(ruleStaleness, q.goGet(7, "x", within), fourth,
			fmt.Sprintf("it was acknowledged more than %v ago; the answers that n7 has kept were given before that", bound))
	})
}

// withHealed lets a coordinator reach all replicas for the time of a call.
func (q *quorumStore) withHealed(via labrpc.NodeID, f func() *quorumCall) *quorumCall {
	q.reaches(via, q.replicas...)
	call := f()
	q.mustDo(call)
	q.reaches(via)
	return call
}

// A replica crashes before or after any write to its disk. What it has answered
// for is there; what is older does not come back.
func TestHolderSurvivesCrash6D(t *testing.T) {
	const crashed = "a replica crashed in the middle of a store"
	labtest.Run(t, labtest.Config{Nodes: 3, Seeds: 4, MustBite: []string{crashed}}, func(s *labtest.Sim) {
		q := newQuorumStore(s, 1)
		keys := []string{"x", "y"}
		had := map[string]consistency.Cell{}
		for i := range 24 {
			key := keys[i%2]
			cell := consistency.Cell{Value: q.value(), Stamp: consistency.Stamp{Counter: uint64(20 + i - 10*(i%3)), Node: 2}}
			if i%4 == 3 {
				s.Net.CrashAtWrite(1, labrpc.CrashPoint{Write: s.Net.Writes(1) + 1 + i/4%2, After: i/8%2 == 0})
			}
			_, answered := quorumTry[consistency.StoreReply](q, 1, "Store", consistency.StoreRequest{Key: key, Cell: cell})
			if !answered && s.Net.Up(1) {
				s.Failf(ruleHolds, "n1 does not answer a store at %v", s.Net.Now())
			}
			if !s.Net.Up(1) {
				s.Bite(crashed)
				q.start(1)
			}
			if answered && quorumCompare(cell.Stamp, had[key].Stamp) > 0 {
				had[key] = cell
			}
			if i%5 == 4 {
				s.Net.Crash(1)
				q.start(1)
			}
			for _, key := range keys {
				got := q.peek(1, key)
				if quorumCompare(got.Stamp, had[key].Stamp) < 0 {
					s.Failf(ruleHolds, "n1 has %s in %s at %v, and has answered for %s", quorumCell(got), key, s.Net.Now(), quorumCell(had[key]))
				}
				had[key] = got
			}
		}
		s.Net.CrashAtWrite(1, labrpc.CrashPoint{})
		old := consistency.Cell{Value: "old", Stamp: consistency.Stamp{Counter: 1, Node: 9}}
		q.store(1, "x", old)
		if got := q.peek(1, "x"); got != had["x"] {
			s.Failf(ruleHolds, "n1 has %s in x at %v, and had %s before", quorumCell(got), s.Net.Now(), quorumCell(had["x"]))
		}
	})
}

// Three coordinators read and write at QUORUM over bad links, while replicas and
// coordinators crash and the network is divided. All that the clients see
// is linearizable; and reads at ONE, beside them, are not.
func TestQuorumsInAStorm6D(t *testing.T) {
	const (
		stale   = "a read at ONE was behind what was acknowledged"
		unknown = "a write failed, and may have happened"
	)
	cfg := labtest.Config{Nodes: 9, Link: labrpc.FairLoss(0.1), MustBite: []string{stale, unknown}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		q := newQuorumStore(s, 3)
		tape := &quorumTape{q: q}
		var acknowledged uint64
		for round := range 30 {
			switch round % 6 {
			case 1:
				s.Net.Partition([]labrpc.NodeID{1, 2, 6}, []labrpc.NodeID{3, 4, 5, 7, 8, 9})
			case 3:
				s.Net.Heal()
				victim := q.replicas[s.Rand().IntN(5)]
				s.Net.Crash(victim)
				s.Run(10 * time.Millisecond)
				q.start(victim)
			}
			if s.Rand().IntN(4) == 0 {
				via := q.first + labrpc.NodeID(s.Rand().IntN(3))
				s.Net.CrashAtWrite(via, labrpc.CrashPoint{Write: s.Net.Writes(via) + 1, After: s.Rand().IntN(2) == 0})
			}
			var calls []*quorumCall
			for client := range 3 {
				via := q.first + labrpc.NodeID(client)
				if !s.Net.Up(via) {
					q.start(via)
				}
				if s.Rand().IntN(2) == 0 {
					calls = append(calls, tape.put(client, via))
				} else {
					calls = append(calls, tape.get(client, via))
				}
			}
			weak := q.goGet(q.first+labrpc.NodeID(s.Rand().IntN(3)), "x", consistency.ReadOptions{Level: one})
			floor := acknowledged
			if cell, err := q.wait(weak); err == nil && cell.Stamp.Counter < floor {
				s.Bite(stale)
			}
			for _, call := range calls {
				cell, err := tape.finish(call)
				switch {
				case err == nil:
					acknowledged = max(acknowledged, cell.Stamp.Counter)
				case tape.wrote(call):
					s.Bite(unknown)
				}
			}
			tape.check()
			s.Run(time.Duration(s.Rand().IntN(50)) * time.Millisecond)
		}
		s.Net.Heal()
		s.Net.SetLinks(labrpc.Reliable())
		for _, id := range s.Net.Nodes() {
			s.Net.CrashAtWrite(id, labrpc.CrashPoint{})
			if !s.Net.Up(id) {
				q.start(id)
			}
		}
		s.Run(2 * quorumTimeout)
		q.mustDo(tape.get(0, 6))
		q.mustDo(tape.put(1, 7))
		for _, call := range slices.Clone(tape.calls) {
			_, _ = tape.finish(call)
		}
		tape.check()
	})
}
