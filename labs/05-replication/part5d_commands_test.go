package replication_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/05-replication"
)

// longLife is a TTL that expires in no test. A narrow integer does not hold it, in whatever unit.
const longLife = 100 * time.Hour

// Each command does what it says, and two clients see the same store (rules 20, 23, 24).
func TestCommands5D(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 20}, func(s *labtest.Sim) {
		v := newStoreCluster(s, 3, ServerOptions{})
		a, b := v.connect(4, longLife), v.connect(5, longLife)
		revision := 0
		changes := func(c *testClient, e command) {
			revision++
			if y := c.mustRun(e); y.Revision != revision && e.Op != "delete" {
				s.Failf(ruleRevisions, "on %v, %v returned revision %d, want %d: the change before it was number %d", c.id, e, y.Revision, revision, revision-1)
			}
		}
		a.expectValue("x", "", ruleLinearizable)
		changes(a, command{Op: "create", Key: "x", Data: "1"})
		b.expect(command{Op: "create", Key: "x", Data: "2"}, "ErrExists", ruleChecked)
		b.expectValue("x", "1", ruleChecked)
		changes(b, command{Op: "put", Key: "x", Data: "3"})
		changes(b, command{Op: "put", Key: "y", Data: "4"})
		if got := a.expectValue("x", "3", ruleLinearizable); got.Revision != 2 {
			s.Failf(ruleRevisions, "on %v, get(x) returned revision %d, want 2: y has changed since, but x has not", a.id, got.Revision)
		}
		a.expect(command{Op: "set", Key: "x", Data: "5", At: 1}, "ErrConflict", ruleChecked)
		a.expect(command{Op: "set", Key: "x", Data: "5", At: 3}, "ErrConflict", ruleChecked)
		a.expect(command{Op: "set", Key: "x", Data: "5", At: 2 + 1<<8}, "ErrConflict", ruleChecked) // equal to 2 in a narrow type
		a.expect(command{Op: "set", Key: "x", Data: "5", At: 2 + 1<<16}, "ErrConflict", ruleChecked)
		a.expect(command{Op: "set", Key: "x", Data: "5", At: 2 + 1<<32}, "ErrConflict", ruleChecked)
		a.expectValue("x", "3", ruleChecked)
		changes(a, command{Op: "set", Key: "x", Data: "5", At: 2})
		b.expectValue("x", "5", ruleLinearizable)
		b.mustRun(command{Op: "delete", Key: "z"})
		changes(b, command{Op: "delete", Key: "x"})
		a.expectValue("x", "", ruleLinearizable)
		a.expect(command{Op: "set", Key: "x", Data: "6", At: 4}, "ErrConflict", ruleChecked)
		changes(a, command{Op: "set", Key: "x", Data: "7"})
		b.expect(command{Op: "set", Key: "x", Data: "8"}, "ErrConflict", ruleChecked)
		b.expectValue("x", "7", ruleChecked)
		changes(a, command{Op: "own", Key: "own", Data: "9"})
		a.expect(command{Op: "own", Key: "own", Data: "10"}, "ErrExists", ruleChecked) // its own key exists too
		a.expectValue("own", "9", ruleChecked)
		changes(a, command{Op: "own", Key: "own and empty"})
		a.expect(command{Op: "own", Key: "own and empty", Data: "11"}, "ErrExists", ruleChecked)
		a.expect(command{Op: "create", Key: "own and empty", Data: "12"}, "ErrExists", ruleChecked)
		a.expect(command{Op: "set", Key: "own and empty", Data: "13"}, "ErrConflict", ruleChecked)
		if s.Seed <= 5 {
			checkSpecialValues(v, a, b, revision)
		}
	})
}

