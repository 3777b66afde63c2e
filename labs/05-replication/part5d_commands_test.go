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

// longLife is a TTL that no test waits for.
const longLife = 10 * time.Minute

// Each command does what it says, and two clients see the same store (rules 20, 23, 24).
func TestCommands5D(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 20}, func(s *labtest.Sim) {
		v := newStoreCluster(s, 3, ServerOptions{})
		a, b := v.connect(4, longLife), v.connect(5, longLife)
		revision := 0
		changes := func(c *testClient, e command) {
			revision++
			if y := c.mustRun(e); y.Revision != revision && e.Op != "delete" {
				s.Failf(ruleRevisions, "%v: %v returned revision %d, want %d", c.id, e, y.Revision, revision)
			}
		}
		a.expectValue("x", "", ruleLinearizable)
		changes(a, command{Op: "create", Key: "x", Data: "1"})
		b.expect(command{Op: "create", Key: "x", Data: "2"}, "ErrExists", ruleChecked)
		b.expectValue("x", "1", ruleChecked)
		changes(b, command{Op: "put", Key: "x", Data: "3"})
		changes(b, command{Op: "put", Key: "y", Data: "4"})
		if got := a.expectValue("x", "3", ruleLinearizable); got.Revision != 2 {
			s.Failf(ruleRevisions, "get(x) is at revision %d, want 2: y was changed since, x was not", got.Revision)
		}
		a.expect(command{Op: "set", Key: "x", Data: "5", At: 1}, "ErrConflict", ruleChecked)
		a.expect(command{Op: "set", Key: "x", Data: "5", At: 3}, "ErrConflict", ruleChecked)
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
	})
}

// Three clients at once, on links that lose and duplicate, while leaders crash, come back and
// are cut off. What the clients saw must be what one store, one command after another, could have told them
// (rule 20), and the changes that were made must be theirs, each once (rules 21 and 23).
func TestLinearizable5D(t *testing.T) {
	const lost, midway = "a message was lost", "a leader crashed with a command under way"
	cfg := labtest.Config{Nodes: 6, Seeds: 20, Link: labrpc.FairLoss(0.03), MustCover: []string{lost, midway}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		v := newStoreCluster(s, 3, ServerOptions{})
		var stop atomic.Bool
		var shopping []*pendingCall[bool]
		for _, id := range v.others(v.servers...) {
			shopping = append(shopping, v.connect(id, longLife).runRandomCommands(s.Seed, []string{"x", "y"}, &stop))
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
				// Alone, but for the clients.
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
		for _, l := range shopping {
			l.wait()
		}
		v.checkHistory()
		v.checkEvents(v.allEvents(shopping[0].c))
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

// allEvents returns all changes of the store, as a new watch tells them.
func (v *storeCluster) allEvents(c *testClient) []Event {
	e := command{Op: "put", Key: "the end", Data: "the end"}
	y := c.mustRun(e)
	v.record(0, operation{Client: c.id, Command: e, Response: y, Call: -1, Return: -1, Returned: true})
	w := c.watch("", 0)
	defer w.cancel()
	return w.waitForEvents(y.Revision)
}

// A command is carried out, its answer is lost, and the leader crashes: the client asks the next
// one, which must know (rule 21).
func TestOnceAcrossLeaders5D(t *testing.T) {
	const bite = "the leader crashed after it had carried out a command that nobody has heard of"
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 20, MustCover: []string{bite}}, func(s *labtest.Sim) {
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
				s.Failf(ruleReturns, "%v: a command that reaches the leader is not carried out, because its answer cannot come back", a.id)
			}
			if !set.returned() {
				s.Cover(bite)
			}
			s.Net.Crash(leader)
			s.Net.Heal()
			y, err := set.wait()
			if err != "" {
				s.Failf(ruleOnce, "%v: compare-and-set(x, %q, at %d) returned %s, though it was carried out: %v had read x = %q before that", a.id, next, at, orNil(err), b.id, next)
			}
			at = y.Revision
			v.startDown()
		}
		b.watch("", 0).waitForEvents(4)
	})
}

