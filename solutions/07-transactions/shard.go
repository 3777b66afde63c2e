package transactions

import (
	"sync"
	"time"

	"distlabs/labrpc"
	"distlabs/labs/05-replication"
)

// shardApplyTimeout is how long a server waits until its entry is applied.
const shardApplyTimeout = time.Second

// A Shard is one server of one group of a sharded store.
type Shard struct {
	node   *labrpc.Node
	layout Layout
	group  int // the index of its group
	raft   *replication.Raft
	groups *shardCaller

	mu       sync.Mutex
	state    shardState
	snapshot int                  // the index of the last snapshot
	waiting  map[int]shardWaiter  // by the index that their entry should get
	seen     map[uint64]time.Time // of a leader: since when it has known an unfinished transaction, or when it last tried to finish it
}

// A shardWaiter is a request whose entry has not been applied.
type shardWaiter struct {
	term  int
	reply chan shardReply // has room for the one reply
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

func (s *Shard) execute(from labrpc.NodeID, c shardCommand) shardReply { return s.propose(c) }

// propose puts a command into the log and waits until it is applied.
func (s *Shard) propose(c shardCommand) shardReply {
	data, err := labrpc.Marshal(c)
	if err != nil {
		return shardReply{}
	}
	// The lock is held from before the entry exists until we wait for it: otherwise it could be applied in between.
	s.mu.Lock()
	index, term, leader := s.raft.Submit(data)
	if !leader {
		s.mu.Unlock()
		return shardReply{Leader: s.raft.Status().Leader}
	}
	reply := make(chan shardReply, 1)
	s.waiting[index] = shardWaiter{term: term, reply: reply}
	s.mu.Unlock()

	select {
	case reply := <-reply:
		return reply
	case <-time.After(shardApplyTimeout):
	case <-s.node.Context().Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.waiting, index) // another request may have the index by now: its client asks again
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
	var c shardCommand
	var result shardResult
	// An entry without a command was added by Raft, or by a test.
	if labrpc.Unmarshal(a.Command, &c) == nil {
		result = s.state.apply(s.group, c)
	}
	if w, ok := s.waiting[a.Index]; ok {
		delete(s.waiting, a.Index)
		// The entry at this index may be another leader's. Do not compare the index alone.
		w.reply <- shardReply{Served: w.term == a.Term, Result: result}
	}
	if a.Index >= s.snapshot+s.layout.SnapshotEvery {
		s.save(a.Index)
	}
}

// restore replaces the state with a snapshot. The caller holds s.mu.
func (s *Shard) restore(a replication.Applied) {
	state, err := decodeShardState(a.Snapshot)
	if err != nil {
		s.node.Logf("shard: the snapshot up to %d cannot be read: %v", a.Index, err)
		return
	}
	s.state, s.snapshot = state, a.Index
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
