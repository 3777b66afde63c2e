package consistency_test

import (
	"reflect"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	"distlabs/labs/06-consistency"
)

// The log has more than 256 entries, and more than 4096; one client sees indexes that are higher by 2³². An index is compared as a whole number, and a
// session that has seen the last entry does not accept the state of a server that lacks it. Nor does one that goes on with its token, or one that
// has read the last entry at another server (rules 9 and 10).
func TestLongLog6B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 1}, func(s *labtest.Sim) {
		c := newStrongCluster(s, 3)
		c.raisesIndexes(c.clients[0], 1<<32)
		hist := &sessionHistory{c: c}
		run := hist.opens(c.clients[0], c.servers[0])
		for _, size := range []int{260, 4100} {
			leader, others := c.roles()
			for range size - c.status(leader).CommitIndex {
				c.raft(leader).Submit(nil)
			}
			c.settles()
			before := c.put(c.clients[1], leader, "y", "1")
			c.done(before)
			if before.Index < size {
				s.Failf(ruleIndex, "%v has Index %d, want more than %d: there are as many entries before it in the log", before, before.Index, size)
			}
			hist.puts(run, "x", "old")
			c.settles()
			run.moves(others[0])
			hist.gets(run, ruleLocal, "x")
			c.disconnect(others[0])
			hist.puts(run, "x", "new")
			hist.returns(hist.get(run, "x", time.Second))
			hist.check()
			hist.returns(hist.get(hist.goesOn(run, c.clients[0], others[0]), "x", time.Second))
			reader := hist.opens(c.clients[1], leader)
			hist.gets(reader, ruleLocal, "x")
			reader.moves(others[0])
			hist.returns(hist.get(reader, "x", time.Second))
			hist.check()
			hist.ops = nil
			s.Net.Heal()
			c.settles()
			hist.gets(run, ruleCatchesUp, "x")
			hist.ops = nil
		}
	})
}

// raisesIndexes lets a client see the log as if there were so many entries before it.
func (c *strongCluster) raisesIndexes(client labrpc.NodeID, by int) {
	c.s.Net.Intercept(func(m *labrpc.Message) labrpc.Verdict {
		if m.From != client && m.To != client {
			return labrpc.Pass
		}
		switch body := m.Body.(type) {
		case consistency.ReadRequest:
			index := max(body.Index-by, 0)
			lower(&body, by)
			body.Index = index
			m.Body = body
			return labrpc.Replace
		case consistency.PutRequest:
			lower(&body, by)
			m.Body = body
			return labrpc.Replace
		case consistency.ReadReply:
			if body.Done {
				body.Index += by
				m.Body = body
				return labrpc.Replace
			}
		case consistency.PutReply:
			if body.Done {
				body.Index += by
				m.Body = body
				return labrpc.Replace
			}
		}
		return labrpc.Pass
	})
}

// lower subtracts a number from each field of a request that can be an index so high: wire.go allows further fields.
func lower(request any, by int) {
	fields := reflect.ValueOf(request).Elem()
	for i := range fields.NumField() {
		if f := fields.Field(i); f.CanSet() && f.CanInt() && f.Int() >= int64(by) {
			f.SetInt(f.Int() - int64(by))
		}
	}
}
