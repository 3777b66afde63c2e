package replication_test

import (
	"fmt"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/05-replication"
)

// writes makes n changes, by turns on two keys, and returns what a watch must tell of them.
func (c *testClient) writes(n int, keys ...string) []Event {
	var events []Event
	for i := range n {
		e := command{Op: "put", Key: keys[i%len(keys)], Data: fmt.Sprintf("%v-%d", c.id, i)}
		events = append(events, Event{Revision: c.mustRun(e).Revision, Key: e.Key, Data: e.Data})
	}
	return events
}

// eventsUnder returns the events of the keys with a prefix, after a revision.
func eventsUnder(prefix string, after int, events []Event) []Event {
	var some []Event
	for _, e := range events {
		if len(e.Key) >= len(prefix) && e.Key[:len(prefix)] == prefix && e.Revision > after {
			some = append(some, e)
		}
	}
	return some
}

// tells checks that the watch has told of just these events, in time (rule 25).
func (w *watchRecorder) expectEvents(want []Event) {
	want = eventsUnder(w.prefix, w.after, want)
	w.c.v.sameEvents(ruleWatch, fmt.Sprintf("%v: the watch of %q after revision %d", w.c.id, w.prefix, w.after), w.waitForEvents(len(want)), want)
}

// Watches go on through crashes of the leader, and through a time in which the watching client is cut
// off; those that begin later start from where they say (rule 25).
func TestWatchAcrossLeaders5D(t *testing.T) {
	const bite = "changes were made while the watching client was cut off"
	labtest.Run(t, labtest.Config{Nodes: 7, Seeds: 20, MustCover: []string{bite}}, func(s *labtest.Sim) {
		v := newStoreCluster(s, 3, ServerOptions{})
		a, b, c, d := v.connect(4, longLife), v.connect(5, longLife), v.connect(6, longLife), v.connect(7, longLife)
		views := []*watchRecorder{b.watch("", 0), c.watch("in/", 0), d.watch("in/x", 4)}
		all := a.writes(6, "in/x", "out", "in/y")
		check := func() {
			for _, w := range views {
				w.expectEvents(all)
			}
		}
		for range 3 {
			leader := v.waitForLeader(0)
			s.Net.Crash(leader)
			all = append(all, a.writes(3, "in/x", "out")...)
			v.startDown()
			check()
		}
		for _, each := range []*testClient{b, c, d} {
			s.Net.Isolate(each.id)
		}
		all = append(all, a.writes(3, "in/x", "out")...)
		s.Net.Crash(v.waitForLeader(0))
		all = append(all, a.writes(3, "in/y")...)
		s.Cover(bite)
		s.Run(3 * time.Second)
		s.Net.Heal()
		v.startDown()
		all = append(all, a.writes(1, "in/x")...)
		y := a.mustRun(command{Op: "put", Key: "in/z", Data: "gone"})
		all = append(all, Event{Revision: y.Revision, Key: "in/z", Data: "gone"})
		a.mustRun(command{Op: "delete", Key: "in/z"})
		all = append(all, Event{Revision: y.Revision + 1, Key: "in/z", Deleted: true})
		views = append(views, a.watch("in", y.Revision-2))
		check()
		s.Run(watchLimit)
		check() // and no more than that
	})
}

// A watch turns from a server that knows much to one that has been cut off for long, and stays with it while
// that one catches up. It must not begin anew from where the second one is (rule 25).
func TestWatchTurnsToALateServer5D(t *testing.T) {
	const bite = "the only server that a watch could reach was behind what the watch had told"
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 20, MustCover: []string{bite}}, func(s *labtest.Sim) {
		v := newStoreCluster(s, 3, ServerOptions{})
		a, b := v.connect(4, longLife), v.connect(5, longLife)
		leader := v.waitForLeader(0)
		late := v.servers[0]
		if late == leader {
			late = v.servers[1]
		}
		v.alone(late)
		w := b.watch("", 0)
		all := a.writes(5, "x", "y")
		w.expectEvents(all)
		for _, id := range v.servers {
			if id != late {
				s.Net.CutBoth(b.id, id)
			}
		}
		s.Run(6 * time.Second)
		s.Cover(bite)
		for _, id := range v.servers {
			if id != late {
				s.Net.HealBoth(late, id)
			}
		}
		s.Run(5 * time.Second)
		s.Net.Heal()
		all = append(all, a.writes(2, "x")...)
		w.expectEvents(all)
	})
}

