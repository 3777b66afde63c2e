package replication_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/05-replication"
)

func closeClient(ctx context.Context, client *Client) (bool, error) {
	return true, client.Close(ctx)
}

// A server that was isolated for long gets a snapshot in place of the entries, and then becomes leader. It must know all that
// the entries would have told it: the keys and their owners, the last result of each client, and the changes (rule 29).
func TestSnapshotOfTheStore5E(t *testing.T) {
	const situation = "a server was sent a snapshot in place of a command whose client still asks"
	labtest.Run(t, labtest.Config{Nodes: 6, Seeds: 20, MustCover: []string{situation}}, func(s *labtest.Sim) {
		const every, ttl = 10, 3 * time.Second
		v := newStoreCluster(s, 3, ServerOptions{SnapshotEvery: every})
		a, b, c := v.connect(4, longLife), v.connect(5, longLife), v.connect(6, ttl)
		c.mustRun(command{Op: "own", Key: "own", Data: "c"})
		at := a.mustRun(command{Op: "create", Key: "x", Data: "1"}).Revision
		b.mustRun(command{Op: "put", Key: "old", Data: "b"})
		s.Run(time.Second) // until all servers know of it
		leader := v.waitForLeader(0)
		late := v.servers[0]
		if late == leader {
			late = v.servers[1]
		}
		s.Net.Isolate(late)
		set, executed := a.startDeaf(command{Op: "set", Key: "x", Data: "2", At: at}, b)
		b.mustRun(command{Op: "delete", Key: "old"})
		all := b.writes(4*every, "y", "z")
		for _, id := range v.servers {
			if st, up := v.status(id); up && id != late && sinceSnapshot(st) > 3*every {
				s.Failf(ruleSnapshotDue, "%v has applied %d entries since its last snapshot, after %d commands, want at most 3 times SnapshotEvery, which is %d", id, sinceSnapshot(st), 4*every, every)
			}
		}
		before, _ := v.status(late)
		s.Net.Heal()
		a.deafen()
		v.s.WaitFor(commandLimit, labtest.Violation{What: "a server that was isolated has not caught up 20s after the network was healed", Rule: ruleWholeStore, Nodes: v.servers}, func() bool {
			st, _ := v.status(late)
			now, _ := v.status(leader)
			return st.LastApplied >= now.SnapshotIndex && st.SnapshotIndex > before.SnapshotIndex+len(before.Log)
		})
		for v.waitForLeader(0) != late {
			s.Run(time.Second) // until it has all that an elected one must have
			v.moveLeader()
			a.deafen()
		}
		if executed && !set.returned() {
			s.Cover(situation)
		}
		s.Net.Heal()
		if _, err := set.wait(); err != "" {
			s.Failf(ruleWholeStore, `on %v, compare-and-set(x, "2", at revision %d) returned %s, although it was executed: the new leader, which learnt of it from a snapshot, must know its result`, a.id, at, err)
		}
		b.expectValue("own", "c", ruleWholeStore)
		b.expectValue("old", "", ruleWholeStore)
		w := b.watch("", 0)
		w.waitForEvents(len(all) + 5)
		for range s.Seed % every { // in some seeds the entry that ends the session is the one that makes a snapshot due
			b.mustRun(command{Op: "get", Key: "x"})
		}
		s.Net.Crash(c.id)
		w.waitForDelete("own", ttl+sessionSlack, "its session's client has crashed")
		w.cancel()
		v.restarts()
		b.expectValue("x", "2", ruleWholeStore)
		b.expectValue("own", "", ruleWholeStore, fmt.Sprintf("the session of %v ended before all servers restarted from their snapshots, and its keys were deleted with it", c.id))
		b.watch("", 0).waitForEvents(len(all) + 6)
	})
}

// restarts crashes all servers at once, and starts them again.
func (v *storeCluster) restarts() {
	for _, id := range v.servers {
		v.s.Net.Crash(id)
	}
	v.s.Run(100 * time.Millisecond)
	v.startDown()
}

