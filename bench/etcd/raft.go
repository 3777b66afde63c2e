// Package replication offers go.etcd.io/raft under the API of lab 05, on lab
// 05's wire: so the lab's tests can be run on a Raft that was not written for
// them. Whatever they demand beyond Raft itself, it fails.
//
// Only this Raft is etcd's. The store of part 5D, which runs on it, is the
// reference's, by links, and the tests are the lab's: see lab_test.go.
//
// etcd would draw its election timeouts from the system's randomness, and no seed
// would replay; so here they are drawn from the node's.
package replication

import (
	"context"
	"slices"
	"sync"
	"time"

	etcd "go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"distlabs/labrpc"
)

// never is so many ticks that etcd starts no election of itself.
const never = 1 << 30

// A Raft is one server of a cluster that agrees on a log of commands.
type Raft struct {
	node    *labrpc.Node
	servers []labrpc.NodeID
	apply   func(Applied)
	wake    chan struct{} // holds a token when there may be something to apply
	timer   *time.Timer   // goes off when it is time to start an election

	mu      sync.Mutex
	raw     *etcd.RawNode
	storage storage
	saved   onDisk         // the disk holds the same whenever mu is free
	now     etcd.SoftState // what etcd thinks, as far as the disk bears it out
	queue   []Applied
	applied int
}

// An onDisk is all that a server keeps on its disk, in one piece.
type onDisk struct {
	Term, Vote, Commit uint64
	Index, SnapTerm    int // of the snapshot
	Snapshot           []byte
	Log                []Entry // from Index+1; never changed in place
}

// A storage is etcd's, for a fixed set of servers.
type storage struct {
	*etcd.MemoryStorage
	conf *pb.ConfState
}

func (s storage) InitialState() (*pb.HardState, *pb.ConfState, error) {
	hard, _, err := s.MemoryStorage.InitialState()
	return hard, s.conf, err
}

// StartRaft starts a server; see lab 05.
func StartRaft(node *labrpc.Node, servers []labrpc.NodeID, apply func(Applied)) *Raft {
	conf := &pb.ConfState{}
	for _, id := range servers {
		conf.Voters = append(conf.Voters, uint64(id))
	}
	r := &Raft{
		node: node, servers: servers, apply: apply, wake: make(chan struct{}, 1),
		storage: storage{MemoryStorage: etcd.NewMemoryStorage(), conf: conf},
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.load(); err != nil {
		node.Logf("raft: the disk cannot be read: %v", err)
		return r
	}
	raw, err := etcd.NewRawNode(&etcd.Config{
		ID: uint64(node.ID()), ElectionTick: never, HeartbeatTick: 1,
		Storage: r.storage, Applied: uint64(r.saved.Index),
		MaxSizePerMsg: 1 << 20, MaxInflightMsgs: 1, DisableProposalForwarding: true,
		Logger: &etcd.DefaultLogger{Logger: nobody},
	})
	if err != nil {
		node.Logf("raft: %v", err)
		return r
	}
	r.raw = raw
	r.timer = time.AfterFunc(ElectionTimeout, r.startElection)
	r.restartTimer()
	labrpc.Handle(node, "RequestVote", r.requestVote)
	labrpc.Handle(node, "AppendEntries", r.appendEntries)
	labrpc.Handle(node, "InstallSnapshot", r.installSnapshot)
	go r.tickLoop()
	go r.applyLoop()
	r.drain(0)
	return r
}

// load reads the disk. The caller holds r.mu.
func (r *Raft) load() error {
	found, err := r.node.Disk().Load("raft", &r.saved)
	if err != nil || !found {
		return err
	}
	rec := r.saved
	if rec.Index > 0 {
		if err := r.storage.ApplySnapshot(r.snapshot(rec)); err != nil {
			return err
		}
		r.queue = append(r.queue, Applied{Index: rec.Index, Term: rec.SnapTerm, Snapshot: append([]byte{}, rec.Snapshot...)})
		r.wakeUp()
	}
	if err := r.storage.SetHardState(&pb.HardState{Term: new(rec.Term), Vote: new(rec.Vote), Commit: new(rec.Commit)}); err != nil {
		return err
	}
	return r.storage.Append(toEtcd(rec.Index, rec.Log))
}

// Submit asks for a command to be agreed on; see lab 05.
func (r *Raft) Submit(command []byte) (index, term int, leader bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.raw == nil || r.raw.BasicStatus().RaftState != etcd.StateLeader || r.raw.Propose(slices.Clone(command)) != nil {
		return 0, int(r.saved.Term), false
	}
	term = int(r.raw.BasicStatus().GetTerm())
	r.drain(0)
	return r.saved.Index + len(r.saved.Log), term, r.node.Context().Err() == nil
}

// Snapshot takes the application's word that data holds all up to index; see lab 05.
func (r *Raft) Snapshot(index int, data []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if index > r.applied {
		return
	}
	r.compact(index, data)
}

// compact replaces the log up to index, which is committed, by a snapshot. The
// caller holds r.mu.
func (r *Raft) compact(index int, data []byte) {
	rec := r.saved
	if index <= rec.Index || r.node.Context().Err() != nil {
		return
	}
	rec.SnapTerm = rec.Log[index-rec.Index-1].Term
	rec.Log = slices.Clone(rec.Log[index-rec.Index:])
	rec.Index, rec.Snapshot = index, slices.Clone(data)
	if !r.save(rec) {
		return
	}
	if _, err := r.storage.CreateSnapshot(uint64(index), r.storage.conf, rec.Snapshot); err == nil {
		_ = r.storage.Compact(uint64(index)) // an error says that it is done already
	}
}

// Status returns what the server thinks now.
func (r *Raft) Status() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	st := Status{
		Term: int(r.saved.Term), VotedFor: labrpc.NodeID(r.saved.Vote), LastApplied: r.applied,
		SnapshotIndex: r.saved.Index, SnapshotTerm: r.saved.SnapTerm, Log: slices.Clip(r.saved.Log),
	}
	st.Leader, st.CommitIndex = labrpc.NodeID(r.now.Lead), max(int(r.saved.Commit), r.saved.Index)
	switch r.now.RaftState {
	case etcd.StateLeader:
		st.Role = Leader
	case etcd.StateCandidate:
		st.Role = Candidate
	}
	return st
}

