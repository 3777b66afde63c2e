package replication_test

import (
	"fmt"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	. "distlabs/labs/05-replication"
)

// gone waits until a watch has told that the key was deleted; it may take that long.
func (w *watchRecorder) waitForDelete(key string, limit time.Duration, why string) {
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
		v := newStoreCluster(s, 3, ServerOptions{})
		a, b, c, d := v.connect(4, ttl), v.connect(5, ttl), v.connect(6, ttl), v.connect(7, longLife)
		w := d.watch("", 0)
		for _, each := range []*testClient{a, b, c} {
			each.mustRun(command{Op: "own", Key: fmt.Sprintf("own/%v", each.id), Data: "1"})
			each.mustRun(command{Op: "create", Key: fmt.Sprintf("kept/%v", each.id), Data: "1"})
		}
		// Whoever writes a key later does not take it over.
		d.mustRun(command{Op: "put", Key: "own/n4", Data: "2"})
		d.mustRun(command{Op: "put", Key: "own/n5", Data: "2"})
		d.expect(command{Op: "own", Key: "own/n6", Data: "2"}, "ErrExists", ruleChecked)

		a.closes()
		d.expectValue("own/n4", "", ruleOwned)
		d.expectValue("kept/n4", "1", ruleOwned)
		d.expectValue("own/n5", "2", ruleOwned)

		s.Net.Crash(b.id)
		w.waitForDelete("own/n5", ttl+sessionSlack, "its session's client has crashed")
		d.expectValue("own/n5", "", ruleOwned)
		d.expectValue("kept/n5", "1", ruleOwned)
		d.expectValue("own/n6", "1", ruleSession)
		d.mustRun(command{Op: "create", Key: "own/n5", Data: "3"})
		s.Run(ttl + sessionSlack)
		d.expectValue("own/n5", "3", ruleOwned)
		d.expectValue("own/n6", "1", ruleSession)
	})
}

// closes ends the testClient's session.
func (c *testClient) closes() {
	_, err := startCall(c, "Close", closeClient).wait()
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
		v := newStoreCluster(s, 3, ServerOptions{})
		a, b := v.connect(4, ttl), v.connect(5, longLife)
		a.mustRun(command{Op: "own", Key: "own", Data: "1"})
		s.Run(3 * ttl)
		b.expectValue("own", "1", ruleSession)
		led := map[int]bool{int(v.waitForLeader(0)): true}
		for range 4 {
			leader := int(v.moveLeader())
			if led[leader] {
				s.Cover(bite)
			}
			led[leader] = true
			s.Run(2 * ttl)
			b.expectValue("own", "1", ruleSession)
		}
		old := v.waitForLeader(0)
		v.alone(old)
		s.Cover(deposed)
		v.waitForLeader(old)
		s.Run(4 * ttl)
		b.expectValue("own", "1", ruleSession)
		s.Net.Heal()
		a.mustRun(command{Op: "put", Key: "own", Data: "2"})
	})
}

// A client that was cut off for too long learns that its session is over, and changes nothing any more
// (rules 24, 27, 28).
func TestSessionExpires5D(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 20}, func(s *labtest.Sim) {
		const ttl = 3 * time.Second
		v := newStoreCluster(s, 3, ServerOptions{})
		a, b := v.connect(4, ttl), v.connect(5, longLife)
		w := b.watch("", 0)
		a.mustRun(command{Op: "own", Key: "lock", Data: "a"})
		s.Net.Isolate(a.id)
		late := a.start(command{Op: "put", Key: "x", Data: "late"})
		w.waitForDelete("lock", ttl+sessionSlack, "its session's client is cut off")
		b.mustRun(command{Op: "create", Key: "lock", Data: "b"})
		s.Net.Heal()
		if _, err := late.wait(); err != "ErrExpired" {
			s.Failf(ruleOwned, `%v: put(x, "late") returned %s after the session had ended, want ErrExpired`, a.id, orNil(err))
		}
		a.expect(command{Op: "put", Key: "lock", Data: "a"}, "ErrExpired", ruleOwned)
		s.Run(2 * time.Second)
		b.expectValue("x", "", ruleOwned)
		b.expectValue("lock", "b", ruleOwned)
	})
}
