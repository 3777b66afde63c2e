package replication_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/05-replication"
)

// waitForDelete waits until a watch has reported that the key was deleted; it may take that long.
func (w *watchRecorder) waitForDelete(key string, limit time.Duration, why string) {
	s := w.c.v.s
	from := s.Net.Now()
	bound := ""
	if limit > 0 {
		bound = fmt.Sprintf(", want it deleted within %v of %v", limit, labtest.At(from))
	}
	if s.Until(limit, func() bool { return w.deleted(key) }) {
		return
	}
	if y := w.c.mustRun(command{Op: "get", Key: key}); y.Revision != 0 {
		s.Failf(ruleSession, "the key %q had not been deleted by %v%s: %s", key, labtest.At(from+limit), bound, why)
	}
	s.WaitFor(watchLimit, labtest.Violation{
		What: fmt.Sprintf("the watch of %v had not reported that the key %q was deleted by %v: it had been deleted %v before", w.c.id, key, labtest.At(s.Net.Now()+watchLimit), watchLimit), Rule: ruleWatch,
	}, func() bool { return w.deleted(key) })
}

// deleted reports whether the watch has reported that the key was deleted.
func (w *watchRecorder) deleted(key string) bool {
	return slices.ContainsFunc(w.seen(), func(e Event) bool { return e.Key == key && e.Deleted })
}

// A session ends when its client closes it, and when its client crashes; its keys are deleted with it and no others
// (rules 27 and 28).
func TestSessionEnds5D(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 7, Seeds: 20, MustCover: []string{endLost, replyLost}}, func(s *labtest.Sim) {
		switch s.Seed % 10 {
		case 1:
			checkEndIsLost(s)
			return
		case 2:
			checkCloseDuringKeepAlive(s)
			return
		}
		const ttl = 3 * time.Second
		v := newStoreCluster(s, 3, ServerOptions{})
		a, b, c, d := v.connect(4, ttl), v.connect(5, ttl), v.connect(6, ttl), v.connect(7, longLife)
		w := d.watch("", 0)
		for _, each := range []*testClient{a, b, c} {
			each.mustRun(command{Op: "own", Key: fmt.Sprintf("own/%v", each.id), Data: "1"})
			each.mustRun(command{Op: "create", Key: fmt.Sprintf("kept/%v", each.id), Data: "1"})
		}
		// A client that writes a key later does not become its owner.
		d.mustRun(command{Op: "put", Key: "own/n4", Data: "2"})
		d.mustRun(command{Op: "put", Key: "own/n5", Data: "2"})
		d.expect(command{Op: "own", Key: "own/n6", Data: "2"}, "ErrExists", ruleChecked)

		a.closesWithoutReply(w, "own/n4")
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
		c.closes()
		c.closesAgain()
		d.expectValue("own/n6", "", ruleOwned)
		d.expectValue("kept/n6", "1", ruleOwned)
		sent := s.Net.Stats(labrpc.Match{From: a.id}).Sent
		s.Run(ttl)
		if n := s.Net.Stats(labrpc.Match{From: a.id}).Sent - sent; n > 0 {
			s.Failf(ruleClose, "%v sent %d messages in %v, more than %v after its Close had returned, want none", a.id, n, ttl, sessionSlack)
		}
	})
}

// closesWithoutReply ends the testClient's session, and waits until a watch has reported that its key was deleted. The replies to the attempts that end the session are lost:
// a later attempt finds that it has ended.
func (c *testClient) closesWithoutReply(w *watchRecorder, key string) {
	s := c.v.s
	from := s.Net.Now()
	end, _ := callDeaf(c, func() *pendingCall[bool] { return startCall(c, "Close", closeClient) }, func() bool { return w.deleted(key) })
	s.WaitFor(watchLimit, labtest.Violation{
		What: fmt.Sprintf("a watch had not reported that the key %q of %v was deleted by %v: %[2]v had called Close at %v, and only replies to its requests were cut off",
			key, c.id, labtest.At(s.Net.Now()+watchLimit), labtest.At(from)), Rule: ruleOwned,
	}, func() bool { return w.deleted(key) })
	s.Net.Heal()
	if _, err := end.wait(); err != "" {
		s.Failf(ruleClose, "on %v, Close returned %s, want no error: an earlier attempt has ended the session", c.id, orNil(err))
	}
}

// closesAgain calls Close of a client whose session has ended, and then one command of each kind (rule 28).
func (c *testClient) closesAgain() {
	if _, err := startCall(c, "the second Close", closeClient).wait(); err != "" {
		c.v.s.Failf(ruleClose, "on %v, the second Close returned %s, want no error: the session had ended before", c.id, orNil(err))
	}
	for _, op := range []string{"get", "put", "create", "own", "set", "delete"} {
		c.expect(command{Op: op, Key: "after the end", Data: "1"}, "ErrExpired", ruleExpired)
	}
}

