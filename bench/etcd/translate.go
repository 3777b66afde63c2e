package replication

import (
	"io"
	"log"
	"slices"

	etcd "go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"

	"distlabs/labrpc"
)

// nobody reads what etcd logs.
var nobody = log.New(io.Discard, "", 0)

func toEtcd(after int, log []Entry) []*pb.Entry {
	var entries []*pb.Entry
	for i, e := range log {
		entries = append(entries, &pb.Entry{Term: new(uint64(e.Term)), Index: new(uint64(after + i + 1)), Data: e.Command})
	}
	return entries
}

func fromEtcd(entries []*pb.Entry) []Entry {
	var log []Entry
	for _, e := range entries {
		log = append(log, Entry{Term: int(e.GetTerm()), Command: e.GetData()})
	}
	return log
}

// step gives etcd a message and returns its answer, if there is one. The
// caller holds r.mu.
func (r *Raft) step(m *pb.Message) *pb.Message {
	m.To = new(uint64(r.node.ID()))
	if r.raw.Step(m) != nil {
		return nil
	}
	return r.drain(labrpc.NodeID(m.GetFrom()))
}

// requestVote is etcd's MsgVote.
func (r *Raft) requestVote(from labrpc.NodeID, req VoteRequest) VoteReply {
	r.mu.Lock()
	defer r.mu.Unlock()
	if req.Term < int(r.saved.Term) {
		return VoteReply{Term: int(r.saved.Term)}
	}
	m := r.step(&pb.Message{
		Type: pb.MsgVote.Enum(), From: new(uint64(req.Candidate)), Term: new(uint64(req.Term)),
		Index: new(uint64(req.LastLogIndex)), LogTerm: new(uint64(max(req.LastLogTerm, 0))), // a term below 0 is older than any, too
	})
	granted := m != nil && !m.GetReject()
	if granted {
		r.restartTimer()
	}
	return VoteReply{Term: int(r.saved.Term), Granted: granted}
}

// appendEntries is etcd's MsgApp, also for a heartbeat: that is an AppendEntries
// without entries on this wire.
func (r *Raft) appendEntries(from labrpc.NodeID, req AppendRequest) AppendReply {
	r.mu.Lock()
	defer r.mu.Unlock()
	if req.Term < int(r.saved.Term) {
		return AppendReply{Term: int(r.saved.Term)}
	}
	r.restartTimer()
	end := req.PrevLogIndex + len(req.Entries)
	req = r.trim(req)
	m := r.step(&pb.Message{
		Type: pb.MsgApp.Enum(), From: new(uint64(req.Leader)), Term: new(uint64(req.Term)),
		Index: new(uint64(req.PrevLogIndex)), LogTerm: new(uint64(req.PrevLogTerm)),
		Entries: toEtcd(req.PrevLogIndex, req.Entries), Commit: new(uint64(req.Commit)),
	})
	reply := AppendReply{Term: int(r.saved.Term)}
	switch {
	case m == nil:
	case m.GetReject():
		reply.Index, reply.HintTerm = int(m.GetRejectHint())+1, int(m.GetLogTerm())
	default:
		reply.Success, reply.Index = true, end
	}
	return reply
}

// trim takes from a request what is committed here already, and so is the same
// in the leader's log. The caller holds r.mu.
//
// Where a request begins before that, etcd takes none of it and says instead how
// far it is itself.
func (r *Raft) trim(req AppendRequest) AppendRequest {
	commit := int(r.raw.BasicStatus().GetCommit())
	if req.PrevLogIndex >= commit {
		return req
	}
	term, err := r.storage.Term(uint64(commit))
	if err != nil {
		return req
	}
	req.Entries = req.Entries[min(len(req.Entries), commit-req.PrevLogIndex):]
	req.Commit = min(req.Commit, commit+len(req.Entries))
	req.PrevLogIndex, req.PrevLogTerm = commit, int(term)
	return req
}

// installSnapshot is etcd's MsgSnap.
func (r *Raft) installSnapshot(from labrpc.NodeID, req SnapshotRequest) SnapshotReply {
	r.mu.Lock()
	defer r.mu.Unlock()
	if req.Term >= int(r.saved.Term) {
		r.restartTimer()
		known := int(r.raw.BasicStatus().GetCommit())
		r.step(&pb.Message{
			Type: pb.MsgSnap.Enum(), From: new(uint64(req.Leader)), Term: new(uint64(req.Term)),
			Snapshot: r.snapshot(onDisk{Index: req.LastIndex, SnapTerm: req.LastTerm, Snapshot: req.Data}),
		})
		// Where its log has the entry already, etcd only takes notice that it is committed.
		if now := int(r.raw.BasicStatus().GetCommit()); known < req.LastIndex && req.LastIndex <= now {
			r.compact(req.LastIndex, req.Data)
		}
	}
	return SnapshotReply{Term: int(r.saved.Term)}
}

