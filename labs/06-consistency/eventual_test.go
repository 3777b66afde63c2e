package consistency_test

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"distlabs/internal/harness/check/eventual"
	"distlabs/internal/harness/check/history"
	"distlabs/internal/harness/check/session"
	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	consistency "distlabs/labs/06-consistency"
)

const (
	gossipPeriod = 100 * time.Millisecond
	// gossipSettles is the time in which all replicas that can talk have all updates.
	gossipSettles = 40 * gossipPeriod
	// updatesAtOnce is how many updates a replica may lack and still have all of them in that time.
	updatesAtOnce = 5000

	ruleConverges   = "40 gossip periods after an update, every replica that is connected to it, directly or through others, has it, and the same values (rule 16)"
	ruleOneWinner   = "40 gossip periods after an update, every replica that is connected to it has it, and of concurrent writes of one key the same one wins at all replicas (rules 16 and 17)"
	ruleAnswersAt   = "every method of a replica returns at once and without an error, from what the replica has (rule 15)"
	ruleLastWriter  = "a write wins over all writes of its key that its replica had when it was made, whatever the wall clocks show (rule 17)"
	ruleLaterWins   = "of two concurrent writes, a Delete included, the later one wins if the clocks can tell; otherwise either, but the same at all replicas (rule 17)"
	ruleFarApart    = "a replica accepts every write, however far its time is from the wall clock of the replica (rule 17)"
	ruleDeletes     = "a deleted key stays deleted until it is written again (rule 18)"
	ruleCounts      = "a counter is the sum of all adds that the replica has, each counted exactly once (rule 19)"
	ruleSurvives    = "no crash undoes an update that has returned nil; one that a crash interrupted has happened at all replicas or at none (rule 20)"
	ruleGoesOn      = "a replica that has acknowledged or returned a value returns it from then on, until a newer one replaces it (rules 17 and 20)"
	ruleVersion     = "Version counts the updates that a replica has, the first so many of each replica, and loses none while it runs; the vector belongs to the caller (rule 21)"
	ruleGossipBytes = "a replica causes at most 400 bytes of messages per gossip period, and an update at most 400 bytes more for each replica that lacks it (rule 22)"
)

// A gossipGroup is a store of several replicas, with what its clients saw. Each client
// uses one replica, and has its number.
type gossipGroup struct {
	s        *labtest.Sim
	replicas map[labrpc.NodeID]*consistency.EventualStore
	ops      []history.Op
	adds     []gossipAdd
	updates  map[labrpc.NodeID]uint64                    // how many of each replica are certain
	versions map[labrpc.NodeID]consistency.VersionVector // of each replica, as the test last saw it since its start
	writes   int
	updated  map[string][]string // by key: the last that was done to it, and where and when
	shown    int                 // calls in the record of the run
	period   time.Duration       // of gossip; 0 for gossipPeriod
}

// A gossipAdd is an update of a counter.
type gossipAdd struct {
	at      labrpc.NodeID
	number  uint64 // which update of its replica
	counter string
	n       int
}

func newGossipGroup(s *labtest.Sim) *gossipGroup {
	g := gossipGroupOf(s)
	for _, id := range s.Net.Nodes() {
		g.start(id)
	}
	return g
}

// gossipGroupOf is a group of which no replica has started.
func gossipGroupOf(s *labtest.Sim) *gossipGroup {
	g := &gossipGroup{s: s, replicas: map[labrpc.NodeID]*consistency.EventualStore{}, updates: map[labrpc.NodeID]uint64{}}
	s.Restarts(g.boot)
	return g
}

func (g *gossipGroup) start(id labrpc.NodeID) { g.boot(g.s.Start(id)) }

// boot makes a node that has just come up a replica.
func (g *gossipGroup) boot(node *labrpc.Node) {
	delete(g.versions, node.ID())
	g.replicas[node.ID()] = consistency.NewEventualStore(node, consistency.EventualOptions{Gossip: cmp.Or(g.period, gossipPeriod)})
}