// checkSpecialValues: values that are empty, equal to the old value, long or not ASCII are values like others (rules 23 to 25). A string holds any bytes, so
// does a key.
func checkSpecialValues(v *storeCluster, a, b *testClient, revision int) {
	s := v.s
	w := b.watch("k", revision)
	s.Run(time.Microsecond)
	bytes := b.watch("k\xff", revision)
	s.Run(time.Microsecond)
	far := b.watch("k", 1<<32)
	var all []Event
	change := func(e command) {
		revision := revision + len(all) + 1
		y := a.mustRun(e)
		if y.Revision != revision && e.Op != "delete" {
			s.Failf(ruleRevisions, "on %v, %v returned revision %d, want %d: it is a change", a.id, e, y.Revision, revision)
		}
		all = append(all, Event{Revision: revision, Key: e.Key, Data: e.Data, Deleted: e.Op == "delete"})
	}
	expect := func(key, data string, nth int) {
		revision := revision + nth
		if y := b.mustRun(command{Op: "get", Key: key}); y.Data != data || y.Revision != revision {
			s.Failf(ruleLinearizable, "on %v, get(%s) = %q at revision %d, want %q at revision %d", b.id, shortText([]byte(key)), shortText([]byte(y.Data)), y.Revision, shortText([]byte(data)), revision)
		}
	}
	change(command{Op: "put", Key: "k1", Data: ""})
	expect("k1", "", 1)
	a.expect(command{Op: "create", Key: "k1", Data: "x"}, "ErrExists", ruleChecked)
	change(command{Op: "put", Key: "k1", Data: ""}) // an equal value is a change
	change(command{Op: "set", Key: "k1", Data: "", At: revision + 2})
	a.expect(command{Op: "set", Key: "k1", Data: "y"}, "ErrConflict", ruleChecked)
	change(command{Op: "put", Key: "k1", Data: "é\x00ü 漢"})
	change(command{Op: "put", Key: "k1", Data: "é\x00ü 漢"})
	expect("k1", "é\x00ü 漢", 5)
	long := fmt.Sprintf("%010000d", 1)
	change(command{Op: "create", Key: "k2 / é", Data: long})
	expect("k2 / é", long, 6)
	a.mustRun(command{Op: "delete", Key: "k3"})
	change(command{Op: "delete", Key: "k1"})
	a.expect(command{Op: "set", Key: "k1", Data: "z", At: revision + 5}, "ErrConflict", ruleChecked)
	change(command{Op: "create", Key: "k1", Data: ""})
	change(command{Op: "put", Key: "k1 ", Data: "another key"})
	change(command{Op: "put", Key: "K1", Data: "another key"})
	expect("k1", "", 8)
	change(command{Op: "put", Key: "k1", Data: fmt.Sprintf("%070000d", 2)}) // its length is no 16-bit number
	expect("k1", fmt.Sprintf("%070000d", 2), 11)
	change(command{Op: "put", Key: "k\xff\xfe", Data: "\xff\x80\xc3"}) // not UTF-8
	expect("k\xff\xfe", "\xff\x80\xc3", 12)
	change(command{Op: "put", Key: "k4/", Data: "4/"})
	change(command{Op: "put", Key: "k4", Data: "4"})
	expect("k4/", "4/", 13)
	longKey := fmt.Sprintf("k%0300d", 1)
	change(command{Op: "put", Key: longKey, Data: "5"})
	change(command{Op: "put", Key: longKey + "6", Data: "6"})
	expect(longKey, "5", 15)
	w.expectEvents(all)
	bytes.expectEvents(all)
	if events := far.seen(); len(events) > 0 {
		s.Failf(ruleWatch, "on %v, the watch of %s after revision %d reported revision %d", b.id, prefixText(far.prefix), far.after, events[0].Revision)
	}
	for _, key := range []string{"alive", "open", "close", "expire"} { // what a store may call its own requests
		a.mustRun(command{Op: "put", Key: key, Data: "1"})
		b.expectValue(key, "1", ruleLinearizable)
	}
}

