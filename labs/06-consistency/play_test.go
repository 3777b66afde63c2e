package consistency_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	"distlabs/labs/05-replication"
	consistency "distlabs/labs/06-consistency"
)

// Three servers and a client, n4, that a person plays ("grade play 6A"). After each reply, what the client has seen must be linearizable.
func TestPlay6A(t *testing.T) {
	labtest.Play(t, labtest.SearchSpace{Nodes: 4, MaxWait: 3 * time.Second}, func(s *labtest.Sim) labtest.Scenario {
		c := playStore(s, 3)
		replies := 0
		s.Always(func() *labtest.Violation {
			over := 0
			for _, op := range c.hist() {
				if op.Over {
					over++
				}
			}
			if over == replies {
				return nil
			}
			replies = over
			v, _ := c.strongViolation()
			return v
		})
		scenario := labtest.Scenario{Start: c.boot, BeforeStep: c.showApplied(), Puzzles: strongPuzzles(c)}
		client := c.clients[0]
		for _, id := range c.servers {
			scenario.Actions = append(scenario.Actions,
				labtest.Action{
					Name: fmt.Sprintf("n4 asks %v to write x", id), Can: func() bool { return s.Net.Up(client) },
					Do: func() { c.put(client, id, "x", fmt.Sprint("v", len(c.hist())+1)) },
				},
				labtest.Action{
					Name: fmt.Sprintf("n4 reads x at %v", id), Can: func() bool { return s.Net.Up(client) },
					Do: func() { c.read(client, id, "Get", "x") },
				})
		}
		return scenario
	})
}

// playStore is a cluster of which no node has started.
func playStore(s *labtest.Sim, servers int) *strongCluster {
	all := s.Net.Nodes()
	return &strongCluster{
		s: s, servers: all[:servers], clients: all[servers:],
		nodes: map[labrpc.NodeID]*labrpc.Node{}, running: map[labrpc.NodeID]*consistency.Server{},
	}
}

// boot makes a node that has just come up what it is.
func (c *strongCluster) boot(node *labrpc.Node) {
	if !slices.Contains(c.servers, node.ID()) {
		c.nodes[node.ID()] = node
		return
	}
	server := consistency.StartServer(node, c.servers)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running[node.ID()] = server
}

// showApplied records how much of the log each server has applied, where that has changed: the page shows it.
func (c *strongCluster) showApplied() func() bool {
	known := map[labrpc.NodeID]int{}
	return func() bool {
		for _, id := range c.servers {
			if now := c.status(id).LastApplied; c.s.Net.Up(id) && now != known[id] {
				known[id] = now
				c.s.Seen(id, "applied", now)
			}
		}
		return false
	}
}

// isDeposed reports whether a server believes that it leads, and another one leads in a later term.
func (c *strongCluster) isDeposed(id labrpc.NodeID) bool {
	mine := c.status(id)
	return mine.Role == replication.Leader && slices.ContainsFunc(c.servers, func(other labrpc.NodeID) bool {
		st := c.status(other)
		return st.Role == replication.Leader && st.Term > mine.Term
	})
}

