package transactions_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	"distlabs/labs/07-transactions"
)

// mostRequests is more than a client sends for its script.
const mostRequests = 100

// script is the transaction whose client fails: it reads a key and writes a pair of keys in two groups.
func (c *shardCluster) script() []shardStep {
	return []shardStep{reads("a"), writes(c.pairOf[0]), writes(c.pairOf[1])}
}

// shardRests is how long the tests wait until a transaction that was committed makes no other wait: a store may unlock its keys later.
const shardRests = 300 * time.Millisecond

// undisturbed lets a client execute its script twice: first it finds the leaders. It returns the second run, and how many requests that has sent.
func (c *shardCluster) undisturbed(client labrpc.NodeID) (r *shardRun, requests int) {
	c.does(client, c.script()...)
	c.s.Run(shardRests)
	g := c.gate(client)
	r = c.does(client, c.script()...)
	c.s.Run(shardRests)
	return r, c.requests(g)
}

// countRequests returns how many requests a client sends for its script.
func (c *shardCluster) countRequests(client labrpc.NodeID) int {
	_, requests := c.undisturbed(client)
	return requests
}

// scriptLimit is a time in which a client has executed its script, and sent its last request, unless that is lost.
func (c *shardCluster) scriptLimit(client labrpc.NodeID) time.Duration {
	r, _ := c.undisturbed(client)
	return max(400*time.Millisecond, 2*(r.Return-r.Call))
}

// cutAfter begins the script at a client, of whose requests the first k arrive; sometimes the later ones
// of the same instant arrive too, except the first. It may lose the replies too. It returns when a request was lost, or the transaction is over.
func (c *shardCluster) cutAfter(client labrpc.NodeID, k int, limit time.Duration) (*shardRun, *shardGate) {
	c.s.Run(shardRests)
	g := c.setGate(client, shardGate{limit: k, last: c.s.Rand().IntN(2) == 0, deaf: c.s.Rand().IntN(2) == 0, keep: true})
	r := c.start(client, limit, c.script()...)
	c.s.Until(shardServes, func() bool { return c.requests(g) > k || r.Over })
	return r, g
}

// dieAfter begins the script at a client, which dies after its first k requests: before it has a reply to the last of
// them, or a little later. over reports whether its Run had returned by then.
func (c *shardCluster) dieAfter(client labrpc.NodeID, k int) (r *shardRun, over bool) {
	if (k+int(c.s.Seed%2))%2 == 0 {
		r, _ = c.cutAfter(client, k, time.Minute)
		c.s.Run(time.Duration(c.s.Rand().IntN(2)) * 200 * time.Millisecond)
	} else {
		c.s.Run(shardRests)
		g := c.gate(client)
		r = c.start(client, time.Minute, c.script()...)
		c.s.Until(shardServes, func() bool { return c.requests(g) >= k || r.Over })
	}
	over = r.Over
	c.s.Net.Crash(client)
	return r, over
}

// open lets all requests of a client go through again.
func (c *shardCluster) open(client labrpc.NodeID) { c.gate(client) }

// whole checks that a transaction took effect as a whole or not at all, as another one sees it (rule 33). It reports
// whether it took effect.
func (c *shardCluster) whole(r, reader *shardRun) bool { return c.wholeBy(ruleShardStrict, r, reader) }

// wholeBy is whole, for the rule that a part of a transaction breaks.
func (c *shardCluster) wholeBy(rule string, r, reader *shardRun) bool {
	one, two := c.pairOf[0], c.pairOf[1]
	m, t := reader.saw(one) == r.wrote(one), reader.saw(two) == r.wrote(two)
	if len(r.Attempts) == 0 || r.wrote(two) == 0 {
		return false
	}
	if m != t || r.committed() && !m {
		saw := fmt.Sprintf("%v read %q=%d and %q=%d: only one of the two is what T%d wrote", reader.Client, one, reader.saw(one), two, reader.saw(two), r.ID)
		if m == t {
			saw = fmt.Sprintf("%v read %q=%d and %q=%d: not what T%d wrote, which had returned nil", reader.Client, one, reader.saw(one), two, reader.saw(two), r.ID)
		}
		c.s.Fail(labtest.Violation{What: saw, Rule: rule, Seen: []string{r.String(), reader.String()}, Nodes: append(c.around(r), reader.Client), At: reader.Return})
	}
	return m
}

