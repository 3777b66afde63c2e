package replication_test

import (
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
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 20, MustCover: []string{situation, commandLost}}, func(s *labtest.Sim) {
		if s.Seed%10 == 1 {
			checkEntryIsLost(s)
			return
		}
		v := newStoreCluster(s, 3, ServerOptions{})
		a, b := v.connect(4, longLife), v.connect(5, longLife)
		for i, at := 0, 0; i < 3; i++ {
			if i == 0 {
				at = a.mustRun(command{Op: "create", Key: "x", Data: "0"}).Revision
			}
			leader := v.waitForLeader(0)
			next := fmt.Sprint(i + 1)
			set, executed := a.startDeaf(command{Op: "set", Key: "x", Data: next, At: at}, b)
			if executed && !set.returned() {
				s.Cover(situation)
			}
			s.Net.Crash(leader)
			s.Net.Heal()
			y, err := set.wait()
			if err != "" {
				s.Failf(ruleOnce, "on %v, compare-and-set(x, %q, at revision %d) returned %s, want nil: nobody else changes x, and when it has been executed once, a repetition must not be executed again", a.id, next, at, orNil(err))
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
			put, _ = a.startAt(old, command{Op: "put", Key: "x", Data: "2"})
			s.Net.Cut(a.id, old) // each further attempt would add an entry
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
