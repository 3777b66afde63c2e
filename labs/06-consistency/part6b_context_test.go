package consistency_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	"distlabs/labs/05-replication"
	"distlabs/labs/06-consistency"
)

// A Get waits for its server as long as its context allows, and a Put looks for a leader as long as its context allows:
// longer than any retry limit that a session may be tempted to have (rules 12 and 13).
func TestKeepsTrying6B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 4, Seeds: 5}, func(s *labtest.Sim) {
		const away = 40 * time.Second
		c := newStrongCluster(s, 3)
		hist := &sessionHistory{c: c}
		leader, others := c.roles()
		run := hist.opens(c.clients[0], leader)
		hist.puts(run, "x", "1")
		c.settles()
		c.disconnect(others[0])
		hist.puts(run, "x", "2")
		run.moves(others[0])
		seen := c.status(leader).LastApplied
		get := hist.get(run, "x", 2*away) // its server lacks x=2
		s.Run(away)
		hist.catchesUp(get, others[0], seen)
		if get.Err != "" {
			hist.fail(ruleContext, get, get.String()+", want the value: its ctx had not ended, and the servers were connected again")
		}
		c.settles()
		c.catchesUpAtAnyTime(hist, run, leader, others[0])

		// The session cannot reach its server. What it sent meanwhile is lost.
		s.Net.CutBoth(c.clients[0], others[0])
		get = hist.get(run, "x", away/2)
		s.Run(2 * time.Second)
		s.Net.HealBoth(c.clients[0], others[0])
		if hist.returns(get); get.Err != "" {
			hist.fail(ruleContext, get, get.String()+", want the value: the session could reach its server again long before its ctx ended")
		}

		// Every server refuses: after a restart they all are followers, and cannot reach each other.
		for _, id := range c.servers {
			c.disconnect(id)
		}
		for _, id := range c.servers {
			s.Net.Crash(id)
		}
		c.startDown()
		sent, came := s.Net.Stats(labrpc.Match{From: c.clients[0]}).Sent, s.Net.Stats(labrpc.Match{To: c.clients[0]}).Delivered
		put := hist.put(run, "x", "3", 3*time.Second)
		s.Run(put.Limit - time.Microsecond)
		sent, came = s.Net.Stats(labrpc.Match{From: c.clients[0]}).Sent-sent, s.Net.Stats(labrpc.Match{To: c.clients[0]}).Delivered-came
		if hist.returns(put); put.Err == "" || put.Return < put.Invoke+put.Limit {
			hist.fail(ruleOnce, put, put.String()+", want its context's error when its ctx ends, and not before: every server refused all the time")
		}
		// If its last request is under way when its ctx ends, it may return ErrUnknown.
		if put.Err == "ErrUnknown" && sent == came {
			hist.fail(ruleOnce, put, fmt.Sprintf("%v, want its context's error: each of its %d requests had been refused when its ctx ended, so the session knew that it had written nothing", put, sent))
		}
		put = hist.put(run, "x", "4", 2*away)
		s.Run(away)
		if put.Over {
			hist.fail(ruleOnce, put, put.String()+", want it to go on: its ctx had not ended, and every server refused all the time")
		}
		s.Net.Heal()
		led := map[int]bool{} // terms that had a leader since: one that is deposed leaves open what becomes of the Put
		s.Until(healLimit, func() bool {
			for _, id := range c.servers {
				if st := c.status(id); st.Role == replication.Leader {
					led[st.Term] = true
				}
			}
			return put.Over
		})
		c.settles()
		if !s.Until(putLimit, func() bool { return put.Over }) || put.Err != "" && !(put.Err == "ErrUnknown" && len(led) > 1) {
			hist.fail(ruleOnce, put, put.String()+", want nil: well before its ctx ended, the servers had a leader that accepts writes")
		}
		hist.gets(run, ruleCatchesUp, "x")
		hist.check()

		// The first server that a new session asks is alone, and knows no leader. The others have one.
		_, others = c.roles()
		c.disconnect(others[0])
		s.Run(leaderLimit)
		run = hist.goesOn(run, c.clients[0], others[0])
		rest := c.except(others[0])
		run.moves(rest[len(rest)-1]) // from where it reads: that does not say where it writes
		if put = hist.returns(hist.put(run, "x", "5", away)); put.Err != "" {
			hist.fail(ruleOnce, put, fmt.Sprintf("%v, want nil: %v, which it asked first, refused, but all the time another server was the leader and accepted writes", put, others[0]))
		}

		c.leaderIsDown(c.clients[0])

		// Each reply is on its way for as long as a server may take for it.
		leader = c.leader()
		for _, link := range [][2]labrpc.NodeID{{c.clients[0], leader}, {leader, c.clients[0]}} {
			s.Net.SetLink(link[0], link[1], labrpc.Link{Latency: labrpc.Fixed(servesLimit * 2 / 5)})
		}
		run.moves(leader)
		if get = hist.returns(hist.get(run, "x", sessionLimit)); get.Err != "" {
			hist.fail(ruleContext, get, get.String()+", although every request got a reply after 400ms")
		}
	})
}