// After a restart from a snapshot the store continues with the next revision, also when the last change was a delete, and repeats the
// result of a command whose client did not receive it. A key with the empty value is a key (rule 29).
func TestRestartOfTheStore5E(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 8, Limit: 10 * time.Hour, MustCover: []string{replyLost}}, func(s *labtest.Sim) {
		switch s.Seed % 8 {
		case 1:
			checkSnapshotsWhileBusy(s)
			return
		case 2:
			checkLongHistoryInSnapshot(s)
			return
		case 3:
			checkDefaultSnapshots(s)
			return
		}
		v := newStoreCluster(s, 3, ServerOptions{SnapshotEvery: 1})
		a, b := v.connect(4, longLife), v.connect(5, longLife)
		a.mustRun(command{Op: "put", Key: "x", Data: "1"})
		a.mustRun(command{Op: "put", Key: "y", Data: "1"})
		a.mustRun(command{Op: "delete", Key: "y"})
		asked := command{Op: "put", Key: "x", Data: "2"}
		if s.Seed%2 == 0 {
			asked = command{Op: "create", Key: "z", Data: "2"}
		}
		put, executed := a.startDeaf(asked, b)
		if !executed {
			return
		}
		for range 6 { // entries that change nothing count too
			b.mustRun(command{Op: "get", Key: "x"})
		}
		s.Run(healBound) // until every server has applied them
		for _, id := range v.servers {
			if st, _ := v.status(id); sinceSnapshot(st) > 3 {
				s.Failf(ruleSnapshotDue, "%v has applied %d entries since its last snapshot, want at most 3 times SnapshotEvery, which is 1", id, sinceSnapshot(st))
			}
		}
		b.mustRun(command{Op: "delete", Key: "x"})
		v.restarts()
		s.Net.Heal()
		if y, err := put.wait(); err != "" || y.Revision != 4 {
			s.Failf(ruleWholeStore, "on %v, %s returned revision %d (%s) after all servers restarted from snapshots, want revision 4, as it was executed before", a.id, put.what, y.Revision, orNil(err))
		}
		if y := b.mustRun(command{Op: "put", Key: "w", Data: ""}); y.Revision != 6 {
			s.Failf(ruleWholeStore, "on %v, put(w) returned revision %d after all servers restarted from snapshots, want 6", b.id, y.Revision)
		}
		const key, data = "\xff\xfeé", "\x80\x00\xc3" // not UTF-8
		b.mustRun(command{Op: "put", Key: key, Data: data})
		v.restarts()
		b.expectValue(key, data, ruleWholeStore)
		if y := b.mustRun(command{Op: "get", Key: "w"}); y.Revision != 6 {
			s.Failf(ruleWholeStore, "on %v, get(w) returned revision %d after all servers restarted from snapshots, want 6: the key has the empty value", b.id, y.Revision)
		}
	})
}

// sinceSnapshot is the number of entries that a server has applied since its last snapshot.
func sinceSnapshot(st Status) int { return st.LastApplied - st.SnapshotIndex }

// checkDefaultSnapshots: a server whose options do not say otherwise makes a snapshot every 500 entries (rule 29).
func checkDefaultSnapshots(s *labtest.Sim) {
	v := newStoreCluster(s, 2, ServerOptions{})
	a := v.connect(4, longLife)
	a.writes(3*500+1, "x")
	s.Run(healBound) // until every server has applied them
	for _, id := range v.servers {
		if st, _ := v.status(id); sinceSnapshot(st) > 3*500 {
			s.Failf(ruleSnapshotDue, "%v has applied %d entries since its last snapshot, want at most 3 times SnapshotEvery, which is 500 if it is not set", id, sinceSnapshot(st))
		}
	}
}

// A deposed leader waits for the entry of a client's command. It is sent a snapshot whose last index is that of the
// entry, but the snapshot holds another entry at that index: the command has not taken effect (rules 20 and 21).
// A leader may step down before, because it receives nothing from a majority: then no command waits.
func TestSnapshotAtTheIndexOfACommand5E(t *testing.T) {
	const situation = "a snapshot was due whose last index was that of a waiting command, or the leader had stepped down by itself, or took no command"
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 20, MustCover: []string{situation}}, func(s *labtest.Sim) {
		v := newStoreCluster(s, 3, ServerOptions{SnapshotEvery: 1})
		a, b := v.connect(4, longLife), v.connect(5, longLife)
		b.mustRun(command{Op: "put", Key: "x", Data: "1"})
		const most = 30 // a client has one command under way: each of these adds one entry to the old leader's log
		var clients []*testClient
		for range most {
			c := a.another()
			c.dial(nil)
			clients = append(clients, c)
		}
		old := v.waitForLeader(0)
		s.Net.Partition([]labrpc.NodeID{old, a.id})
		s.Net.Cut(a.id, old) // a session that lives on may be an entry, too
		deposed := func() Status { st, _ := v.status(old); return st }
		leader := func() Status { st, _ := v.status(v.waitForLeader(old)); return st }
		var puts []*pendingCall[response]
		refuses := false // it may take no command when it receives nothing from a majority
		put := func() {
			n := len(puts)
			s.Net.HealBoth(a.id, old)
			p, appended := clients[n].startAt(old, command{Op: "put", Key: fmt.Sprint("x", n), Data: "2"})
			refuses = !appended
			s.Net.Cut(a.id, old) // each further attempt would add an entry
			puts = append(puts, p)
		}
		behind := func() int { return leader().SnapshotIndex - lastIndexOf(deposed()) }
		write := func(n int) { b.mustRun(command{Op: "put", Key: "y", Data: fmt.Sprint(n)}) }
		for n := 0; n < 10*most && behind() <= 0; n++ {
			write(n)
		}
		put()
		for n := 0; n < 10*most && len(puts) < most && !refuses && deposed().Role == roleLeader && behind() != 0; n++ {
			if behind() < 0 {
				write(n)
			} else {
				put() // its client waits for the last entry: a server may answer after some time that it does not know
			}
		}
		waits := behind() == 0 && !puts[len(puts)-1].returned()
		if waits || refuses || deposed().Role != roleLeader {
			s.Cover(situation)
		}
		s.Net.Heal()
		for n, p := range puts {
			if _, err := p.wait(); err != "" {
				s.Failf(ruleReturns, `on %v, put(x%d, "2") returned %s, want no error`, a.id, n, err)
			}
			b.expectValue(fmt.Sprint("x", n), "2", "each command that returns no error has taken effect (rules 20 and 21)")
		}
	})
}