// The network kept copies of a client's requests, and delivers them again to every server, when
// other commands have been carried out since (rule 21).
func TestLateCopies5D(t *testing.T) {
	const bite = "an old request reached a server"
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 20, MustCover: []string{bite}}, func(s *labtest.Sim) {
		v := newStoreCluster(s, 3, ServerOptions{})
		var mail requestLog
		s.Net.Intercept(mail.collect(4))
		a, b := v.connect(4, longLife), v.connect(5, longLife)
		at := a.mustRun(command{Op: "put", Key: "x", Data: "1"}).Revision
		a.mustRun(command{Op: "set", Key: "x", Data: "2", At: at})
		a.mustRun(command{Op: "create", Key: "y", Data: "3"})
		a.mustRun(command{Op: "delete", Key: "y"})
		b.mustRun(command{Op: "put", Key: "x", Data: "4"})
		for _, old := range mail.requests() {
			for _, id := range v.servers {
				old.To = id
				if s.Net.Inject(old) == nil {
					s.Cover(bite)
				}
			}
		}
		s.Run(2 * time.Second)
		b.expectValue("x", "4", ruleOnce)
		b.expectValue("y", "", ruleOnce)
		if y := b.mustRun(command{Op: "put", Key: "z", Data: "5"}); y.Revision != 6 {
			s.Failf(ruleOnce, "%v: five changes were asked for before this one, which has revision %d, want 6", b.id, y.Revision)
		}
	})
}

// A deposed leader has put a client's command into its log, and finds another leader's entry in
// that place. It must not take that one's answer for its own (rules 20, 21).
func TestAnswerIsForTheCommand5D(t *testing.T) {
	const bite = "the entry of a command was replaced by another"
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 20, MustCover: []string{bite}}, func(s *labtest.Sim) {
		v := newStoreCluster(s, 3, ServerOptions{})
		a, b := v.connect(4, longLife), v.connect(5, longLife)
		a.mustRun(command{Op: "put", Key: "x", Data: "1"})
		old := v.waitForLeader(0)
		s.Net.Partition([]labrpc.NodeID{old, a.id})
		v.waitForLeader(old)
		for i := range 5 {
			b.mustRun(command{Op: "put", Key: "y", Data: fmt.Sprint(i)})
		}
		before, _ := v.status(old)
		put := a.start(command{Op: "put", Key: "x", Data: "2"})
		last := func(st Status) int { return st.SnapshotIndex + len(st.Log) }
		s.Until(time.Second, func() bool { st, _ := v.status(old); return last(st) > last(before) || put.returned() })
		st, _ := v.status(old)
		now, _ := v.status(v.leader())
		if last(st) > last(before) && now.CommitIndex >= last(st) {
			s.Cover(bite)
		}
		s.Net.Heal()
		if _, err := put.wait(); err != "" {
			s.Failf(ruleReturns, `%v: put(x, "2") returned %s, want no error`, a.id, err)
		}
		b.expectValue("x", "2", ruleLinearizable)
	})
}

// A deposed leader that does not know of it must not tell its clients what was true once (rule 20).
func TestNoStaleRead5D(t *testing.T) {
	const bite = "a deposed leader was asked for a value that has changed"
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 20, MustCover: []string{bite}}, func(s *labtest.Sim) {
		v := newStoreCluster(s, 3, ServerOptions{})
		a, b := v.connect(4, longLife), v.connect(5, longLife)
		a.mustRun(command{Op: "put", Key: "x", Data: "1"})
		old := v.waitForLeader(0)
		s.Net.Partition([]labrpc.NodeID{old, a.id})
		v.waitForLeader(old)
		b.mustRun(command{Op: "put", Key: "x", Data: "2"})
		get := a.start(command{Op: "get", Key: "x"})
		s.Run(2 * time.Second)
		if st, up := v.status(old); up && st.Role == roleLeader {
			s.Cover(bite)
		}
		s.Net.Heal()
		if y, err := get.wait(); err != "" || y.Data != "2" {
			s.Failf(ruleLinearizable, `%v: get(x) = %q (%s), want "2": the put of %v had returned before the get was called`, a.id, y.Data, orNil(err), b.id)
		}
	})
}
