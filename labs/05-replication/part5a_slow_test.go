package replication_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/05-replication"
)

// A call of apply on n1 takes until the test ends it, and meanwhile n1's commit index advances thousands of times. n1 replies to every request at once, or, if n1
// leads, stays leader and sends every command to the others. Afterwards n1 applies everything (rules 10 to 13).
func TestLongApplyDelaysNothing5A(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 3, Seeds: 2, Link: calmLink}, func(s *labtest.Sim) {
		release := make(chan struct{})
		p, calls := newSlowServer(s, release)
		last := 0
		if s.Seed%2 == 1 {
			last = p.manyRequests(4200)
		} else {
			last = p.manyCommands(1100)
		}
		if got := calls.Load(); got > 1 {
			s.Failf(ruleApply, "by %v, n1 has called apply %d times, want at most once: the first call has not returned", labtest.At(s.Net.Now()), got)
		}
		close(release)
		p.beatUntil(func() bool { return p.status().LastApplied >= last })
		if got := p.status().LastApplied; got < last {
			s.Failf(ruleCatchUp, "at %v, n1 has LastApplied = %d, want %d: the slow call of apply returned %v ago", labtest.At(s.Net.Now()), got, last, healBound)
		}
	})
}

// newSlowServer starts n1, whose first call of apply returns when release is closed, and counts the calls. The test plays the other servers. Nothing looks at n1 at every
// step: its log gets long.
func newSlowServer(s *labtest.Sim, release <-chan struct{}) (*scriptedCluster, *atomic.Int64) {
	p := &scriptedCluster{s: s, peers: map[labrpc.NodeID]*labrpc.Node{}, c: &raftCluster{s: s, rafts: map[labrpc.NodeID]*Raft{}}}
	for id := labrpc.NodeID(2); id <= 3; id++ {
		p.peers[id] = s.Start(id)
		p.registerVotes(p.peers[id])
	}
	node := s.Start(1)
	var calls atomic.Int64
	p.c.rafts[1] = StartRaft(node, s.Net.Nodes(), func(Applied) {
		calls.Add(1)
		select {
		case <-release:
		case <-node.Context().Done():
		}
	})
	return p, &calls
}

// manyRequests sends n1 one entry after the other, each of which commits the one before it. It returns the index of the last committed entry.
func (p *scriptedCluster) manyRequests(n int) int {
	var replied atomic.Int64
	var failed atomic.Bool
	leader, bound := p.peers[2], replyBound+2*oneWay
	go func() {
		for i := range n {
			ctx, cancel := labtest.WithTimeout(context.Background(), bound)
			req := AppendRequest{Term: 1, Leader: 2, PrevLogIndex: i, PrevLogTerm: min(i, 1), Entries: entriesOf(1), Commit: i}
			reply, err := labrpc.Call[AppendReply](ctx, leader, 1, "AppendEntries", req)
			cancel()
			if err != nil || !reply.Success {
				failed.Store(true)
				return
			}
			replied.Add(1)
		}
	}()
	p.s.Until(time.Duration(n)*bound, func() bool { return failed.Load() || replied.Load() == int64(n) })
	if got := replied.Load(); got < int64(n) {
		p.s.Failf(ruleReply, "n2, the leader, sent %d AppendEntries while n1's application was busy with the first entry: n1 did not accept number %d within %v", n, got+1, replyBound)
	}
	p.append(2, AppendRequest{Term: 1, PrevLogIndex: n, PrevLogTerm: 1, Commit: n}, true)
	return n
}

// manyCommands makes n1 the leader and submits commands, each when the one before is committed. It returns the index of the last one.
func (p *scriptedCluster) manyCommands(n int) (last int) {
	var mu sync.Mutex
	reached := map[labrpc.NodeID]int{} // by peer: the last index that n1 has sent it
	for id, node := range p.peers {
		labrpc.Handle(node, "AppendEntries", func(_ labrpc.NodeID, req AppendRequest) AppendReply {
			mu.Lock()
			defer mu.Unlock()
			index := req.PrevLogIndex + len(req.Entries)
			reached[id] = max(reached[id], index)
			return AppendReply{Term: req.Term, Success: true, Index: index}
		})
	}
	p.grantVotes()
	p.waitForLead()
	term := p.status().Term
	for i := range n {
		index, _, ok := p.c.rafts[1].Submit([]byte("x"))
		if !ok {
			p.fail(ruleStable, "n1, the leader of term %d, rejected command %d at %v: all servers have been connected to n1, and only apply was slow", term, i+1, labtest.At(p.s.Net.Now()))
		}
		last = index
		p.s.Run(4 * oneWay)
	}
	p.waitUntil(healBound, ruleCatchUp, "n1, the leader, did not send n2 and n3 its last command, although they acknowledged every request and only apply was slow", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return min(reached[2], reached[3]) >= last
	})
	if st := p.status(); st.Role != roleLeader || st.Term != term {
		p.fail(ruleStable, "n1, the leader of term %d, is %v in term %d: all servers have been connected to n1, and only apply was slow", term, st.Role, st.Term)
	}
	return last
}