// restart starts a replica that is down. Its last update, if that was not acknowledged, may have happened.
func (g *gossipGroup) restart(id labrpc.NodeID) {
	g.start(id)
	had, certain := g.replicas[id].Version()[id], g.updates[id]
	switch {
	case had < certain:
		g.s.Fail(labtest.Violation{
			What: fmt.Sprintf("%v has %d updates of its own after its restart at %v, although it had acknowledged %d", id, had, labtest.At(g.s.Net.Now()), certain),
			Rule: ruleSurvives, Nodes: []labrpc.NodeID{id},
		})
	case had > certain+1:
		g.s.Fail(labtest.Violation{
			What: fmt.Sprintf("after its restart at %[2]v, %[1]v counts %[3]d updates of its own in its Version, but only %[4]d were made", id, labtest.At(g.s.Net.Now()), had, certain+1),
			Rule: ruleVersion, Nodes: []labrpc.NodeID{id},
		})
	case had == certain:
		// Its last, unacknowledged update did not happen.
		if n := len(g.adds); n > 0 && g.adds[n-1].at == id && g.adds[n-1].number > had {
			g.adds = g.adds[:n-1]
		}
	}
	g.updates[id] = had
	for _, counter := range g.counters() {
		g.countsAs(ruleSurvives, id, counter)
	}
}

// show puts a call of a replica into the record of the run. The replica answers at once, so its bar has no length.
func (g *gossipGroup) show(id labrpc.NodeID, what string, result any) {
	g.shown++
	g.s.Called(id, fmt.Sprint("call ", g.shown), what)
	g.s.Returned(id, fmt.Sprint("call ", g.shown), result)
}

// atOnce checks that a call took no time (rule 15).
func (g *gossipGroup) atOnce(id labrpc.NodeID, what string, began time.Duration) {
	if now := g.s.Net.Now(); now != began {
		g.s.Failf(ruleAnswersAt, "%v returned from %s after %v, want it to return at once", id, what, now-began)
	}
}

// version returns which updates a replica has. While it runs, it does not lose any (rule 21).
func (g *gossipGroup) version(id labrpc.NodeID) consistency.VersionVector {
	got := g.replicas[id].Version()
	for of, n := range g.versions[id] {
		if got[of] < n {
			g.s.Failf(ruleVersion, "at %v, the Version of %v counts %d updates of %v, want at least %d: it had so many before", labtest.At(g.s.Net.Now()), id, got[of], of, n)
		}
	}
	if g.versions == nil {
		g.versions = map[labrpc.NodeID]consistency.VersionVector{}
	}
	g.versions[id] = maps.Clone(got)
	return got
}

// value returns a value that is not written yet.
func (g *gossipGroup) value() string {
	g.writes++
	return fmt.Sprint(g.writes)
}

// done counts an update. It reports whether it was acknowledged: it must be,
// unless its replica has crashed.
func (g *gossipGroup) done(id labrpc.NodeID, what string, began time.Duration, err error) bool {
	g.show(id, what, err)
	g.atOnce(id, what, began)
	if err != nil && !(errors.Is(err, labrpc.ErrDown) && !g.s.Net.Up(id)) {
		g.s.Failf(ruleAnswersAt, "%v returned from %s with the error %q at %v, want nil", id, what, err, labtest.At(g.s.Net.Now()))
	}
	if err == nil {
		g.updates[id]++
		g.version(id)
	}
	return err == nil
}

// put writes a new value, and reports whether it was acknowledged.
func (g *gossipGroup) put(id labrpc.NodeID, key string) bool {
	return g.putValue(id, key, g.value())
}

// note keeps the last updates of a key for a message.
func (g *gossipGroup) note(key, update string) {
	if g.updated == nil {
		g.updated = map[string][]string{}
	}
	last := append(g.updated[key], update)
	g.updated[key] = last[max(0, len(last)-4):]
}

