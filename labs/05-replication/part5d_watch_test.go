package replication_test

import (
	"fmt"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/05-replication"
)

// writes makes n changes, to the keys in turn, and returns the events that a watch must report.
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

// expectEvents checks that the watch reports exactly these events, in time (rule 25).
func (w *watchRecorder) expectEvents(want []Event) {
	want = eventsUnder(w.prefix, w.after, want)
	seen, ok := w.reported(len(want))
	if len(seen) > len(want) {
		at := 0
		for at < len(want) && seen[at] == want[at] {
			at++
		}
		what := "a change that no client made"
		for _, e := range want {
			if e.Key == seen[at].Key && e.Data == seen[at].Data && e.Deleted == seen[at].Deleted {
				what = fmt.Sprintf("a change that a client made at revision %d", e.Revision)
			}
		}
		w.c.v.s.Failf(ruleWatch, "on %v, the watch of %s after revision %d reported %v at revision %d, %s: the clients made %d changes, and the watch reported %d",
			w.c.id, prefixText(w.prefix), w.after, eventText(seen[at]), seen[at].Revision, what, len(want), len(seen))
	}
	if !ok {
		w.failCount(seen, len(want))
	}
	w.c.v.sameEvents(ruleWatch, fmt.Sprintf("on %v, the watch of %s after revision %d", w.c.id, prefixText(w.prefix), w.after), seen, want)
}

// Watches continue through crashes of the leader, and through a time in which the watching client is cut
// off; a watch that begins later starts at its own revision (rule 25).
func TestWatchAcrossLeaders5D(t *testing.T) {
	const situation = "changes were made while the watching client was cut off"
	const dir = "In+[0]*é/" // a prefix is not a pattern
	labtest.Run(t, labtest.Config{Nodes: 7, Seeds: 20, MustCover: []string{situation}}, func(s *labtest.Sim) {
		v := newStoreCluster(s, 3, ServerOptions{})
		a, b, c, d := v.connect(4, longLife), v.connect(5, longLife), v.connect(6, longLife), v.connect(7, longLife)
		views := []*watchRecorder{b.watch("", 0), c.watch(dir, 0), d.watch(dir+"x", 4)}
		if s.Seed%2 == 0 {
			s.Run(3 * time.Second) // the watch after revision 4 is ahead of the store for so long
		}
		all := a.writes(6, dir+"x", "out", dir+"y")
		check := func() {
			for _, w := range views {
				w.expectEvents(all)
			}
		}
		for range 3 {
			leader := v.waitForLeader(0)
			s.Net.Crash(leader)
			all = append(all, a.writes(3, dir+"x", "out")...)
			v.startDown()
			check()
		}
		for _, each := range []*testClient{b, c, d} {
			s.Net.Isolate(each.id)
		}
		all = append(all, a.writes(3, dir+"x", "out")...)
		s.Net.Crash(v.waitForLeader(0))
		all = append(all, a.writes(3, dir+"y")...)
		s.Cover(situation)
		s.Run(3 * time.Second)
		s.Net.Heal()
		v.startDown()
		all = append(all, a.writes(1, dir+"x")...)
		y := a.mustRun(command{Op: "put", Key: dir + "z", Data: "gone"})
		all = append(all, Event{Revision: y.Revision, Key: dir + "z", Data: "gone"})
		a.mustRun(command{Op: "delete", Key: dir + "z"})
		all = append(all, Event{Revision: y.Revision + 1, Key: dir + "z", Deleted: true})
		views = append(views, a.watch("I", y.Revision-2))
		check()
		s.Run(watchLimit)
		check() // and no more than that
	})
}

