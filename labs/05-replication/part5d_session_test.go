package replication

import (
	"fmt"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
)

// gone waits until a watch has told that the key was deleted; it may take that long.
func (w *lookout) gone(key string, limit time.Duration, why string) {
	w.c.v.s.WaitFor(limit, labtest.Violation{
		What: fmt.Sprintf("%s was not deleted within %v, though %s", key, limit, why), Rule: ruleSession,
	}, func() bool {
		for _, e := range w.seen() {
			if e.Key == key && e.Deleted {
				return true
			}
		}
		return false
	})
}

// A session ends when its client closes it, and when its client crashes; its keys go with it and no others do
// (rules 27 and 28).
func TestSessionEnds5D(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 7, Seeds: 20}, func(s *labtest.Sim) {
		const ttl = 3 * time.Second
		v := newMarket(s, 3, ServerOptions{})
		a, b, c, d := v.visit(4, ttl), v.visit(5, ttl), v.visit(6, ttl), v.visit(7, longLife)
		w := d.watches("", 0)
		for _, each := range []*customer{a, b, c} {
			each.must(errand{Op: "own", Key: fmt.Sprintf("own/%v", each.id), Data: "1"})
			each.must(errand{Op: "create", Key: fmt.Sprintf("kept/%v", each.id), Data: "1"})
		}
		// Whoever writes a key later does not take it over.
		d.must(errand{Op: "put", Key: "own/n4", Data: "2"})
		d.must(errand{Op: "put", Key: "own/n5", Data: "2"})
		d.does(errand{Op: "own", Key: "own/n6", Data: "2"}, "ErrExists", ruleChecked)

		a.closes()
		d.sees("own/n4", "", ruleOwned)
		d.sees("kept/n4", "1", ruleOwned)
		d.sees("own/n5", "2", ruleOwned)

		s.Net.Crash(b.id)
		w.gone("own/n5", ttl+sessionSlack, "its session's client has crashed")
		d.sees("own/n5", "", ruleOwned)
		d.sees("kept/n5", "1", ruleOwned)
		d.sees("own/n6", "1", ruleSession)
		d.must(errand{Op: "create", Key: "own/n5", Data: "3"})
		s.Run(ttl + sessionSlack)
		d.sees("own/n5", "3", ruleOwned)
		d.sees("own/n6", "1", ruleSession)
	})
}

// closes ends the customer's session.
func (c *customer) closes() {
	_, err := setOut(c, "Close", closeClient).wait()
	if err != "" {
		c.v.s.Failf(ruleReturns, "%v: Close returned %s, want no error", c.id, err)
	}
}

// A client that says nothing of itself, but lives, keeps its session: whoever leads, and whoever believes to
// lead (rule 27).
func TestSessionLivesOn5D(t *testing.T) {
	const bite, deposed = "a server led for the second time", "a leader was cut off from the other servers and not from the client"
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 20, MustCover: []string{bite, deposed}}, func(s *labtest.Sim) {
		const ttl = 2 * time.Second
		v := newMarket(s, 3, ServerOptions{})
		a, b := v.visit(4, ttl), v.visit(5, longLife)
		a.must(errand{Op: "own", Key: "own", Data: "1"})
		s.Run(3 * ttl)
		b.sees("own", "1", ruleSession)
		led := map[int]bool{int(v.waitForLeader(0)): true}
		for range 4 {
			leader := int(v.moveLeader())
			if led[leader] {
				s.Cover(bite)
			}
			led[leader] = true
			s.Run(2 * ttl)
			b.sees("own", "1", ruleSession)
		}
		old := v.waitForLeader(0)
		v.alone(old)
		s.Cover(deposed)
		v.waitForLeader(old)
		s.Run(4 * ttl)
		b.sees("own", "1", ruleSession)
		s.Net.Heal()
		a.must(errand{Op: "put", Key: "own", Data: "2"})
	})
}

// A client that was cut off for too long learns that its session is over, and changes nothing any more
// (rules 24, 27, 28).
func TestSessionExpires5D(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 20}, func(s *labtest.Sim) {
		const ttl = 3 * time.Second
		v := newMarket(s, 3, ServerOptions{})
		a, b := v.visit(4, ttl), v.visit(5, longLife)
		w := b.watches("", 0)
		a.must(errand{Op: "own", Key: "lock", Data: "a"})
		s.Net.Isolate(a.id)
		late := a.start(errand{Op: "put", Key: "x", Data: "late"})
		w.gone("lock", ttl+sessionSlack, "its session's client is cut off")
		b.must(errand{Op: "create", Key: "lock", Data: "b"})
		s.Net.Heal()
		if _, err := late.wait(); err != "ErrExpired" {
			s.Failf(ruleOwned, `%v: put(x, "late") returned %s after the session had ended, want ErrExpired`, a.id, orNil(err))
		}
		a.does(errand{Op: "put", Key: "lock", Data: "a"}, "ErrExpired", ruleOwned)
		s.Run(2 * time.Second)
		b.sees("x", "", ruleOwned)
		b.sees("lock", "b", ruleOwned)
	})
}
