package consistency_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	consistency "distlabs/labs/06-consistency"
)

// A coordinator remembers what it has read at QUORUM, of each key on its own: of hundreds of keys, of a key without a value, and as long as MaxStale says, here 30
// hours. It remembers nothing of a key that it has not read (rule 30).
func TestRemembersEachKey6D(t *testing.T) {
	const bound = 30 * time.Hour
	labtest.Run(t, labtest.Config{Nodes: 8, Seeds: 2, Limit: 2 * bound}, func(s *labtest.Sim) {
		q := newQuorumStore(s, 2)
		a, b := q.first, q.first+1
		want := map[string]consistency.Cell{}
		for i := range 60 {
			key := fmt.Sprint("key ", i)
			if i%4 != 0 {
				want[key] = q.put(a, key, quorum)
			} else {
				want[key] = consistency.Cell{}
			}
			if got := q.get(b, key, consistency.ReadOptions{Level: []consistency.Level{quorum, all}[i%2]}); got != want[key] {
				s.Failf(ruleOverlap, "a read of %s at QUORUM returned %s, want %s", key, quorumCell(got), quorumCell(want[key]))
			}
		}
		for i := range 300 * int(s.Seed%2) {
			q.get(b, fmt.Sprint("without a value ", i), consistency.ReadOptions{Level: quorum})
		}
		never := q.put(a, "never read", quorum)
		for i := range 9 { // other keys are read and written meanwhile
			s.Run(bound / 10)
			q.get(b, fmt.Sprint("later ", i), consistency.ReadOptions{Level: []consistency.Level{one, quorum, all}[i%3]})
			q.put(b, fmt.Sprint("later ", i), quorum)
		}
		s.Run(2 * quorumTimeout)
		q.reaches(b)
		for i := range 3 { // which fail; they change nothing about what it has read
			call := q.goGet(b, fmt.Sprint("key ", i), consistency.ReadOptions{Level: []consistency.Level{one, quorum, all}[i]})
			if got, err := q.wait(call); err == nil {
				s.Failf(ruleLevels, "%s returned %s, want ErrUnavailable: the coordinator reaches no replica", call.what, quorumCell(got))
			}
		}
		sent := s.Net.Stats(labrpc.Match{From: b}).Sent
		for i := range 60 {
			key := fmt.Sprint("key ", i)
			call := q.goGet(b, key, consistency.ReadOptions{MaxStale: bound, Level: []consistency.Level{one, quorum, all}[i%3]})
			q.want(ruleStaleness, call, want[key], "the coordinator read it at QUORUM or ALL less than MaxStale ago")
		}
		if n := s.Net.Stats(labrpc.Match{From: b}).Sent - sent; n != 0 {
			s.Failf(ruleStaleness, "60 reads with MaxStale %v sent %d messages, want none: each key was read at QUORUM or ALL less than that ago", bound, n)
		}
		for _, most := range []time.Duration{bound, math.MaxInt64} {
			call := q.goGet(b, "never read", consistency.ReadOptions{MaxStale: most})
			if got, err := q.wait(call); err == nil {
				s.Failf(ruleStaleness, "%s returned %s, want ErrUnavailable: this coordinator never read the key, and reaches no replica", call.what, quorumCell(got))
			}
		}
		q.reaches(b, q.replicas...)
		q.want(ruleStaleness, q.goGet(b, "never read", consistency.ReadOptions{MaxStale: bound}), never, "a majority has it")
		q.remembersAMajority(a, b)
	})
}

// remembersAMajority reads with MaxStale what only one replica has. What a coordinator may return without a message is what a majority has had: not what it wrote at ONE, and not
// what it read and could not repair (rule 30).
func (q *quorumStore) remembersAMajority(a, b labrpc.NodeID) {
	s := q.s
	q.reaches(b, q.replicas[1:]...)
	for range 3 {
		q.put(b, "x", quorum)
	}
	s.Run(2 * quorumTimeout)
	q.reaches(a, q.replicas[0])
	mine := q.put(a, "x", one)
	call := q.goGet(a, "x", consistency.ReadOptions{MaxStale: 10 * time.Second})
	if got, err := q.wait(call); err == nil && got.Value == mine.Value {
		s.Failf(ruleStaleness, "%s returned %s, want another value or ErrUnavailable: this value was written at ONE, and one replica of five has it", call.what, quorumCell(got))
	}

	q.reaches(a, q.replicas...)
	q.reaches(b, q.replicas...)
	whole := q.put(b, "y", all)
	s.Run(2 * quorumTimeout)
	q.store(q.replicas[0], "y", consistency.Cell{Value: "half", Timestamp: consistency.Timestamp{Counter: whole.Timestamp.Counter + 1, Node: a}})
	lost := newDropper(s)
	lost.set(func(m *labrpc.Message) bool { return m.Method == "Store" && m.From == a && m.Kind == labrpc.Request })
	q.reaches(a, q.replicas[:3]...)
	call = q.goGet(a, "y", consistency.ReadOptions{Level: quorum})
	if got, err := q.wait(call); err == nil {
		s.Failf(ruleRepairs, "%s returned %s, want ErrUnavailable: the replicas that the coordinator reaches differ, and no Store arrives that could repair them", call.what, quorumCell(got))
	}
	call = q.goGet(a, "y", consistency.ReadOptions{MaxStale: 10 * time.Second})
	if got, err := q.wait(call); err == nil && got.Value == "half" {
		s.Failf(ruleStaleness, "%s returned %s, want another value or ErrUnavailable: one replica of five has this value, and no majority had it", call.what, quorumCell(got))
	}
}

