package consistency_test

import (
	"fmt"
	"testing"
	"time"

	"distlabs/internal/harness/check/history"
	"distlabs/internal/harness/check/linear"
	"distlabs/internal/harness/labtest"
)

// Three sessions read and write and move from server to server, on links that lose messages, while servers crash and are cut
// off. All that they saw must be sequentially consistent (rule 8), and now and then, not linearizable: else the
// test would prove nothing about the difference.
func TestSequential6B(t *testing.T) {
	const (
		stale  = "a history was not linearizable"
		hidden = "a write without an answer was read"
	)
	cfg := labtest.Config{Nodes: 6, Seeds: 20, MustCover: []string{stale, hidden}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		c := newStrongCluster(s, 3)
		c.looseLinks()
		c.skewClocks()
		storm := &sessionStorm{tape: &sessionTape{c: c}}
		for _, id := range c.clients {
			storm.runs = append(storm.runs, storm.tape.opens(id, c.servers[s.Rand().IntN(3)]))
			storm.last = append(storm.last, nil)
		}
		for round := range 3 {
			storm.strike(round)
			storm.run(time.Duration(1000+s.Rand().IntN(500)) * time.Millisecond)
			s.Net.Heal()
			c.startDown()
			storm.run(time.Duration(100+s.Rand().IntN(300)) * time.Millisecond)
		}
		for _, op := range storm.tape.ops {
			storm.tape.returns(op)
		}
		storm.tape.check()
		if !storm.tape.linearizable() {
			s.Cover(stale)
		}
		if storm.tape.readHidden() {
			s.Cover(hidden)
		}
	})
}

// A sessionStorm lets sessions do something all the time.
type sessionStorm struct {
	tape *sessionTape
	runs []*sessionRun
	last []*sessionOp // of each: what it does
}

// run lets the sessions go on for a while.
func (m *sessionStorm) run(d time.Duration) {
	s := m.tape.c.s
	for end := s.Net.Now() + d; s.Net.Now() < end; s.Run(time.Duration(5+s.Rand().IntN(40)) * time.Millisecond) {
		for i, r := range m.runs {
			if m.last[i] != nil && !m.last[i].Over {
				continue
			}
			if s.Rand().IntN(3) == 0 {
				r.moves(m.tape.c.servers[s.Rand().IntN(len(m.tape.c.servers))])
			}
			limit := time.Duration(100+s.Rand().IntN(600)) * time.Millisecond
			key := []string{"x", "y"}[s.Rand().IntN(2)]
			if s.Rand().IntN(3) == 0 {
				m.last[i] = m.tape.put(r, key, fmt.Sprintf("%d-%d", r.number, len(m.tape.ops)), limit)
			} else {
				m.last[i] = m.tape.get(r, key, limit)
			}
		}
	}
}

// strike crashes the leader, cuts it off, or cuts off another server.
func (m *sessionStorm) strike(round int) {
	c := m.tape.c
	leader, others := c.cast()
	switch round % 3 {
	case 0:
		c.lag(others[0])
	case 1:
		c.lag(leader)
	case 2:
		c.s.Net.Crash(leader)
	}
}

// linearizable reports whether a tape is more than it must be.
func (t *sessionTape) linearizable() bool {
	var ops []linear.Op[history.Op, string]
	for _, op := range t.history() {
		ops = append(ops, linear.Op[history.Op, string]{
			Client: op.Client, Key: op.Key, In: op, Out: op.Value, Call: op.Invoke, Return: op.Return, Pending: op.Indeterminate,
		})
	}
	model := linear.Model[string, history.Op, string]{Step: func(state string, in history.Op, out *string) (string, bool) {
		if in.Kind == history.Write {
			return in.Value, true
		}
		return state, out == nil || *out == state
	}}
	return linear.Check(model, ops, linear.Options{}) == nil
}

// readHidden reports whether somebody read what a Put of unknown outcome wrote.
func (t *sessionTape) readHidden() bool {
	unknown := map[string]bool{}
	for _, op := range t.history() {
		if op.Indeterminate {
			unknown[op.Key+"="+op.Value] = true
		}
	}
	for _, op := range t.history() {
		if op.Kind == history.Read && unknown[op.Key+"="+op.Value] {
			return true
		}
	}
	return false
}
