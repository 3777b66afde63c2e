package transactions_test

import (
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
)

// All requests of a transaction that was committed arrive again, after another client has written its keys. And those requests
// of a dead client that were lost arrive when its lease is over (rule 41).
func TestLateCopies7D(t *testing.T) {
	cfg := labtest.Config{Nodes: shardNodes(3, 2), Link: shardLink, Seeds: 2}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		c := newShardCluster(s, 3)
		a, b := c.clients[0], c.clients[1]
		n := c.countRequests(a)
		for k := n; k > 0; k-- {
			var g *shardGate
			if k < n {
				_, g = c.cutAfter(a, k, time.Minute)
				s.Run(300 * time.Millisecond)
				s.Net.Crash(a)
				s.Run(shardLease + shardSlack)
			} else {
				g = c.setGate(a, shardGate{limit: -1, keep: true})
				c.does(a, c.script()...)
				s.Run(300 * time.Millisecond)
			}
			next := c.commits(c.start(b, time.Minute, writes("m"), writes("t"), writes("a")), shardServes, ruleShardLease)
			c.again(g)
			c.overwritten(b, next, "m", "t")
			c.commits(c.start(b, time.Minute, writes("m"), writes("t"), writes("a")), shardLease+shardSlack+shardServes, ruleShardLate)
			if c.open(a); k < n {
				c.startClient(a)
			}
		}
		c.check()
	})
}

// again sends all requests that a gate has kept once more, in their order.
func (c *shardCluster) again(g *shardGate) {
	c.mu.Lock()
	copies := g.copies
	g.copies, g.keep, g.limit = nil, false, -1
	c.mu.Unlock()
	c.inject(copies, 20*time.Millisecond)
}

// inject lets copies of messages arrive, with a pause after each.
func (c *shardCluster) inject(copies []labrpc.Message, pause time.Duration) {
	for _, m := range copies {
		_ = c.s.Net.Inject(labrpc.Message{From: m.From, To: m.To, Method: m.Method, Kind: m.Kind, Body: m.Body})
		c.s.Run(pause)
	}
}

// overwritten checks that late messages have changed nothing: keys have the values of a transaction.
func (c *shardCluster) overwritten(client labrpc.NodeID, last *shardRun, keys ...string) {
	var steps []shardStep
	for _, key := range keys {
		steps = append(steps, reads(key))
	}
	reader := c.commits(c.start(client, time.Minute, steps...), shardLease+shardSlack+shardServes, ruleShardLate)
	c.hasRead(reader, last, labtest.Violation{
		Rule: ruleShardLate, Seen: []string{"all messages of the client of an earlier transaction had arrived again"}, At: reader.Return,
	}, keys...)
}
