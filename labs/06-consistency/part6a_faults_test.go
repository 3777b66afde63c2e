package consistency_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	"distlabs/labs/06-consistency"
)

// Three clients read and write at random servers, over links that lose messages (and, between servers, duplicate
// some), with wrong wall clocks, while leaders crash, are isolated with clients, and are paused. Porcupine checks that the results are
// linearizable; a request without a reply may have taken effect or not (rules 1 and 2).
func TestLinearizable6A(t *testing.T) {
	const (
		lost    = "a message was lost"
		deposed = "a deposed leader that did not know of it was asked by a client"
		hidden  = "a write without a reply was read"
	)
	cfg := labtest.Config{Nodes: 6, Seeds: 20, MustCover: []string{lost, deposed, hidden}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		c := newStrongCluster(s, 3)
		c.lossyLinks()
		c.skewClocks()
		var stop atomic.Bool
		for _, id := range c.clients {
			c.startClient(id, &stop)
		}
		for round := range 4 {
			c.injectFault(round)
			if c.deposedIsAsked(time.Duration(1000+s.Rand().IntN(800)) * time.Millisecond) {
				s.Cover(deposed)
			}
			s.Net.Heal()
			c.startDown()
			s.Run(time.Duration(s.Rand().IntN(400)) * time.Millisecond)
		}
		stop.Store(true)
		c.answered(c.hist()...)
		c.checkStrong()
		s.Net.SetLinks(labrpc.Reliable())
		c.settles()
		c.writes(c.clients[0], c.leader(), "x", "the end")
		for _, id := range c.servers {
			c.sees(c.clients[1], id, "Get", "x", "the end")
		}
		if s.Net.Stats(labrpc.Match{}).Lost > 0 {
			s.Cover(lost)
		}
		if c.readHidden() {
			s.Cover(hidden)
		}
	})
}

// strike does one thing to the leader: a crash, a cut with a client on either side, a cut from the servers alone, a pause.
func (c *strongCluster) injectFault(round int) {
	leader := c.waitForLeader(0)
	switch round % 4 {
	case 0:
		c.s.Net.Crash(leader)
	case 1:
		c.s.Net.Partition([]labrpc.NodeID{leader, c.clients[c.s.Rand().IntN(len(c.clients))]})
	case 2:
		for _, id := range c.except(leader) {
			c.s.Net.CutBoth(leader, id)
		}
	case 3:
		c.s.Net.Pause(leader, time.Second)
	}
}

// lossyLinks makes all links lose messages. Only those between servers duplicate them: a client's Put has no
// number by which a second copy could be known (that was lab 05).
func (c *strongCluster) lossyLinks() {
	once := labrpc.FairLoss(0.02)
	once.Duplicate = 0
	c.s.Net.SetLinks(once)
	for _, from := range c.servers {
		for _, to := range c.except(from) {
			c.s.Net.SetLink(from, to, labrpc.FairLoss(0.02))
		}
	}
}

// deposedIsAsked lets time pass, and reports whether in that a client asked a server that led an older term than
// another one.
func (c *strongCluster) deposedIsAsked(d time.Duration) bool {
	var old labrpc.NodeID
	var from time.Duration
	c.s.Until(d, func() bool {
		if old != 0 {
			return false
		}
		for _, a := range c.servers {
			for _, b := range c.except(a) {
				if c.leads(a) && c.leads(b) && c.status(a).Term < c.status(b).Term {
					old, from = a, c.s.Net.Now()
				}
			}
		}
		return false
	})
	return slices.ContainsFunc(c.hist(), func(op *strongOp) bool { return old != 0 && op.Server == old && op.Call >= from })
}

// readHidden reports whether a client read the value of a Put without a reply.
func (c *strongCluster) readHidden() bool {
	unknown := map[string]bool{}
	for _, op := range c.hist() {
		if op.write() && !op.Done && !op.Refused {
			unknown[op.Key+"="+op.Value] = true
		}
	}
	for _, op := range c.hist() {
		if !op.write() && op.Done && unknown[op.Key+"="+op.Value] {
			return true
		}
	}
	return false
}

// startClient makes a client read and write until stop is set, one request after another.
func (c *strongCluster) startClient(client labrpc.NodeID, stop *atomic.Bool) {
	node, servers := c.nodes[client], c.servers
	rnd := rand.New(rand.NewPCG(c.s.Seed, uint64(client)))
	ops := map[int]*strongOp{} // by number
	told := func(_ time.Duration, w movingClientOp) {
		op := ops[w.Number]
		if op == nil {
			op = &w.Op
			ops[w.Number] = op
			c.record(op)
			return
		}
		w.Op.Number = op.Number
		*op = w.Op
		c.s.Returned(client, fmt.Sprint("call ", op.Number), op.result())
	}
	began := time.Now().Add(-c.s.Net.Now())
	go func() {
		at := servers[rnd.IntN(len(servers))]
		for n := 1; !stop.Load() && node.Context().Err() == nil; n++ {
			w := movingClientOp{Number: n, Op: strongOp{Client: client, Server: at, Key: []string{"x", "y"}[rnd.IntN(2)]}}
			w.Op.Method = []string{"Get", "Get", "LogGet", "Put", "Put"}[rnd.IntN(5)]
			if w.Op.write() {
				w.Op.Value = fmt.Sprintf("%v-%d", client, n)
			}
			w.Op.Call = time.Since(began)
			_ = labrpc.Tell(node, w, told)
			strongStep(node, &w.Op)
			w.Op.Return, w.Op.Over = time.Since(began), true
			_ = labrpc.Tell(node, w, told)
			switch {
			case w.Op.Leader != 0:
				at = w.Op.Leader
			case !w.Op.Done || rnd.IntN(3) == 0:
				at = servers[rnd.IntN(len(servers))]
			}
			time.Sleep(time.Duration(10+rnd.IntN(140)) * time.Millisecond)
		}
	}()
}

// A movingClientOp is a request as a moving client reports it, before and after.
type movingClientOp struct {
	Number int
	Op     strongOp
}

// strongStep sends a request, and fills in what came back.
func strongStep(node *labrpc.Node, op *strongOp) {
	ctx, cancel := labtest.WithTimeout(node.Context(), 1500*time.Millisecond)
	defer cancel()
	if op.write() {
		reply, err := labrpc.Call[consistency.PutReply](ctx, node, op.Server, "Put", consistency.PutRequest{Key: op.Key, Value: op.Value})
		op.Came, op.Done, op.Refused = err == nil, reply.Done, reply.Refused && !reply.Done
		op.Leader, op.Index = reply.Leader, reply.Index
		return
	}
	reply, err := labrpc.Call[consistency.GetReply](ctx, node, op.Server, op.Method, consistency.GetRequest{Key: op.Key})
	op.Came, op.Done, op.Value, op.Leader = err == nil, reply.Done, reply.Value, reply.Leader
}
