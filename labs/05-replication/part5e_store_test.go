package replication_test

import (
	"context"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	. "distlabs/labs/05-replication"
)

func closeClient(ctx context.Context, client *Client) (bool, error) {
	return true, client.Close(ctx)
}

// A server that was cut off for long gets a snapshot in place of the entries, and then leads. It must know all that
// they would have told it: the keys and whose they are, the last answer of each client, and the changes (rule 29).
func TestSnapshotOfTheStore5E(t *testing.T) {
	const bite = "a server was sent a snapshot in place of a command whose client still asks"
	labtest.Run(t, labtest.Config{Nodes: 6, Seeds: 20, MustCover: []string{bite}}, func(s *labtest.Sim) {
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
		for _, id := range v.servers {
			s.Net.Cut(id, a.id)
		}
		set := a.start(command{Op: "set", Key: "x", Data: "2", At: at})
		s.Until(commandLimit, func() bool { return b.mustRun(command{Op: "get", Key: "x"}).Data == "2" })
		b.mustRun(command{Op: "delete", Key: "old"})
		all := b.writes(4*every, "y", "z")
		for _, id := range v.servers {
			if st, up := v.status(id); up && id != late && len(st.Log) > 3*every {
				s.Failf(ruleWholeStore, "%v has %d entries in its log after %d commands; a snapshot is due every %d", id, len(st.Log), 4*every, every)
			}
		}
		before, _ := v.status(late)
		s.Net.Heal()
		for _, id := range v.servers {
			s.Net.Cut(id, a.id)
		}
		v.s.WaitFor(commandLimit, labtest.Violation{What: "a server that was cut off does not catch up", Rule: ruleWholeStore, Nodes: v.servers}, func() bool {
			st, _ := v.status(late)
			now, _ := v.status(leader)
			return st.LastApplied >= now.SnapshotIndex && st.SnapshotIndex > before.SnapshotIndex+len(before.Log)
		})
		for v.waitForLeader(0) != late {
			s.Run(time.Second) // until it has all that an elected one must have
			v.moveLeader()
			for _, id := range v.servers {
				s.Net.Cut(id, a.id)
			}
		}
		if !set.returned() {
			s.Cover(bite)
		}
		s.Net.Heal()
		if _, err := set.wait(); err != "" {
			s.Failf(ruleWholeStore, `%v: compare-and-set(x, "2", at %d) returned %s though it was carried out: the new leader, which has it from a snapshot, knows nothing of it`, a.id, at, err)
		}
		b.expectValue("own", "c", ruleWholeStore)
		b.expectValue("old", "", ruleWholeStore)
		w := b.watch("", 0)
		w.waitForEvents(len(all) + 5)
		s.Net.Crash(c.id)
		w.waitForDelete("own", ttl+sessionSlack, "its session's client has crashed")
		w.cancel()
		v.restarts()
		b.expectValue("x", "2", ruleWholeStore)
		b.expectValue("own", "", ruleWholeStore)
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