// restartTimer gives others a new random time to be heard in. The caller holds r.mu.
func (r *Raft) restartTimer() {
	r.timer.Reset(ElectionTimeout + time.Duration(r.node.Rand().Int64N(int64(ElectionTimeout))))
}

// startElection begins an election, unless this server leads.
func (r *Raft) startElection() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.node.Context().Err() != nil {
		return
	}
	r.restartTimer()
	if r.raw.BasicStatus().RaftState != etcd.StateLeader && r.raw.Campaign() == nil {
		r.drain(0)
	}
}

// tickLoop makes etcd send heartbeats, until the node is down.
func (r *Raft) tickLoop() {
	ticker := time.NewTicker(Heartbeat)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			r.mu.Lock()
			r.raw.Tick()
			r.drain(0)
			r.mu.Unlock()
		case <-r.node.Context().Done():
			return
		}
	}
}

// drain does what etcd asks for: it saves, then sends. It returns the
// answer to the given server, if there is one. The caller holds r.mu.
func (r *Raft) drain(to labrpc.NodeID) (answer *pb.Message) {
	for r.raw.HasReady() {
		rd := r.raw.Ready()
		if !r.persist(rd) {
			return nil
		}
		for _, e := range rd.CommittedEntries {
			r.queue = append(r.queue, Applied{Index: int(e.GetIndex()), Term: int(e.GetTerm()), Command: slices.Clone(e.GetData())})
		}
		r.raw.Advance(rd)
		for _, m := range rd.Messages {
			switch {
			case m.GetType() == pb.MsgApp || m.GetType() == pb.MsgHeartbeat || m.GetType() == pb.MsgSnap || m.GetType() == pb.MsgVote:
				r.send(m)
			case labrpc.NodeID(m.GetTo()) == to:
				answer = m
			}
		}
		if rd.SoftState != nil {
			r.now = *rd.SoftState
		}
		r.wakeUp()
	}
	return answer
}

// persist writes what is new to the disk, and to etcd's storage. The caller
// holds r.mu.
func (r *Raft) persist(rd etcd.Ready) bool {
	rec := r.saved
	if s := rd.Snapshot; !etcd.IsEmptySnap(s) {
		rec.Index, rec.SnapTerm = int(s.GetMetadata().GetIndex()), int(s.GetMetadata().GetTerm())
		rec.Snapshot, rec.Log = s.GetData(), nil
		r.queue = append(r.queue, Applied{Index: rec.Index, Term: rec.SnapTerm, Snapshot: append([]byte{}, rec.Snapshot...)})
	}
	if len(rd.Entries) > 0 {
		keep := int(rd.Entries[0].GetIndex()) - rec.Index - 1
		rec.Log = append(slices.Clip(rec.Log[:keep]), fromEtcd(rd.Entries)...)
	}
	if h := rd.HardState; !etcd.IsEmptyHardState(h) {
		rec.Term, rec.Vote, rec.Commit = h.GetTerm(), h.GetVote(), h.GetCommit()
	}
	if (rd.MustSync || !etcd.IsEmptySnap(rd.Snapshot)) && !r.save(rec) {
		return false
	}
	r.saved = rec
	if !etcd.IsEmptySnap(rd.Snapshot) && r.storage.ApplySnapshot(r.snapshot(rec)) != nil {
		return false
	}
	if !etcd.IsEmptyHardState(rd.HardState) && r.storage.SetHardState(rd.HardState) != nil {
		return false
	}
	return r.storage.Append(rd.Entries) == nil
}

// save makes the record durable; it reports whether it did. The caller holds r.mu.
func (r *Raft) save(rec onDisk) bool {
	if r.node.Disk().Save("raft", rec) != nil {
		return false
	}
	r.saved = rec
	return true
}

func (r *Raft) snapshot(rec onDisk) *pb.Snapshot {
	return &pb.Snapshot{Data: rec.Snapshot, Metadata: &pb.SnapshotMetadata{
		Index: new(uint64(rec.Index)), Term: new(uint64(rec.SnapTerm)), ConfState: r.storage.conf,
	}}
}

func (r *Raft) wakeUp() {
	select {
	case r.wake <- struct{}{}:
	default: // there is a token already
	}
}

// applyLoop hands over what is committed, until the node is down.
func (r *Raft) applyLoop() {
	for {
		select {
		case <-r.wake:
		case <-r.node.Context().Done():
			return
		}
		for next, ok := r.next(); ok; next, ok = r.next() {
			r.apply(next)
		}
	}
}

func (r *Raft) next() (Applied, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.queue) == 0 || r.node.Context().Err() != nil {
		return Applied{}, false
	}
	a := r.queue[0]
	r.queue = r.queue[1:]
	r.applied = a.Index
	return a, true
}

// call is a request to a peer that may never answer.
func call[R, A any](r *Raft, peer labrpc.NodeID, method string, args A) (R, error) {
	ctx, cancel := context.WithTimeout(r.node.Context(), 4*ElectionTimeout)
	defer cancel()
	return labrpc.Call[R](ctx, r.node, peer, method, args)
}