// leaderIsDown: a session has written to a leader, which is down by now, and the others follow another one. The first Put may not know what became of it;
// the next one finds the new leader, whichever server the session reads from: the one that is down, too (rule 14).
func (c *strongCluster) leaderIsDown(client labrpc.NodeID) {
	hist := &sessionHistory{c: c}
	c.s.Net.Heal()
	c.settles()
	leader, others := c.roles()
	run := hist.opens(client, others[0])
	hist.puts(run, "z", "1")
	servers := append([]labrpc.NodeID{others[0]}, c.except(others[0])...)
	reads := servers[(slices.Index(servers, leader)+int(c.s.Seed%3)+2)%3] // the leader, the next server or the one before
	run.moves(reads)                                                      // from where it reads: that does not say where it writes
	c.s.Net.Crash(leader)
	c.waitForLeader(leader)
	hist.returns(hist.put(run, "z", "2", 4*time.Second))
	next := hist.returns(hist.put(run, "z", "3", putLimit))
	if next.Err != "" {
		hist.fail(rulePutServes, next, fmt.Sprintf("%v, want nil: %v has been down since before the last Put, the others follow %v, and the session reads from %v", next, leader, c.leader(), reads))
	}
	hist.check()
	c.startDown()
	c.settles()
}

// A context ends in several ways: it is cancelled during a call, or has ended before it. Get and Put return at once; and the
// session can be used again after that (rule 12).
func TestContextEnds6B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 4, Seeds: 5}, func(s *labtest.Sim) {
		c := newStrongCluster(s, 3)
		hist := &sessionHistory{c: c}
		leader, others := c.roles()
		run := hist.opens(c.clients[0], leader)
		hist.puts(run, "x", "1")
		c.settles()
		c.disconnect(others[0])
		hist.puts(run, "x", "2")

		run.moves(others[0])
		for _, already := range []bool{false, true} {
			get := run.cancelled(already, "Get(x)", func(ctx context.Context, s *consistency.Session) error {
				_, err := s.Get(ctx, "x")
				return err
			})
			if !errors.Is(get, context.Canceled) {
				s.Failf(ruleContext, "the ctx of a Get was cancelled, but the Get returned the error %v, want ctx's error", get)
			}
		}
		// A request that nobody answers, then no server that accepts writes.
		s.Net.Isolate(c.clients[0])
		put := run.cancelled(false, "Put(y, lost)", func(ctx context.Context, s *consistency.Session) error { return s.Put(ctx, "y", "lost") })
		if !errors.Is(put, context.Canceled) && !errors.Is(put, consistency.ErrUnknown) {
			s.Failf(ruleContext, "the ctx of a Put was cancelled, but the Put returned the error %v, want ctx's error or ErrUnknown", put)
		}
		s.Net.Heal()
		c.settles()
		for _, id := range c.servers {
			c.disconnect(id)
			s.Net.Crash(id)
		}
		c.startDown()
		for _, already := range []bool{false, true} {
			put := run.cancelled(already, "Put(y, refused)", func(ctx context.Context, s *consistency.Session) error { return s.Put(ctx, "y", "refused") })
			if !errors.Is(put, context.Canceled) && !errors.Is(put, consistency.ErrUnknown) {
				s.Failf(ruleContext, "the ctx of a Put was cancelled while every server refused, but the Put returned the error %v, want ctx's error or ErrUnknown", put)
			}
		}
		s.Net.Heal()
		c.settles()
		hist.puts(run, "x", "3")
		for _, id := range c.servers {
			run.moves(id)
			hist.gets(run, ruleCatchesUp, "x")
		}
		hist.check()
	})
}