// A client dies after each of its requests, and then the servers' wall clocks are set back. Within Lease + 1s its transaction is done or
// undone as a whole, and other clients can use its keys (rules 33 and 35).
func TestClientDies7D(t *testing.T) {
	const (
		done    = "a client died before its Run returned, and its transaction took effect"
		nothing = "a client died after it had sent a request, and its transaction took no effect"
	)
	// Six seeds: in three, chance may leave out the request to commit of a design whose answers are messages of their own.
	cfg := labtest.Config{Nodes: shardNodes(3, 2), Link: shardLink, Seeds: 6, MustCover: []string{done, nothing}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		c := newShardCluster(s, 3)
		if s.Seed%3 == 2 {
			c.pairOf[0] = "" // which is a key like any other
		}
		a, b := c.clients[0], c.clients[1]
		for k := 0; s.Seed%3 != 0 && k < mostRequests; k++ { // two seeds of three are enough for that
			over, took := c.dies(a, b, k)
			if took && !over {
				s.Cover(done)
			}
			if !took && k > 0 {
				s.Cover(nothing)
			}
			if over { // it has sent no more, neither to find the leaders nor for the transaction
				break
			}
		}
		c.serversFailToo(a, b)
		c.check()
	})
}

// dies lets client a die after k requests, and client b use its keys. It returns whether Run of a was over by then, and whether it took effect.
func (c *shardCluster) dies(a, b labrpc.NodeID, k int) (over, took bool) {
	r, over := c.dieAfter(a, k)
	cut := c.s.Net.Now()
	run := c.start(b, time.Minute, reads(c.pairOf[0]), reads(c.pairOf[1]), reads("a"))
	c.s.Run(shardLease / 4)
	for _, id := range c.servers() { // which knows the transaction by now
		c.s.Net.JumpClock(id, -time.Hour)
	}
	reader := c.commits(run, shardLease*3/4+shardSlack+shardServes, ruleShardLease)
	took = c.whole(r, reader)
	c.s.Run(max(0, cut+shardLease+shardSlack-c.s.Net.Now()))
	c.commits(c.start(b, time.Minute, writes(c.pairOf[1]), writes(c.pairOf[0]), writes("a")), shardServes, ruleShardLease)
	c.open(a)
	c.startClient(a)
	return over, took
}

// serversFailToo: a client dies, and then the leaders of two of its groups, or one of its groups is down for two Leases. When the servers are back, its
// transaction is done or undone as a whole, and makes nobody wait for longer than a Lease and 1s (rules 33 and 35).
func (c *shardCluster) serversFailToo(a, b labrpc.NodeID) {
	n := c.countRequests(a)
	for k := n / 2; k < n; k++ {
		r, _ := c.dieAfter(a, k)
		var wait []*shardRun
		if g := int(c.s.Seed % 3); g > 0 {
			for _, id := range c.layout.Groups[g] {
				c.s.Net.Crash(id)
			}
			c.s.Run(2*shardLease + shardSlack)
			if k == n/2 && g == 1 { // others wait for the lock of the dead client all the time
				for range 2 {
					wait = append(wait, c.start(b, 2*time.Minute, writes(c.pairOf[1])))
				}
				c.s.Run(30 * time.Second)
			}
		} else {
			c.s.Net.Crash(c.leader(1))
			c.s.Net.Crash(c.leader(2))
		}
		c.settle()
		back := c.s.Net.Now()
		reader := c.commits(c.start(b, time.Minute, reads(c.pairOf[0]), reads(c.pairOf[1])), shardLease+shardSlack+shardServes, ruleShardLease)
		if wait == nil {
			c.whole(r, reader)
		}
		for _, w := range wait {
			c.delayed(w, back+shardHeals-c.s.Net.Now(), ruleShardDurable)
		}
		c.commits(c.start(b, time.Minute, writes(c.pairOf[1]), writes(c.pairOf[0]), writes("a")), shardLease+shardSlack+shardServes, ruleShardLease)
		c.open(a)
		c.startClient(a)
	}
}

