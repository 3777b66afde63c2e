package consistency_test

import (
	"slices"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	consistency "distlabs/labs/06-consistency"
)

// Coordinators take turns, with wall clocks that are hours apart; then one writes
// at ONE, each time at another replica, and restarts in between. The last write is the newest (rule 25).
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
			q.want(ruleNewer, q.goGet(reader, "x", consistency.ReadOptions{Level: quorum}), wrote, "its write is the last one, whatever the wall clocks show")
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
		q.want(ruleNewer, q.goGet(8, "z", consistency.ReadOptions{Level: quorum}), last, "its write is the last one; three replicas have it, n3 among them")

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
			q.want(ruleNewer, q.goGet(7, "y", consistency.ReadOptions{Level: all}), wrote, "its write is the last one of this coordinator")
		}
		wrote := q.put(7, "y", all)
		q.want(ruleNewer, q.goGet(8, "y", consistency.ReadOptions{Level: one}), wrote, "its write is the last one, and was at ALL")
	})
}

// writesHalf: a coordinator puts the value "half" for x at QUORUM, and crashes when only n1 can have it.
func (q *quorumStore) writesHalf(via labrpc.NodeID) {
	s := q.s
	held := s.Net.Hold(labrpc.Match{From: via, Method: "Store"})
	q.goPut(via, "x", "half", quorum)
	toFirst := func(m labrpc.Message) bool { return m.To == 1 }
	s.Until(quorumTimeout/2, func() bool { return slices.ContainsFunc(held.Messages(), toFirst) })
	held.Deliver(toFirst)
	for end := s.Net.Now() + quorumTimeout/4; s.Net.Now() < end && q.peek(1, "x").Value != "half"; {
		s.Run(quorumRetry / 10)
	}
	held.Discard(nil)
	held.Release()
	s.Net.Crash(via)
}

// A coordinator crashes in the middle of a write, starts again, and writes
// another value, without a reply of the replica that has the first. And goroutines write one key at once (rule 25).
func TestNoTimestampTwice6D(t *testing.T) {
	const half = "a write was on one replica when its coordinator crashed"
	labtest.Run(t, labtest.Config{Nodes: 8, MustCover: []string{half}, Simultaneous: true}, func(s *labtest.Sim) {
		q := newQuorumStore(s, 2)
		q.put(6, "x", all)
		s.Run(2 * quorumTimeout)
		q.writesHalf(6)
		if q.peek(1, "x").Value == "half" {
			s.Cover(half)
		}
		q.start(6)
		q.reaches(6, 2, 3, 4, 5)
		q.put(6, "x", quorum)
		s.Run(2 * quorumTimeout)
		q.reaches(6, q.replicas...)
		cells := map[consistency.Timestamp]string{}
		for _, id := range q.replicas {
			cell := q.peek(id, "x")
			if other, ok := cells[cell.Timestamp]; ok && other != cell.Value {
				s.Failf(ruleNewer, "two writes, of %[3]q and %[4]q, have the timestamp %[1]d of %[2]v, want a timestamp of its own for each", cell.Timestamp.Counter, cell.Timestamp.Node, other, cell.Value)
			}
			cells[cell.Timestamp] = cell.Value
		}
		q.writesAtOnce()
	})
}

// writesAtOnce makes several writes of a key through one coordinator at one time, several times. The replies that they wait for arrive
// together. They get different timestamps: later, all replicas have the same.
func (q *quorumStore) writesAtOnce() {
	const rounds, writes = 10, 4
	s := q.s
	defer labtest.Threads(1)()
	q.put(6, "y", all)
	timestamps := map[consistency.Timestamp]string{}
	for range rounds {
		replies := s.Net.Hold(labrpc.Match{To: 6, Kind: labrpc.Reply})
		var calls []*quorumCall
		for range writes {
			calls = append(calls, q.goPut(6, "y", q.value(), quorum))
		}
		for range writes {
			s.Run(quorumRetry / 10)
			replies.DeliverAtOnce(nil)
		}
		replies.Release()
		for _, call := range calls {
			cell := q.mustDo(call)
			if other, ok := timestamps[cell.Timestamp]; ok {
				s.Failf(ruleNewer, "the writes of %q and of %q have the timestamp %d of %v, want a timestamp of its own for each", other, cell.Value, cell.Timestamp.Counter, cell.Timestamp.Node)
			}
			timestamps[cell.Timestamp] = cell.Value
		}
	}
	s.Run(2 * quorumTimeout)
	first := q.peek(1, "y")
	for _, id := range q.replicas {
		if got := q.peek(id, "y"); got != first {
			s.Failf(ruleReaches, "more than Timeout after %d writes at once, n1 has %s but %v has %s, want one of them on all replicas", writes, quorumCell(first), id, quorumCell(got))
		}
	}
}
