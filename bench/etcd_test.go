package bench

import (
	"encoding/binary"
	"io"
	"log"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

// An etcd is three members, each run by one goroutine, joined by channels.
type etcd struct {
	members []*member
	leader  *member
	number  atomic.Uint64 // of the last command
	conf    *pb.ConfState
	done    chan struct{}
	all     sync.WaitGroup
}

type member struct {
	raw     *raft.RawNode
	storage *raft.MemoryStorage
	inbox   chan *pb.Message
	submits chan []byte
	waiting sync.Map      // of chan struct{}, by the number that a command begins with
	leads   chan struct{} // closed when it leads
}

// startEtcd runs go.etcd.io/raft with its in-memory storage and the reference's timeouts.
func startEtcd() (system, error) {
	s := &etcd{done: make(chan struct{})}
	s.conf = &pb.ConfState{Voters: []uint64{1, 2, 3}}
	for _, id := range s.conf.Voters {
		m := &member{
			storage: raft.NewMemoryStorage(), inbox: make(chan *pb.Message, 4096), submits: make(chan []byte, 64), leads: make(chan struct{}),
		}
		// A snapshot of nothing tells who the members are.
		err := m.storage.ApplySnapshot(&pb.Snapshot{Metadata: &pb.SnapshotMetadata{Index: new(uint64(1)), Term: new(uint64(1)), ConfState: s.conf}})
		if err != nil {
			return nil, err
		}
		m.raw, err = raft.NewRawNode(&raft.Config{
			ID: id, ElectionTick: 16, HeartbeatTick: 4, Storage: m.storage, Applied: 1,
			MaxSizePerMsg: 1 << 20, MaxInflightMsgs: 256, Logger: &raft.DefaultLogger{Logger: log.New(io.Discard, "", 0)},
		})
		if err != nil {
			return nil, err
		}
		s.members = append(s.members, m)
	}
	for _, m := range s.members {
		s.all.Go(func() { s.run(m) })
	}
	limit := time.NewTimer(10 * time.Second)
	defer limit.Stop()
	select {
	case <-s.members[0].leads:
		s.leader = s.members[0]
	case <-s.members[1].leads:
		s.leader = s.members[1]
	case <-s.members[2].leads:
		s.leader = s.members[2]
	case <-limit.C:
		s.Close()
		return nil, errNoLeader
	}
	return s, nil
}

// run is the loop of one member.
func (s *etcd) run(m *member) {
	ticker := time.NewTicker(25 * time.Millisecond)
	defer ticker.Stop()
	for led := false; ; {
		select {
		case <-ticker.C:
			m.raw.Tick()
		case msg := <-m.inbox:
			_ = m.raw.Step(msg) // what does not fit is dropped, as by a network
		case command := <-m.submits:
			_ = m.raw.Propose(command)
		case <-s.done:
			return
		}
		m.takeMore()
		for m.raw.HasReady() {
			s.carryOut(m, m.raw.Ready())
		}
		if !led && m.raw.BasicStatus().RaftState == raft.StateLeader {
			led = true
			close(m.leads)
		}
	}
}

// takeMore takes what has come meanwhile, so that it shares one round.
func (m *member) takeMore() {
	for {
		select {
		case msg := <-m.inbox:
			_ = m.raw.Step(msg)
		case command := <-m.submits:
			_ = m.raw.Propose(command) // the leader does not change here
		default:
			return
		}
	}
}

func (s *etcd) carryOut(m *member, rd raft.Ready) {
	if !raft.IsEmptyHardState(rd.HardState) {
		_ = m.storage.SetHardState(rd.HardState) // never fails
	}
	_ = m.storage.Append(rd.Entries) // fails only for a gap, which etcd does not make
	for _, msg := range rd.Messages {
		select {
		case s.members[msg.GetTo()-1].inbox <- msg:
		default: // lost, as by a network
		}
	}
	for _, e := range rd.CommittedEntries {
		if e.GetIndex()%compactEvery == 0 {
			if _, err := m.storage.CreateSnapshot(e.GetIndex(), s.conf, nil); err == nil {
				_ = m.storage.Compact(e.GetIndex() - keepBehind)
			}
		}
		if len(e.GetData()) == 0 {
			continue // a new leader's
		}
		if done, ok := m.waiting.LoadAndDelete(binary.BigEndian.Uint64(e.GetData())); ok {
			close(done.(chan struct{}))
		}
	}
	m.raw.Advance(rd)
}

func (s *etcd) Do(command []byte) error {
	number := s.number.Add(1)
	numbered := append(binary.BigEndian.AppendUint64(nil, number), command...)
	done := make(chan struct{})
	s.leader.waiting.Store(number, done)
	s.leader.submits <- numbered
	<-done
	return nil
}

func (s *etcd) Close() {
	close(s.done)
	s.all.Wait()
}