func (g *gossipGroup) putValue(id labrpc.NodeID, key, value string) bool {
	op := history.Op{Client: int(id), Key: key, Kind: history.Write, Value: value, Invoke: g.s.Net.Now(), Where: id.String()}
	g.s.Logf("put %s=%q at %v", key, value, id)
	g.note(key, fmt.Sprintf("put %s=%q at %v, at %v", key, value, id, labtest.At(op.Invoke)))
	ok := g.done(id, fmt.Sprintf("Put(%q, %q)", key, value), op.Invoke, g.replicas[id].Put(key, value))
	op.Return, op.Indeterminate = op.Invoke, !ok
	g.ops = append(g.ops, op)
	return ok
}

// get reads a key that is never deleted.
func (g *gossipGroup) get(id labrpc.NodeID, key string) string {
	now := g.s.Net.Now()
	value, ok := g.replicas[id].Get(key)
	g.atOnce(id, "Get", now)
	g.version(id)
	g.show(id, fmt.Sprintf("Get(%q)", key), fmt.Sprintf("%q, %v", value, ok))
	if ok == (value == "") {
		g.s.Failf(ruleAnswersAt, "on %v, Get(%q) = %q, %v at %v, but the test has put no empty value", id, key, value, ok, now)
	}
	g.ops = append(g.ops, history.Op{Client: int(id), Key: key, Value: value, Invoke: now, Return: now, Where: id.String()})
	return value
}

func (g *gossipGroup) delete(id labrpc.NodeID, key string) bool {
	g.s.Logf("delete %s at %v", key, id)
	g.note(key, fmt.Sprintf("delete %s at %v, at %v", key, id, labtest.At(g.s.Net.Now())))
	return g.done(id, fmt.Sprintf("Delete(%q)", key), g.s.Net.Now(), g.replicas[id].Delete(key))
}

func (g *gossipGroup) add(id labrpc.NodeID, counter string, n int) bool {
	g.s.Logf("add %d to %s at %v", n, counter, id)
	g.adds = append(g.adds, gossipAdd{at: id, number: g.updates[id] + 1, counter: counter, n: n})
	return g.done(id, fmt.Sprintf("Add(%q, %d)", counter, n), g.s.Net.Now(), g.replicas[id].Add(counter, n))
}

// counts checks that a counter has all the adds that the replica's version tells
// of. It may have more: those of a message that it was taking over when it crashed.
func (g *gossipGroup) counts(id labrpc.NodeID, counter string) { g.countsAs(ruleCounts, id, counter) }

func (g *gossipGroup) countsAs(rule string, id labrpc.NodeID, counter string) {
	began := g.s.Net.Now()
	version, got := g.version(id), g.replicas[id].Count(counter)
	g.atOnce(id, "Version or Count", began)
	certain := 0
	var seen []string
	var more []int
	for _, a := range g.adds {
		switch {
		case a.counter != counter:
		case a.number <= version[a.at]:
			certain += a.n
			seen = append(seen, fmt.Sprintf("%+d at %v, its update %d", a.n, a.at, a.number))
		default:
			more = append(more, a.n)
		}
	}
	sums := map[int]bool{certain: true}
	for _, n := range more {
		for _, sum := range slices.Collect(maps.Keys(sums)) {
			sums[sum+n] = true
		}
	}
	if !sums[got] {
		g.s.Fail(labtest.Violation{
			What: fmt.Sprintf("on %v, Count = %[2]d for the counter %[3]q at %[4]v, want %[6]d, the sum of the adds that its Version %[5]s counts", id, got, counter, labtest.At(g.s.Net.Now()), gossipVector(version), certain),
			Rule: rule, Seen: seen, Nodes: []labrpc.NodeID{id},
		})
	}
}

// gossipVector prints a version vector.
func gossipVector(v consistency.VersionVector) string {
	var parts []string
	for _, id := range slices.Sorted(maps.Keys(v)) {
		if v[id] != 0 {
			parts = append(parts, fmt.Sprintf("%v:%d", id, v[id]))
		}
	}
	return "{" + strings.Join(parts, " ") + "}"
}

