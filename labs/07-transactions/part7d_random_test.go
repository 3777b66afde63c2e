package transactions_test

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
)

// then makes a client run one transaction after another, with the steps that next returns, until stop is set. The first begins even if stop
// is set in the same instant: otherwise chance would say whether it begins. A client may have several such streams at once, numbered from 0.
func (c *shardCluster) then(client labrpc.NodeID, stream int, stop *atomic.Bool, next func() []shardStep) {
	node, cl := c.nodes[client], c.client[client]
	runs := map[int]*shardRun{} // by number
	first := int(client)*10_000 + c.s.Net.Incarnation(client)*1000 + stream*100
	news := func(number int, n shardNews) {
		_ = labrpc.Tell(node, shardStreamNews{number, n}, func(at time.Duration, n shardStreamNews) {
			r := runs[n.Number]
			if r == nil {
				r = &shardRun{ID: first + n.Number, Client: client, Call: at}
				runs[n.Number] = r
				c.mu.Lock()
				c.runs = append(c.runs, r)
				c.mu.Unlock()
			}
			r.learn(at, n.News)
		})
	}
	go func() {
		for number := 1; (number == 1 || !stop.Load()) && node.Context().Err() == nil; number++ {
			news(number, shardNews{})
			shardRunOnce(node, cl, 4*time.Second, next(), int64(first+number)*100_000, func(n shardNews) { news(number, n) })
			select {
			case <-time.After(5 * time.Millisecond):
			case <-node.Context().Done():
			}
		}
	}()
}

// A shardStreamNews is a shardNews of one of many runs.
type shardStreamNews struct {
	Number int
	News   shardNews
}

// shardRandomSteps returns a function that returns random transactions on few keys.
func shardRandomSteps(rnd *rand.Rand, pauses time.Duration) func() []shardStep {
	return func() (steps []shardStep) {
		for range 1 + rnd.IntN(4) {
			key := []string{"a", "m", "t"}[rnd.IntN(3)]
			switch rnd.IntN(5) {
			case 0:
				steps = append(steps, writes(key))
			case 1:
				steps = append(steps, reads(key))
			case 2:
				steps = append(steps, reads(key+"l"))
			default:
				steps = append(steps, appends(key+"l"))
			}
			if pauses > 0 && rnd.IntN(3) == 0 {
				steps = append(steps, rests(time.Duration(rnd.Int64N(int64(pauses)))))
			}
		}
		return steps
	}
}

// startRandom makes clients run random transactions.
func (c *shardCluster) startRandom(stop *atomic.Bool, pauses time.Duration, clients ...labrpc.NodeID) {
	for _, id := range clients {
		rnd := rand.New(rand.NewPCG(c.s.Seed, uint64(id)*100+uint64(c.s.Net.Incarnation(id))))
		c.then(id, 0, stop, shardRandomSteps(rnd, pauses))
	}
}

// startStreams makes two clients run several transactions at once: one writes two keys in two groups, the others keys of their own. Replies of the third group to this
// client are slow. Two other clients read the keys.
func (c *shardCluster) startStreams(stop *atomic.Bool) {
	pause := func(rnd *rand.Rand) shardStep { return rests(time.Duration(rnd.Int64N(int64(100 * time.Millisecond)))) }
	for i, id := range c.clients {
		rnd := rand.New(rand.NewPCG(c.s.Seed, uint64(id)*100+50))
		if i >= 2 {
			c.then(id, 1, stop, func() []shardStep {
				keys := []string{"a", "m", "t"}
				rnd.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
				return []shardStep{reads(keys[0]), pause(rnd), reads(keys[1])}
			})
			continue
		}
		for _, server := range c.layout.Groups[i] {
			c.s.Net.SetLink(server, id, labrpc.Link{Latency: labrpc.Fixed(150 * time.Millisecond)})
		}
		for stream := range 4 {
			own := fmt.Sprint("own ", id, stream)
			rnd := rand.New(rand.NewPCG(c.s.Seed, uint64(id)*100+51+uint64(stream)))
			c.then(id, 2+stream, stop, func() []shardStep { return []shardStep{writes(own), pause(rnd)} })
		}
		keys := [][]string{{"m", "t"}, {"t", "a"}}[i]
		c.then(id, 1, stop, func() []shardStep { return []shardStep{writes(keys[0]), pause(rnd), writes(keys[1])} })
	}
}

