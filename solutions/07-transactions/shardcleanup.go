package transactions

import (
	"context"
	"maps"
	"slices"
	"time"

	"distlabs/labs/05-replication"
)

// cleanUp finishes transactions whose clients do not, as long as the node is up.
func (s *Shard) cleanUp() {
	ticker := time.NewTicker(max(s.layout.Lease/20, 20*time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			for i, txn := range s.overdue() { // not in one instant, nor in one in which the group's leader sends: chance would order them
				time.AfterFunc(time.Duration(i+1)*time.Microsecond, func() { s.finish(txn) })
			}
		case <-s.node.Context().Done():
			return
		}
	}
}

// overdue returns the transactions that this server, as the leader, has known unfinished for a lease, or for a lease since it
// returned them. The caller must finish them.
//
// The time counts from when this server saw the lock: the client has had all of its lease by then, whatever any
// clock shows. Another server that becomes the leader begins to count.
func (s *Shard) overdue() (txns []uint64) {
	if s.raft.Status().Role != replication.Leader {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	seen, now := map[uint64]time.Time{}, time.Now()
	for _, txn := range s.unfinished() {
		since, ok := s.seen[txn]
		switch {
		case !ok:
			since = now
		case now.Sub(since) >= s.layout.Lease:
			since = now
			txns = append(txns, txn)
		}
		seen[txn] = since
	}
	s.seen = seen
	return txns
}

// unfinished returns the transactions that have locks here, or were committed here and others may not know. The
// caller holds s.mu.
func (s *Shard) unfinished() []uint64 {
	txns := slices.Collect(maps.Keys(s.state.Open))
	for txn, end := range s.state.Ended {
		if len(end.Tell) > 0 {
			txns = append(txns, txn)
		}
	}
	slices.Sort(txns)
	return txns
}

// finish ends a transaction that has locks here, if its home group, which may be this group, has aborted it or now does. If its home
// group has committed it, that group tells all groups: finish tells them for a transaction that was committed here.
func (s *Shard) finish(txn uint64) {
	ctx, cancel := context.WithTimeout(s.node.Context(), s.layout.Lease/2) // it is called again after a lease
	defer cancel()
	s.mu.Lock()
	open, locked := s.state.Open[txn]
	end := s.state.Ended[txn]
	s.mu.Unlock()
	if locked {
		result, _ := s.groups.ask(ctx, open.Home, shardCommand{Op: opAbort, Txn: txn})
		if result.Outcome == outcomeAborted {
			s.propose(shardCommand{Op: opAbort, Txn: txn})
		}
	} else if s.groups.commitAt(ctx, end.Tell, txn, end.At) == nil {
		s.propose(shardCommand{Op: opSettle, Txn: txn})
	}
}
