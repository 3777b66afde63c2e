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

// Keys and values are any strings. An empty value is a value: it has the timestamp of its write, and replaces an older value (rules 24 and 28).
// Counters of timestamps need all their bits (rule 25).
func TestAnyValue6D(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 7, Seeds: 2}, func(s *labtest.Sim) {
		q := newQuorumStore(s, 1)
		via := q.first
		last := map[string]consistency.Cell{}
		for i, key := range anyStrings {
			for _, value := range []string{"first", "first", anyStrings[len(anyStrings)-1-i], ""} {
				call := q.goPut(via, key, value, quorum)
				wrote := q.mustDo(call)
				got := q.get(via, key, consistency.ReadOptions{Level: quorum})
				if got != wrote {
					s.Failf(ruleOverlap, "the key %.20q: a read at QUORUM returned %s, want %s", key, quorumCell(got), quorumCell(wrote))
				}
				last[key] = wrote
			}
		}
		s.Run(2 * quorumTimeout)
		for _, id := range append(q.replicas, via) {
			s.Net.Crash(id)
			q.start(id)
		}
		for _, key := range anyStrings {
			want := last[key]
			for _, id := range q.replicas {
				if got := q.peek(id, key); got != want {
					s.Failf(ruleHolds, "%v restarted and has %s in the key %.20q, want %s", id, quorumCell(got), key, quorumCell(want))
				}
			}
		}
		q.emptyIsNewer(via)
		q.largeCounters(via)
	})
}

// emptyIsNewer reads keys whose last value is empty and reached one replica only: many, for code may compare the replies in the order of
// a map (rule 24).
func (q *quorumStore) emptyIsNewer(via labrpc.NodeID) {
	for i := range 10 {
		key := fmt.Sprint("emptied ", i)
		for _, id := range q.replicas {
			q.store(id, key, consistency.Cell{Value: "old", Timestamp: consistency.Timestamp{Counter: 1, Node: 9}})
		}
		empty := consistency.Cell{Timestamp: consistency.Timestamp{Counter: 2, Node: 9}}
		q.store(q.replicas[q.s.Rand().IntN(len(q.replicas))], key, empty)
		q.want(ruleOverlap, q.goGet(via, key, consistency.ReadOptions{Level: all}), empty, "that is the last write, of an empty value")
	}
}

// largeCounters writes keys whose counters do not fit into 8, 16 or 32 bits: a write exceeds them, also after its coordinator restarts (rule 25).
func (q *quorumStore) largeCounters(via labrpc.NodeID) {
	s := q.s
	for _, counter := range []uint64{254, 1<<10 - 2, 1<<12 - 2, 1<<16 - 2, 1<<31 - 2, 1<<32 - 2, 1<<53 - 2, 1 << 62} {
		key := fmt.Sprint("key ", counter)
		old := consistency.Cell{Value: "old", Timestamp: consistency.Timestamp{Counter: counter, Node: 9}}
		for _, id := range q.replicas {
			q.store(id, key, old)
		}
		for turn := range 4 {
			// The replica that it reaches first has not seen the write before.
			q.reaches(via, q.replicas[turn], q.replicas[turn+1])
			wrote := q.put(via, key, one)
			if quorumCompare(wrote.Timestamp, old.Timestamp) <= 0 {
				s.Failf(ruleNewer, "a Put of %s got the timestamp %v, want a newer one than that of its previous write, %v", key, wrote.Timestamp, old.Timestamp)
			}
			if got := wrote.Timestamp.Compare(old.Timestamp); got <= 0 {
				s.Failf(ruleNewer, "%v.Compare(%v) = %d, want more than 0", wrote.Timestamp, old.Timestamp, got)
			}
			old = wrote
			s.Net.Crash(via)
			q.start(via)
		}
		q.reaches(via, q.replicas...)
		q.want(ruleNewer, q.goGet(via, key, consistency.ReadOptions{Level: all}), old, "that is the last write")
	}
}

// A write fails, and one replica has it. The next write of the same coordinator reaches other replicas only. It gets a timestamp of its own, and
// is the newer one (rule 25).
func TestTimestampsRise6D(t *testing.T) {
	const covered = "a write failed, and one replica had it"
	labtest.Run(t, labtest.Config{Nodes: 8, Seeds: 5, MustCover: []string{covered}}, func(s *labtest.Sim) {
		q := newQuorumStore(s, 2)
		via := q.first
		lost := newDropper(s)
		for round := range 3 {
			key := fmt.Sprint("key ", round)
			q.put(via, key, all)
			s.Run(2 * quorumTimeout)
			lost.set(func(m *labrpc.Message) bool { return m.Method == "Store" && m.From == via && m.To != 1 })
			call := q.goPut(via, key, "failed", quorum)
			if got, err := q.wait(call); err == nil {
				s.Failf(ruleLevels, "%s returned %s, want an error: one replica of five has this value", call.what, quorumCell(got))
			}
			lost.set(nil)
			failed := q.peek(1, key)
			if failed.Value == "failed" {
				s.Cover(covered)
			}
			if round == 1 {
				s.Net.Crash(via)
				q.start(via)
			}
			q.reaches(via, q.replicas[1:]...)
			wrote := q.put(via, key, quorum)
			if failed.Value == "failed" && quorumCompare(wrote.Timestamp, failed.Timestamp) <= 0 {
				s.Failf(ruleNewer, "a write has the timestamp %v, want a newer one than %v: the same coordinator gave that to an earlier write, which failed and is on n1", wrote.Timestamp, failed.Timestamp)
			}
			q.reaches(via, q.replicas...)
		}
		q.allExceedsOne(via, via+1)
		q.risesAfterJumps(via)
	})
}