// Three clients at once, on links that lose and duplicate, while leaders crash, start again and
// are isolated. What the clients saw must be possible for one store that executes one command after another
// (rule 20), and the changes that were made must be theirs, each once (rules 21 and 23).
func TestLinearizable5D(t *testing.T) {
	const lost, midway = "a message was lost", "a leader crashed with a command under way"
	cfg := labtest.Config{Nodes: 6, Seeds: 20, Link: labrpc.FairLoss(0.03), MustCover: []string{lost, midway}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		v := newStoreCluster(s, 3, ServerOptions{})
		var stop atomic.Bool
		var running []*pendingCall[bool]
		for _, id := range v.others(v.servers...) {
			running = append(running, v.connect(id, longLife).runRandomCommands(s.Seed, []string{"x", "y"}, &stop))
		}
		for round := range 4 {
			leader := v.waitForLeader(0)
			switch round % 4 {
			case 0, 3:
				if v.underWay() {
					s.Cover(midway)
				}
				s.Net.Crash(leader)
			case 1:
				s.Net.Isolate(leader)
			case 2:
				// Isolated from the servers, connected to the clients.
				for _, id := range v.servers {
					if id != leader {
						s.Net.CutBoth(leader, id)
					}
				}
			}
			s.Run(time.Duration(1000+s.Rand().IntN(1500)) * time.Millisecond)
			s.Net.Heal()
			v.startDown()
			s.Run(time.Duration(s.Rand().IntN(500)) * time.Millisecond)
		}
		stop.Store(true)
		for _, l := range running {
			l.wait()
		}
		v.checkHistory()
		v.checkEvents(v.allEvents(running[0].c))
		if s.Net.Stats(labrpc.Match{}).Lost > 0 {
			s.Cover(lost)
		}
	})
}

// underWay reports whether a command has been called and has not returned.
func (v *storeCluster) underWay() bool {
	for _, r := range v.operations() {
		if !r.Returned {
			return true
		}
	}
	return false
}

// allEvents returns all changes of the store, as a new watch reports them.
func (v *storeCluster) allEvents(c *testClient) []Event {
	e := command{Op: "put", Key: "the end", Data: "the end"}
	y := c.mustRun(e)
	v.record(0, operation{Client: c.id, Command: e, Response: y, Call: -1, Return: -1, Returned: true})
	w := c.watch("", 0)
	defer w.cancel()
	return w.waitForEvents(y.Revision)
}

// A command is executed, its reply is lost, and the leader crashes: the client asks the next
// leader, which must know that the command was executed (rule 21).
func TestOnceAcrossLeaders5D(t *testing.T) {
	const situation = "the leader crashed after it had executed a command, and before the client received a reply"
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 20, MustCover: []string{situation}}, func(s *labtest.Sim) {
		v := newStoreCluster(s, 3, ServerOptions{})
		a, b := v.connect(4, longLife), v.connect(5, longLife)
		for i, at := 0, 0; i < 3; i++ {
			if i == 0 {
				at = a.mustRun(command{Op: "create", Key: "x", Data: "0"}).Revision
			}
			leader := v.waitForLeader(0)
			for _, id := range v.servers {
				s.Net.Cut(id, a.id)
			}
			next := fmt.Sprint(i + 1)
			set := a.start(command{Op: "set", Key: "x", Data: next, At: at})
			if !s.Until(commandLimit, func() bool { return b.mustRun(command{Op: "get", Key: "x"}).Data == next }) {
				s.Failf(ruleReturns, "on %v, a command that reached the leader was not executed within 20s, although only the replies to its client are cut off", a.id)
			}
			if !set.returned() {
				s.Cover(situation)
			}
			s.Net.Crash(leader)
			s.Net.Heal()
			y, err := set.wait()
			if err != "" {
				s.Failf(ruleOnce, "on %v, compare-and-set(x, %q, at revision %d) returned %s, want nil: it was executed, as %v has read x = %q, and a repetition must not be executed again", a.id, next, at, orNil(err), b.id, next)
			}
			at = y.Revision
			v.startDown()
		}
		b.watch("", 0).waitForEvents(4)
	})
}

