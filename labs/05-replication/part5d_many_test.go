package replication_test

import (
	"fmt"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	. "distlabs/labs/05-replication"
)

// Three hundred commands of one client: numbers that are narrower than int wrap. A late watch gets all changes at once, old copies of the
// requests change nothing, a hundred sessions do not get into each other's way. The client is cut off for minutes.
func TestManyCommands5D(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 6, Seeds: 2, Limit: 10 * time.Hour, MustCover: []string{replyLost}}, func(s *labtest.Sim) {
		v := newStoreCluster(s, 3, ServerOptions{})
		var log requestLog
		s.Net.Intercept(log.collect(4))
		a, b := v.connect(4, longLife), v.connect(5, longLife)
		all := a.writes(300, "x", "y")
		for i, old := range log.requests() {
			if old.To = v.waitForLeader(0); i > 0 && i%20 == 0 { // numbers of commands that are further back than half of what a byte holds, and nearer
				_ = s.Net.Inject(old)
			}
		}
		for i, e := range all {
			if e.Revision != i+1 {
				s.Failf(ruleRevisions, "on %v, change %d has revision %d, want %d", a.id, i+1, e.Revision, i+1)
			}
		}
		b.watch("", 0).expectEvents(all)
		b.watch("y", 100).expectEvents(all)
		checkWatchUnderTraffic(v, a, b, len(all))
		checkLongOutage(v, a, b)
		if s.Seed%2 == 1 {
			checkManySessions(v, a, b)
		} else {
			checkFarSessions(v, a, b)
		}
	})
}

// checkFarSessions: two sessions begin 256 entries apart. When one ends, the keys of the other stay (rule 28). A session that issues no command lives on (rule 27).
func checkFarSessions(v *storeCluster, a, b *testClient) {
	last := func() int { st, _ := v.status(v.waitForLeader(0)); return lastIndexOf(st) }
	first, second := a.another(), b.another()
	first.dial(nil)
	for from := last(); last() < from+255; {
		a.writes(1, "x")
	}
	second.dial(nil)
	first.mustRun(command{Op: "own", Key: "first", Data: "1"})
	second.mustRun(command{Op: "own", Key: "second", Data: "2"})
	first.closes()
	b.expectValue("first", "", ruleOwned)
	b.expectValue("second", "2", ruleOwned)
	second.closes()
	b.expectValue("second", "", ruleOwned)
	third := a.another() // without a command
	third.dial(nil)
	third.closes()
	quiet := a.another()
	quiet.opts.TTL = 2 * time.Second
	quiet.dial(nil)
	quiet.mustRun(command{Op: "own", Key: "quiet", Data: "3"})
	v.s.Run(quiet.opts.TTL + sessionSlack)
	b.expectValue("quiet", "3", ruleSession)
}

// another returns a client on the same node that has no session yet.
func (c *testClient) another() *testClient {
	return &testClient{v: c.v, id: c.id, node: c.node, opts: c.opts}
}

// checkManySessions: sessions are many, and so are the keys of one. All live as long as their client, and end in time when it crashes, each
// with all its keys in one step (rules 27 and 28).
func checkManySessions(v *storeCluster, a, b *testClient) {
	const sessions, keys, ttl = 100, 40, 30 * time.Second
	s := v.s
	w := b.watch("each/", b.mustRun(command{Op: "put", Key: "x", Data: "before the sessions"}).Revision)
	first := v.newClient(6, ttl)
	first.dial(nil)
	for i := range sessions {
		if i < keys {
			first.mustRun(command{Op: "own", Key: fmt.Sprintf("many/%03d", i), Data: "1"})
		}
		each := first.another()
		each.dial(nil)
		each.mustRun(command{Op: "own", Key: fmt.Sprintf("each/%03d", i), Data: "1"})
	}
	b.expectValue("each/000", "1", ruleSession)
	b.expectValue("many/000", "1", ruleSession)
	first.closes()
	for _, key := range []string{"many/000", "many/020", "many/039"} {
		b.expectValue(key, "", ruleOwned)
	}
	s.Net.Crash(first.id)
	from := s.Net.Now()
	why := fmt.Sprintf("its session is one of %d of %v, which crashed at %v, and has a TTL of %v", sessions, first.id, labtest.At(from), ttl)
	for i := range sessions {
		w.waitForDelete(fmt.Sprintf("each/%03d", i), max(0, from+ttl+sessionSlack-s.Net.Now()), why)
	}
	w.waitForEvents(2 * sessions)
}

// checkLongOutage: a client is cut off, for minutes or while others do much, with a command and a watch under way. The command has been
// executed, and its reply was lost. When the client reaches the store again, the command returns within 20s and has taken effect once, and the watch reports
// within 10s: pauses between two attempts do not grow without limit, and no result is forgotten (rules 21, 22 and 25).
func checkLongOutage(v *storeCluster, a, b *testClient) {
	s := v.s
	all := b.writes(1, "x")
	w := a.watch("", all[0].Revision-1)
	w.expectEvents(all)
	put, executed := a.startDeaf(command{Op: "put", Key: "y", Data: "late"}, b)
	if !executed {
		return
	}
	s.Net.Isolate(a.id)
	var others []Event
	if s.Seed%2 == 1 {
		s.Run(4 * time.Minute)
	} else {
		others = b.writes(110, "x")
	}
	others = append(others, b.writes(1, "x")...)
	s.Net.Heal()
	y, err := put.wait()
	if err != "" {
		s.Failf(ruleReturns, "on %v, %s returned %s, want no error", a.id, put.what, orNil(err))
	}
	all = append(append(all, Event{Revision: y.Revision, Key: "y", Data: "late"}), others...)
	w.expectEvents(all)
}
