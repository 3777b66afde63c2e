package consistency_test

import (
	"fmt"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
)

// A write's request is lost, and the session returns ErrUnknown. That write is no write that the session has seen: its server is
// not behind, and answers (rules 9 and 10).
func TestUnknownIsNotSeen6B(t *testing.T) {
	const covered = "a Put did not return nil and its write never happened"
	labtest.Run(t, labtest.Config{Nodes: 4, Seeds: 10, MustCover: []string{covered}}, func(s *labtest.Sim) {
		c := newStrongCluster(s, 3)
		hist := &sessionHistory{c: c}
		leader, others := c.roles()
		run := hist.opens(c.clients[0], leader)
		hist.puts(run, "x", "1")
		lossy := newDropper(s) // of the Put alone: a session that reaches nobody knows that it has not written
		lossy.set(func(m *labrpc.Message) bool {
			return m.From == c.clients[0] && m.To == leader && m.Method == "Put" && m.Kind == labrpc.Request
		})
		put := hist.returns(hist.put(run, "x", "2", time.Second))
		lossy.set(nil)
		if put.Err != "" {
			s.Cover(covered)
		}
		for _, id := range append(others, leader) {
			run.moves(id)
			hist.gets(run, ruleUnseen, "x")
		}
		hist.puts(run, "x", "3")
		hist.gets(run, ruleCatchesUp, "x")
		hist.check()
		hist.besideTheCommitted(run)
	})
}

// besideTheCommitted reads at a leader that is alone and has entries that nobody else has. They are no part of the state that the session has seen: at
// every other server it gets a value at once (rule 10).
func (t *sessionHistory) besideTheCommitted(run *sessionRun) {
	t.c.settles()
	leader, others := t.c.roles()
	t.c.disconnect(leader)
	for range 20 {
		t.c.raft(leader).Submit(nil)
	}
	t.c.s.Run(10 * time.Millisecond)
	run.moves(leader)
	t.gets(run, ruleLocal, "x")
	for _, id := range others {
		run.moves(id)
		if op := t.returns(t.get(run, "x", getLimit)); op.Err != "" {
			t.fail(ruleLocal, op, fmt.Sprintf("%v, want a value: %v has all that is committed, and only that can the session have seen", op, id))
		}
	}
	t.check()
}
