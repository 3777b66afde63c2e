package transactions

import (
	"maps"
	"slices"

	"distlabs/labrpc"
)

const (
	// shardVersions is how many versions of a key a group keeps.
	shardVersions = 20
	// shardRecords is how many finished transactions a group remembers, at least.
	shardRecords = 100
	// timestampGroup is the group that issues the timestamps.
	timestampGroup = 0
)

// A shardCommand is what a client, or another group, asks a group to do. All of them go through the log, reads
// too: so no deposed leader can serve one.
type shardCommand struct {
	Op     shardOp
	Txn    uint64 // the transaction: its name is the timestamp at which it reads
	At     uint64 // for commit: the timestamp at which the writes take effect
	Key    string // for read
	Reads  []string
	Writes []shardWrite
	Home   int   // for lock: the group that decides
	Groups []int // for lock: all groups that take part
}

// A shardOp is what a shardCommand does.
type shardOp int

const (
	opTimestamp shardOp = iota + 1 // issue a timestamp
	opRead                         // read a key as of a timestamp
	opLock                         // lock the keys of a transaction, and keep its writes
	opCommit                       // make the writes take effect, and unlock
	opAbort                        // drop the writes, and unlock
	opSettle                       // all groups and the client know the outcome
)

// A shardWrite is one write of a transaction.
type shardWrite struct {
	Key, Value string
}

// A shardOutcome is what a command came to.
type shardOutcome int

const (
	outcomeDone      shardOutcome = iota + 1
	outcomeLocked                 // a read met a lock
	outcomeConflict               // nothing was locked
	outcomeCommitted              // the transaction has been committed
	outcomeAborted                // it never will be
	outcomeForgotten              // it ended long ago; which way is not known any more
)

// A shardResult is the result of a command.
type shardResult struct {
	Outcome shardOutcome
	At      uint64 // the timestamp that was issued, or at which the transaction was committed
	Value   string // of a read
	Found   bool
}

// A shardState is what the servers of a group agree on. It follows from the log alone.
type shardState struct {
	Clock  uint64 // the last timestamp that was issued
	Values map[string][]shardVersion
	Locks  map[string]shardLock
	Open   map[uint64]shardOpen   // transactions that hold locks here
	Ended  map[uint64]shardEnding // transactions that have ended here
	// Floor is at least every transaction that was dropped from Ended: a transaction up to here can lock nothing.
	Floor uint64
}

// A shardVersion is the value that a key has from a timestamp on.
type shardVersion struct {
	At    uint64
	Value string
}

// A shardLock holds a key for one writer, or for readers.
type shardLock struct {
	Writer  uint64
	Readers []uint64
}

// A shardOpen is the part of an undecided transaction that is in this group.
type shardOpen struct {
	Home   int
	Groups []int
	Reads  []string
	Writes []shardWrite
}

// A shardEnding is how a transaction ended.
type shardEnding struct {
	At uint64 // 0: aborted
	// Tell has the groups that took part, in the group that has decided to commit, until all of them and the client know.
	// Until then this must not be dropped: they could not tell a commit that is forgotten from one that never was.
	Tell []int
}

func newShardState() shardState {
	return shardState{
		Values: map[string][]shardVersion{}, Locks: map[string]shardLock{},
		Open: map[uint64]shardOpen{}, Ended: map[uint64]shardEnding{},
	}
}

// apply executes a command at a group. Each of them may come twice, and late.
func (s *shardState) apply(group int, c shardCommand) shardResult {
	switch c.Op {
	case opTimestamp:
		s.Clock++
		return shardResult{Outcome: outcomeDone, At: s.Clock}
	case opRead:
		return s.read(c.Key, c.Txn)
	case opLock:
		return s.lock(c)
	case opCommit:
		return s.commit(group, c)
	case opAbort:
		return s.abort(c.Txn)
	case opSettle:
		if e, ok := s.Ended[c.Txn]; ok {
			e.Tell = nil
			s.Ended[c.Txn] = e
		}
	}
	return shardResult{Outcome: outcomeDone}
}

// read returns the value that a key has at a timestamp.
//
// The writer of a lock may already have its commit timestamp, and a lower one than ours: only
// its end shows whether we must see its write. If it read later than we do, it commits later too.
func (s *shardState) read(key string, at uint64) shardResult {
	if l := s.Locks[key]; l.Writer != 0 && l.Writer < at {
		return shardResult{Outcome: outcomeLocked}
	}
	versions := s.Values[key]
	for _, v := range slices.Backward(versions) {
		if v.At <= at {
			return shardResult{Outcome: outcomeDone, Value: v.Value, Found: true}
		}
	}
	if len(versions) == shardVersions {
		return shardResult{Outcome: outcomeConflict} // the version may have been dropped
	}
	return shardResult{Outcome: outcomeDone}
}