// The network kept copies of a client's requests, and delivers them again to every server, when
// other commands have been executed since (rule 21). Commands that failed, and commands that changed nothing, must have no effect then either.
func TestLateCopies5D(t *testing.T) {
	const situation = "an old request reached a server"
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 20, MustCover: []string{situation}}, func(s *labtest.Sim) {
		v := newStoreCluster(s, 3, ServerOptions{})
		var log requestLog
		s.Net.Intercept(log.collect(4))
		a, b := v.connect(4, longLife), v.connect(5, longLife)
		replay := func() {
			for _, old := range log.requests() {
				for _, id := range v.servers {
					old.To = id
					if s.Net.Inject(old) == nil {
						s.Cover(situation)
					}
				}
			}
			s.Run(2 * time.Second)
		}
		at := a.mustRun(command{Op: "put", Key: "x", Data: "1"}).Revision
		a.mustRun(command{Op: "set", Key: "x", Data: "2", At: at})
		a.mustRun(command{Op: "create", Key: "y", Data: "3"})
		a.mustRun(command{Op: "delete", Key: "y"})
		b.mustRun(command{Op: "put", Key: "x", Data: "4"})
		replay()
		b.expectValue("x", "4", ruleOnce)
		b.expectValue("y", "", ruleOnce)
		if y := b.mustRun(command{Op: "put", Key: "z", Data: "5"}); y.Revision != 6 {
			s.Failf(ruleOnce, "on %v, this is the sixth change, but its revision is %d, want 6", b.id, y.Revision)
		}

		// The client's last command is one that failed, or changed nothing.
		fails := "a command that returned an error changes nothing, however often it arrives (rules 21 and 24)"
		a.expect(command{Op: "create", Key: "x", Data: "6"}, "ErrExists", ruleChecked)
		b.mustRun(command{Op: "delete", Key: "x"})
		replay()
		b.expectValue("x", "", fails, fmt.Sprintf("the create of %v returned ErrExists, %v deleted the key, and then the request of the create arrived again", a.id, b.id))
		a.expect(command{Op: "set", Key: "w", Data: "7", At: 9}, "ErrConflict", ruleChecked)
		b.mustRun(command{Op: "create", Key: "w", Data: "8"})
		b.mustRun(command{Op: "put", Key: "w", Data: "9"}) // at revision 9
		replay()
		b.expectValue("w", "9", fails)
		a.mustRun(command{Op: "delete", Key: "v"})
		b.mustRun(command{Op: "create", Key: "v", Data: "10"})
		replay()
		b.expectValue("v", "10", ruleOnce)
	})
}

// A deposed leader has put a client's command into its log, and finds another leader's entry at
// that index. It must not take the result of that entry for the result of the command (rules 20, 21). In every second seed the
// command comes before the other leader is elected, because a leader may step down when it receives nothing from a majority.
func TestAnswerIsForTheCommand5D(t *testing.T) {
	const situation = "the entry of a command was replaced by another"
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 20, MustCover: []string{situation}}, func(s *labtest.Sim) {
		v := newStoreCluster(s, 3, ServerOptions{})
		a, b := v.connect(4, longLife), v.connect(5, longLife)
		a.mustRun(command{Op: "put", Key: "x", Data: "1"})
		old := v.waitForLeader(0)
		s.Net.Partition([]labrpc.NodeID{old, a.id})
		before, _ := v.status(old)
		var put *pendingCall[response]
		start := func() {
			before, _ = v.status(old)
			put = a.start(command{Op: "put", Key: "x", Data: "2"})
			s.Until(time.Second, func() bool {
				st, _ := v.status(old)
				return lastIndexOf(st) > lastIndexOf(before) || put.returned() || st.Role != roleLeader
			})
		}
		early := s.Seed%2 == 0
		if early {
			start()
		}
		if s.Seed%4 < 2 {
			v.raiseTerms(b, before.Term+wrapOf(s)-1) // the other leader's term is equal in a narrow type
		}
		v.waitForLeader(old)
		for i := range 5 {
			b.mustRun(command{Op: "put", Key: "y", Data: fmt.Sprint(i)})
		}
		if !early {
			start()
		}
		st, _ := v.status(old)
		now, _ := v.status(v.leader())
		if lastIndexOf(st) > lastIndexOf(before) && now.CommitIndex >= lastIndexOf(st) {
			s.Cover(situation)
		}
		s.Net.Heal()
		if _, err := put.wait(); err != "" {
			s.Failf(ruleReturns, `on %v, put(x, "2") returned %s, want no error`, a.id, err)
		}
		b.expectValue("x", "2", "each command that returns no error has taken effect (rules 20 and 21)")
	})
}

