package consistency_test

import (
	"cmp"
	"fmt"
	"math"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	consistency "distlabs/labs/06-consistency"
)

const (
	one    = consistency.One
	quorum = consistency.Quorum
	all    = consistency.All
)

// quorumSize is how many of n replicas a level takes.
func quorumSize(level consistency.Level, n int) int {
	return map[consistency.Level]int{one: 1, quorum: (n + 2) / 2, all: n}[level]
}

// One replica after another crashes or is cut off, of one to
// five: each level works while as many replicas as it requires are left, for
// writes and for reads, and then fails in time. Requests at all levels are under way at once, and do not wait for each other (rule 23).
func TestLevelsSurvive6D(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 7, Seeds: 6}, func(s *labtest.Sim) {
		levelsAndTimestamps(s)
		n := []int{1, 2, 3, 4, 5, 4}[s.Seed%6]
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
			calls := map[consistency.Level][]*quorumCall{}
			levels := []consistency.Level{all, quorum, one} // those that fail begin first
			for _, level := range levels {
				put := q.goPut(via, fmt.Sprintf("%v after %d", level, down), q.value(), level)
				get := q.goGet(via, "x", consistency.ReadOptions{Level: level})
				calls[level] = []*quorumCall{put, get}
			}
			for _, level := range levels {
				for _, call := range calls[level] {
					q.survives(call, level, n-down)
				}
			}
		}
	})
}

// levelsAndTimestamps checks how many of N replicas each level requires, and which of two timestamps is newer.
func levelsAndTimestamps(s *labtest.Sim) {
	for _, n := range []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 100, 300, 1000, 70_000} {
		for _, level := range []consistency.Level{one, quorum, all} {
			if got, want := level.Required(n), quorumSize(level, n); got != want {
				s.Failf("ONE requires one replica, QUORUM a majority, ALL all of them (rule 23)", "%v.Required(%d) = %d, want %d", level, n, got, want)
			}
		}
	}
	timestamps := []consistency.Timestamp{{}, {Counter: 1, Node: 2}, {Counter: 1, Node: 3}, {Counter: 2, Node: 1}, {Counter: 10, Node: 1}, {Counter: 300, Node: 1},
		{Counter: 1 << 32, Node: 1}, {Counter: 1 << 32, Node: 300}, {Counter: 1<<32 + 1, Node: 1}, {Counter: math.MaxInt64, Node: 1}, {Counter: math.MaxUint64, Node: 1}}
	for i, a := range timestamps {
		for j, b := range timestamps {
			if got := a.Compare(b); cmp.Compare(got, 0) != cmp.Compare(i, j) {
				s.Failf(ruleNewer, "%v.Compare(%v) = %d, want the order by Counter, then by Node", a, b, got)
			}
		}
	}
}

// survives checks that a call succeeds if and only if enough replicas are left.
func (q *quorumStore) survives(call *quorumCall, level consistency.Level, left int) {
	cell, err := q.wait(call)
	n := len(q.replicas)
	enough := left >= quorumSize(level, n)
	switch {
	case enough && err != nil:
		q.s.Failf(ruleLevels, "%s failed with the error %q, although %d of %d replicas can be reached", call.what, err, left, n)
	case !enough && err == nil:
		q.s.Failf(ruleLevels, "%s returned %s, although only %d of %d replicas can be reached", call.what, quorumCell(cell), left, n)
	case enough && cell.Value == "":
		q.s.Failf(ruleOverlap, "%s returned no value, although all replicas have one", call.what)
	}
}

