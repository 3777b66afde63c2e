package consistency_test

import (
	"strings"
	"testing"
	"time"

	"distlabs/internal/harness/check/sequential"
	"distlabs/internal/harness/labtest"
)

// A session reads from whatever server it likes, and no server asks another one. One that is alone with the
// client still answers (rule 10).
func TestReadsLocally6B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 20}, func(s *labtest.Sim) {
		c := newStrongCluster(s, 3)
		tape := &sessionTape{c: c}
		_, others := c.cast()
		alone := others[0]
		run := tape.opens(c.clients[0], alone)
		tape.puts(run, "x", "1")
		c.settles()
		cost := c.cost(func() {
			for _, id := range append(c.but(alone), alone) {
				run.moves(id)
				for range 3 {
					tape.gets(run, ruleLocal, "x")
				}
			}
		})
		if cost.messages > 0 || cost.entries > 0 || cost.writes > 0 {
			s.Failf(ruleLocal, "9 reads cost %d messages between servers, %d entries in the log and %d disk writes, want none",
				cost.messages, cost.entries, cost.writes)
		}
		// Everybody else is out of reach.
		for _, id := range c.but(alone) {
			s.Net.CutBoth(alone, id)
			s.Net.CutBoth(c.clients[0], id)
		}
		for range 3 {
			s.Run(2 * time.Second)
			tape.gets(run, ruleLocal, "x")
		}
		tape.check()
	})
}

// A session reads an old value from a server that is cut off, after another session has written a new one. That is not
// linearizable, and is accepted: it is sequentially consistent (rules 8 and 10).
func TestStaleReadIsAccepted6B(t *testing.T) {
	const bite = "a read returned an old value after a new one had been written, and sequential consistency allowed it"
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 20, MustCover: []string{bite}}, func(s *labtest.Sim) {
		c := newStrongCluster(s, 3)
		tape := &sessionTape{c: c}
		leader, others := c.cast()
		writer, reader := tape.opens(c.clients[0], leader), tape.opens(c.clients[1], others[0])
		tape.puts(writer, "x", "1")
		c.settles()
		tape.gets(reader, ruleLocal, "x")
		c.lag(others[0])
		tape.puts(writer, "x", "2")
		got := tape.gets(reader, ruleLocal, "x")
		tape.check()
		if v, err := sequential.Check(tape.history(), sequential.Options{}); got == "1" && v == nil && err == nil && !tape.linearizable() {
			s.Cover(bite)
		}
		s.Net.Heal()
		c.settles()
		if got := tape.gets(reader, ruleLocal, "x"); got != "2" {
			s.Failf(ruleLocal, "the session on %v read x=%q from %v, which has had x=2 since it was back with the others", c.clients[1], got, others[0])
		}
		tape.check()
	})
}

// A session writes, and reads from a server that has not heard of it, has not heard that it is committed, or is cut off. It
// sees its write or nothing; and when the server has caught up, its write (rules 9 and 11).
func TestReadsItsWrites6B(t *testing.T) {
	const bite = "a session asked a server that lacked its write"
	labtest.Run(t, labtest.Config{Nodes: 4, Seeds: 20, MustCover: []string{bite}}, func(s *labtest.Sim) {
		c := newStrongCluster(s, 3)
		tape := &sessionTape{c: c}
		leader, others := c.cast()
		run := tape.opens(c.clients[0], others[0])
		tape.puts(run, "x", "1")
		tape.gets(run, ruleCatchesUp, "x")
		c.settles()
		c.lag(others[0])
		tape.puts(run, "x", "2")
		if last := c.status(leader).CommitIndex; c.status(others[0]).LastApplied < last {
			s.Cover(bite)
		}
		tape.returns(tape.get(run, "x", 1500*time.Millisecond))
		tape.check()
		run.moves(others[1])
		tape.gets(run, ruleCatchesUp, "x")
		run.moves(others[0])
		late := tape.get(run, "x", healLimit)
		s.Run(answersLimit + servesLimit)
		s.Net.Heal()
		c.settles()
		if !s.Until(2*servesLimit, func() bool { return late.Over }) || late.Err != "" {
			tape.fail(ruleCatchesUp, late, late.String()+", though its server has all that the others have")
		}
		tape.check()
	})
}

// A session has read what another wrote, and moves to a server that lacks it. It does not go back in time (rule 9).
func TestNeverGoesBack6B(t *testing.T) {
	movesToALaggard(t, laggardOptions{before: []string{"x=1"}, after: []string{"x=2"}, reads: "x", then: "x"})
}

// What a session has seen of one key binds it for all: who has read the answer finds the question (rule 8).
func TestOneOrderForAllKeys6B(t *testing.T) {
	movesToALaggard(t, laggardOptions{after: []string{"question=why?", "answer=because"}, reads: "answer", then: "question"})
}

