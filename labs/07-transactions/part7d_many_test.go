package transactions_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	"distlabs/labs/07-transactions"
)

const (
	manyFirst = 64              // so that most of the next transactions have numbers above 256 if a server numbers all
	manyDrop  = 204             // after so many, a server that remembers 200 transactions has forgotten some
	manyMore  = 260             // after so many, numbers of 8 bits are used up
	manyLease = 4 * time.Second // longer than rule 37 lets a transaction wait

	manyDies = 31 * time.Millisecond // when most transactions are decided, but not all groups know
)

// manyTest is the cluster of TestManyAtOnce7D, and what its clients do.
type manyTest struct {
	*shardCluster
	many, other, slow labrpc.NodeID
	cut, brief        []labrpc.NodeID // of each, the client i is cut off after i requests
}

// Hundreds of transactions of one client run at once. Meanwhile other clients die, or are cut off and come back, after each of their requests; others
// are slow; and messages arrive again (rules 33 to 37, and 41). Each seed does one half of it, so that two processors share the work.
func TestManyAtOnce7D(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: shardNodes(2, 18), Link: shardLink, Seeds: 2}, func(s *labtest.Sim) {
		c := newShardClusterWith(s, 2, transactions.Layout{Lease: manyLease})
		m := &manyTest{shardCluster: c, many: c.clients[0], other: c.clients[1], slow: c.clients[2], cut: c.clients[3:13], brief: c.clients[13:]}
		m.findLeaders()
		m.all(m.batch(m.many, manyFirst, steps("a%d")), shardServes, ruleShardDisjoint)
		if s.Seed%2 == 1 {
			m.clientsDie()
			m.slowLinks(m.slow)
			m.slowWriter()
		} else {
			m.clientsComeBack()
			m.slowWriter()
			m.endedDoNotWait()
			m.returnedDoNotWait()
		}
		c.check()
	})
}

// steps returns the steps of transaction i: it writes keys that only it writes, and appends to them if they are lists.
func steps(keys ...string) func(i int) []shardStep {
	return func(i int) (steps []shardStep) {
		for _, key := range keys {
			key = fmt.Sprintf(key, i)
			if isShardList(key) {
				steps = append(steps, appends(key))
			} else {
				steps = append(steps, writes(key))
			}
		}
		return steps
	}
}

// batch starts that many transactions of a client at once.
func (c *shardCluster) batch(client labrpc.NodeID, n int, steps func(i int) []shardStep) (runs []*shardRun) {
	for i := range n {
		runs = append(runs, c.start(client, time.Minute, steps(i)...))
	}
	return runs
}

// all waits until all runs have committed, each of which must within the limit.
func (m *manyTest) all(runs []*shardRun, limit time.Duration, rule string) {
	for _, r := range runs {
		m.commits(r, r.Call+limit-m.s.Net.Now(), rule)
	}
}

// findLeaders lets all clients run a transaction.
func (m *manyTest) findLeaders() {
	var runs []*shardRun
	for _, id := range m.clients {
		runs = append(runs, m.start(id, time.Minute, reads("a"), reads("t")))
	}
	m.all(runs, shardServes, ruleShardDisjoint)
}

// cutAll starts a transaction of each of the clients, which are cut off, and waits until they have sent what they can.
func (c *shardCluster) cutAll(clients []labrpc.NodeID, keys ...string) (runs []*shardRun) {
	for i, id := range clients {
		c.setGate(id, shardGate{limit: i, last: true, deaf: true})
		runs = append(runs, c.start(id, time.Minute, steps(keys...)(i)...))
	}
	c.s.Run(100 * time.Millisecond)
	return runs
}

// late lets messages arrive again.
func (m *manyTest) late(copies []labrpc.Message) {
	m.inject(copies, 10*time.Microsecond)
	m.s.Run(50 * time.Millisecond)
}