// cancelled makes a call whose context is cancelled: before the call, or 400ms later. The call must return within contextSlack.
func (r *sessionRun) cancelled(already bool, what string, call func(ctx context.Context, s *consistency.Session) error) (err error) {
	over := false
	node := r.c.nodes[r.client]
	ctx, cancel := labtest.WithCancel(node.Context())
	defer cancel()
	if already {
		cancel()
	}
	r.jobs <- func(s *consistency.Session) {
		type end struct{ Cancelled, Unknown, Nil bool }
		e := call(ctx, s)
		_ = labrpc.Tell(node, end{errors.Is(e, context.Canceled), errors.Is(e, consistency.ErrUnknown), e == nil}, func(_ time.Duration, got end) {
			over = true
			switch {
			case got.Cancelled:
				err = context.Canceled
			case got.Unknown:
				err = consistency.ErrUnknown
			case !got.Nil:
				err = errors.New("another error")
			}
		})
	}
	if !already {
		r.c.s.Run(400 * time.Millisecond)
		cancel()
	}
	if !r.c.s.Until(contextSlack, func() bool { return over }) {
		r.c.s.Failf(ruleContext, "the session on %v: %s has not returned %v after its ctx was cancelled", r.client, what, contextSlack)
	}
	return err
}

// Keys and values are any strings, in a session too. A Put of the value that the key has is a write (rules 8 and 9).
func TestAnyString6B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 4, Seeds: 2}, func(s *labtest.Sim) {
		c := newStrongCluster(s, 3)
		hist := &sessionHistory{c: c}
		leader, others := c.roles()
		run := hist.opens(c.clients[0], others[0])
		for i, key := range anyStrings {
			for _, value := range []string{"first", "first", "", anyStrings[len(anyStrings)-1-i], ""} {
				run.moves(append(others, leader)[s.Rand().IntN(3)])
				hist.puts(run, key, value)
				if got := hist.gets(run, ruleCatchesUp, key); got != value {
					s.Failf(ruleSession, "the session on %v wrote %.20q to the key %.20q and then read %.20q", c.clients[0], value, key, got)
				}
			}
		}
	})
}

// catchesUpAtAnyTime: the session's server catches up after 10 to 14 s, several times. Get returns soon after that, however often the session has asked in vain (rule 11).
func (c *strongCluster) catchesUpAtAnyTime(hist *sessionHistory, run *sessionRun, leader, late labrpc.NodeID) {
	s := c.s
	for range 6 {
		c.disconnect(late)
		run.moves(leader)
		hist.puts(run, "x", fmt.Sprint("at ", s.Net.Now()))
		seen := c.status(leader).LastApplied
		run.moves(late)
		get := hist.get(run, "x", time.Minute)
		s.Run(10*time.Second + time.Duration(s.Rand().Int64N(int64(4*time.Second))))
		hist.catchesUp(get, late, seen)
		hist.returns(get)
		c.settles()
	}
}

// catchesUp heals the network: soon after the session's server has applied the entries up to seen, a Get that waits for them returns.
func (t *sessionHistory) catchesUp(get *sessionOp, server labrpc.NodeID, seen int) {
	s := t.c.s
	s.Net.Heal()
	s.Until(healLimit, func() bool { return t.c.status(server).LastApplied >= seen })
	if !s.Until(getLimit, func() bool { return get.Over }) {
		t.fail(ruleCatchesUp, get, get.String()+fmt.Sprintf(", by %v, although its server has caught up more than %v ago", labtest.At(s.Net.Now()), getLimit))
	}
}