// A laggardOptions says what is written before a server is cut off from the others, and after, and what a session then
// reads from the leader, and from the server that was cut off.
type laggardOptions struct {
	before, after []string
	reads, then   string
}

func movesToALaggard(t *testing.T, opts laggardOptions) {
	const bite = "a session read what the server to which it then moved lacked"
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 20, MustCover: []string{bite}}, func(s *labtest.Sim) {
		c := newStrongCluster(s, 3)
		tape := &sessionTape{c: c}
		leader, others := c.cast()
		writer, reader := tape.opens(c.clients[0], leader), tape.opens(c.clients[1], others[0])
		writes := func(list []string) {
			for _, w := range list {
				key, value, _ := strings.Cut(w, "=")
				tape.puts(writer, key, value)
			}
		}
		writes(opts.before)
		c.settles()
		tape.gets(reader, ruleLocal, opts.then)
		c.lag(others[0])
		writes(opts.after)
		reader.moves(leader)
		if got := tape.gets(reader, ruleLocal, opts.reads); strings.HasSuffix(opts.after[len(opts.after)-1], "="+got) {
			s.Cover(bite)
		}
		reader.moves(others[0])
		tape.returns(tape.get(reader, opts.then, 1500*time.Millisecond))
		tape.check()
		s.Net.Heal()
		c.settles()
		tape.gets(reader, ruleCatchesUp, opts.then)
		tape.check()
	})
}

// A session ends, and another goes on with its token, on another node and with a server that lacks what the first has seen:
// first what it wrote, then what it read (rules 8 and 9).
func TestTokenGoesOn6B(t *testing.T) {
	const bite = "a session went on with a server that lacked what it had seen"
	labtest.Run(t, labtest.Config{Nodes: 6, Seeds: 20, MustCover: []string{bite}}, func(s *labtest.Sim) {
		c := newStrongCluster(s, 3)
		tape := &sessionTape{c: c}
		leader, others := c.cast()
		wrote, read := tape.opens(c.clients[0], leader), tape.opens(c.clients[1], leader)
		tape.puts(wrote, "x", "1")
		c.settles()
		c.lag(others[0])
		tape.puts(wrote, "x", "2")
		if got := tape.gets(read, ruleLocal, "x"); got == "2" {
			s.Cover(bite)
		}
		for _, first := range []*sessionRun{wrote, read} {
			second := tape.goesOn(first, c.clients[2], others[0])
			tape.returns(tape.get(second, "x", 1500*time.Millisecond))
			tape.check()
			second.moves(others[1])
			tape.gets(second, ruleCatchesUp, "x")
			third := tape.goesOn(second, c.clients[2], others[0])
			tape.returns(tape.get(third, "x", 1500*time.Millisecond))
			tape.check()
		}
	})
}

// The leader carries out a write, and its answer is lost. The session does not know, and says so; it does not write again over
// what another has written since (rule 13).
func TestWritesOnce6B(t *testing.T) {
	const bite = "a write was carried out, and its answer lost"
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 20, MustCover: []string{bite}}, func(s *labtest.Sim) {
		c := newStrongCluster(s, 3)
		tape := &sessionTape{c: c}
		leader, others := c.cast()
		a, b := tape.opens(c.clients[0], leader), tape.opens(c.clients[1], leader)
		tape.puts(a, "x", "1")
		for _, id := range c.servers {
			s.Net.Cut(id, c.clients[0])
		}
		put := tape.put(a, "x", "2", healLimit)
		for end := s.Net.Now() + sessionLimit; tape.gets(b, ruleLocal, "x") != "2"; {
			if s.Net.Now() > end {
				tape.fail(rulePutServes, put, put.String()+", and nobody can read what it wrote")
			}
		}
		if !put.Over {
			s.Cover(bite)
		}
		tape.puts(b, "x", "3")
		s.Run(500 * time.Millisecond)
		s.Net.Heal()
		tape.returns(put)
		if put.Err == "ctx" {
			tape.fail(ruleOnce, put, put.String()+", which says that nothing was written; x=2 was read since")
		}
		s.Run(2 * time.Second)
		c.settles()
		for _, id := range append(others, leader) {
			b.moves(id)
			tape.gets(b, ruleCatchesUp, "x")
		}
		tape.check()
		// And with nobody to write to, ctx's error or ErrUnknown, in time.
		s.Net.Isolate(c.clients[0])
		if lost := tape.returns(tape.put(a, "x", "4", sessionLimit)); lost.Err == "" {
			tape.fail(ruleOnce, lost, lost.String()+", though it could reach no server")
		}
	})
}