// send puts one of etcd's requests on the wire, and gives it the reply when that
// comes. The caller holds r.mu.
func (r *Raft) send(m *pb.Message) {
	to, term, self := labrpc.NodeID(m.GetTo()), int(m.GetTerm()), r.node.ID()
	switch m.GetType() {
	case pb.MsgVote:
		go r.askForVote(to, VoteRequest{Term: term, Candidate: self, LastLogIndex: int(m.GetIndex()), LastLogTerm: int(m.GetLogTerm())})
	case pb.MsgApp:
		go r.replicate(to, AppendRequest{
			Term: term, Leader: self, PrevLogIndex: int(m.GetIndex()), PrevLogTerm: int(m.GetLogTerm()),
			Entries: fromEtcd(m.GetEntries()), Commit: int(m.GetCommit()),
		}, false)
	case pb.MsgHeartbeat:
		go r.replicate(to, r.heartbeat(m), true)
	case pb.MsgSnap:
		s := m.GetSnapshot()
		go r.sendSnapshot(to, SnapshotRequest{
			Term: term, Leader: self, LastIndex: int(s.GetMetadata().GetIndex()), LastTerm: int(s.GetMetadata().GetTerm()), Data: s.GetData(),
		})
	}
}

// reply gives etcd what a peer has answered.
func (r *Raft) reply(from labrpc.NodeID, term int, m *pb.Message) {
	m.From, m.Term = new(uint64(from)), new(uint64(term))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.step(m)
}

func (r *Raft) askForVote(to labrpc.NodeID, req VoteRequest) {
	if reply, err := call[VoteReply](r, to, "RequestVote", req); err == nil && (reply.Granted || reply.Term >= req.Term) {
		r.reply(to, reply.Term, &pb.Message{Type: pb.MsgVoteResp.Enum(), Reject: new(!reply.Granted)})
	}
}

func (r *Raft) replicate(to labrpc.NodeID, req AppendRequest, heartbeat bool) {
	reply, err := call[AppendReply](r, to, "AppendEntries", req)
	if err != nil {
		return
	}
	m := &pb.Message{Type: pb.MsgAppResp.Enum(), Index: new(uint64(reply.Index))}
	if !reply.Success {
		m.Index, m.Reject = new(uint64(req.PrevLogIndex)), new(true)
		m.RejectHint, m.LogTerm = new(uint64(max(reply.Index-1, 0))), new(uint64(reply.HintTerm))
	}
	if !heartbeat || len(req.Entries) > 0 {
		r.reply(to, reply.Term, m)
	}
	if heartbeat {
		r.reply(to, reply.Term, &pb.Message{Type: pb.MsgHeartbeatResp.Enum()})
	}
}

// heartbeat puts etcd's heartbeat in the form of lab 05, which carries the
// entries that a follower has not acknowledged: etcd sends them again only when a
// heartbeat is answered. The caller holds r.mu.
func (r *Raft) heartbeat(m *pb.Message) AppendRequest {
	req := AppendRequest{Term: int(m.GetTerm()), Leader: r.node.ID()}
	var follower tracker.Progress
	r.raw.WithProgress(func(id uint64, _ etcd.ProgressType, pr tracker.Progress) {
		if id == m.GetTo() {
			follower = pr
		}
	})
	// A follower is known to have all up to Match. While etcd looks for that place, it has asked for the entry before Next.
	prev := follower.Match
	if follower.State == tracker.StateProbe {
		prev = follower.Next - 1
	}
	at, err := r.storage.Term(prev)
	if err != nil {
		return req // it needs the snapshot
	}
	req.PrevLogIndex, req.PrevLogTerm = int(prev), int(at)
	if follower.MsgAppFlowPaused && follower.State != tracker.StateSnapshot {
		req.Entries = slices.Clone(r.saved.Log[req.PrevLogIndex-r.saved.Index:])
	}
	req.Commit = int(r.raw.BasicStatus().GetCommit())
	return req
}

func (r *Raft) sendSnapshot(to labrpc.NodeID, req SnapshotRequest) {
	reply, err := call[SnapshotReply](r, to, "InstallSnapshot", req)
	status := etcd.SnapshotFailure
	switch {
	case err != nil:
	case reply.Term > req.Term: // a refusal, which tells nothing else
		r.reply(to, reply.Term, &pb.Message{Type: pb.MsgHeartbeatResp.Enum()})
	default:
		r.reply(to, reply.Term, &pb.Message{Type: pb.MsgAppResp.Enum(), Index: new(uint64(req.LastIndex))})
		status = etcd.SnapshotFinish
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.raw.ReportSnapshot(uint64(to), status)
	r.drain(0)
}