// A deposed leader that does not know that it was deposed must not return an old value to its clients (rule 20). A leader
// may step down before the value has changed, because it receives nothing from a majority: then it returns nothing.
func TestNoStaleRead5D(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 20}, func(s *labtest.Sim) {
		v := newStoreCluster(s, 3, ServerOptions{})
		if s.Seed%4 == 0 {
			checkDeposedWhileFollowed(v)
			return
		}
		a, b := v.connect(4, longLife), v.connect(5, longLife)
		a.mustRun(command{Op: "put", Key: "x", Data: "1"})
		old := v.waitForLeader(0)
		s.Net.Partition([]labrpc.NodeID{old, a.id})
		if s.Seed%4 == 1 {
			s.Net.JumpClock(old, -time.Hour) // it may not measure by its wall clock how long its followers have been silent
		}
		v.waitForLeader(old)
		b.mustRun(command{Op: "put", Key: "x", Data: "2"})
		called := s.Net.Now()
		get := a.start(command{Op: "get", Key: "x"})
		s.Run(2 * time.Second)
		s.Net.Heal()
		if y, err := get.wait(); err != "" || y.Data != "2" {
			s.Failf(ruleLinearizable, `on %v, get(x), called at %v, returned %q (%s), want "2": the put of %v had returned before the get was called`, a.id, labtest.At(called), y.Data, orNil(err), b.id)
		}
	})
}

// checkDeposedWhileFollowed: a leader is deposed as fast as that can be. One server loses its connection to the leader and stands; the
// other one has just answered the leader's heartbeat, votes, and is cut off from the leader too. For the leader all seems well: a majority
// has acknowledged its last heartbeat. It must not serve a read for that reason (rule 20).
func checkDeposedWhileFollowed(v *storeCluster) {
	s := v.s
	a, b := v.connect(4, longLife), v.newClient(5, longLife)
	a.mustRun(command{Op: "put", Key: "x", Data: "1"})
	old := v.waitForLeader(0)
	var next, voter labrpc.NodeID
	for _, id := range v.servers {
		if id != old {
			next, voter = voter, id
		}
	}
	s.Net.CutBoth(old, next)
	// With pre-votes it stays a follower: then the voter says no, and there is nothing to see.
	s.Until(3*electionTimeout, func() bool { st, _ := v.status(next); return st.Role != roleFollower })
	s.Net.CutBoth(old, voter)
	s.Until(electionTimeout/4, func() bool { return v.leader() == next })
	b.opts.Servers = []labrpc.NodeID{next, voter, old}
	b.dial(nil)
	b.mustRun(command{Op: "put", Key: "x", Data: "2"})
	a.expectValue("x", "2", ruleLinearizable)
}

// Three hundred commands of one client: numbers that are narrower than int wrap. A late watch gets all changes at once, old copies of the
// requests change nothing, a hundred sessions do not get into each other's way. The client is cut off for minutes.
func TestManyCommands5D(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 6, Seeds: 2, Limit: time.Hour}, func(s *labtest.Sim) {
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
	s.Until(ttl+sessionSlack, func() bool { return len(w.seen()) == 2*sessions })
	if n := len(w.seen()); n != 2*sessions {
		s.Failf(ruleSession, "of %d sessions of %v, which crashed at %v, %d had ended %v later, want all: %v is their TTL", sessions, first.id, labtest.At(from), n-sessions, ttl+sessionSlack, ttl)
	}
}

