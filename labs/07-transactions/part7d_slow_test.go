package transactions_test

import (
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
)

// The messages of a client have been slow for one transaction, and then quick for ten. When the leaders of five groups are down, the client does not wait
// for each of them as long as its slowest reply took: its next transaction is in time (rule 37).
func TestSlowReplies7D(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: shardNodes(5, 1), Link: shardLink, Seeds: 2}, func(s *labtest.Sim) {
		c := newShardCluster(s, 5)
		client := c.clients[0]
		steps := []shardStep{reads("i"), reads("r"), reads("w"), writes("y")} // of four groups; group 0 is the fifth
		slow := labrpc.Link{Latency: labrpc.Fixed([]time.Duration{145 * time.Millisecond, 220 * time.Millisecond}[s.Seed%2])}
		for _, id := range c.servers() {
			s.Net.SetLink(client, id, slow)
			s.Net.SetLink(id, client, slow)
		}
		c.ended(c.start(client, shardHeals, steps...), shardHeals+shardContext, ruleShardContext) // no rule says how
		s.Net.SetLinks(shardLink)
		s.Run(shardLease + shardSlack) // it makes no other transaction wait any more
		for range 10 {
			c.commits(c.start(client, time.Minute, steps...), shardServes, ruleShardDisjoint)
		}
		s.Run(time.Second)
		for g := range c.layout.Groups {
			s.Net.Crash(c.leader(g))
		}
		s.Run(time.Second)
		c.waitForLeaders()
		s.Run(time.Second)
		c.commits(c.start(client, time.Minute, steps...), shardServes, ruleShardDisjoint)
		c.check()
	})
}