// A write reaches only as many replicas as its level requires. A read asks others, as far as the
// levels allow; and the replicas that have the value reply last. Another read of the same coordinator, which began before the write,
// is still under way (rule 24).
func TestAcknowledgedIsSeen6D(t *testing.T) {
	const narrow = "a write had not reached all replicas"
	labtest.Run(t, labtest.Config{Nodes: 8, Seeds: 6, MustCover: []string{narrow}}, func(s *labtest.Sim) {
		n := []int{1, 2, 3, 4, 5, 4}[s.Seed%6]
		q := newQuorumStoreOf(s, n, 2)
		writer, reader := q.first, q.first+1
		for _, levels := range [][2]consistency.Level{{one, all}, {quorum, quorum}, {quorum, all}, {all, one}, {all, quorum}, {all, all}} {
			key := fmt.Sprintf("%v, %v", levels[0], levels[1])
			w, r := quorumSize(levels[0], n), quorumSize(levels[1], n)
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
			earlier := q.goGet(reader, key, consistency.ReadOptions{Level: levels[1]})
			wrote := q.put(writer, key, levels[0])
			if q.peek(q.replicas[n-1], key) != wrote {
				s.Cover(narrow)
			}
			q.want(ruleOverlap, q.goGet(reader, key, consistency.ReadOptions{Level: levels[1]}), wrote, "its write had returned before the read began")
			q.mustDo(earlier)
		}
	})
}

// The price of ONE: a read asks a replica that a write has not reached, and
// returns the old value, which is allowed. When the links heal, the write arrives there (rules 23 and 26).
func TestOneMayBeStale6D(t *testing.T) {
	const stale = "a read at ONE returned what had been overwritten, and it was accepted"
	labtest.Run(t, labtest.Config{Nodes: 8, MustCover: []string{stale}}, func(s *labtest.Sim) {
		q := newQuorumStore(s, 2)
		old := q.put(7, "x", all)
		q.reaches(6, 1)
		q.reaches(7, 2)
		wrote := q.put(6, "x", one)
		switch got := q.get(7, "x", consistency.ReadOptions{Level: one}); got.Value {
		case old.Value:
			s.Cover(stale)
		case wrote.Value:
			s.Failf(ruleMayBeStale, "a Get at ONE returned %s, but n2, the only replica that the coordinator can reach, does not have it", quorumCell(got))
		default:
			s.Failf(ruleMayBeStale, "a Get at ONE returned %s, but n2, the only replica that the coordinator can reach, has %s", quorumCell(got), quorumCell(old))
		}
		if got := q.get(7, "never written", consistency.ReadOptions{Level: one}); got != (consistency.Cell{}) {
			s.Failf(ruleMayBeStale, "a Get of a key that was never written returned %s, want no value", quorumCell(got))
		}
		// n1 can be asked, but no store arrives anywhere: then no replica has it, and ONE is not reached.
		lost := s.Net.Hold(labrpc.Match{From: 6, Method: "Store", Kind: labrpc.Request})
		call := q.goPut(6, "y", q.value(), one)
		if _, err := q.wait(call); err == nil {
			s.Failf(ruleLevels, "%s succeeded at %v, although no replica has it", call.what, labtest.At(call.ended))
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
			s.Failf(ruleLevels, "%s took %v, although the first replica replied within 40ms", call.what, took)
		}
		q.reaches(6, q.replicas...)
		s.Run(quorumTimeout)
		for _, id := range q.replicas {
			if got := q.peek(id, "x"); got.Value != wrote.Value {
				s.Failf(ruleReaches, "%v has %s at %v, want %s: the coordinator was connected to it until Timeout", id, quorumCell(got), labtest.At(s.Net.Now()), quorumCell(wrote))
			}
		}
		q.nextPutFails(6)
	})
}