// remembersForAtLeast reads with MaxStale and AtLeast while the coordinator remembers a cell. It returns that cell without a message if its timestamp is not older than AtLeast,
// by Counter and then by Node; otherwise it asks (rules 29 and 30).
func (q *quorumStore) remembersForAtLeast(via labrpc.NodeID) {
	at := func(counter uint64, node labrpc.NodeID) consistency.Timestamp {
		return consistency.Timestamp{Counter: counter, Node: node}
	}
	for i, c := range []struct{ has, atLeast consistency.Timestamp }{
		{at(5, 6), at(5, 7)}, {at(5, 7), at(6, 6)}, {at(5, 7), at(5, 6)}, {at(6, 6), at(5, 7)}, {at(5, 6), at(5, 6)},
	} {
		key := fmt.Sprint("remembered ", i)
		remembered, newer := consistency.Cell{Value: "remembered", Timestamp: c.has}, consistency.Cell{Value: "newer", Timestamp: c.atLeast}
		for _, id := range q.replicas {
			q.store(id, key, remembered)
		}
		q.reaches(via, q.replicas...)
		q.get(via, key, consistency.ReadOptions{Level: quorum})
		opts := consistency.ReadOptions{MaxStale: time.Minute, AtLeast: c.atLeast}
		if quorumCompare(c.has, c.atLeast) >= 0 {
			q.reaches(via)
			q.want(ruleStaleness, q.goGet(via, key, opts), remembered, "its coordinator has just read it at QUORUM, and reaches no replica now")
			continue
		}
		for _, id := range q.replicas {
			q.store(id, key, newer)
		}
		q.want(ruleAtLeast, q.goGet(via, key, opts), newer, "the cell that its coordinator has read before is older than AtLeast")
	}
}

// At the bound and right before it, what was read at QUORUM is young enough; right after it, it is not; and to read it with MaxStale in between
// makes it no younger (rule 30).
func TestEdgeOfTheBound6D(t *testing.T) {
	const bound = time.Second
	labtest.Run(t, labtest.Config{Nodes: 8, Seeds: 4}, func(s *labtest.Sim) {
		q := newQuorumStore(s, 2)
		a, b := q.first, q.first+1
		old := q.put(a, "x", quorum)
		began := s.Net.Now()
		q.get(b, "x", consistency.ReadOptions{Level: quorum})
		newer := q.put(a, "x", quorum)
		q.reaches(b)
		for _, age := range []time.Duration{bound / 2, bound * 3 / 4, bound - 100*time.Microsecond, bound} {
			s.Run(began + age - s.Net.Now())
			q.want(ruleStaleness, q.goGet(b, "x", consistency.ReadOptions{MaxStale: bound}), old, fmt.Sprintf("the coordinator read it at QUORUM %v ago, and reaches no replica now", age))
		}
		q.reaches(b, q.replicas...)
		s.Run(began + bound + 100*time.Microsecond - s.Net.Now())
		q.want(ruleStaleness, q.goGet(b, "x", consistency.ReadOptions{MaxStale: bound}), newer, "the older value was read longer ago than MaxStale")
		// The last read was at QUORUM too. From now on, reads with MaxStale cost nothing, but do not go on for good.
		newest := q.put(a, "x", quorum)
		var got consistency.Cell
		for range 10 {
			s.Run(300 * time.Millisecond)
			got = q.get(b, "x", consistency.ReadOptions{MaxStale: bound})
		}
		if got.Value != newest.Value {
			s.Failf(ruleStaleness, "a read with MaxStale %v returned %s, 3s after %s was written at QUORUM", bound, quorumCell(got), quorumCell(newest))
		}
		q.staleReadAsksItsLevel(a, b)
	})
}

// staleReadAsksItsLevel reads with MaxStale a key that the coordinator has not read yet: a read whose Level is ALL asks all (rule 30).
func (q *quorumStore) staleReadAsksItsLevel(a, b labrpc.NodeID) {
	wrote := q.put(a, "unread", one)
	q.s.Run(2 * quorumTimeout)
	q.s.Net.Crash(q.replicas[4])
	call := q.goGet(b, "unread", consistency.ReadOptions{Level: all, MaxStale: time.Minute})
	if got, err := q.wait(call); err == nil {
		q.s.Failf(ruleStaleness, "%s returned %s, want ErrUnavailable: its coordinator had not read the key before, and n5 is down", call.what, quorumCell(got))
	}
	q.want(ruleStaleness, q.goGet(b, "unread", consistency.ReadOptions{Level: quorum, MaxStale: time.Minute}), wrote, "a majority has it")
	// What it has read is older than AtLeast, and it reaches only the one replica that has a cell that is not.
	newer := consistency.Cell{Value: "at one", Timestamp: wrote.Timestamp}
	newer.Timestamp.Counter++
	q.store(q.replicas[0], "unread", newer)
	q.reaches(b, q.replicas[0])
	call = q.goGet(b, "unread", consistency.ReadOptions{MaxStale: time.Minute, AtLeast: newer.Timestamp})
	if got, err := q.wait(call); err == nil {
		q.s.Failf(ruleStaleness, "%s returned %s, want ErrUnavailable: it had read an older cell, and reached one replica of five", call.what, quorumCell(got))
	}
}
