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

// Three of five replicas have a write when its coordinator crashes. A read asks
// one of them and the two others, which have it too afterwards. A read of a cell that all have stores nothing (rule 27).
func TestReadRepair6D(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 8}, func(s *labtest.Sim) {
		q := newQuorumStore(s, 2)
		q.put(7, "x", all)
		q.reaches(6, 1, 2, 3)
		wrote := q.put(6, "x", quorum)
		s.Net.Crash(6)
		s.Run(time.Second)
		q.reaches(7, 3, 4, 5)
		q.want(ruleOverlap, q.goGet(7, "x", consistency.ReadOptions{Level: quorum}), wrote, "its write had returned before the read began")
		s.Run(quorumTimeout)
		for _, id := range q.replicas {
			if got := q.peek(id, "x"); got != wrote {
				s.Failf(ruleRepairs, "%v has %s at %v, want %s: a Get at QUORUM has returned it", id, quorumCell(got), labtest.At(s.Net.Now()), quorumCell(wrote))
			}
		}
		q.reaches(7, q.replicas...)
		s.Run(quorumTimeout)
		before := s.Net.Stats(labrpc.Match{Method: "Store", Kind: labrpc.Request})
		q.get(7, "x", consistency.ReadOptions{Level: all})
		s.Run(quorumTimeout)
		if n := s.Net.Stats(labrpc.Match{Method: "Store", Kind: labrpc.Request}).Sub(before).Sent; n > 0 {
			s.Failf(ruleRepairs, "a Get of a cell that all replicas have sent %d Stores, want none", n)
		}
	})
}

// A repair takes a long time. Meanwhile its replica gets a newer value (rule 28).
func TestRepairIsLate6D(t *testing.T) {
	const late = "a store arrived after a newer one"
	labtest.Run(t, labtest.Config{Nodes: 9, MustCover: []string{late}}, func(s *labtest.Sim) {
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
			s.Cover(late)
		}
		held.Release()
		s.Run(2 * quorumTimeout)
		for _, id := range q.replicas {
			if got := q.peek(id, "x"); got != newer {
				s.Failf(ruleHolds, "%v has %s at %v, want %s: the Store that arrived last had an older cell", id, quorumCell(got), labtest.At(s.Net.Now()), quorumCell(newer))
			}
		}
	})
}

// A write has reached n1 when its coordinator crashes. One reader asks n1, and its
// repair is slow. If it has returned the new value, the next reader must not
// return the old one, whatever replicas it asks (rule 27).
func TestReadsDoNotGoBack6D(t *testing.T) {
	const seen = "a read met a write that one replica had"
	labtest.Run(t, labtest.Config{Nodes: 9, MustCover: []string{seen}}, func(s *labtest.Sim) {
		q := newQuorumStore(s, 3)
		q.put(7, "x", all)
		s.Run(2 * quorumTimeout)
		q.writesHalf(6)
		half := q.peek(1, "x")
		if half.Value == "half" {
			s.Cover(seen)
		}

		slow := s.Net.Hold(labrpc.Match{From: 7, Method: "Store", Kind: labrpc.Request})
		q.reaches(7, 1, 2, 3)
		early := q.goGet(7, "x", consistency.ReadOptions{Level: quorum})
		first, err := q.wait(early)
		s.Net.Crash(7)
		slow.Discard(nil)
		slow.Release()
		if err != nil {
			return // it has returned no cell
		}
		q.reaches(8, 3, 4, 5)
		second := q.goGet(8, "x", consistency.ReadOptions{Level: quorum})
		if got := q.mustDo(second); got.Value != first.Value {
			s.Failf(ruleRepairs, "%s returned %s at %v while only n1 had it, and n7's Stores had not arrived anywhere, want it to return when three replicas have it: later %s returned %s",
				early.what, quorumCell(first), labtest.At(early.ended), second.what, quorumCell(got))
		}
	})
}