// clientsDie: clients die in the middle of transactions, and many others end before their leases are over. Another client then reads and writes the keys: the
// transactions are done or undone. One transaction has begun before the many and ends after them, and clients are cut off meanwhile.
func (m *manyTest) clientsDie() {
	reader := m.start(m.slow, time.Minute, reads("t0"), rests(time.Second), reads("al0"), reads("t1"), reads("al1"))
	m.s.Run(100 * time.Millisecond)
	brief := m.cutAll(m.brief, "e%d")
	m.cutAll(m.cut, "cl%d", "vl%d")
	m.batch(m.other, manyMore, steps("b%d", "v%d"))
	m.s.Run(manyDies)
	died := m.s.Net.Now()
	for _, id := range append([]labrpc.NodeID{m.other}, m.cut...) {
		m.s.Net.Crash(id)
	}
	g := m.setGate(m.many, shardGate{limit: -1, keep: true})
	m.all(m.batch(m.many, manyDrop, steps("al%d", "t%d")), shardServes, ruleShardDisjoint)
	m.s.Run(50 * time.Millisecond)
	m.gate(m.many)
	wrote := m.batch(m.many, manyDrop/4, four(writes))
	m.all(wrote, shardServes, ruleShardDisjoint)
	for _, id := range m.brief {
		m.open(id)
	}
	for _, r := range brief {
		m.delayed(r, shardProgress, ruleShardProgress)
	}
	m.commits(reader, shardProgress, ruleShardStrict)

	m.startClient(m.other)
	m.s.Run(died + manyLease + 100*time.Millisecond - m.s.Net.Now())
	runs := m.batch(m.other, manyMore/2, func(i int) []shardStep { return []shardStep{reads(fmt.Sprint("b", 2*i)), reads(fmt.Sprint("v", 2*i))} })
	runs = append(runs, m.batch(m.other, len(m.cut), steps("cl%d", "vl%d"))...)
	for _, r := range runs {
		m.commits(r, died+manyLease+shardSlack+shardServes-m.s.Net.Now(), ruleShardLease)
	}
	m.lateCopies(g.copies, wrote)
}

// four returns the steps of transactions that have the keys t0, t1 and so on, four each.
func four(step func(key string) shardStep) func(i int) []shardStep {
	return func(i int) (steps []shardStep) {
		for j := range 4 {
			steps = append(steps, step(fmt.Sprint("t", 4*i+j)))
		}
		return steps
	}
}

// lateCopies: the requests of many transactions to one group arrive again, after others have written their keys.
func (m *manyTest) lateCopies(copies []labrpc.Message, wrote []*shardRun) {
	m.late(slices.DeleteFunc(copies, func(msg labrpc.Message) bool { return m.layout.Member(msg.To) == 0 }))
	read := m.batch(m.other, len(wrote), four(reads))
	m.all(read, manyLease+shardSlack+shardServes, ruleShardLate)
	for i, r := range read {
		v := labtest.Violation{Rule: ruleShardLate, Seen: []string{"requests of earlier transactions had arrived again"}, At: r.Return}
		for _, step := range four(reads)(i) {
			m.hasRead(r, wrote[i], v, step.Key)
		}
	}
}

// askAgain: clients are cut off for less than a lease, and then ask again for what they were told nothing about. A transaction that began before theirs reads
// their keys after they have ended.
func (m *manyTest) askAgain() {
	var reader []shardStep
	for i := range m.cut {
		reader = append(reader, reads(fmt.Sprint("e", i)), reads(fmt.Sprint("x", i)))
	}
	read := m.start(m.slow, time.Minute, append([]shardStep{reads("b"), rests(time.Second)}, reader...)...)
	m.s.Run(100 * time.Millisecond)
	runs := m.cutAll(m.cut, "e%d", "x%d")
	for _, id := range m.cut {
		m.open(id)
	}
	for _, r := range runs {
		m.delayed(r, r.Call+shardProgress-m.s.Net.Now(), ruleShardProgress)
	}
	m.commits(read, shardProgress, ruleShardStrict)
}