// closes ends the testClient's session.
func (c *testClient) closes() {
	_, err := startCall(c, "Close", closeClient).wait()
	if err != "" {
		c.v.s.Failf(ruleReturns, "on %v, Close returned %s, want no error", c.id, err)
	}
}

// A client that issues no command keeps its session as long as it reaches the store: whichever server leads, whichever
// believes that it leads, and whatever the servers' wall clocks show (rule 27).
func TestSessionLivesOn5D(t *testing.T) {
	const again, deposed = "a server led for the second time", "a leader was cut off from the other servers and not from the client"
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 20, MustCover: []string{again, deposed}}, func(s *labtest.Sim) {
		if s.Seed%10 == 1 {
			checkWatchingSession(s)
			return
		}
		const ttl = 2 * time.Second
		const owned = "the key belongs to the session of n4, and this session has not ended"
		v := newStoreCluster(s, 3, ServerOptions{})
		a, b := v.connect(4, ttl), v.connect(5, longLife)
		a.mustRun(command{Op: "own", Key: "own", Data: "1"})
		s.Run(3 * ttl)
		b.expectValue("own", "1", ruleSession, owned)
		for i, id := range s.Net.Nodes() {
			s.Net.JumpClock(id, time.Duration(1-2*(i%2))*time.Hour)
		}
		s.Run(2 * ttl)
		b.expectValue("own", "1", ruleSession, owned)
		led := map[int]bool{int(v.waitForLeader(0)): true}
		for range 4 {
			leader := int(v.moveLeader())
			if led[leader] {
				s.Cover(again)
			}
			led[leader] = true
			s.Run(2 * ttl)
			b.expectValue("own", "1", ruleSession, owned)
		}
		old := v.waitForLeader(0)
		v.alone(old)
		s.Cover(deposed)
		v.waitForLeader(old)
		s.Run(4 * ttl)
		b.expectValue("own", "1", ruleSession, owned)
		s.Net.Heal()
		a.mustRun(command{Op: "put", Key: "own", Data: "2"})
		if s.Seed%10 == 2 {
			checkLongTTLs(v, a, b)
		}
	})
}

// A client that was cut off for too long learns that its session has expired, and changes nothing any more, although another
// session has begun since (rules 20, 27, 28).
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
		b.another().dial(nil)
		s.Net.Heal()
		if _, err := late.wait(); err != "ErrExpired" {
			s.Failf(ruleExpired, `on %v, put(x, "late") returned %s, want ErrExpired: its session had ended before the put reached a server`, a.id, orNil(err))
		}
		a.expect(command{Op: "put", Key: "lock", Data: "a"}, "ErrExpired", ruleExpired)
		s.Run(2 * time.Second)
		a.closesAgain()
		b.expectValue("x", "", ruleOwned)
		b.expectValue("lock", "b", ruleOwned)
	})
}

// When the leader changes, the time of every session starts again in full. For three times the TTL no server can be leader; the
// client is up all the time. One of the servers that remain has been leader before. Then the client is cut off, and the leader
// crashes: the next one gives the session its full time. In some seeds a leader that stays leader can commit nothing for long (rule 27).
func TestNewLeaderStartsSessionsAgain5D(t *testing.T) {
	const moved = "the leader changed, before the old one could end the session"
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 16, MustCover: []string{moved}}, func(s *labtest.Sim) {
		const ttl = 4 * time.Second
		v := newStoreCluster(s, 3, ServerOptions{})
		a, b := v.connect(4, ttl), v.connect(5, longLife)
		a.mustRun(command{Op: "own", Key: "own", Data: "1"})
		for range 2 {
			s.Run(time.Second)
			first, _ := v.status(v.waitForLeader(0))
			from := s.Net.Now()
			a.mustRun(command{Op: "get", Key: "own"})
			v.moveLeader()
			if s.Net.Now()-from >= ttl {
				return // what the old leader has appended, when it was the only one and had not heard of the client, another may commit
			}
			s.Cover(moved)
			s.Run(time.Second) // until the old leader knows the new one
			s.Net.Crash(v.waitForLeader(0))
			for _, id := range v.servers {
				v.alone(id)
			}
			s.Run(3 * ttl)
			if s.Seed%2 == 0 {
				v.raiseTerms(b, first.Term+wrapOf(s)-1) // the next term is equal to the first leader's in a narrow type
			}
			s.Net.Heal()
			v.waitForLeader(0)
			s.Run(2 * ttl)
			b.expectValue("own", "1", ruleSession)
			v.startDown()
		}
		a.mustRun(command{Op: "put", Key: "own", Data: "2"})
		if s.Seed%4 == 0 {
			checkLeaderWithoutMajority(v, b)
			return
		}
		s.Net.Isolate(a.id)
		s.Run(ttl / 2)
		old := v.waitForLeader(0)
		s.Net.Crash(old)
		v.waitForLeader(old)
		until := s.Net.Now() + ttl
		b.readsOwn(until)
		s.Run(until - 200*time.Millisecond - s.Net.Now())
		b.readsOwn(until)
	})
}