// Random transactions that overlap, in a calm network. Then clients to which replies are slow run several at once (rule 33).
func TestSerializable7D(t *testing.T) {
	const overlap = "two committed transactions overlapped in time and had a key in common"
	cfg := labtest.Config{Nodes: shardNodes(3, 4), Link: shardLink, Seeds: 3, MustCover: []string{overlap}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		c := newShardCluster(s, 3)
		var stop atomic.Bool
		c.startRandom(&stop, 60*time.Millisecond, c.clients...)
		s.Run(2500 * time.Millisecond)
		stop.Store(true)
		s.Run(4 * time.Second)
		var end atomic.Bool
		c.startStreams(&end)
		s.Run(5 * time.Second)
		end.Store(true)
		s.Net.SetLinks(shardLink)
		s.Run(8 * time.Second)
		c.does(c.clients[0], reads("al"), reads("ml"), reads("tl"))
		if c.overlapped() {
			s.Cover(overlap)
		}
		c.check()
	})
}

// overlapped reports whether two committed transactions with a common key overlapped.
func (c *shardCluster) overlapped() bool {
	runs := c.history()
	for i, r := range runs {
		for _, o := range runs[:i] {
			if r.committed() && o.committed() && r.Call < o.Return && o.Call < r.Return && r.Client != o.Client && r.shares(o) {
				return true
			}
		}
	}
	return false
}

// shares reports whether two runs have a key in common.
func (r *shardRun) shares(o *shardRun) bool {
	keys := map[string]bool{}
	for _, op := range r.Attempts[len(r.Attempts)-1].Ops {
		keys[op.Key] = true
	}
	for _, op := range o.Attempts[len(o.Attempts)-1].Ops {
		if keys[op.Key] {
			return true
		}
	}
	return false
}

// Random transactions over links that lose, duplicate and reorder messages, while leaders crash and are cut off, clients die, and
// wall clocks are wrong (rules 33, 34 and 40).
func TestUnderFaults7D(t *testing.T) {
	const (
		lost    = "a message was lost"
		unknown = "a client died in the middle of a transaction"
		many    = "at least 10 transactions committed"
	)
	cfg := labtest.Config{Nodes: shardNodes(3, 4), Link: shardLink, Seeds: 5, MustCover: []string{lost, unknown, many}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		c := newShardCluster(s, 3)
		s.Net.SetLinks(labrpc.Link{Latency: labrpc.Uniform(time.Millisecond, 6*time.Millisecond), Loss: 0.02, Duplicate: 0.02, Reorder: 0.02})
		for _, id := range s.Net.Nodes() {
			s.Net.JumpClock(id, time.Duration(s.Rand().IntN(20)-10)*time.Hour)
		}
		var stop atomic.Bool
		c.startRandom(&stop, 0, c.clients...)
		for round := range 5 {
			s.Run(time.Duration(s.Rand().IntN(300)) * time.Millisecond)
			c.injectFault(round)
			s.Run(time.Duration(500+s.Rand().IntN(1000)) * time.Millisecond)
			client := c.clients[s.Rand().IntN(len(c.clients))]
			if s.Net.Crash(client); c.inDoubt(client) {
				s.Cover(unknown)
			}
			s.Net.Heal()
			c.startDown()
			c.startClient(client)
			c.startRandom(&stop, 0, client)
		}
		stop.Store(true)
		c.settle()
		s.Run(shardHeals)
		c.commits(c.start(c.clients[0], time.Minute, reads("al"), reads("ml"), reads("tl"), reads("a")), shardServes, ruleShardDurable)
		c.does(c.clients[1], reads("m"), reads("t"), appends("al"), writes("a"))
		committed := 0
		for _, r := range c.history() {
			if r.committed() {
				committed++
			}
		}
		if committed >= 10 {
			s.Cover(many)
		}
		if s.Net.Stats(labrpc.Match{}).Lost > 0 {
			s.Cover(lost)
		}
		s.Logf("%d of %d transactions committed", committed, len(c.history()))
		c.check()
	})
}

// inDoubt reports whether the last transaction of a client has not returned.
func (c *shardCluster) inDoubt(client labrpc.NodeID) bool {
	runs := c.history()
	for i := len(runs) - 1; i >= 0; i-- {
		if runs[i].Client == client {
			return !runs[i].Over
		}
	}
	return false
}

// injectFault does one thing to the leader of a random group.
func (c *shardCluster) injectFault(round int) {
	group := c.s.Rand().IntN(len(c.layout.Groups))
	leader := c.leader(group)
	if leader == 0 {
		return
	}
	switch (round + int(c.s.Seed%4)) % 4 {
	case 0:
		c.s.Net.Crash(leader)
	case 1:
		c.s.Net.Partition([]labrpc.NodeID{leader, c.clients[c.s.Rand().IntN(len(c.clients))]})
	case 2:
		c.strike(leader, false)
	case 3:
		c.s.Net.Pause(leader, time.Second)
	}
}