// A watch switches from a server that is up to date to a server that has been isolated for long, and stays with it while
// that server catches up. The watch must not begin again from the second server's revision (rule 25).
func TestWatchTurnsToALateServer5D(t *testing.T) {
	const situation = "the only server that a watch could reach was behind the events that the watch had reported"
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 20, MustCover: []string{situation}}, func(s *labtest.Sim) {
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
		s.Cover(situation)
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

// One server after another is isolated from the other two, and from no client. Whichever server a watch was connected to, it
// must report the changes of the majority (rule 25).
func TestWatchTurnsAway5D(t *testing.T) {
	const situation = "changes were made while a server was isolated that only clients could reach"
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 20, MustCover: []string{situation}}, func(s *labtest.Sim) {
		v := newStoreCluster(s, 3, ServerOptions{})
		a, b := v.connect(4, longLife), v.connect(5, longLife)
		w := b.watch("", 0)
		all := a.writes(1, "x")
		for _, id := range v.servers {
			v.alone(id)
			v.waitForLeader(id)
			all = append(all, a.writes(2, "x")...)
			s.Cover(situation)
			w.expectEvents(all)
			s.Net.Heal()
			s.Run(time.Second)
		}
	})
}

// Every server keeps as many changes as it was told to. Changes of other keys do not end a watch that keeps up,
// however many there are: here never more than History between two reports that rule 25 allows (rules 25 and 26).
func TestCompactedChanges5D(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 6, Seeds: 8, Limit: 10 * time.Hour}, func(s *labtest.Sim) {
		switch s.Seed % 10 {
		case 1:
			checkDefaultHistory(s)
			return
		case 2:
			checkLongHistory(s)
			return
		}
		const history, changes = 6, 31
		v := newStoreCluster(s, 3, ServerOptions{History: history})
		a, b, c := v.connect(4, longLife), v.connect(5, longLife), v.connect(6, longLife)
		quiet := b.watch("quiet", 0)
		var all []Event
		for _, key := range []string{"own/1", "own/2", "own/3"} {
			y := c.mustRun(command{Op: "own", Key: key, Data: "1"})
			all = append(all, Event{Revision: y.Revision, Key: key, Data: "1"})
		}
		s.Run(watchLimit)
		for len(all) < changes-3 {
			all = append(all, a.writes(history-1, "busy")...)
			s.Run(watchLimit)
		}
		c.closes() // the order in which its keys are deleted is up to the store
		all = append(all, b.deletes(len(all), 3)...)
		s.Run(healBound) // until every server has applied the last one: a watch may ask any of them
		for range 2 {
			for _, after := range []int{0, changes - history - 1} {
				w := b.watch("", after)
				w.compacted(history, changes)
				if n := len(w.seen()); n > 0 {
					s.Failf(ruleCompacted, "on %v, a watch that returned ErrCompacted at its start has reported %d changes, want 0", b.id, n)
				}
			}
			last := b.watch("", changes-history)
			if s.Until(watchLimit, func() bool { return len(last.seen()) >= history || last.end.returned() }); last.end.returned() {
				_, err := last.end.wait()
				s.Failf(ruleCompacted, "on %v, a watch after revision %d returned %s, want %d changes: the revision is %d, and the last %d changes are kept", b.id, changes-history, orNil(err), history, changes, history)
			}
			last.expectEvents(all)
			last.cancel()
			v.moveLeader()
			s.Run(watchLimit)
		}
		if quiet.end.returned() {
			_, err := quiet.end.wait()
			s.Failf("changes of other keys do not end a watch if there are at most History in any 10s (rule 26)", "on %v, the watch of the key \"quiet\" returned %s after changes of other keys, at most %d in 10s", b.id, orNil(err), history-1)
		}
		all = append(all, a.writes(1, "quiet")...)
		quiet.expectEvents(all)
		checkWatchFallsBehind(a, b, history)
		late := b.watch("", 0) // and changes go on
		a.writes(2, "busy")
		s.Until(watchLimit, func() bool { return late.end.returned() || len(late.seen()) > 0 })
		if n := len(late.seen()); n > 0 || !late.end.returned() {
			s.Failf(ruleCompacted, "on %v, while changes went on, a watch after revision 0 reported %d changes and returned %v, want 0 and ErrCompacted: the last %d changes are kept", b.id, n, late.end.returned(), history)
		}
	})
}