// readsOwn reads a key of a session that does not expire before the given time. A Get that returns later may have read it later.
func (c *testClient) readsOwn(until time.Duration) {
	s := c.v.s
	get := c.start(command{Op: "get", Key: "own"})
	if !s.Until(until-time.Millisecond-s.Net.Now(), get.returned) {
		return
	}
	if y, err := get.wait(); err != "" || y.Data != "2" {
		s.Failf(ruleSession, `on %v, get("own") returned %q and %s at %v, want "2": its client is cut off, and the leader has changed since, less than the TTL ago`,
			c.id, y.Data, orNil(err), labtest.At(s.Net.Now()))
	}
}

// checkLeaderWithoutMajority: the followers crash, and start again when more than a TTL has passed. The leader has received the requests of a session's client
// all the time, although it could commit none: so the session lasts (rule 27).
func checkLeaderWithoutMajority(v *storeCluster, b *testClient) {
	const ttl = 30 * time.Second // a client may ask the servers that are down for some seconds
	s := v.s
	c := b.another()
	c.opts.TTL = ttl
	c.dial(nil)
	c.mustRun(command{Op: "own", Key: "waits", Data: "1"})
	leader := v.waitForLeader(0)
	for _, id := range v.servers {
		if id != leader {
			s.Net.Crash(id)
		}
	}
	s.Run(5 * ttl / 2)
	v.startDown()
	s.Run(ttl / 2)
	b.expectValue("waits", "1", ruleSession, fmt.Sprintf("%v, the client of the session that owns the key, was connected to %v, the leader, all the time", c.id, leader))
}

// raiseTerms makes every server that is up learn of a term, from a candidate for which no server votes.
func (v *storeCluster) raiseTerms(from *testClient, term int) {
	for _, id := range v.servers {
		go func() {
			_, _ = labrpc.Call[VoteReply](from.node.Context(), from.node, id, "RequestVote", VoteRequest{Term: term, Candidate: from.id})
		}()
	}
	v.s.Run(50 * time.Millisecond)
}

// A session does not expire before its TTL, nor later than 10s after it; also one with a long TTL (rule 27). Requests of other
// clients, all the time, do not change that.
func TestSessionLastsItsTTL5D(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 6, Seeds: 8}, func(s *labtest.Sim) {
		ttl := []time.Duration{4900 * time.Millisecond, 20 * time.Second}[s.Seed%2]
		v := newStoreCluster(s, 3, ServerOptions{SnapshotEvery: 5})
		b := v.connect(5, longLife)
		if s.Seed%8 == 1 {
			b.writes(150, "x") // numbers of sessions need not be small
		}
		a, c := v.connect(4, ttl), v.connect(6, 2*time.Second)
		w := b.watch("own", 0)
		a.mustRun(command{Op: "own", Key: "own", Data: "1"})
		c.mustRun(command{Op: "own", Key: "busy", Data: "1"})
		// The last request may be any, and may come at any time between two requests that only keep the session.
		s.Run(ttl * time.Duration(s.Seed%8) / 9)
		last := s.Net.Now() // the leader receives the request later, and others may follow
		a.mustRun(command{Op: []string{"get", "put"}[s.Seed/2%2], Key: "own"})
		s.Run(100 * time.Millisecond)
		s.Net.Isolate(a.id)
		from := s.Net.Now()
		for n := 0; s.Net.Now()-from < ttl-400*time.Millisecond; n++ {
			c.mustRun(command{Op: "put", Key: "busy", Data: fmt.Sprint(n)})
			s.Run(100 * time.Millisecond)
			for _, e := range w.seen() {
				if e.Deleted && s.Net.Now()-last < ttl {
					s.Failf(ruleSession, "the key \"own\" was deleted by %v, %v after its session, which is %v's, had made a request at %v, want at least the TTL, which is %v",
						labtest.At(s.Net.Now()), (s.Net.Now() - last).Round(time.Millisecond), a.id, labtest.At(last), ttl)
				}
			}
		}
		for n := 0; s.Net.Now()-from < ttl+sessionSlack; n++ {
			c.mustRun(command{Op: "put", Key: "busy", Data: fmt.Sprint("late", n)})
			s.Run(200 * time.Millisecond)
			if w.deleted("own") {
				b.expectValue("busy", fmt.Sprint("late", n), ruleSession)
				return
			}
		}
		w.waitForDelete("own", 0, fmt.Sprintf("its session is %v's, which was cut off %v before, and has a TTL of %v", a.id, ttl+sessionSlack, ttl))
	})
}