// lock locks all keys of a transaction in this group, or none of them.
func (s *shardState) lock(c shardCommand) shardResult {
	if e, ok := s.Ended[c.Txn]; ok {
		return e.result()
	}
	if _, ok := s.Open[c.Txn]; ok {
		return shardResult{Outcome: outcomeDone}
	}
	if s.mayBeForgotten(c.Txn) || !s.free(c) {
		return shardResult{Outcome: outcomeConflict}
	}
	for _, w := range c.Writes {
		s.Locks[w.Key] = shardLock{Writer: c.Txn}
	}
	for _, key := range c.Reads {
		l := s.Locks[key]
		l.Readers = append(l.Readers, c.Txn)
		s.Locks[key] = l
	}
	s.Open[c.Txn] = shardOpen{Home: c.Home, Groups: c.Groups, Reads: c.Reads, Writes: c.Writes}
	return shardResult{Outcome: outcomeDone}
}

// free reports whether a transaction can have its locks: no other has one that excludes them, and what it has read
// is still the newest version.
func (s *shardState) free(c shardCommand) bool {
	for _, key := range c.Reads {
		versions := s.Values[key]
		if s.Locks[key].Writer != 0 || len(versions) > 0 && versions[len(versions)-1].At > c.Txn {
			return false
		}
	}
	for _, w := range c.Writes {
		if l := s.Locks[w.Key]; l.Writer != 0 || len(l.Readers) > 0 {
			return false
		}
	}
	return true
}

// commit commits a transaction. In the group that decides, this is the decision.
func (s *shardState) commit(group int, c shardCommand) shardResult {
	if e, ok := s.Ended[c.Txn]; ok {
		return e.result()
	}
	open, ok := s.Open[c.Txn]
	if !ok {
		return shardResult{Outcome: outcomeForgotten}
	}
	for _, w := range open.Writes {
		versions := append(s.Values[w.Key], shardVersion{At: c.At, Value: w.Value})
		s.Values[w.Key] = versions[max(0, len(versions)-shardVersions):]
	}
	end := shardEnding{At: c.At}
	if open.Home == group {
		end.Tell = open.Groups
	}
	s.end(c.Txn, end)
	return end.result()
}

// abort aborts a transaction, unless it has been committed. It is remembered even if it has no lock
// here: a request to lock may still be on its way.
func (s *shardState) abort(txn uint64) shardResult {
	if e, ok := s.Ended[txn]; ok {
		return e.result()
	}
	if _, ok := s.Open[txn]; ok || !s.mayBeForgotten(txn) {
		s.end(txn, shardEnding{})
	}
	return shardResult{Outcome: outcomeAborted}
}

// mayBeForgotten reports whether a transaction that is not in Ended may have ended here all the same.
func (s *shardState) mayBeForgotten(txn uint64) bool { return txn <= s.Floor }

// end ends a transaction in this group and gives its locks back.
func (s *shardState) end(txn uint64, e shardEnding) {
	for _, w := range s.Open[txn].Writes {
		delete(s.Locks, w.Key) // no other transaction has a lock of it
	}
	for _, key := range s.Open[txn].Reads {
		readers := slices.DeleteFunc(s.Locks[key].Readers, func(o uint64) bool { return o == txn })
		if len(readers) == 0 {
			delete(s.Locks, key)
		} else {
			s.Locks[key] = shardLock{Readers: readers}
		}
	}
	delete(s.Open, txn)
	s.Ended[txn] = e
	if len(s.Ended) > 2*shardRecords {
		s.drop()
	}
}

// drop drops the oldest endings for which nothing asks any more.
func (s *shardState) drop() {
	for _, txn := range slices.Sorted(maps.Keys(s.Ended)) {
		if len(s.Ended) <= shardRecords {
			return
		}
		if len(s.Ended[txn].Tell) == 0 {
			delete(s.Ended, txn)
			s.Floor = max(s.Floor, txn)
		}
	}
}

func (e shardEnding) result() shardResult {
	if e.At == 0 {
		return shardResult{Outcome: outcomeAborted}
	}
	return shardResult{Outcome: outcomeCommitted, At: e.At}
}

// encode and decode are for the snapshot.
func (s *shardState) encode() ([]byte, error) { return labrpc.Marshal(*s) }

func decodeShardState(data []byte) (shardState, error) {
	s := newShardState()
	err := labrpc.Unmarshal(data, &s)
	return s, err
}