// settle waits until the given replicas have everything, which they must within
// the given time, and checks their counters.
func (g *gossipGroup) settle(limit time.Duration, ids ...labrpc.NodeID) {
	g.s.Run(limit)
	want := consistency.VersionVector{}
	for _, id := range ids {
		want[id] = g.updates[id]
		if got := g.version(id)[id]; got < want[id] {
			g.s.Failf(ruleVersion, "at %v, the Version of %v counts %d of its own updates, want %d: it has acknowledged them all", labtest.At(g.s.Net.Now()), id, got, want[id])
		}
	}
	for _, id := range ids {
		got := g.replicas[id].Version()
		for _, of := range ids {
			switch {
			case got[of] < want[of]:
				g.s.Fail(labtest.Violation{
					What: fmt.Sprintf("at %[5]v, %[1]v has %[2]d of the %[3]d updates of %[4]v: the last was made at least %[6]v ago", id, got[of], want[of], of, labtest.At(g.s.Net.Now()), limit),
					Rule: ruleConverges, Nodes: []labrpc.NodeID{id, of},
				})
			case got[of] > want[of]:
				g.s.Failf(ruleVersion, "at %v, the Version of %v counts %d updates of %v, but %d were made", labtest.At(g.s.Net.Now()), id, got[of], of, want[of])
			}
		}
		for _, counter := range g.counters() {
			g.counts(id, counter)
		}
	}
}

func (g *gossipGroup) counters() []string {
	var counters []string
	seen := map[string]bool{}
	for _, a := range g.adds {
		if !seen[a.counter] {
			seen[a.counter] = true
			counters = append(counters, a.counter)
		}
	}
	return counters
}

// ofReplicas names the clients of a checker's sentences: client 4 is the caller of n4's replica.
func ofReplicas(lines ...string) []string {
	for i, l := range lines {
		lines[i] = clientInText.ReplaceAllString(l, "n$1")
	}
	return lines
}

// converged reads all keys everywhere and checks that they are the same.
func (g *gossipGroup) converged(keys ...string) {
	settled := g.s.Net.Now()
	for _, id := range g.s.Net.Nodes() {
		for _, key := range keys {
			g.get(id, key)
		}
	}
	v, err := eventual.Check(g.ops, eventual.Options{Settled: settled, NotOverwritten: true})
	if err != nil {
		panic(err) // the test recorded nonsense
	}
	if v != nil {
		g.s.Fail(labtest.Violation{What: ofReplicas(v.Sentence)[0], Rule: ruleOneWinner, Seen: ofReplicas(v.Lines()...)})
	}
	// Key by key, a replica never goes back behind what it has acknowledged or shown.
	for _, key := range keys {
		v, err := session.Check(slices.DeleteFunc(slices.Clone(g.ops), func(op history.Op) bool { return op.Key != key }), session.Options{OneOrder: true})
		if err != nil {
			panic(err) // as above
		}
		if v != nil {
			g.s.Fail(labtest.Violation{What: ofReplicas(v.Sentence)[0], Rule: ruleGoesOn, Seen: ofReplicas(v.Lines()...), At: v.At()})
		}
	}
}

// all checks what every replica has in a key, or that none has anything, for "".
func (g *gossipGroup) all(rule, key, want string) {
	for _, id := range g.s.Net.Nodes() {
		if got, ok := g.replicas[id].Get(key); got != want || ok != (want != "") {
			g.s.Fail(labtest.Violation{
				What: fmt.Sprintf("on %v, Get(%q) returned (%q, %v) at %v, want (%q, %v)", id, key, got, ok, labtest.At(g.s.Net.Now()), want, want != ""),
				Rule: rule, Nodes: []labrpc.NodeID{id}, Seen: g.updated[key],
			})
		}
	}
}
