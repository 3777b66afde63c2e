package transactions_test

import (
	"testing"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
)

// One client's transactions read what earlier ones wrote, in all groups; a transaction whose function fails leaves
// nothing (rules 39, 40 and 43).
func TestManyGroups7D(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: shardNodes(3, 2), Link: shardLink, Seeds: 3}, func(s *labtest.Sim) {
		c := newShardCluster(s, 3)
		a, b := c.clients[0], c.clients[1]
		c.does(a, reads("a"), reads("m"))
		first := c.does(a, writes("a"), writes("m"), writes("t"))
		c.sees(b, first, "a", "m", "t")
		c.does(b, reads("a"), writes("m"), reads("m"), writes("t"))
		c.does(a, appends("al"), appends("ml"))
		c.does(b, appends("ml"), appends("tl"))
		r := c.ended(c.start(a, shardServes, writes("a"), writes("t"), shardStep{Kind: "fail"}), shardServes, ruleShardDisjoint)
		if r.Err != errShardUser.Error() {
			c.s.Failf(ruleShardOutcome, "%v, want the function's own error", r)
		}
		c.does(b, reads("a"), reads("m"), reads("t"), reads("al"))
		c.does(b, reads("ml"), reads("tl"))
		c.check()
	})
}

// sees reads keys in one transaction: they must have what an earlier one wrote.
func (c *shardCluster) sees(client labrpc.NodeID, wrote *shardRun, keys ...string) *shardRun {
	var steps []shardStep
	for _, key := range keys {
		steps = append(steps, reads(key))
	}
	r := c.does(client, steps...)
	for _, key := range keys {
		if r.saw(key) != wrote.wrote(key) {
			c.check()
			c.s.Fail(labtest.Violation{What: r.String() + ", want what " + wrote.String(), Rule: ruleShardStrict, Nodes: c.around(r)})
		}
	}
	return r
}