// checkLongOutage: a client is cut off, for minutes or while others do much, with a command and a watch under way. The command has been
// executed, and its reply was lost. When the client reaches the store again, the command returns within 20s and has taken effect once, and the watch reports
// within 10s: pauses between two attempts do not grow without limit, and no result is forgotten (rules 21, 22 and 25).
func checkLongOutage(v *storeCluster, a, b *testClient) {
	s := v.s
	all := b.writes(1, "x")
	w := a.watch("", all[0].Revision-1)
	w.expectEvents(all)
	for _, id := range v.servers {
		s.Net.Cut(id, a.id)
	}
	put := a.start(command{Op: "put", Key: "y", Data: "late"})
	s.Until(commandLimit, func() bool { return b.mustRun(command{Op: "get", Key: "y"}).Data == "late" })
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

// Commands of one client that are called at the same time take effect one after the other, each once (rules 20 and 21): equal
// commands called in one instant, and different commands shortly after each other, over links that lose.
func TestCallsOfOneClientAtOnce5D(t *testing.T) {
	const together = 4
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 10}, func(s *labtest.Sim) {
		v := newStoreCluster(s, 3, ServerOptions{})
		a, b := v.connect(4, longLife), v.connect(5, longLife)
		revisions := map[int]bool{}
		for range 3 {
			var calls []*pendingCall[response]
			for range together {
				calls = append(calls, a.start(command{Op: "put", Key: "x", Data: "same"}))
			}
			for _, call := range calls {
				y, err := call.wait()
				if err != "" || revisions[y.Revision] {
					s.Failf(ruleOnce, "on %v, one of %d equal puts at once returned revision %d (%s), want a revision of its own", a.id, together, y.Revision, orNil(err))
				}
				revisions[y.Revision] = true
			}
		}
		if y := b.mustRun(command{Op: "put", Key: "y", Data: "next"}); y.Revision != 3*together+1 {
			s.Failf(ruleOnce, "on %v, put(y) returned revision %d, want %d: %d puts returned before", b.id, y.Revision, 3*together+1, 3*together)
		}
		checkCommandWithinWatch(a, b)
		s.Net.SetLinks(labrpc.FairLoss(0.1))
		for i := range 6 {
			x := a.start(command{Op: "put", Key: "x", Data: fmt.Sprint("x", i)})
			s.Run(time.Duration(1+s.Rand().IntN(30)) * time.Millisecond)
			y := a.start(command{Op: "put", Key: "y", Data: fmt.Sprint("y", i)})
			x.wait()
			y.wait()
			b.expectValue("x", fmt.Sprint("x", i), ruleOnce)
			b.expectValue("y", fmt.Sprint("y", i), ruleOnce)
		}
	})
}

// checkCommandWithinWatch: the function of a watch may call a command of the same client, which returns as any other (rule 22).
func checkCommandWithinWatch(a, b *testClient) {
	call := startCall(a, `Watch, whose f calls put(z, "1")`, func(ctx context.Context, client *Client) (bool, error) {
		watching, stop := labtest.WithCancel(ctx)
		defer stop()
		var err error
		_ = client.Watch(watching, "within", 0, func(Event) {
			_, err = client.Put(ctx, "z", "1")
			stop()
		})
		return true, err
	})
	b.mustRun(command{Op: "put", Key: "within", Data: "1"})
	if _, err := call.wait(); err != "" {
		a.v.s.Failf(ruleReturns, `%v: put(z, "1"), called by the f of a watch, returned %s, want no error`, a.id, err)
	}
	b.expectValue("z", "1", ruleOnce)
}

