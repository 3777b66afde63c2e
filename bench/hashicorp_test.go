package bench

import (
	"fmt"
	"io"
	"time"

	"github.com/hashicorp/raft"
)

type hashicorp struct {
	rafts  []*raft.Raft
	leader *raft.Raft
}

// A sink is a state machine that does nothing.
type sink struct{}

func (sink) Apply(*raft.Log) any                  { return nil }
func (sink) Snapshot() (raft.FSMSnapshot, error)  { return nothing{}, nil }
func (sink) Restore(snapshot io.ReadCloser) error { return snapshot.Close() }

// nothing is the state of a sink.
type nothing struct{}

func (nothing) Persist(s raft.SnapshotSink) error { return s.Close() }
func (nothing) Release()                          {}

// startHashicorp runs hashicorp/raft on its in-memory stores and transport, with
// the reference's timeouts.
func startHashicorp() (system, error) {
	const n = 3
	var s hashicorp
	var servers []raft.Server
	var transports []*raft.InmemTransport
	for i := range n {
		addr, transport := raft.NewInmemTransport(raft.ServerAddress(fmt.Sprintf("n%d", i+1)))
		servers = append(servers, raft.Server{ID: raft.ServerID(addr), Address: addr})
		transports = append(transports, transport)
	}
	for i, a := range transports {
		for j, b := range transports {
			if i != j {
				a.Connect(servers[j].Address, b)
			}
		}
	}
	for i := range n {
		cfg := raft.DefaultConfig()
		cfg.LocalID = servers[i].ID
		cfg.HeartbeatTimeout, cfg.ElectionTimeout, cfg.LeaderLeaseTimeout = 400*time.Millisecond, 400*time.Millisecond, 400*time.Millisecond
		cfg.SnapshotThreshold, cfg.TrailingLogs, cfg.SnapshotInterval = compactEvery, keepBehind, 5*time.Millisecond
		cfg.LogOutput, cfg.LogLevel = io.Discard, "ERROR"
		store := raft.NewInmemStore()
		r, err := raft.NewRaft(cfg, sink{}, store, store, raft.NewInmemSnapshotStore(), transports[i])
		if err != nil {
			s.Close()
			return nil, fmt.Errorf("bench: %w", err)
		}
		s.rafts = append(s.rafts, r)
	}
	if err := s.rafts[0].BootstrapCluster(raft.Configuration{Servers: servers}).Error(); err != nil {
		s.Close()
		return nil, fmt.Errorf("bench: %w", err)
	}
	for range 1000 {
		for _, r := range s.rafts {
			if r.State() == raft.Leader {
				s.leader = r
				return &s, nil
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.Close()
	return nil, errNoLeader
}

func (s *hashicorp) Do(command []byte) error { return s.leader.Apply(command, 0).Error() }

func (s *hashicorp) Close() {
	for _, r := range s.rafts {
		_ = r.Shutdown().Error()
	}
}