// nextPutFails writes at ONE, and then at ALL, for which a replica is missing. The first write has returned, but still reaches all replicas that are
// up (rule 26).
func (q *quorumStore) nextPutFails(via labrpc.NodeID) {
	s := q.s
	q.reaches(via, q.replicas[0])
	first := q.goPut(via, "w", q.value(), one)
	wrote := q.mustDo(first)
	s.Net.Crash(q.replicas[4])
	second := q.goPut(via, "w", q.value(), all)
	s.Run(first.began + quorumTimeout*6/10 - s.Net.Now())
	q.reaches(via, q.replicas...)
	s.Run(first.began + quorumTimeout - s.Net.Now())
	for _, id := range q.replicas[:4] {
		if got := q.peek(id, "w"); got != wrote {
			s.Failf(ruleReaches, "after %s, %v has %s at %v, want %s: the next Put of this key could not fetch from as many replicas as it requires",
				first.what, id, quorumCell(got), labtest.At(s.Net.Now()), quorumCell(wrote))
		}
	}
	if _, err := q.wait(second); err == nil {
		s.Failf(ruleLevels, "%s succeeded at %v, although %v is down", second.what, labtest.At(second.ended), q.replicas[4])
	}
}

// Only two of five replicas can be reached. They reply later than they are asked again,
// and twice: many replies, but not enough replicas. Three replicas that are as slow are enough, and so are three others for the second half of a Put (rule 23).
func TestCountsReplicasNotAnswers6D(t *testing.T) {
	const twice = "a replica answered one request several times"
	cfg := labtest.Config{Nodes: 8, MustCover: []string{twice}}
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
			s.Failf(ruleLevels, "a Get at QUORUM succeeded at %v, although only two of five replicas can be reached: n4 and n5, which reply more than once", labtest.At(s.Net.Now()))
		}
		if replies := s.Net.Stats(labrpc.Match{From: 4, To: 6, Kind: labrpc.Reply}); replies.Sent > 1 {
			s.Cover(twice)
		}
		// The read of a write's timestamp gets three answers, the write itself two.
		q.reaches(6, 3, 4, 5)
		call := q.goPut(6, "x", q.value(), quorum)
		stored := s.Net.Hold(labrpc.Match{To: 3, Method: "Store", Kind: labrpc.Request})
		if _, err := q.wait(call); err == nil {
			s.Failf(ruleLevels, "%s succeeded at %v, although only two of five replicas have it: n4 and n5, which reply more than once", call.what, labtest.At(s.Net.Now()))
		}
		stored.Discard(nil)
		stored.Release()
		s.Run(2 * quorumTimeout)
		q.put(6, "x", quorum)
		q.get(6, "x", consistency.ReadOptions{Level: quorum})
		q.reaches(6, q.replicas...)
		q.asksAgain(6)
		q.othersStore(6)
	})
}

// othersStore writes through a coordinator that reaches some replicas for the Fetch, and others for the Store (rule 23).
func (q *quorumStore) othersStore(via labrpc.NodeID) {
	s := q.s
	s.Net.SetLinks(labrpc.Reliable())
	for _, level := range []consistency.Level{one, quorum} {
		q.reaches(via, q.replicas[:level.Required(5)]...)
		held := s.Net.Hold(labrpc.Match{From: via, Method: "Store"})
		call := q.goPut(via, "z", q.value(), level)
		s.Until(quorumTimeout/2, func() bool { return len(held.Messages()) > 0 })
		q.reaches(via, q.replicas[5-level.Required(5):]...)
		held.Release()
		q.mustDo(call)
	}
}

// asksAgain reads and writes over links that lose one message in five: the coordinator asks again.
func (q *quorumStore) asksAgain(via labrpc.NodeID) {
	s := q.s
	for _, id := range q.replicas {
		s.Net.SetLink(id, via, labrpc.Link{Latency: labrpc.Uniform(time.Millisecond, 20*time.Millisecond), Loss: 0.2})
		s.Net.SetLink(via, id, labrpc.Link{Latency: labrpc.Uniform(time.Millisecond, 20*time.Millisecond), Loss: 0.2})
	}
	for range 12 {
		wrote := q.put(via, "y", quorum)
		q.want(ruleOverlap, q.goGet(via, "y", consistency.ReadOptions{Level: quorum}), wrote, "its write had returned before the read began")
	}
}