// Reads with AtLeast: only one replica has a cell that is new enough, and
// the others reply sooner; then that one cannot be reached (rule 29).
func TestSessionReads6D(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 8}, func(s *labtest.Sim) {
		q := newQuorumStore(s, 2)
		fresh := q.replicas[s.Seed%5]
		freshHasIt := fmt.Sprintf("%v has it, and answers in 80ms", fresh)
		s.Net.SetLink(fresh, 7, labrpc.Link{Latency: labrpc.Fixed(60 * time.Millisecond)})
		for _, level := range []consistency.Level{one, quorum, all} {
			// A key per level: once n7 has returned the newer value, it may go on returning it, and bring it to other replicas.
			key := "x at " + level.String()
			s.Net.HealBoth(fresh, 7)
			old := q.put(7, key, all)
			s.Run(2 * quorumTimeout)
			q.reaches(6, fresh)
			wrote := q.put(6, key, one)
			s.Net.CutBoth(fresh, 7)
			q.want(ruleMayBeStale, q.goGet(7, key, consistency.ReadOptions{Level: one}), old, "the replicas that n7 reaches have nothing newer, and n7 has met nothing newer")
			// What is as old as AtLeast is new enough.
			q.want(ruleAtLeast, q.goGet(7, key, consistency.ReadOptions{Level: one, AtLeast: old.Timestamp}), old, "it is not older than AtLeast")
			call := q.goGet(7, key, consistency.ReadOptions{Level: level, AtLeast: wrote.Timestamp})
			if cell, err := q.wait(call); err == nil {
				s.Failf(ruleAtLeast, "%s returned %s at %v, want ErrUnavailable: %[4]v alone has a cell as new as that, and n7 cannot reach %[4]v",
					call.what, quorumCell(cell), labtest.At(s.Net.Now()), fresh)
			}
			s.Net.HealBoth(fresh, 7)
			q.want(ruleAtLeast, q.goGet(7, key, consistency.ReadOptions{Level: level, AtLeast: wrote.Timestamp}), wrote, freshHasIt)
		}
		// Of equal counters, the timestamp of the higher node is newer. The replica that has it replies last.
		lower := consistency.Cell{Value: "lower", Timestamp: consistency.Timestamp{Counter: 5, Node: 6}}
		higher := consistency.Cell{Value: "higher", Timestamp: consistency.Timestamp{Counter: 5, Node: 7}}
		for _, id := range q.replicas {
			q.store(id, "z", lower)
		}
		q.store(fresh, "z", higher)
		q.want(ruleAtLeast, q.goGet(7, "z", consistency.ReadOptions{Level: one, AtLeast: higher.Timestamp}), higher, freshHasIt)
		call := q.goGet(7, "z", consistency.ReadOptions{Level: one, AtLeast: consistency.Timestamp{Counter: 6, Node: 6}})
		if cell, err := q.wait(call); err == nil {
			s.Failf(ruleAtLeast, "%s returned %s, want ErrUnavailable at the end of Timeout: no replica has a cell as new as that", call.what, quorumCell(cell))
		}
		if got := q.get(7, "y", consistency.ReadOptions{Level: one}); got != (consistency.Cell{}) {
			s.Failf(ruleOverlap, "a Get of a key that was never written returned %s, want no value", quorumCell(got))
		}
		q.remembersForAtLeast(7)
	})
}