// The owner of a key is the session that created it with CreateEphemeral, until the key is deleted. A key that is created again has the
// owner that its new creator gives it (rule 28).
func TestOwners5D(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 7, Seeds: 5}, func(s *labtest.Sim) {
		v := newStoreCluster(s, 3, ServerOptions{})
		a, b, c := v.connect(4, longLife), v.connect(5, longLife), v.connect(6, longLife)
		w := c.watch("", 0)
		own := func(by *testClient, key string) { by.mustRun(command{Op: "own", Key: key, Data: "1"}) }
		own(a, "put by its owner")
		at := a.mustRun(command{Op: "put", Key: "put by its owner", Data: "2"}).Revision
		a.mustRun(command{Op: "set", Key: "put by its owner", Data: "3", At: at})
		own(a, "created again")
		c.mustRun(command{Op: "delete", Key: "created again"})
		c.mustRun(command{Op: "create", Key: "created again", Data: "2"})
		own(a, "put again")
		a.mustRun(command{Op: "delete", Key: "put again"})
		a.mustRun(command{Op: "put", Key: "put again", Data: "2"})
		own(a, "owned again")
		c.mustRun(command{Op: "delete", Key: "owned again"})
		own(b, "owned again")
		own(a, "set by another")
		c.mustRun(command{Op: "set", Key: "set by another", Data: "2", At: c.mustRun(command{Op: "get", Key: "set by another"}).Revision})
		own(a, "a's")
		own(b, "b's")
		c.mustRun(command{Op: "put", Key: "", Data: "the empty key"})
		before := w.waitForEvents(17)
		a.closes()
		c.expectValue("put by its owner", "", ruleOwned)
		c.expectValue("set by another", "", ruleOwned)
		c.expectValue("created again", "2", ruleOwned)
		c.expectValue("put again", "2", ruleOwned)
		c.expectValue("owned again", "1", ruleOwned)
		c.expectValue("a's", "", ruleOwned)
		c.expectValue("b's", "1", ruleOwned)
		c.expectValue("", "the empty key", ruleOwned)
		after := w.waitForEvents(20)[len(before):]
		for _, e := range after {
			if !e.Deleted || e.Key != "a's" && e.Key != "put by its owner" && e.Key != "set by another" {
				s.Failf(ruleOwned, "the end of the session of %v changed %v, want only its keys \"a's\", \"put by its owner\" and \"set by another\" deleted", a.id, eventText(e))
			}
		}
		b.closes()
		c.expectValue("owned again", "", ruleOwned)
		c.expectValue("b's", "", ruleOwned)
		checkTwoClientsOnOneNode(v, c, 7)
	})
}

// checkTwoClientsOnOneNode: two clients on one node have two sessions, and so has a client that was started again after a crash (rules 27 and 28).
func checkTwoClientsOnOneNode(v *storeCluster, b *testClient, node labrpc.NodeID) {
	const ttl = 3 * time.Second
	s := v.s
	a1 := v.connect(node, ttl)
	a2 := a1.another()
	a2.dial(func(ctx context.Context) (context.Context, context.CancelFunc) {
		return labtest.WithTimeout(ctx, commandLimit+time.Second)
	})
	a1.mustRun(command{Op: "own", Key: "one", Data: "1"})
	a2.mustRun(command{Op: "own", Key: "two", Data: "2"})
	a1.mustRun(command{Op: "put", Key: "x", Data: "1"})
	a2.mustRun(command{Op: "put", Key: "x", Data: "2"})
	b.expectValue("x", "2", ruleOnce)
	a1.closes()
	b.expectValue("one", "", ruleOwned)
	b.expectValue("two", "2", ruleOwned)
	s.Run(commandLimit + time.Second + 3*ttl) // the context of Connect bounds Connect, and not the session
	b.expectValue("two", "2", ruleSession, fmt.Sprintf("the key is of a session of %v, whose client reaches the store; only the context of its Connect has ended", node))
	w := b.watch("two", 0)
	s.Net.Crash(node)
	s.Run(100 * time.Millisecond)
	a3 := v.connect(node, ttl)
	a3.mustRun(command{Op: "own", Key: "three", Data: "3"})
	w.waitForDelete("two", ttl+sessionSlack, "its session's client has crashed")
	b.expectValue("three", "3", ruleSession)
}