// A client is cut off after each of its requests, until others have used its keys, and then continues: its Run
// returns what has happened (rules 33 and 34).
func TestClientComesBack7D(t *testing.T) {
	const again = "a client came back, and its transaction took effect after the one of another client"
	cfg := labtest.Config{Nodes: shardNodes(3, 2), Link: shardLink, Seeds: 2, MustCover: []string{again}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		c := newShardCluster(s, 3)
		a, b := c.clients[0], c.clients[1]
		for k := range c.countRequests(a) + 1 {
			r, _ := c.cutAfter(a, k, time.Minute)
			c.commits(c.start(b, time.Minute, reads("m"), writes("m"), writes("t"), writes("a")), shardLease+shardSlack+shardServes, ruleShardLease)
			c.open(a)
			c.over(r, shardProgress, ruleShardProgress)
			reader := c.does(b, reads("m"), reads("t"))
			if c.check(); reader.saw("m") == r.wrote("m") {
				s.Cover(again)
			}
			c.delayed(r, 0, ruleShardProgress)
		}
		c.lateInOneGroup(a, b)
	})
}

// lateInOneGroup: a transaction has read a key in one group and writes a key in another. Its messages to that other group take longer than a Lease.
// Meanwhile another client writes the key that was read, and then reads both. One order of the three explains all that was read (rule 33).
func (c *shardCluster) lateInOneGroup(late, other labrpc.NodeID) {
	for range 3 {
		c.does(late, reads("a"), reads("m"))
		r := c.start(late, time.Minute, reads("m"), rests(300*time.Millisecond), writes("a"))
		c.s.Run(200 * time.Millisecond)
		for _, id := range c.layout.Groups[0] {
			c.s.Net.SetLink(late, id, labrpc.Link{Latency: labrpc.Fixed(shardLease + shardSlack + shardServes)})
		}
		c.s.Run(200 * time.Millisecond) // by now the first group has its lock, if it needs one
		wrote := c.start(other, time.Minute, writes("m"))
		c.s.Run(shardLease + shardSlack)
		reader := c.start(other, time.Minute, reads("m"), reads("a"))
		c.s.Run(shardServes)
		c.s.Net.SetLinks(shardLink)
		for _, o := range []*shardRun{wrote, reader} {
			c.commits(o, shardLease+shardSlack+shardServes, ruleShardLease)
		}
		c.over(r, shardProgress, ruleShardProgress)
		c.check()
	}
}

// The context of a transaction ends while its client is cut off, after each of its requests: it returns in time, and says that
// nothing was written only if that is so. Abort after Commit changes nothing (rules 33, 34 and 39).
func TestContextEnds7D(t *testing.T) {
	const unknown = "Run returned ErrOutcomeUnknown"
	cfg := labtest.Config{Nodes: shardNodes(3, 2), Link: shardLink, Seeds: 2, MustCover: []string{unknown}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		c := newShardCluster(s, 3)
		a, b := c.clients[0], c.clients[1]
		limit := c.scriptLimit(a)
		r, _ := c.cutAfter(a, 0, 0) // its context has ended before it begins
		c.ended(r, shardContext, ruleShardContext)
		c.open(a)
		for k := range c.countRequests(a) + 1 {
			r, g := c.cutAfter(a, k, limit)
			c.ended(r, limit+shardContext, ruleShardContext)
			lost := c.requests(g) > k
			switch {
			case r.Err == "unknown":
				s.Cover(unknown)
			case r.Err == "" || r.Err == "context" || r.Err == "aborted":
			default:
				c.s.Failf(ruleShardContext, "%v, want an error that wraps the context's, ErrAborted or ErrOutcomeUnknown", r)
			}
			if r.Err == "" && lost {
				s.Run(200 * time.Millisecond)
			}
			var waits []*shardRun // for this one
			for range 2 {
				waits = append(waits, c.start(b, time.Duration(300+s.Rand().IntN(300))*time.Millisecond, reads("b"), writes("a")))
			}
			for _, w := range waits {
				c.ended(w, w.Call+w.Limit+shardContext-s.Net.Now(), ruleShardContext)
			}
			c.open(a)
			reader := c.commits(c.start(b, time.Minute, reads("m"), reads("t")), shardLease+shardSlack+shardServes, ruleShardLease)
			c.noEffect(r, reader, c.whole(r, reader))
			c.commits(c.start(b, time.Minute, writes("m"), writes("t")), shardLease+shardSlack+shardServes, ruleShardLease)
		}
		c.abortsLater(a, b)
		c.check()
		for k := range 5 {
			for _, reads := range []bool{true, false} {
				c.cutCalls(a, k, reads)
			}
		}
	})
}

