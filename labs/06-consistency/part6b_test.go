package consistency_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"distlabs/internal/harness/check/sequential"
	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	"distlabs/labs/05-replication"
)

// A session reads from any server, and no server asks another one. A server that is alone with the
// client still serves it (rule 10).
func TestReadsLocally6B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 20}, func(s *labtest.Sim) {
		c := newStrongCluster(s, 3)
		hist := &sessionHistory{c: c}
		_, others := c.roles()
		alone := others[0]
		run := hist.opens(c.clients[0], alone)
		hist.puts(run, "x", "1")
		c.settles()
		cost := c.cost(func() {
			for _, id := range append(c.except(alone), alone) {
				run.moves(id)
				for range 3 {
					hist.gets(run, ruleLocal, "x")
				}
			}
		})
		if cost.messages > 0 || cost.entries > 0 || cost.writes > 0 {
			s.Failf(ruleLocal, "9 calls of Get cost %d messages between servers, %d entries in the log and %d disk writes, want none",
				cost.messages, cost.entries, cost.writes)
		}
		// No other server can be reached.
		for _, id := range c.except(alone) {
			s.Net.CutBoth(alone, id)
			s.Net.CutBoth(c.clients[0], id)
		}
		for range 3 {
			s.Run(2 * time.Second)
			hist.gets(run, ruleLocal, "x")
		}
		hist.gets(hist.opens(c.clients[0], alone), ruleLocal, "x") // a session that has seen nothing
		hist.check()
	})
}

// A session reads an old value from a server that is isolated, after another session has written a new one. That is not
// linearizable, but it is allowed: it is sequentially consistent (rules 8 and 10).
func TestStaleReadIsAccepted6B(t *testing.T) {
	const covered = "a read returned an old value after a new one had been written, and sequential consistency allowed it"
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 20, MustCover: []string{covered}}, func(s *labtest.Sim) {
		c := newStrongCluster(s, 3)
		hist := &sessionHistory{c: c}
		leader, others := c.roles()
		writer, reader := hist.opens(c.clients[0], leader), hist.opens(c.clients[1], others[0])
		hist.puts(writer, "x", "1")
		c.settles()
		hist.gets(reader, ruleLocal, "x")
		c.disconnect(others[0])
		hist.puts(writer, "x", "2")
		got := hist.gets(reader, ruleLocal, "x")
		hist.check()
		if v, err := sequential.Check(hist.operations(), sequential.Options{}); got == "1" && v == nil && err == nil && !hist.linearizable() {
			s.Cover(covered)
		}
		s.Net.Heal()
		c.settles()
		s.Run(servesLimit) // a store may execute in batches what Raft has applied
		if got := hist.gets(reader, ruleLocal, "x"); got != "2" {
			s.Failf(ruleLocal, "the session on %v read x=%q from %v, although %[3]v had applied x=2 before", c.clients[1], got, others[0])
		}
		hist.check()
	})
}

// A session writes, and reads from a server that has not received the write, or is isolated. It
// gets its write or no value at all; when the server has caught up, it gets its write (rules 9 and 11).
func TestReadsItsWrites6B(t *testing.T) {
	const covered = "a session asked a server that lacked its write"
	labtest.Run(t, labtest.Config{Nodes: 4, Seeds: 20, MustCover: []string{covered}}, func(s *labtest.Sim) {
		c := newStrongCluster(s, 3)
		hist := &sessionHistory{c: c}
		leader, others := c.roles()
		run := hist.opens(c.clients[0], others[0])
		hist.puts(run, "x", "1")
		hist.gets(run, ruleCatchesUp, "x")
		c.settles()
		c.disconnect(others[0])
		hist.puts(run, "x", "2")
		if last := c.status(leader).CommitIndex; c.status(others[0]).LastApplied < last {
			s.Cover(covered)
		}
		hist.returns(hist.get(run, "x", 1500*time.Millisecond))
		hist.check()
		run.moves(others[1])
		hist.gets(run, ruleCatchesUp, "x")
		run.moves(others[0])
		late := hist.get(run, "x", healLimit)
		s.Run(answersLimit + servesLimit)
		s.Net.Heal()
		c.settles()
		if !s.Until(2*servesLimit, func() bool { return late.Over }) || late.Err != "" {
			hist.fail(ruleCatchesUp, late, late.String()+", although its server had applied all that the other servers had")
		}
		hist.check()
	})
}

