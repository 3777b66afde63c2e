package consistency_test

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	consistency "distlabs/labs/06-consistency"
)

// A replica crashes before or after any write to its disk. It keeps every cell whose Store it has
// replied to, or a newer one; an older one does not come back (rule 28).
func TestReplicaSurvivesCrash6D(t *testing.T) {
	const crashed = "a replica crashed in the middle of a store"
	labtest.Run(t, labtest.Config{Nodes: 3, Seeds: 4, MustCover: []string{crashed}, Simultaneous: true}, func(s *labtest.Sim) {
		q := newQuorumStore(s, 1)
		keys := []string{"x", "y"}
		had := map[string]consistency.Cell{}
		for i := range 24 {
			key := keys[i%2]
			cell := consistency.Cell{Value: q.value(), Timestamp: consistency.Timestamp{Counter: uint64(20 + i - 10*(i%3)), Node: 2}}
			if i%4 == 3 {
				s.Net.CrashAtWrite(1, labrpc.CrashPoint{Write: s.Net.Writes(1) + 1 + i/4%2, After: i/8%2 == 0})
			}
			_, answered := quorumTry[consistency.StoreReply](q, 1, "Store", consistency.StoreRequest{Key: key, Cell: cell})
			if !answered && s.Net.Up(1) {
				s.Failf(ruleHolds, "n1 had not replied to a Store by %v", labtest.At(s.Net.Now()))
			}
			if !s.Net.Up(1) {
				s.Cover(crashed)
				q.start(1)
			}
			if answered && quorumCompare(cell.Timestamp, had[key].Timestamp) > 0 {
				had[key] = cell
			}
			if i%5 == 4 {
				s.Net.Crash(1)
				q.start(1)
			}
			for _, key := range keys {
				got := q.peek(1, key)
				if quorumCompare(got.Timestamp, had[key].Timestamp) < 0 {
					s.Failf(ruleHolds, "n1 has %s in %s at %v, although it has replied to a Store of %s", quorumCell(got), key, labtest.At(s.Net.Now()), quorumCell(had[key]))
				}
				had[key] = got
			}
		}
		s.Net.CrashAtWrite(1, labrpc.CrashPoint{})
		old := consistency.Cell{Value: "old", Timestamp: consistency.Timestamp{Counter: 1, Node: 9}}
		q.store(1, "x", old)
		if got := q.peek(1, "x"); got != had["x"] {
			s.Failf(ruleHolds, "n1 has %s in x at %v, although it had %s before", quorumCell(got), labtest.At(s.Net.Now()), quorumCell(had["x"]))
		}
		q.storesAtOnce()
	})
}

// storesAtOnce sends n1 several Stores of a key, for many keys, which arrive in one instant, and crashes it when it has replied to all. It keeps
// the newest cell of each.
func (q *quorumStore) storesAtOnce() {
	const keys, stores = 40, 8
	s := q.s
	defer labtest.Threads(1)()
	held := s.Net.Hold(labrpc.Match{To: 1, Method: "Store"})
	var replied atomic.Int64
	for key := range keys {
		replied.Store(0)
		for _, i := range s.Rand().Perm(stores) {
			cell := consistency.Cell{Value: fmt.Sprint("v", i), Timestamp: consistency.Timestamp{Counter: uint64(i + 1), Node: 2}}
			go func() {
				_, err := labrpc.Call[consistency.StoreReply](q.probe.Context(), q.probe, 1, "Store", consistency.StoreRequest{Key: fmt.Sprint(key), Cell: cell})
				if err == nil {
					replied.Add(1)
				}
			}()
			s.Run(0) // so that they arrive in this order: what is sent in one instant is sorted
		}
		held.DeliverAtOnce(nil)
		if !s.Until(time.Second, func() bool { return replied.Load() == stores }) {
			s.Failf(ruleHolds, "n1 received %d Stores in one instant, and had replied to %d of them a second later, at %v, want all", stores, replied.Load(), labtest.At(s.Net.Now()))
		}
	}
	held.Release()
	s.Net.Crash(1)
	q.start(1)
	for key := range keys {
		if cell := q.peek(1, fmt.Sprint(key)); cell.Timestamp.Counter != stores {
			s.Failf(ruleHolds, "n1 replied to %d Stores of one key that came in one instant, crashed, and has %s at %v, want the newest of them, with the counter %[1]d",
				stores, quorumCell(cell), labtest.At(s.Net.Now()))
		}
	}
}

// Three coordinators read and write at QUORUM over lossy links, while replicas and
// coordinators crash and the network is partitioned. All results at QUORUM
// are linearizable; reads at ONE, made at the same time, are not (rules 24, 25 and 27).
func TestQuorumsUnderFaults6D(t *testing.T) {
	const (
		stale   = "a read at ONE was behind what was acknowledged"
		unknown = "a write failed, and may have happened"
	)
	cfg := labtest.Config{Nodes: 9, Link: labrpc.FairLoss(0.1), MustCover: []string{stale, unknown}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		q := newQuorumStore(s, 3)
		hist := &quorumHistory{q: q}
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
					calls = append(calls, hist.put(client, via))
				} else {
					calls = append(calls, hist.get(client, via))
				}
			}
			weak := q.goGet(q.first+labrpc.NodeID(s.Rand().IntN(3)), "x", consistency.ReadOptions{Level: one})
			floor := acknowledged
			if cell, err := q.wait(weak); err == nil && cell.Timestamp.Counter < floor {
				s.Cover(stale)
			}
			for _, call := range calls {
				cell, err := hist.finish(call)
				switch {
				case err == nil:
					acknowledged = max(acknowledged, cell.Timestamp.Counter)
				case hist.wrote(call):
					s.Cover(unknown)
				}
			}
			hist.check()
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
		q.mustDo(hist.get(0, 6))
		q.mustDo(hist.put(1, 7))
		for _, call := range slices.Clone(hist.calls) {
			_, _ = hist.finish(call)
		}
		hist.check()
	})
}