// noEffect checks that a transaction took effect only if its error permits that (rule 34).
func (c *shardCluster) noEffect(r, reader *shardRun, took bool) {
	if took && (r.Err == "context" || r.Err == "aborted") {
		c.s.Fail(labtest.Violation{
			What: fmt.Sprintf("%v, but %v read what it wrote", r, reader.Client), Rule: ruleShardOutcome, Nodes: append(c.around(r), reader.Client), At: reader.Return,
		})
	}
}

// abortsLater: the replies to all requests of a client are lost from one of the requests on, and the context of Commit ends. The client can send
// again, and calls Abort, which does nothing: the transaction is committed in both groups, or aborted in both (rules 33 to 35).
func (c *shardCluster) abortsLater(client, other labrpc.NodeID) {
	limit := c.scriptLimit(client)
	for k := range c.countRequests(client) + 1 {
		c.setGate(client, shardGate{limit: k, deaf: true})
		r := c.startBy(shardCommitAndAbort, client, limit, c.script())
		c.ended(r, limit+shardContext, ruleShardContext)
		c.open(client)
		c.s.Run(2 * shardAbortsLater)
		reader := c.commits(c.start(other, time.Minute, reads("m"), reads("t")), shardLease+shardSlack+shardServes, ruleShardLease)
		c.noEffect(r, reader, c.wholeBy(ruleShardOver, r, reader))
	}
}

// cutCalls: the context of Get, Put and Commit ends while their client is cut off after its first k requests.
func (c *shardCluster) cutCalls(client labrpc.NodeID, k int, reads bool) {
	const limit = 300 * time.Millisecond
	g := c.setGate(client, shardGate{limit: k})
	c.right(client, func(ctx context.Context, cl *transactions.ShardClient) (faults []shardFault) {
		ctx, cancel := labtest.WithTimeout(ctx, limit)
		defer cancel()
		begin, tx := time.Now(), cl.Begin(ctx)
		var calls []string
		call := func(name string, err error) bool {
			calls = append(calls, name)
			switch took := time.Since(begin); {
			case name == "Get" && err == nil && ctx.Err() != nil && (c.requests(g) > k || took > limit+shardContext): // it has waited for the end
				what := fmt.Sprintf("%s of the calls %v returned nil at the end of its context, want an error that wraps %q: the client was cut off", name, calls, ctx.Err())
				faults = append(faults, shardFault{what, ruleShardContext})
				return false
			case err == nil:
				return true
			case took > limit+shardContext:
				faults = append(faults, shardFault{fmt.Sprintf("%s returned %v after its transaction had begun, which had %v", name, took, limit), ruleShardContext})
			case !errors.Is(err, ctx.Err()) && !errors.Is(err, transactions.ErrOutcomeUnknown):
				what := fmt.Sprintf("%s of the calls %v returned %q, want an error that wraps %q or ErrOutcomeUnknown: the client was cut off", name, calls, err, ctx.Err())
				faults = append(faults, shardFault{what, ruleShardContext})
			}
			return false
		}
		for _, key := range []string{"d", "o"} {
			key = fmt.Sprint(key, k, reads)
			if reads {
				if _, _, err := tx.Get(key); !call("Get", err) {
					return faults
				}
			}
			if !call("Put", tx.Put(key, "x")) {
				return faults
			}
		}
		call("Commit", tx.Commit())
		return faults
	})
	c.open(client)
	c.s.Run(time.Second) // until nothing of it is under way
}
