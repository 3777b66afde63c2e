package transactions_test

import (
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
)

// All requests of a transaction that was committed arrive again, after another client has written its keys. And those requests
// of a dead client that were lost arrive when its lease is over (rule 47).
func TestLateCopies7D(t *testing.T) {
	cfg := labtest.Config{Nodes: shardNodes(3, 2), Link: shardLink, Seeds: 3}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		c := newShardCluster(s, 3)
		a, b := c.clients[0], c.clients[1]
		n := c.countRequests(a)
		for k := n; k > 0; k-- {
			r, g := c.cutAfter(a, k, time.Minute)
			if s.Run(300 * time.Millisecond); k < n {
				s.Net.Crash(a)
				s.Run(shardLease + shardSlack)
			}
			next := c.commits(c.start(b, time.Minute, writes("m"), writes("t"), writes("a")), shardServes, ruleShardLease)
			c.again(g)
			reader := c.commits(c.start(b, time.Minute, reads("m"), reads("t")), shardLease+shardSlack+shardServes, ruleShardLate)
			for _, key := range []string{"m", "t"} {
				if reader.saw(key) != next.wrote(key) {
					c.s.Fail(labtest.Violation{
						What: reader.String() + ", want what this wrote: " + next.String(), Rule: ruleShardLate,
						Seen: []string{r.String(), "all messages of its client arrived again"}, Nodes: append(c.around(r), b), At: reader.Return,
					})
				}
			}
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
	for _, m := range copies {
		_ = c.s.Net.Inject(labrpc.Message{From: m.From, To: m.To, Method: m.Method, Kind: m.Kind, Body: m.Body})
		c.s.Run(20 * time.Millisecond)
	}
}
