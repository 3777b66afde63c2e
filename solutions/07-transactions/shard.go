package transactions

import (
	"sync"
	"time"

	"distlabs/labrpc"
	"distlabs/labs/05-replication"
)

const (
	// shardApplyTimeout is how long a server waits until its entry is applied.
	shardApplyTimeout = time.Second
	// shardLockWait is how long a server lets a read wait for a lock. After that the client asks again.
	shardLockWait = 250 * time.Millisecond
)

// A Shard is one server of one group of a sharded store.
type Shard struct {
	node   *labrpc.Node
	layout Layout
	group  int // the index of its group
	raft   *replication.Raft
	groups *shardCaller

	mu       sync.Mutex
	state    shardState
	snapshot int                 // the index of the last snapshot
	waiting  map[int]shardWaiter // by the index that their entry should get
	locked   []chan struct{}     // of reads that wait for a lock, in the order of their entries; closed when a transaction ends
	woken    []chan struct{}     // those to close now
	waking   bool                // whether wakeInOrder runs

	seen     map[uint64]time.Time // of a leader: since when it has known an unfinished transaction
	seenTerm int                  // the term in which seen was begun
	finishes map[uint64]bool      // transactions that this server is finishing
}

// A shardWaiter is a request whose entry has not been applied.
type shardWaiter struct {
	term     int
	reply    chan shardReply // has room for the one reply
	unlocked chan struct{}   // of a read that met a lock, else nil: closed when a transaction ends
}

// A shardReply answers a shardCommand.
type shardReply struct {
	Served bool          // false: not by this server; the command may still be applied
	Leader labrpc.NodeID // if not served: the server to ask instead; 0 if not known
	Result shardResult
}

// StartShard starts a server of the group to which the node belongs, with what an earlier incarnation left on the disk. It
// returns at once. All goroutines that it starts end when node.Context() ends.
func StartShard(node *labrpc.Node, layout Layout) *Shard {
	if layout.SnapshotEvery == 0 {
		layout.SnapshotEvery = 500
	}
	s := &Shard{
		node: node, layout: layout, group: layout.Member(node.ID()), groups: newShardCaller(node, layout),
		state: newShardState(), waiting: map[int]shardWaiter{},
		seen: map[uint64]time.Time{}, finishes: map[uint64]bool{},
	}
	// Raft may apply entries before s.raft is set: until then, apply waits.
	s.mu.Lock()
	defer s.mu.Unlock()
	s.raft = replication.StartRaft(node, layout.Groups[s.group], s.apply)
	labrpc.Handle(node, "Execute", s.execute)
	go s.cleanUp()
	return s
}

// Raft returns the server's Raft.
func (s *Shard) Raft() *replication.Raft { return s.raft }

// execute executes a command. A read that meets a lock waits for its end, for a while.
func (s *Shard) execute(from labrpc.NodeID, c shardCommand) shardReply {
	deadline := time.Now().Add(shardLockWait)
	for {
		unlocked := make(chan struct{})
		reply := s.proposeRead(c, unlocked)
		if !reply.Served || reply.Result.Outcome != outcomeLocked || !s.await(unlocked, deadline) {
			return reply
		}
	}
}

// await waits until a transaction ends, and reports whether one did before the deadline.
func (s *Shard) await(unlocked <-chan struct{}, deadline time.Time) bool {
	left := time.Until(deadline)
	if left <= 0 {
		return false // a select would choose at random if one has ended too
	}
	timeout := time.NewTimer(left)
	defer timeout.Stop()
	select {
	case <-unlocked:
		return true
	case <-timeout.C:
	case <-s.node.Context().Done():
	}
	return false
}

// propose puts a command into the log and waits until it is applied.
func (s *Shard) propose(c shardCommand) shardReply { return s.proposeRead(c, nil) }

// proposeRead is propose. If the command met a lock, unlocked is closed when a transaction ends.
func (s *Shard) proposeRead(c shardCommand, unlocked chan struct{}) shardReply {
	data, err := labrpc.Marshal(c)
	if err != nil {
		return shardReply{}
	}
	// The lock is held from before the entry exists until we wait for it: otherwise it could be applied in between.
	s.mu.Lock()
	index, term, leader := s.raft.Submit(data)
	if !leader {
		s.mu.Unlock()
		return s.elsewhere()
	}
	w := shardWaiter{term: term, reply: make(chan shardReply, 1), unlocked: unlocked}
	s.waiting[index] = w
	s.mu.Unlock()

	timeout := time.NewTimer(shardApplyTimeout)
	defer timeout.Stop()
	select {
	case reply := <-w.reply:
		return reply
	case <-timeout.C:
	case <-s.node.Context().Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting[index] == w {
		delete(s.waiting, index)
	}
	return shardReply{}
}

// elsewhere names the leader, if it is another server and known.
func (s *Shard) elsewhere() shardReply {
	if leader := s.raft.Status().Leader; leader != s.node.ID() {
		return shardReply{Leader: leader}
	}
	return shardReply{}
}

// apply applies the next entry, and gives its result to the request that waits for it.
func (s *Shard) apply(a replication.Applied) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.Snapshot != nil {
		s.restore(a)
		return
	}
	var result shardResult
	// An entry without a command was added by Raft, or by a test.
	if len(a.Command) > 0 {
		var c shardCommand
		if err := labrpc.Unmarshal(a.Command, &c); err != nil {
			s.node.Logf("shard: entry %d is no command: %v", a.Index, err)
			return
		}
		result = s.state.apply(s.group, c)
		if c.Op == opCommit || c.Op == opAbort {
			s.wake()
		}
	}
	if w, ok := s.waiting[a.Index]; ok {
		delete(s.waiting, a.Index)
		if result.Outcome == outcomeLocked && w.unlocked != nil {
			s.locked = append(s.locked, w.unlocked)
		}
		// The entry at this index may be another leader's. Do not compare the index alone.
		w.reply <- shardReply{Served: w.term == a.Term, Result: result}
	}
	if a.Index >= s.snapshot+s.layout.SnapshotEvery {
		s.save(a.Index)
	}
}

// wake wakes the reads that wait for a lock. The caller holds s.mu.
func (s *Shard) wake() {
	s.woken = append(s.woken, s.locked...)
	s.locked = nil
	if len(s.woken) > 0 && !s.waking {
		s.waking = true
		go s.wakeInOrder()
	}
}

// wakeInOrder wakes reads one after another: the first to wait is the first to be proposed again.
func (s *Shard) wakeInOrder() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.woken) > 0 {
		close(s.woken[0])
		s.woken = s.woken[1:]
		s.mu.Unlock()
		time.Sleep(time.Microsecond)
		s.mu.Lock()
	}
	s.waking = false
}

// restore replaces the state with a snapshot. The caller holds s.mu.
func (s *Shard) restore(a replication.Applied) {
	state, err := decodeShardState(a.Snapshot)
	if err != nil {
		s.node.Logf("shard: the snapshot up to %d cannot be read: %v", a.Index, err)
		return
	}
	s.state, s.snapshot = state, a.Index
	s.wake()
	for index, w := range s.waiting {
		if index <= a.Index {
			// The snapshot may contain its entry, or not.
			delete(s.waiting, index)
			w.reply <- shardReply{}
		}
	}
}

// save gives Raft a snapshot of the state. The caller holds s.mu.
func (s *Shard) save(index int) {
	data, err := s.state.encode()
	if err != nil {
		s.node.Logf("shard: the state cannot be encoded: %v", err)
		return
	}
	s.snapshot = index
	s.raft.Snapshot(index, data)
}