// strongPuzzles are those of part A.
func strongPuzzles(c *strongCluster) []labtest.Puzzle {
	some := func(holds func(op *strongOp) bool) bool { return slices.ContainsFunc(c.hist(), holds) }
	asked := map[int]bool{} // the reads at a leader that was deposed when the request was there
	return []labtest.Puzzle{
		{
			ID: "written", Title: "Written, and read",
			Goal: "Have n4 write x, and read that value at a server.",
			Hints: []string{
				"Elect a leader first: let time pass until a server is a candidate, and deliver its RequestVote and the reply.",
				"Ask the leader to write x. It replies when a majority has the entry.",
				"For a read, the leader makes sure that it still leads: it needs another reply of a majority.",
			},
			Reached: func() bool {
				return some(func(op *strongOp) bool { return op.Done && !op.write() && op.Value != "" })
			},
			Solution: "w.d1.d0.d1.d0.d0.d0.s4.d2.d1.d0.d0.d0.d1.d1.d0.s5.d0.d1.d0.d0.d1",
		},
		{
			ID: "deposed", Title: "A deposed leader is asked",
			Goal: "Have a read reach a leader that has been deposed and does not know it: another server leads in a later term. The read must get a reply, although no value.",
			Hints: []string{
				"A leader does not learn of a new leader as long as nothing arrives there. First bring about two leaders, as in lab 04.",
				"Have n4 read at the old leader, and deliver only this request.",
				"The old leader waits for a majority that confirms it. It gives up after some seconds: let time pass, and deliver its reply to n4.",
			},
			Reached: func() bool {
				for _, op := range c.hist() {
					if !op.write() && !op.Over && c.isDeposed(op.Server) {
						asked[op.Number] = true
					}
				}
				return some(func(op *strongOp) bool { return asked[op.Number] && op.Came && !op.Done })
			},
			Solution: "w.d1.d0.w.d2.d0.d0.s5.d1.d1.w.d7.d8.d1.d7.d1.w.d0.d1.d5.d5.d2.d1.d5.w.w.d6.d0.d9",
		},
		{
			ID: "early", Title: "Read before it is confirmed",
			Goal: "Have a read return the value of a Put whose reply has not arrived at n4.",
			Hints: []string{
				"A Put takes effect before its client learns it. When?",
				"Bring a Put so far that the leader has applied it. Keep the reply to n4 under way, and have n4 read at the leader.",
			},
			Reached: func() bool {
				return some(func(put *strongOp) bool {
					return put.write() && !put.Over && some(func(op *strongOp) bool { return op.Done && !op.write() && op.Value == put.Value })
				})
			},
			Solution: "w.d0.d1.d0.d0.d0.s4.d2.d1.d0.d0.d0.s5.d1.d1.w.d2.d5.d4.d4",
		},
		{
			ID: "stale", Title: "An old value",
			Goal: "Have a Put be Done at the new leader, and afterwards a Get of x at the deposed leader return the value before.",
			Hints: []string{
				"The deposed leader has the old value in its memory. What must it have received after the request before it may reply?",
			},
			Rules: []string{
				"Each Get whose reply is Done takes effect at one instant between its request and its reply (rule 1)",
				"A server replies to every request within 3s (rule 3)",
				"A server that is not the leader refuses every Put (rule 5)",
				"A Get adds nothing to the log and writes nothing to the disk (rule 6)",
			},
			Forbid: 0,
		},
	}
}

// A playedSession is a session of a person's client, which does one thing at a time.
type playedSession struct {
	c       *strongCluster
	node    *labrpc.Node
	session *consistency.Session
	using   sync.Mutex // a session is for one goroutine: this hands it over
	writer  *playedSession
	server  labrpc.NodeID // where it reads
	busy    bool
	before  int // messages that had reached the server before the call
	calls   int
	puts    int
	written int // the puts that returned nil
	reads   []playedRead
	token   int // after the last call
}

// A playedRead is what a session has read.
type playedRead struct {
	value  string
	end    time.Duration
	writes int // how many writes had returned nil when it was called
}

// Three servers, a session that writes, at n4, and one that reads, at n5 ("grade play 6B").
func TestPlay6B(t *testing.T) {
	labtest.Play(t, labtest.SearchSpace{Nodes: 5, MaxWait: 3 * time.Second, NoCrashes: true}, func(s *labtest.Sim) labtest.Scenario {
		c := playStore(s, 3)
		writer, reader := &playedSession{c: c}, &playedSession{c: c}
		writer.writer, reader.writer = writer, writer
		s.Always(reader.wentBack)
		scenario := labtest.Scenario{
			Start: func(node *labrpc.Node) {
				c.boot(node)
				for id, p := range map[labrpc.NodeID]*playedSession{4: writer, 5: reader} {
					if node.ID() == id {
						p.node, p.server, p.session = node, 1, consistency.NewSession(node, consistency.SessionOptions{Servers: c.servers})
					}
				}
			},
			BeforeStep: c.showApplied(), Puzzles: sessionPuzzles(c, reader),
			Actions: []labtest.Action{
				{Name: "n4 writes x", Can: func() bool { return !writer.busy }, Do: writer.put},
				{Name: "n5 reads x", Can: func() bool { return !reader.busy }, Do: reader.get},
			},
		}
		for _, id := range c.servers {
			scenario.Actions = append(scenario.Actions, labtest.Action{
				Name: fmt.Sprintf("n5 moves to %v", id), Can: func() bool { return !reader.busy && reader.server != id },
				Do: func() { reader.move(id) },
			})
		}
		return scenario
	})
}

const playedLimit = 20 * time.Second // of a session's call

// move has an idle session read elsewhere.
func (p *playedSession) move(to labrpc.NodeID) {
	p.using.Lock()
	defer p.using.Unlock()
	p.server = to
	p.session.Move(to)
}

// put begins to write x, and get to read it. They are called while the session is idle.
func (p *playedSession) put() {
	p.puts++
	value := fmt.Sprint("v", p.puts)
	p.does(fmt.Sprintf("Put(x=%s)", value), func(ctx context.Context) (string, error) { return value, p.session.Put(ctx, "x", value) }, func(playedRead) { p.written++ })
}

