package bench

import (
	"errors"
	"time"

	"distlabs/labrpc"
	replication "distlabs/solutions/05-replication"
)

type reference struct {
	net    *labrpc.Network
	leader *replication.Raft
	room   *waitingRoom
}

var errNoLeader = errors.New("bench: no leader")

// startReference runs the reference on a network without delay, in real time.
func startReference() (system, error) {
	net := labrpc.New(labrpc.Options{Seed: 1, Nodes: 3})
	rafts := map[labrpc.NodeID]*replication.Raft{}
	rooms := map[labrpc.NodeID]*waitingRoom{}
	for _, id := range net.Nodes() {
		rooms[id] = newWaitingRoom()
		node := net.Start(id)
		started := make(chan struct{})
		rafts[id] = replication.StartRaft(node, net.Nodes(), func(a replication.Applied) {
			rooms[id].apply(a.Index)
			if a.Index%compactEvery == 0 {
				<-started
				rafts[id].Snapshot(a.Index-keepBehind, nil)
			}
		})
		close(started)
	}
	for range 1000 {
		for id, r := range rafts {
			if r.Status().Role == replication.Leader {
				return &reference{net: net, leader: r, room: rooms[id]}, nil
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	net.Close()
	return nil, errNoLeader
}

func (s *reference) Do(command []byte) error {
	return s.room.submit(func() (int, error) {
		index, _, leader := s.leader.Submit(command)
		if !leader {
			return 0, errNoLeader
		}
		return index, nil
	})
}

func (s *reference) Close() { s.net.Close() }