// Within the bound a read costs no message; beyond it, it asks a majority or fails. The age of a cell
// counts from the request, not by a wall clock, and a cell that was
// read at ONE may be of any age (rule 30).
func TestStalenessBound6D(t *testing.T) {
	const bound = 2 * time.Second
	labtest.Run(t, labtest.Config{Nodes: 8}, func(s *labtest.Sim) {
		q := newQuorumStore(s, 2)
		within := consistency.ReadOptions{MaxStale: bound}
		first := q.put(6, "x", quorum)
		q.want(ruleStaleness, q.goGet(7, "x", within), first, "this coordinator has not read the key before, so it must ask a majority")
		s.Run(quorumTimeout / 2)

		// Within the bound a read needs no message, so no replica need be reachable.
		second := q.put(6, "x", quorum)
		q.reaches(7)
		sent := s.Net.Stats(labrpc.Match{From: 7}).Sent
		q.want(ruleStaleness, q.goGet(7, "x", within), first, "a majority had it half a second ago, which is less than MaxStale, and no replica can be reached")
		if n := s.Net.Stats(labrpc.Match{From: 7}).Sent - sent; n != 0 {
			s.Failf(ruleStaleness, "a Get with MaxStale sent %d messages at %v, want none: its coordinator read the key at QUORUM half a second ago", n, labtest.At(s.Net.Now()))
		}
		q.want(ruleAtLeast, q.withHealed(7, func() *quorumCall {
			return q.goGet(7, "x", consistency.ReadOptions{MaxStale: bound, AtLeast: second.Timestamp})
		}), second, "the cell in the memory of the coordinator is older than AtLeast")
		q.want(ruleStaleness, q.goGet(7, "x", within), second, "this coordinator has just read it at QUORUM, with AtLeast, and no replica can be reached")

		// Beyond it, whatever the wall clock shows.
		s.Run(bound + 100*time.Millisecond)
		third := q.put(6, "x", quorum)
		s.Net.JumpClock(7, -bound)
		call := q.goGet(7, "x", within)
		if cell, err := q.wait(call); err == nil {
			s.Failf(ruleStaleness, "%s returned %s at %v, want ErrUnavailable: n7 read this value too long ago, and reaches no replica", call.what, quorumCell(cell), labtest.At(s.Net.Now()))
		}

		// A read at ONE does not make it any younger.
		q.reaches(7, 5)
		q.get(7, "x", consistency.ReadOptions{Level: one})
		q.reaches(7)
		call = q.goGet(7, "x", within)
		if cell, err := q.wait(call); err == nil {
			s.Failf(ruleStaleness, "%s returned %s at %v, want ErrUnavailable: only a Get at ONE has returned this value recently, and n7 reaches no replica", call.what, quorumCell(cell), labtest.At(s.Net.Now()))
		}
		q.reaches(7, q.replicas...)
		s.Net.JumpClock(7, bound)
		q.want(ruleStaleness, q.goGet(7, "x", within), third, "the cell in the memory of the coordinator is too old")

		// A Put through the same coordinator changes nothing of that.
		own := q.put(7, "x", quorum)
		q.reaches(7)
		sent = s.Net.Stats(labrpc.Match{From: 7}).Sent
		call = q.goGet(7, "x", within)
		cell, err := q.wait(call)
		if err != nil {
			s.Failf(ruleStaleness, "%s failed at %v with the error %q, want no error: n7 has just read the key at QUORUM", call.what, labtest.At(call.ended), err)
		}
		if cell.Value != third.Value && cell.Value != own.Value {
			s.Failf(ruleStaleness, "%s returned %s at %v, want %s, which n7 has just read, or %s, which it has written since", call.what, quorumCell(cell), labtest.At(s.Net.Now()), quorumCell(third), quorumCell(own))
		}
		if n := s.Net.Stats(labrpc.Match{From: 7}).Sent - sent; n != 0 {
			s.Failf(ruleStaleness, "a Get with MaxStale sent %d messages at %v, want none: its coordinator has just read the key at QUORUM, and then written it", n, labtest.At(s.Net.Now()))
		}
	})
}