// One server after another is cut off from the other two, and from no client. Whichever a watch was with, it
// must hear of what the majority does (rule 25).
func TestWatchTurnsAway5D(t *testing.T) {
	const bite = "changes were made while a server was cut off that only clients could reach"
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 20, MustCover: []string{bite}}, func(s *labtest.Sim) {
		v := newStoreCluster(s, 3, ServerOptions{})
		a, b := v.connect(4, longLife), v.connect(5, longLife)
		w := b.watch("", 0)
		all := a.writes(1, "x")
		for _, id := range v.servers {
			v.alone(id)
			v.waitForLeader(id)
			all = append(all, a.writes(2, "x")...)
			s.Cover(bite)
			w.expectEvents(all)
			s.Net.Heal()
			s.Run(time.Second)
		}
	})
}

// The store remembers as many changes as it was told to, on every server; a watch that is up to date is not
// disturbed by changes of other keys, however many (rules 25 and 26).
func TestCompactedChanges5D(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 20}, func(s *labtest.Sim) {
		const history, changes = 6, 30
		v := newStoreCluster(s, 3, ServerOptions{History: history})
		a, b := v.connect(4, longLife), v.connect(5, longLife)
		quiet := b.watch("quiet", 0)
		all := a.writes(changes, "busy")
		for range 2 {
			s.Run(time.Second) // until the last server has heard of the last change
			for _, after := range []int{0, changes - history - 1} {
				w := b.watch("", after)
				if _, err := w.end.wait(); err != "ErrCompacted" {
					s.Failf(ruleCompacted, "%v: a watch after revision %d, when there are %d and the last %d are kept, returned %s, want ErrCompacted", b.id, after, changes, history, orNil(err))
				}
				if n := len(w.seen()); n > 0 {
					s.Failf(ruleCompacted, "%v: a watch that returned ErrCompacted has told of %d changes", b.id, n)
				}
			}
			last := b.watch("", changes-history)
			last.expectEvents(all)
			last.cancel()
			v.moveLeader()
		}
		all = append(all, a.writes(1, "quiet")...)
		quiet.expectEvents(all)
	})
}

// Every server tells of the same changes, also of those that nobody asked for: the end of a session
// deletes several keys (rules 20 and 23).
func TestServersAgree5D(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 20}, func(s *labtest.Sim) {
		const keys, ttl = 9, 2 * time.Second
		v := newStoreCluster(s, 3, ServerOptions{})
		a, b := v.connect(4, ttl), v.connect(5, longLife)
		w := b.watch("", 0)
		for i := range keys {
			a.mustRun(command{Op: "own", Key: fmt.Sprintf("own/%d", i), Data: "a"})
		}
		s.Net.Crash(a.id)
		s.Run(ttl + sessionSlack)
		want := w.waitForEvents(2 * keys)
		w.cancel()
		for range 3 {
			leader := v.moveLeader()
			for _, id := range v.servers {
				if id != leader {
					s.Net.CutBoth(b.id, id)
				}
			}
			again := b.watch("", 0)
			got := again.waitForEvents(2 * keys)
			v.sameEvents(ruleRevisions, fmt.Sprintf("%v, told by %v", b.id, leader), got, want)
			again.cancel()
			s.Net.Heal()
		}
	})
}

// alone cuts a server off from the other servers, and from nobody else.
func (v *storeCluster) alone(server labrpc.NodeID) {
	for _, id := range v.servers {
		if id != server {
			v.s.Net.CutBoth(server, id)
		}
	}
}