// risesAfterJumps: all replicas have a cell whose counter is far above the last one of the coordinator, from another coordinator. A Put exceeds it, reaches one replica,
// and its coordinator crashes. The next Put, which does not reach that replica, is newer still, however wide the jump was (rule 25).
func (q *quorumStore) risesAfterJumps(via labrpc.NodeID) {
	for i, jump := range []uint64{3, 99, 1000, 1 << 16, 1 << 33} {
		q.reaches(via, q.replicas...)
		last := q.put(via, "jumps", all)
		q.s.Run(2 * quorumTimeout)
		ahead := consistency.Timestamp{Counter: last.Timestamp.Counter + jump, Node: via + 1}
		for _, id := range q.replicas {
			q.store(id, "jumps", consistency.Cell{Value: fmt.Sprint("ahead by ", jump), Timestamp: ahead})
		}
		q.reaches(via, q.replicas[i])
		first := q.put(via, "jumps", one)
		q.s.Net.Crash(via)
		q.start(via)
		q.reaches(via, slices.Delete(slices.Clone(q.replicas), i, i+1)...)
		second := q.put(via, "jumps", quorum)
		if quorumCompare(first.Timestamp, ahead) <= 0 {
			q.s.Failf(ruleNewer, "a write at ONE has the timestamp %v, want a newer one than %v, which all replicas have", first.Timestamp, ahead)
		}
		if quorumCompare(second.Timestamp, first.Timestamp) <= 0 {
			q.s.Failf(ruleNewer, "a write has the timestamp %v at %v, want a newer one than %v: the same coordinator gave that to a write on %v before it crashed", second.Timestamp, labtest.At(q.s.Net.Now()), first.Timestamp, q.replicas[i])
		}
	}
}

// allExceedsOne writes at ONE and then at ALL. A write at ALL is newer than every write at ONE, although the one replica that has those answers last (rule 25).
func (q *quorumStore) allExceedsOne(a, b labrpc.NodeID) {
	s := q.s
	q.reaches(a, q.replicas[4])
	for range 5 {
		q.put(a, "z", one)
	}
	s.Run(2 * quorumTimeout)
	s.Net.SetLink(b, q.replicas[4], labrpc.Link{Latency: labrpc.Fixed(50 * time.Millisecond)})
	want := q.put(b, "z", all)
	if got := q.peek(q.replicas[4], "z"); got.Value != want.Value {
		s.Failf(ruleNewer, "%v has %s at %v, want %s: %v wrote this value later, at ALL, and must give it a higher timestamp", q.replicas[4], quorumCell(got), labtest.At(s.Net.Now()), quorumCell(want), want.Timestamp.Node)
	}
	q.want(ruleNewer, q.goGet(b, "z", consistency.ReadOptions{Level: quorum}), want, "it was written at ALL, and is the last write")
}

// A write is on some replicas, but on fewer than the level of a read says, and the read's repair does not arrive. So the read fails (rule 27).
func TestRepairMustArrive6D(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 8, Seeds: 4}, func(s *labtest.Sim) {
		q := newQuorumStore(s, 2)
		a, b := q.first, q.first+1
		lost := newDropper(s)
		for _, level := range []consistency.Level{quorum, all} {
			for has := 1; has < level.Required(5); has++ {
				key := fmt.Sprint(level, " ", has)
				old := q.put(a, key, all)
				s.Run(2 * quorumTimeout)
				half := consistency.Cell{Value: "half", Timestamp: consistency.Timestamp{Counter: old.Timestamp.Counter + 1, Node: a}}
				if has%2 == 1 { // another coordinator has used the same counter
					half.Timestamp = consistency.Timestamp{Counter: old.Timestamp.Counter, Node: b}
				}
				for _, id := range q.replicas[:has] {
					q.store(id, key, half)
				}
				lost.set(func(m *labrpc.Message) bool { return m.Method == "Store" && m.From == b && int(m.To) > has })
				q.reaches(b, q.replicas[:level.Required(5)]...)
				call := q.goGet(b, key, consistency.ReadOptions{Level: level})
				if got, err := q.wait(call); err == nil {
					s.Failf(ruleRepairs, "%s returned %s, want ErrUnavailable: %d of the replicas that answered have this value, and no Store arrives at the others", call.what, quorumCell(got), has)
				}
				lost.set(nil)
			}
		}
		q.repairsEqualValues(a, b, lost)
	})
}

// repairsEqualValues reads a value that was written twice. A read returns the newer one only when as many replicas as its level says have that (rule 27). The
// Stores of the first half of Timeout are lost: it asks again (rule 23).
func (q *quorumStore) repairsEqualValues(a, b labrpc.NodeID, lost *dropper) {
	s := q.s
	for _, level := range []consistency.Level{quorum, all} {
		key := level.String()
		q.put(a, key, all)
		s.Run(2 * quorumTimeout)
		newer := q.peek(1, key)
		newer.Timestamp.Counter += 5
		q.store(1, key, newer)
		q.reaches(b, q.replicas[:level.Required(5)]...)
		lost.set(func(m *labrpc.Message) bool { return m.Method == "Store" && m.From == b })
		call := q.goGet(b, key, consistency.ReadOptions{Level: level})
		s.Run(quorumTimeout * 6 / 10)
		lost.set(nil)
		q.want(ruleRepairs, call, newer, "n1 has it")
		q.reaches(b)
		q.want(ruleStaleness, q.goGet(b, key, consistency.ReadOptions{MaxStale: 2 * quorumTimeout}), newer, "the coordinator has just read it, and repaired it")
		for _, id := range q.replicas[:level.Required(5)] {
			if got := q.peek(id, key); got != newer {
				s.Failf(ruleRepairs, "a read at %v returned %s, but %v has %s, want the newer one there too: a read repairs", level, quorumCell(newer), id, quorumCell(got))
			}
		}
	}
}
