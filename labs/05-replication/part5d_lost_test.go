package replication_test

import (
	"context"
	"fmt"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/05-replication"
)

// leadsAgain has the other leaders crash until this server, which never does, leads. Unlike moveLeader it heals no link.
func (v *storeCluster) leadsAgain(server labrpc.NodeID, situation string) {
	for range 50 {
		leader := v.waitForLeader(0)
		if leader == server {
			v.s.Cover(situation)
			return
		}
		v.s.Net.Crash(leader)
		v.waitForLeader(leader)
		v.startDown()
		v.s.Run(time.Second)
	}
}

// What the tests of lost entries meet.
const (
	commandLost = "a server whose entry of a command was lost led again"
	endLost     = "a server whose entry of a session's end was lost led again"
)

// checkEntryIsLost: n4 reaches only a leader that is cut off, which appends n4's put. Another server leads, and the entry is lost. The old leader
// leads again, without a restart. Then n4 reaches all servers, and its put, which is still under way, returns within 20 s (rule 22).
func checkEntryIsLost(s *labtest.Sim) {
	v := newStoreCluster(s, 3, ServerOptions{})
	a, b := v.connect(4, longLife), v.connect(5, longLife)
	a.mustRun(command{Op: "put", Key: "x", Data: "1"})
	old := v.waitForLeader(0)
	s.Net.Partition([]labrpc.NodeID{old, a.id})
	put := a.start(command{Op: "put", Key: "x", Data: "2"})
	v.waitForLeader(old)
	s.Run(2 * time.Second)
	b.mustRun(command{Op: "put", Key: "y", Data: "1"})
	s.Net.Heal()
	s.Net.Isolate(a.id)
	s.Run(2 * time.Second)
	v.leadsAgain(old, commandLost)
	s.Net.Heal()
	if _, err := put.wait(); err != "" {
		s.Failf(ruleReturns, `on %v, put(x, "2") returned %s, want no error: the first leader that received it lost its entry, and n4 has reached the store again`, a.id, err)
	}
	b.expectValue("x", "2", ruleReturns)
}

// checkEndIsLost: a leader that is cut off from all other nodes proposes the end of n4's session. The next leader does not have that
// entry, and hears of n4. When the old leader leads again, n4 is cut off: its session ends within TTL + 10 s (rule 27).
func checkEndIsLost(s *labtest.Sim) {
	const ttl = 3 * time.Second
	v := newStoreCluster(s, 3, ServerOptions{})
	a, b := v.connect(4, ttl), v.connect(5, longLife)
	w := b.watch("", 0)
	a.mustRun(command{Op: "own", Key: "own", Data: "1"})
	old := v.waitForLeader(0)
	s.Net.Isolate(old)
	v.waitForLeader(old)
	s.Run(2 * ttl)
	b.expectValue("own", "1", ruleSession)
	s.Net.Heal()
	s.Run(time.Second)
	v.leadsAgain(old, endLost)
	b.expectValue("own", "1", ruleSession)
	s.Net.Isolate(a.id)
	w.waitForDelete("own", ttl+sessionSlack, "its session's client is cut off; the leader had proposed the end of this session before, and that entry was lost")
}

// checkWatchingSession: a client that has a watch and issues no command keeps its session, also if nothing changes and its TTL is long (rule 27).
func checkWatchingSession(s *labtest.Sim) {
	const ttl = 8 * time.Second
	v := newStoreCluster(s, 3, ServerOptions{})
	a, b := v.connect(4, ttl), v.connect(5, longLife)
	a.mustRun(command{Op: "own", Key: "own", Data: "1"})
	a.watch("", 0)
	for range 3 { // the watch may have turned to any server
		s.Run(3 * ttl)
		b.expectValue("own", "1", ruleSession, "its session's client reaches the store, and has a watch")
		v.moveLeader()
	}
}

// checkCloseDuringKeepAlive: a request by which the client keeps its session is lost. Before it is sent again Close returns nil, and the client is cut
// off: from 10 s later it sends nothing (rule 28).
func checkCloseDuringKeepAlive(s *labtest.Sim) {
	v := newStoreCluster(s, 3, ServerOptions{})
	a := v.connect(4, 8*time.Second)
	a.mustRun(command{Op: "put", Key: "x", Data: "1"})
	held := s.Net.Hold(labrpc.Match{From: a.id, Kind: labrpc.Request})
	s.Until(10*time.Second, func() bool { return len(held.Messages()) > 0 })
	held.Discard(nil)
	held.Release()
	a.closes()
	s.Net.Isolate(a.id)
	s.Run(10 * time.Second)
	before := s.Net.Stats(labrpc.Match{From: a.id}).Sent
	s.Run(5 * time.Second)
	if n := s.Net.Stats(labrpc.Match{From: a.id}).Sent - before; n > 0 {
		s.Failf(ruleClose, "%v sent %d messages within 5s, although its Close had returned nil more than 10s before: a request that kept the session was under way then", a.id, n)
	}
}

// checkSnapshotsWhileBusy: clients that write without a pause do not keep a server from making snapshots (rule 29).
func checkSnapshotsWhileBusy(s *labtest.Sim) {
	const every, each = 10, 10
	v := newStoreCluster(s, 3, ServerOptions{SnapshotEvery: every})
	for _, id := range []labrpc.NodeID{4, 5} {
		c := v.connect(id, longLife)
		for i := range each {
			if i > 0 {
				c = c.another()
				c.dial(nil)
			}
			startCall(c, "puts", func(ctx context.Context, client *Client) (bool, error) {
				for n := 0; ; n++ {
					if _, err := client.Put(ctx, fmt.Sprintf("%v/%d", id, i), fmt.Sprint(n)); err != nil {
						return false, err
					}
				}
			})
		}
	}
	for range 200 {
		s.Run(10 * time.Millisecond)
		for _, id := range v.servers {
			// So many more may be applied in one instant.
			if st, _ := v.status(id); sinceSnapshot(st) > 3*every+2*each {
				s.Failf(ruleSnapshotDue, "%v has applied %d entries since its last snapshot, while %d clients write, want at most 3 times SnapshotEvery, which is %d",
					id, sinceSnapshot(st), 2*each, every)
			}
		}
	}
}