// A call returns when its context ends: a command that reaches no server, a command that waits for that one, a watch, and
// Connect. The client can be used afterwards (rules 20 and 22). A call returns also when its client's node crashes.
func TestContextEnds5D(t *testing.T) {
	const slack = 100 * time.Millisecond
	labtest.Run(t, labtest.Config{Nodes: 6, Seeds: 10}, func(s *labtest.Sim) {
		v := newStoreCluster(s, 3, ServerOptions{})
		a, b := v.connect(4, longLife), v.connect(5, longLife)
		a.mustRun(command{Op: "put", Key: "x", Data: "1"})
		// Of half of the calls the requests reach the servers, and the replies are lost; of the other half the requests are lost too.
		for _, id := range v.servers {
			if s.Net.Cut(id, a.id); s.Seed%4 < 2 {
				s.Net.Cut(a.id, id)
			}
		}
		// ends starts a call whose context ends after d, and returns a function that checks when it returned.
		ends := func(c *testClient, what string, d time.Duration, cancel bool, f func(ctx context.Context, client *Client) error) func() {
			from, want := s.Net.Now(), "context.DeadlineExceeded"
			if cancel {
				want = "context.Canceled"
			}
			call := startCall(c, what, func(ctx context.Context, client *Client) (bool, error) {
				if cancel {
					inner, stop := labtest.WithCancel(ctx)
					time.AfterFunc(d, stop)
					return true, f(inner, client)
				}
				inner, stop := labtest.WithTimeout(ctx, d)
				defer stop()
				return true, f(inner, client)
			})
			return func() {
				if !s.Until(max(0, from+d+slack-s.Net.Now()), call.returned) {
					s.Failf(ruleContext, "on %v, the context of %s ended at %v, but %s had not returned %v later", c.id, what, labtest.At(from+d), what, slack)
				}
				if _, err := call.wait(); err != want {
					s.Failf(ruleContext, "on %v, %s returned %s when its context ended, want %s", c.id, what, orNil(err), want)
				}
			}
		}
		put := ends(a, `put(x, "2")`, 3*time.Second, s.Seed%2 == 1, func(ctx context.Context, client *Client) error {
			_, err := client.Put(ctx, "x", "2")
			return err
		})
		s.Run(50 * time.Millisecond)
		get := ends(a, "get(x), called while put(x) waits", time.Second, s.Seed%2 == 0, func(ctx context.Context, client *Client) error {
			_, err := client.Get(ctx, "x")
			return err
		})
		watch := ends(a, "Watch", 2*time.Second, true, func(ctx context.Context, client *Client) error {
			return client.Watch(ctx, "", 0, func(Event) {})
		})
		late := &testClient{v: v, id: 6, node: s.Start(6), opts: ClientOptions{Servers: v.servers, TTL: longLife}}
		s.Net.Isolate(late.id)
		dial := ends(late, "Connect", 1500*time.Millisecond, s.Seed%2 == 0, func(ctx context.Context, _ *Client) error {
			_, err := Connect(ctx, late.node, late.opts)
			return err
		})
		get()
		dial()
		watch()
		put()
		s.Net.Heal()
		a.mustRun(command{Op: "put", Key: "y", Data: "3"})
		b.expectValue("y", "3", ruleOnce)
		was := b.mustRun(command{Op: "get", Key: "x"}) // the command may have taken effect, but no longer can
		s.Run(3 * time.Second)
		if now := b.mustRun(command{Op: "get", Key: "x"}); now != was {
			s.Failf(ruleLinearizable, `on %v, put(x, "2") took effect after its context had ended and the client's next command had returned`, a.id)
		}
		quiet := ends(b, "Watch", time.Second, s.Seed%2 == 0, func(ctx context.Context, client *Client) error {
			return client.Watch(ctx, "none", 0, func(Event) {})
		})
		quiet()
		s.Net.Isolate(b.id)
		ends(b, "Close", time.Second, s.Seed%2 == 1, func(ctx context.Context, client *Client) error { return client.Close(ctx) })()
		checkCrashOfClient(a, slack)
	})
}

// checkCrashOfClient: a client's node crashes while a command and a watch are under way. Both return an error, although their context does not end (rule 22).
func checkCrashOfClient(c *testClient, slack time.Duration) {
	s, client := c.v.s, c.connected()
	s.Net.Isolate(c.id)
	var put, watch atomic.Bool // the call has returned an error
	go func() {
		_, err := client.Put(context.Background(), "x", "4")
		put.Store(err != nil)
	}()
	go func() { watch.Store(client.Watch(context.Background(), "", 0, func(Event) {}) != nil) }()
	s.Run(time.Second)
	s.Net.Crash(c.id)
	s.Run(slack)
	if !put.Load() || !watch.Load() {
		s.Failf(ruleContext, "on %v, %v after a crash of this node, want an error from Put and from Watch: Put has returned one = %v, Watch = %v", c.id, slack, put.Load(), watch.Load())
	}
}
