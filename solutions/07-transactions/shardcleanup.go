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

// overdue returns the transactions that this server, as the leader, has known unfinished for a lease. The
// caller must finish them.
//
// The time counts from when this server saw the lock: the client has had all of its lease by then, whatever any
// clock shows. A new leader begins to count again.
func (s *Shard) overdue() []uint64 {
	status := s.raft.Status()
	if status.Role != replication.Leader {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seenTerm != status.Term {
		s.seen, s.seenTerm = map[uint64]time.Time{}, status.Term
	}
	maps.DeleteFunc(s.seen, func(txn uint64, _ time.Time) bool { return !s.unfinished(txn) })
	txns := slices.Collect(maps.Keys(s.state.Open))
	for txn := range s.state.Ended {
		if s.unfinished(txn) {
			txns = append(txns, txn)
		}
	}
	slices.Sort(txns)
	return slices.DeleteFunc(txns, func(txn uint64) bool {
		since, ok := s.seen[txn]
		if !ok {
			s.seen[txn] = time.Now()
		}
		if !ok || time.Since(since) < s.layout.Lease || s.finishes[txn] {
			return true
		}
		s.finishes[txn] = true
		return false
	})
}

// unfinished reports whether a transaction has locks here, or was committed here and others may not know. The
// caller holds s.mu.
func (s *Shard) unfinished(txn uint64) bool {
	_, open := s.state.Open[txn]
	return open || len(s.state.Ended[txn].Tell) > 0
}

// finish aborts a transaction if its home group has not committed it, and tells the outcome to those that do not know.
func (s *Shard) finish(txn uint64) {
	ctx, cancel := context.WithTimeout(s.node.Context(), s.layout.Lease)
	defer cancel()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.finishes, txn)
	}()
	s.mu.Lock()
	open, ok := s.state.Open[txn]
	s.mu.Unlock()
	if ok && open.Home != s.group {
		s.follow(ctx, txn, open.Home)
		return
	}
	s.propose(shardCommand{Op: opAbort, Txn: txn})
	s.mu.Lock()
	end := s.state.Ended[txn]
	s.mu.Unlock()
	if len(end.Tell) > 0 && s.groups.commitAt(ctx, end.Tell, txn, end.At) == nil {
		s.propose(shardCommand{Op: opSettle, Txn: txn})
	}
}

// follow ends a transaction here as its home group has ended it, or now ends it.
func (s *Shard) follow(ctx context.Context, txn uint64, home int) {
	result, err := s.groups.ask(ctx, home, shardCommand{Op: opAbort, Txn: txn})
	switch {
	case err != nil:
	case result.Outcome == outcomeCommitted:
		s.propose(shardCommand{Op: opCommit, Txn: txn, At: result.At})
	case result.Outcome == outcomeAborted:
		s.propose(shardCommand{Op: opAbort, Txn: txn})
	}
}