// A session has read a value that another session wrote, and moves to a server that lacks it, or its own server restarts and lacks it. It does not go
// back (rule 9).
func TestNeverGoesBack6B(t *testing.T) {
	movesToALaggingServer(t, laggingServerOptions{before: []string{"x=1"}, after: []string{"x=2"}, reads: "x", then: "x", emptied: true})
}

// A session that has seen a write of one key sees all earlier writes of other keys: if it has read the answer, it finds the question (rule 8).
func TestOneOrderForAllKeys6B(t *testing.T) {
	movesToALaggingServer(t, laggingServerOptions{after: []string{"question=why?", "answer=because"}, reads: "answer", then: "question"})
}

// laggingServerOptions lists the writes before and after a server is isolated from the others, and the keys that a session then
// reads from the leader and from the isolated server.
type laggingServerOptions struct {
	before, after []string
	reads, then   string
	emptied       bool // at the end, does the same with a key whose last value is the empty string
}

// checkReadOfNothing: a session has read the empty string, which replaced a value, and moves to a server that has that value. It does not go
// back (rule 9). The checkers cannot check that: they need values that differ from that of a key that nobody has written.
func (c *strongCluster) checkReadOfNothing() {
	hist := &sessionHistory{c: c}
	leader, others := c.roles()
	writer, reader := hist.opens(c.clients[0], leader), hist.opens(c.clients[1], leader)
	hist.puts(writer, "emptied", "full")
	c.settles()
	c.disconnect(others[0])
	hist.puts(writer, "emptied", "")
	first := hist.gets(reader, ruleLocal, "emptied")
	reader.moves(others[0])
	second := hist.returns(hist.get(reader, "emptied", 500*time.Millisecond))
	if first == "" && second.Err == "" && second.Value != "" {
		hist.fail(ruleSession, second, fmt.Sprintf("%v, but the same session had read the empty string before, which was written later", second))
	}
}

// checkReadWhileAway: a session cannot reach its server, which lacks a write. A session that reads at another server meanwhile does not go back
// when it reaches its own again (rule 9).
func (c *strongCluster) checkReadWhileAway() {
	c.s.Net.Heal()
	c.settles()
	hist := &sessionHistory{c: c}
	leader, others := c.roles()
	writer, reader := hist.opens(c.clients[0], leader), hist.opens(c.clients[1], others[0])
	hist.puts(writer, "away", "1")
	c.settles()
	c.disconnect(others[0])
	hist.puts(writer, "away", "2")
	c.s.Net.CutBoth(c.clients[1], others[0])
	hist.returns(hist.get(reader, "away", sessionLimit))
	c.s.Net.HealBoth(c.clients[1], others[0])
	hist.returns(hist.get(reader, "away", 500*time.Millisecond))
	hist.check()
}

// checkReadAfterRestart: a session has read a value from its server, and stays there. The server crashes and restarts, and no other server can be
// reached: it cannot know which entries are committed, so its state is empty. In every other run a late copy of a request of the leader commits the earlier entries, and
// the state is an older one. The session does not go back, nor does the session that continues it (rule 9).
func (c *strongCluster) checkReadAfterRestart() {
	c.s.Net.Heal()
	c.settles()
	hist := &sessionHistory{c: c}
	leader, others := c.roles()
	own := others[0]
	late := &lateCopy{from: leader, to: own}
	c.s.Net.Intercept(late.see)
	writer, reader := hist.opens(c.clients[0], leader), hist.opens(c.clients[1], own)
	hist.puts(writer, "restarted", "1")
	c.settles()
	c.s.Run(servesLimit) // a heartbeat states that this is committed
	late.keep()
	hist.puts(writer, "restarted", "2")
	c.settles()
	for range 2 {
		hist.gets(reader, ruleLocal, "restarted")
	}
	c.disconnect(own)
	c.s.Net.Crash(own)
	c.startDown()
	if c.s.Seed%2 == 0 && c.leader() == leader {
		late.loses(true)
		c.s.Net.HealLink(leader, own)
		if late.copy.Body != nil {
			_ = c.s.Net.Inject(late.copy) // it has travelled before, so it can travel
		}
		c.s.Run(10 * time.Millisecond)
	}
	for range 2 {
		hist.returns(hist.get(reader, "restarted", 500*time.Millisecond))
		hist.check()
	}
	second := hist.goesOn(reader, c.clients[1], own)
	hist.returns(hist.get(second, "restarted", 500*time.Millisecond))
	hist.check()
	late.loses(false)
	c.s.Net.Heal()
	c.settles()
	hist.gets(second, ruleCatchesUp, "restarted")
	hist.check()
}

