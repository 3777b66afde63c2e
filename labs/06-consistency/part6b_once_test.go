package consistency_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	consistency "distlabs/labs/06-consistency"
)

// The leader applies a write, and its reply is lost. The session cannot know the outcome, and says so; it does not write again over
// a value that another session has written since (rule 13).
func TestWritesOnce6B(t *testing.T) {
	const covered = "a write was applied, but its reply was lost"
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 20, MustCover: []string{covered}}, func(s *labtest.Sim) {
		c := newStrongCluster(s, 3)
		hist := &sessionHistory{c: c}
		leader, others := c.roles()
		a, b := hist.opens(c.clients[0], leader), hist.opens(c.clients[1], leader)
		hist.puts(a, "x", "1")
		lossy := newDropper(s) // of the Put's replies alone: a session may ask the server something before
		lossy.set(func(m *labrpc.Message) bool {
			return m.To == c.clients[0] && m.Method == "Put" && m.Kind == labrpc.Reply
		})
		put := hist.put(a, "x", "2", healLimit)
		for end := s.Net.Now() + sessionLimit; hist.gets(b, ruleLocal, "x") != "2"; {
			if s.Net.Now() > end {
				hist.fail(rulePutServes, put, put.String()+", but no session can read its value")
			}
		}
		if !put.Over {
			s.Cover(covered)
		}
		hist.puts(b, "x", "3")
		s.Run(500 * time.Millisecond)
		lossy.set(nil)
		hist.returns(put)
		if put.Err == "ctx" {
			hist.fail(ruleOnce, put, put.String()+", so it must not have written; but x=2 was read")
		}
		s.Run(2 * time.Second)
		c.settles()
		for _, id := range append(others, leader) {
			b.moves(id)
			if got := hist.gets(b, ruleCatchesUp, "x"); got == "2" {
				hist.fail(ruleOnce, put, fmt.Sprintf("%v, but it wrote again later: %v read x=2 from %v after x=3 had been written", put, c.clients[1], id))
			}
		}
		hist.check()
		hist.neitherDoneNorRefused(a, b)
		if s.Seed%4 == 0 {
			c.copyArrivesLate(c.clients[0], c.clients[1])
		}
		// Without a server that it can reach, Put returns ctx's error or ErrUnknown, in time.
		s.Net.Isolate(c.clients[0])
		if lost := hist.returns(hist.put(a, "x", "4", sessionLimit)); lost.Err == "" {
			hist.fail(ruleOnce, lost, lost.String()+", although it could reach no server")
		}
	})
}

// copyArrivesLate delays what a session sends to a server that does not lead. It leads when this arrives: a Put that has written must not write again over
// what another session has written since (rule 13).
func (c *strongCluster) copyArrivesLate(client, other labrpc.NodeID) {
	c.settles()
	hist := &sessionHistory{c: c}
	leader, others := c.roles()
	held := c.s.Net.Hold(labrpc.Match{From: client, To: others[0], Method: "Put", Kind: labrpc.Request})
	hist.puts(hist.opens(client, leader), "w", "1")
	put, b := hist.ops[0], hist.opens(other, leader)
	hist.puts(b, "w", "2")
	c.settles() // a server that lacks an entry could not win
	c.handOver(leader, others[0])
	held.Release()
	c.s.Run(servesLimit)
	c.settles()
	if got := hist.gets(b, ruleCatchesUp, "w"); got != "2" {
		hist.fail(ruleOnce, put, fmt.Sprintf("%v, but it wrote again later: %v read w=%s after w=2 had been written", put, other, got))
	}
}

// neitherDoneNorRefused has a write of a applied, whose reply says neither of the two. Before the reply comes, b overwrites the value. So a must
// not write again (rule 13).
func (t *sessionHistory) neitherDoneNorRefused(a, b *sessionRun) {
	net := t.c.s.Net
	var once atomic.Bool
	net.Intercept(func(m *labrpc.Message) labrpc.Verdict {
		if m.Method != "Put" || m.Kind != labrpc.Reply || m.To != a.client || once.Swap(true) {
			return labrpc.Pass
		}
		m.Body = consistency.PutReply{}
		return labrpc.Replace
	})
	held := net.Hold(labrpc.Match{To: a.client, Method: "Put", Kind: labrpc.Reply})
	t.puts(b, "y", "0")
	put := t.put(a, "y", "1", sessionLimit)
	for range 20 {
		if t.gets(b, ruleLocal, "y") == "1" {
			break
		}
	}
	t.puts(b, "y", "2")
	held.Release()
	t.returns(put)
	t.c.settles()
	if got := t.gets(b, ruleCatchesUp, "y"); got == "1" {
		t.fail(ruleOnce, put, fmt.Sprintf("%v, but it wrote again later: the reply said neither Done nor Refused, and %v read y=1 after y=2 had been written", put, b.client))
	}
	t.check()
}