func (p *playedSession) get() {
	p.does(fmt.Sprintf("Get(x) at %v", p.server), func(ctx context.Context) (string, error) { return p.session.Get(ctx, "x") }, func(r playedRead) { p.reads = append(p.reads, r) })
}

func (p *playedSession) does(what string, call func(ctx context.Context) (string, error), done func(r playedRead)) {
	p.busy, p.before = true, p.arrived()
	p.calls++
	writes, id := p.writer.written, fmt.Sprint(p.calls)
	p.c.s.Called(p.node.ID(), id, what)
	go func() {
		ctx, cancel := labtest.WithTimeout(p.node.Context(), playedLimit)
		defer cancel()
		p.using.Lock()
		value, err := call(ctx)
		type end struct {
			Value, Failed string
			Token         int
		}
		e := end{Value: value, Token: p.session.Token()}
		p.using.Unlock()
		if err != nil {
			e.Failed = err.Error()
		}
		_ = labrpc.Tell(p.node, e, func(now time.Duration, e end) {
			p.busy, p.token = false, e.Token
			result := fmt.Sprintf("%q", e.Value)
			if e.Failed != "" {
				result = e.Failed
			} else {
				done(playedRead{e.Value, now, writes})
			}
			p.c.s.Returned(p.node.ID(), id, result)
		})
	}()
}

// arrived is how many messages of the session have reached its server.
func (p *playedSession) arrived() int {
	return p.c.s.Net.Stats(labrpc.Match{From: p.node.ID(), To: p.server}).Delivered
}

// wentBack finds a read that is older than an earlier one of its session (rule 9). Every value is written once.
func (p *playedSession) wentBack() *labtest.Violation {
	left := map[string]bool{} // values that a later one has replaced
	for i, r := range p.reads {
		if left[r.value] {
			return &labtest.Violation{
				What: fmt.Sprintf("the session at n5 read x=%q at %v, after it had read x=%q", r.value, labtest.At(r.end), p.reads[i-1].value),
				Rule: ruleSession,
			}
		}
		if i > 0 && p.reads[i-1].value != r.value {
			left[p.reads[i-1].value] = true
		}
	}
	return nil
}

// sessionPuzzles are those of part B.
func sessionPuzzles(c *strongCluster, reader *playedSession) []labtest.Puzzle {
	return []labtest.Puzzle{
		{
			ID: "stale", Title: "Old, and yet correct",
			Goal: "Have n4's Put return, and n5 read an older value afterwards: this is sequentially consistent, and not linearizable.",
			Hints: []string{
				"A session reads at one server, from the state of that server. Which servers must know a write before its Put returns?",
				"Elect n3 with the vote of n2, and have n4 write x: it asks n1 first, which names the leader if it knows one. Do not deliver this write to n1.",
				"When n4 has its reply, have n5 read x at n1.",
			},
			Reached: func() bool {
				return slices.ContainsFunc(reader.reads, func(r playedRead) bool {
					return r.value == "" && r.writes > 0
				})
			},
			Solution: "w.d1.d1.d1.s0.d3.d3.w.d3.d1.d2.d2.d2.d2.s1.d2.d2",
		},
		{
			ID: "waits", Title: "A server that is behind",
			Goal: "Have n5 read a value that n4 has written, move to a server that has not applied this write, and ask there: the request has arrived, and the server may not reply yet.",
			Hints: []string{
				"n5 must read the new value at the leader, or at a server that has learnt that the write is committed.",
				"Then move n5 to the server to which you have not delivered anything, and have it read there.",
			},
			Reached: func() bool {
				seen := slices.ContainsFunc(reader.reads, func(r playedRead) bool { return r.value != "" })
				return seen && reader.busy && c.status(reader.server).LastApplied < reader.token && reader.arrived() > reader.before
			},
			Solution: "w.d1.d1.d1.s0.d3.d3.w.d3.d1.d2.d2.d2.d2.s4.s1.d2.d2.s2.s1.d2",
		},
		{
			ID: "back", Title: "New, then old",
			Goal: "Have n5 read a value that n4 has written, and afterwards an older one, at whatever servers.",
			Hints: []string{
				"The session knows how new the state is that it has seen. It says so when it asks another server.",
			},
			Rules: []string{
				"Sequentially consistent: one order of all operations explains the results of all sessions, and it need not agree with real time (rule 8)",
				"A Get of a session returns nothing older than what an earlier Get of the session returned (rule 9)",
				"Session.Get continues until it has a value or its ctx ends (rule 12)",
				"Put writes the key at most once (rule 13)",
			},
			Forbid: 1,
		},
	}
}