// The replies to a read take 900ms, and a write returns meanwhile. The cells in the replies
// are as old as the request (rule 30).
func TestAgeCountsFromTheQuestion6D(t *testing.T) {
	const (
		bound = 2 * time.Second
		slow  = "a reply took 900ms, while a write returned"
	)
	labtest.Run(t, labtest.Config{Nodes: 8, MustCover: []string{slow}}, func(s *labtest.Sim) {
		q := newQuorumStore(s, 2)
		old := q.put(6, "x", all)
		s.Run(2 * quorumTimeout)
		held := s.Net.Hold(labrpc.Match{To: 7, Kind: labrpc.Reply})
		call := q.goGet(7, "x", consistency.ReadOptions{Level: quorum})
		s.Run(50 * time.Millisecond)
		newer := q.put(6, "x", quorum)
		s.Run(850*time.Millisecond - (s.Net.Now() - call.began - 50*time.Millisecond))
		if len(held.Messages()) >= 3 && !call.done() {
			s.Cover(slow)
		}
		held.Deliver(func(m labrpc.Message) bool {
			cell, ok := m.Body.(consistency.Cell)
			return ok && cell.Value == old.Value // and not those to what was asked again
		})
		s.Run(30 * time.Millisecond)
		held.Discard(nil)
		held.Release()
		if _, err := q.wait(call); err != nil {
			s.Failf(ruleLevels, "%s failed with the error %q, although the replies took less than a second", call.what, err)
		}
		s.Run(bound - 700*time.Millisecond)
		q.want(ruleStaleness, q.goGet(7, "x", consistency.ReadOptions{MaxStale: bound}), newer,
			fmt.Sprintf("its write returned more than %v ago; the cell that n7 remembers was sent before that", bound))
		q.readsCross(6, 7)
	})
}

// readsCross makes two reads through one coordinator, and a write between their calls. The second returns first. What it has read counts from its
// call, although the first returns an older cell later (rule 30).
func (q *quorumStore) readsCross(a, b labrpc.NodeID) {
	s := q.s
	for _, via := range []labrpc.NodeID{a, b} {
		for _, id := range q.replicas {
			s.Net.SetLink(via, id, labrpc.Link{Latency: labrpc.Fixed(time.Millisecond)})
			s.Net.SetLink(id, via, labrpc.Link{Latency: labrpc.Fixed(time.Millisecond)})
		}
	}
	old := q.put(a, "y", all)
	s.Run(2 * quorumTimeout)
	held := s.Net.Hold(labrpc.Match{To: b, Kind: labrpc.Reply})
	isOld := func(m labrpc.Message) bool {
		cell, ok := m.Body.(consistency.Cell)
		return ok && cell.Value == old.Value
	}
	isNew := func(m labrpc.Message) bool { return !isOld(m) }
	replied := func(is func(m labrpc.Message) bool) { // as many as a quorum, which may take them a few milliseconds
		s.Until(quorumTimeout/8, func() bool {
			return len(slices.DeleteFunc(held.Messages(), func(m labrpc.Message) bool { return !is(m) })) > len(q.replicas)/2
		})
	}
	first := q.goGet(b, "y", consistency.ReadOptions{Level: quorum})
	replied(isOld)
	newer := q.put(a, "y", all)
	second := q.goGet(b, "y", consistency.ReadOptions{Level: quorum})
	s.Until(quorumTimeout/8, func() bool { held.Deliver(isNew); return second.done() })
	q.want(ruleOverlap, second, newer, "its write returned before this call")
	s.Run(quorumTimeout / 2)
	held.Deliver(isOld)
	s.Run(5 * time.Millisecond)
	held.Release()
	q.mustDo(first)
	q.reaches(b)
	age := s.Net.Now() - second.began
	q.want(ruleStaleness, q.goGet(b, "y", consistency.ReadOptions{MaxStale: age + 2*time.Millisecond}), newer,
		fmt.Sprintf("the coordinator has read it at QUORUM with a call %v ago", age))
}

// withHealed lets a coordinator reach all replicas for the time of a call.
func (q *quorumStore) withHealed(via labrpc.NodeID, f func() *quorumCall) *quorumCall {
	q.reaches(via, q.replicas...)
	call := f()
	q.mustDo(call)
	q.reaches(via)
	return call
}