// clientsComeBack: clients are cut off until their leases are over, and many other transactions have ended. Then they continue. The others read a key that
// a slow client has read, and is about to commit.
func (m *manyTest) clientsComeBack() {
	m.askAgain()
	m.mu.Lock()
	m.between = &[]labrpc.Message{}
	m.mu.Unlock()
	runs := m.cutAll(m.cut, "cl%d", "vl%d")
	m.s.Run(manyLease + shardSlack)
	m.mu.Lock()
	copies := *m.between
	m.between = nil
	m.mu.Unlock()

	m.slowLinks(m.slow)
	m.commits(m.start(m.slow, time.Minute, reads("a"), reads("m")), shardProgress, ruleShardProgress) // it knows how long a reply takes now
	slow := m.start(m.slow, time.Minute, reads("m"), writes("d"))
	m.s.Run(800 * time.Millisecond)
	shares := func(i int) []shardStep { return append(steps("a%d", "u%d")(i), reads("m")) }
	m.all(m.batch(m.many, manyMore, shares), shardProgress, ruleShardProgress) // those that read m have a key in common
	for _, steps := range [][]shardStep{{writes("m")}, {reads("m"), reads("d")}} {
		m.commits(m.start(m.other, time.Minute, steps...), shardProgress, ruleShardProgress)
	}
	m.commits(slow, shardProgress, ruleShardProgress)

	m.late(copies)
	for _, id := range m.cut {
		m.open(id)
	}
	for _, r := range runs {
		m.over(r, shardProgress, ruleShardProgress)
	}
	for i := range m.cut {
		m.does(m.other, reads(fmt.Sprint("cl", i)), reads(fmt.Sprint("vl", i)))
	}
}

// slowWriter: a client whose messages are slow writes two keys, while another one writes others (rule 36).
func (m *manyTest) slowWriter() {
	var stop atomic.Bool
	m.repeats(m.other, &stop, writes("b"), writes("v"))
	m.commits(m.start(m.slow, time.Minute, writes("d"), writes("t")), 3*manyLease, ruleShardInTime)
	stop.Store(true)
	m.s.Run(shardServes)
}

// endedDoNotWait: transactions end in Commit, because another one has locked a key, or the lease is over. Others then use the other keys of those at once, although their
// leases are not over in all groups (rule 37).
func (m *manyTest) endedDoNotWait() {
	n := m.countRequests(m.other)
	for k := n / 2; k < n; k++ {
		client := m.cut[0]
		m.gate(client)
		m.does(client, reads("a"), reads("t"))
		m.s.Run(100 * time.Millisecond)
		m.setGate(client, shardGate{limit: k, last: true})
		locks := fmt.Sprint("w", k)
		r := m.start(client, time.Minute, once(), writes("c"), writes(locks))
		m.s.Run(50 * time.Millisecond)
		m.right(m.other, func(ctx context.Context, cl *transactions.ShardClient) []shardFault {
			for _, key := range []string{"d", "t"} { // one lies in the same group, the other one does not
				tx := cl.Begin(ctx)
				_ = tx.Put(key, "x")
				_ = tx.Put(locks, "x")
				_ = tx.Commit()
			}
			return nil
		})
		m.does(m.other, writes("d"), writes("t"))
		m.s.Run(r.Call + manyLease - time.Second - m.s.Net.Now())
		m.s.Net.Crash(m.leader(1))
		m.s.Run(manyLease / 5)
		m.startDown()
		m.s.Run(r.Call + manyLease + manyLease/10 - m.s.Net.Now())
		m.open(client)
		m.over(r, shardProgress, ruleShardProgress)
		m.does(m.other, writes(locks))
	}
}

// returnedDoNotWait: Run has returned nil, or its context's error while its transaction had locks. What the client then sends to the second group is lost
// for a while, and its context has ended, as contexts do when a call has returned. Others use the keys of the second group long before the lease is over (rule 37).
func (m *manyTest) returnedDoNotWait() {
	client := m.cut[1]
	for i, limit := range []time.Duration{time.Minute, 12 * time.Millisecond, 16 * time.Millisecond, 20 * time.Millisecond} {
		m.does(client, reads("a"), reads("t")) // it knows the leaders
		key := fmt.Sprint("u", i)
		r := m.start(client, limit, writes(fmt.Sprint("f", i)), writes(key))
		m.ended(r, shardServes+shardContext, ruleShardDisjoint)
		for _, id := range m.layout.Groups[1] {
			m.s.Net.CutBoth(client, id)
		}
		m.s.Run(20 * time.Millisecond)
		m.s.Net.Heal()
		if r.Err != "unknown" { // then it may be unfinished
			m.does(m.other, writes(key))
		}
		m.s.Run(manyLease + shardSlack)
	}
}
