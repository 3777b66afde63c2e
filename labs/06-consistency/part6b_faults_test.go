package consistency_test

import (
	"fmt"
	"testing"
	"time"

	"distlabs/internal/harness/check/history"
	"distlabs/internal/harness/check/linear"
	"distlabs/internal/harness/labtest"
)

// Three sessions read and write and move from server to server, over links that lose messages, while servers crash and are
// isolated. All results must be sequentially consistent (rule 8), and in some seeds not linearizable: otherwise the
// test would prove nothing about the difference.
func TestSequential6B(t *testing.T) {
	const (
		stale  = "a history was not linearizable"
		hidden = "a write without a reply was read"
	)
	cfg := labtest.Config{Nodes: 6, Seeds: 20, MustCover: []string{stale, hidden}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		c := newStrongCluster(s, 3)
		c.lossyLinks()
		c.skewClocks()
		load := &sessionLoad{hist: &sessionHistory{c: c}}
		for _, id := range c.clients {
			load.runs = append(load.runs, load.hist.opens(id, c.servers[s.Rand().IntN(3)]))
			load.last = append(load.last, nil)
		}
		for round := range 3 {
			load.injectFault(round)
			load.run(time.Duration(1000+s.Rand().IntN(500)) * time.Millisecond)
			s.Net.Heal()
			c.startDown()
			load.run(time.Duration(100+s.Rand().IntN(300)) * time.Millisecond)
		}
		for _, op := range load.hist.ops {
			load.hist.returns(op)
		}
		load.hist.check()
		if !load.hist.linearizable() {
			s.Cover(stale)
		}
		if load.hist.readHidden() {
			s.Cover(hidden)
		}
	})
}

// A sessionLoad keeps sessions busy.
type sessionLoad struct {
	hist *sessionHistory
	runs []*sessionRun
	last []*sessionOp // of each: what it does
}

// run keeps the sessions busy for a while.
func (m *sessionLoad) run(d time.Duration) {
	s := m.hist.c.s
	for end := s.Net.Now() + d; s.Net.Now() < end; s.Run(time.Duration(5+s.Rand().IntN(40)) * time.Millisecond) {
		for i, r := range m.runs {
			if m.last[i] != nil && !m.last[i].Over {
				continue
			}
			if s.Rand().IntN(3) == 0 {
				r.moves(m.hist.c.servers[s.Rand().IntN(len(m.hist.c.servers))])
			}
			limit := time.Duration(100+s.Rand().IntN(600)) * time.Millisecond
			key := []string{"x", "y"}[s.Rand().IntN(2)]
			if s.Rand().IntN(3) == 0 {
				m.last[i] = m.hist.put(r, key, fmt.Sprintf("%d-%d", r.number, len(m.hist.ops)), limit)
			} else {
				m.last[i] = m.hist.get(r, key, limit)
			}
		}
	}
}

// strike crashes the leader, cuts it off, or cuts off another server.
func (m *sessionLoad) injectFault(round int) {
	c := m.hist.c
	leader, others := c.roles()
	switch round % 3 {
	case 0:
		c.disconnect(others[0])
	case 1:
		c.disconnect(leader)
	case 2:
		c.s.Net.Crash(leader)
	}
}

// linearizable reports whether the history is linearizable too, which it need not be.
func (t *sessionHistory) linearizable() bool {
	var ops []linear.Op[history.Op, string]
	for _, op := range t.operations() {
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

// readHidden reports whether a session read the value of a Put of unknown outcome.
func (t *sessionHistory) readHidden() bool {
	unknown := map[string]bool{}
	for _, op := range t.operations() {
		if op.Indeterminate {
			unknown[op.Key+"="+op.Value] = true
		}
	}
	for _, op := range t.operations() {
		if op.Kind == history.Read && unknown[op.Key+"="+op.Value] {
			return true
		}
	}
	return false
}