// checkWatchFallsBehind: a watch that has reported changes, and one that has not, are cut off from the store while one change more is made than the store
// keeps. They return ErrCompacted: they do not go on with the oldest change that is kept (rules 25 and 26). Another watch misses no more than is kept.
func checkWatchFallsBehind(a, b *testClient, history int) {
	s := b.v.s
	first := a.writes(1, "busy")
	start := first[0].Revision
	running := b.watch("", start-1)
	running.expectEvents(first)
	waiting := b.watch("busy", start)
	s.Run(time.Second)
	s.Net.Isolate(b.id)
	change := a.writes(1, "busy")
	kept := a.writes(history, "busy")
	s.Run(healBound) // until every server has applied the last one
	s.Net.Heal()
	for _, w := range []*watchRecorder{running, waiting} {
		w.compacted(history, start+1+history)
		if n := len(w.seen()); w == running && n != 1 || w == waiting && n != 0 {
			s.Failf(ruleCompacted, "on %v, a watch after revision %d that returned ErrCompacted has reported %d changes, want none after revision %d: the change at %d is not kept",
				b.id, w.after, n, start, change[0].Revision)
		}
	}
	keeps := b.watch("busy", change[0].Revision)
	keeps.expectEvents(kept)
}

// checkDefaultHistory: a server whose options do not say otherwise keeps the last 1000 changes, and any number of keys.
func checkDefaultHistory(s *labtest.Sim) {
	const history = 1000
	v := newStoreCluster(s, 2, ServerOptions{})
	a, b := v.connect(4, longLife), v.connect(5, longLife)
	keys := make([]string, 300)
	for i := range keys {
		keys[i] = fmt.Sprint("x", i)
	}
	all := a.writes(history+200, keys...)
	b.expectValue(keys[0], all[900].Data, ruleLinearizable)
	s.Run(healBound) // until every server has applied the last one
	last := b.watch("", 200)
	if s.Until(watchLimit, func() bool { return len(last.seen()) >= history || last.end.returned() }); last.end.returned() {
		_, err := last.end.wait()
		s.Failf(ruleCompacted, "on %v, a watch after revision 200 returned %s, want %d changes: the revision is %d, and History is not set", b.id, orNil(err), history, history+200)
	}
	last.expectEvents(all)
	for _, after := range []int{0, 100, 199} {
		b.watch("", after).compacted(history, history+200)
	}
}

// deletes returns the n changes after a revision, which must be deletions, as a watch reports them.
func (c *testClient) deletes(after, n int) []Event {
	w := c.watch("", after)
	defer w.cancel()
	events := w.waitForEvents(n)
	for _, e := range events {
		if !e.Deleted {
			c.v.s.Failf(ruleOwned, "the end of a session changed %v, want only its keys deleted", eventText(e))
		}
	}
	return events
}

// checkWatchUnderTraffic: changes come all the time, of the watched key and of others: the watch reports each within 10s, and does not wait for a
// pause (rule 25).
func checkWatchUnderTraffic(v *storeCluster, a, b *testClient, after int) {
	s := v.s
	w := b.watch("x", after)
	var all []Event
	var times []time.Duration
	for from := s.Net.Now(); s.Net.Now()-from < 15*time.Second; {
		for _, e := range a.writes(2, "x", "other") {
			all, times = append(all, e), append(times, s.Net.Now())
		}
		s.Run(50 * time.Millisecond)
		late := 0
		for i, e := range all {
			if e.Key == "x" && s.Net.Now()-times[i] > watchLimit {
				late++
			}
		}
		if seen := len(w.seen()); seen < late {
			s.Failf(ruleWatch, "on %v, at %v, the watch of x has reported %d changes, want at least %d: so many are older than %v", b.id, labtest.At(s.Net.Now()), seen, late, watchLimit)
		}
	}
	w.expectEvents(all)
}

// Every server reports the same changes, also those that no command asked for: the end of a session
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
			// A client reaches the store only if it is connected to a majority (rule 25), so a watch may ask the other servers for long.
			s.Until(2*time.Minute, func() bool { return len(again.seen()) >= 2*keys })
			s.Net.Heal()
			got := again.waitForEvents(2 * keys)
			v.sameEvents(ruleRevisions, fmt.Sprintf("on %v, the watch at %v", b.id, leader), got, want)
			again.cancel()
		}
	})
}

// alone isolates a server from the other servers, but not from the clients.
func (v *storeCluster) alone(server labrpc.NodeID) {
	for _, id := range v.servers {
		if id != server {
			v.s.Net.CutBoth(server, id)
		}
	}
}