// A lateCopy keeps a copy of a message of a leader to a follower, which arrives when the follower has restarted.
type lateCopy struct {
	from, to labrpc.NodeID

	mu   sync.Mutex
	copy labrpc.Message // the last AppendRequest
	kept bool           // the copy stays
	lose bool           // all others are lost
}

// keep ends the copying.
func (l *lateCopy) keep() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kept = true
}

// loses says whether all messages from the leader to the follower are lost. The copy is injected, and arrives.
func (l *lateCopy) loses(all bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lose = all
}

// see is an interceptor.
func (l *lateCopy) see(m *labrpc.Message) labrpc.Verdict {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, appends := m.Body.(replication.AppendRequest); appends && m.From == l.from && m.To == l.to && !l.kept {
		l.copy = *m
	}
	if l.lose && m.From == l.from && m.To == l.to {
		return labrpc.Drop
	}
	return labrpc.Pass
}

func movesToALaggingServer(t *testing.T, opts laggingServerOptions) {
	const covered = "a session read what the server to which it then moved lacked"
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 20, MustCover: []string{covered}}, func(s *labtest.Sim) {
		c := newStrongCluster(s, 3)
		hist := &sessionHistory{c: c}
		leader, others := c.roles()
		writer, reader := hist.opens(c.clients[0], leader), hist.opens(c.clients[1], others[0])
		writes := func(list []string) {
			for _, w := range list {
				key, value, _ := strings.Cut(w, "=")
				hist.puts(writer, key, value)
			}
		}
		writes(opts.before)
		c.settles()
		hist.gets(reader, ruleLocal, opts.then)
		c.disconnect(others[0])
		writes(opts.after)
		s.Run(100 * time.Millisecond) // a store may execute in batches what Raft has applied
		reader.moves(leader)
		if got := hist.gets(reader, ruleLocal, opts.reads); strings.HasSuffix(opts.after[len(opts.after)-1], "="+got) {
			s.Cover(covered)
		}
		reader.moves(others[0])
		hist.returns(hist.get(reader, opts.then, 1500*time.Millisecond))
		hist.check()
		s.Net.Heal()
		c.settles()
		hist.gets(reader, ruleCatchesUp, opts.then)
		hist.check()
		if opts.emptied {
			c.checkReadOfNothing()
			c.checkReadWhileAway()
			c.checkReadAfterRestart()
		}
	})
}

// A session ends, and another one continues it with its token, on another node and at a server that lacks what the first has seen:
// in one case its write, in the other its read (rules 8 and 9).
func TestTokenGoesOn6B(t *testing.T) {
	const covered = "a session went on with a server that lacked what it had seen"
	labtest.Run(t, labtest.Config{Nodes: 6, Seeds: 20, MustCover: []string{covered}}, func(s *labtest.Sim) {
		c := newStrongCluster(s, 3)
		hist := &sessionHistory{c: c}
		leader, others := c.roles()
		wrote, read := hist.opens(c.clients[0], leader), hist.opens(c.clients[1], leader)
		hist.puts(wrote, "x", "1")
		c.settles()
		c.disconnect(others[0])
		hist.puts(wrote, "x", "2")
		s.Run(100 * time.Millisecond) // a store may execute in batches what Raft has applied
		if got := hist.gets(read, ruleLocal, "x"); got == "2" {
			s.Cover(covered)
		}
		for _, first := range []*sessionRun{wrote, read} {
			second := hist.goesOn(first, c.clients[2], others[0])
			hist.returns(hist.get(second, "x", 1500*time.Millisecond))
			hist.check()
			second.moves(others[1])
			hist.gets(second, ruleCatchesUp, "x")
			third := hist.goesOn(second, c.clients[2], others[0])
			hist.returns(hist.get(third, "x", 1500*time.Millisecond))
			hist.check()
		}
	})
}
