package consistency_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	"distlabs/labs/06-consistency"
)

// A server that serves reads (rule 10) gets a request for a state that no server has. It replies within 3s that it cannot serve it; and when it gets
// such a request while it has no leader, it does the same (rule 3). Requests that wait do not hold up a Read that the server can serve.
func TestReadIsAnswered6B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 4, Seeds: 5}, func(s *labtest.Sim) {
		c := newStrongCluster(s, 3)
		c.settles()
		serves := func(while string) {
			for _, id := range c.servers {
				call := strongAsk[consistency.ReadReply](c, c.clients[0], id, "Read", consistency.ReadRequest{Key: "x"}, nil)
				if !s.Until(servesLimit+50*time.Millisecond, func() bool { return call.over }) || !call.reply.Done {
					s.Failf(ruleLocal, "%v had received a Read of index 0 and not replied within %v (replied = %v, Done = %v), want a reply with Done, as every server has the state of index 0%s",
						id, servesLimit, call.came, call.reply.Done, while)
				}
			}
		}
		serves("")
		ahead := func() {
			var calls []*strongCall[consistency.ReadReply]
			for _, id := range c.servers {
				for _, index := range []int{c.status(id).LastApplied + 1, 1 << 32, math.MaxInt} {
					calls = append(calls, strongAsk[consistency.ReadReply](c, c.clients[0], id, "Read", consistency.ReadRequest{Key: "x", Index: index}, nil))
				}
				strongAsk[consistency.GetReply](c, c.clients[0], id, "Get", consistency.GetRequest{Key: "x"}, nil)
			}
			serves(", while Reads of higher indexes and a Get wait")
			s.Run(answersLimit + servesLimit)
			for i, call := range calls {
				if !call.came || call.reply.Done {
					s.Failf(ruleAnswers, "%v had received a Read of an index that it did not reach, and %v later: replied = %v, Done = %v, want a reply that is not Done",
						c.servers[i/3], answersLimit+servesLimit, call.came, call.reply.Done)
				}
			}
		}
		ahead()
		for _, id := range c.servers {
			c.disconnect(id)
		}
		ahead()
		s.Net.Heal()
		c.servesThoseThatWait(c.clients[0])
	})
}

// servesThoseThatWait sends a server Reads of an index that it lacks, one after another. It gives up some of them. When its state reaches the index, it serves those
// that still wait (rule 11).
func (c *strongCluster) servesThoseThatWait(client labrpc.NodeID) {
	s := c.s
	c.settles()
	leader, others := c.roles()
	late := others[0]
	c.disconnect(late)
	index := c.writes(client, leader, "x", "1").Index
	reached := func() bool { return c.status(late).LastApplied >= index }
	var calls []*strongCall[consistency.ReadReply]
	for n := 0; n < 12 || n < 60 && !reached(); n++ {
		if n == 12 {
			s.Net.Heal()
		}
		calls = append(calls, strongAsk[consistency.ReadReply](c, client, late, "Read", consistency.ReadRequest{Key: "x", Index: index}, nil))
		s.Until(300*time.Millisecond, func() bool { return n >= 12 && reached() })
	}
	at := s.Net.Now()
	s.Run(400 * time.Millisecond) // a store may execute in batches, and a reply of a server that has just given up may be on its way
	calls = slices.DeleteFunc(calls, func(call *strongCall[consistency.ReadReply]) bool {
		return call.over || call.sent < at+servesLimit-answersLimit // its 3 s end before
	})
	s.Run(servesLimit)
	for _, call := range calls {
		if !call.reply.Done {
			s.Failf(ruleCatchesUp, "%v had received several Reads of index %d, and reached that at %v; %v later, for one that it had not replied to before: replied = %v, Done = %v, want both true",
				late, index, labtest.At(at), servesLimit, call.came, call.reply.Done)
		}
	}
}
