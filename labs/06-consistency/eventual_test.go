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

	ruleConverges   = "40 gossip periods after the last update, all replicas that can talk to each other, directly or through others, have the same (rule 16)"
	ruleAnswersAt   = "every replica answers every request at once, with what it has (rule 15)"
	ruleLastWriter  = "a write wins over all that its replica had when it was made, whatever the clocks show (rule 17)"
	ruleLaterWins   = "of two concurrent writes the one with the later clock wins; the rest is chance, but the same everywhere (rule 17)"
	ruleFarApart    = "a replica accepts every write, however far its time is from the replica's own wall clock (rule 17)"
	ruleDeletes     = "a delete is a write: what it has removed does not come back (rule 18)"
	ruleCounts      = "a counter is the sum of all acknowledged adds, each once (rule 19)"
	ruleSurvives    = "no crash undoes what was acknowledged (rule 20)"
	ruleGoesOn      = "what a replica has acknowledged or shown it shows from then on, until there is something newer (rules 17 and 20)"
	ruleVersion     = "a replica has all updates that its Version tells of (rule 21)"
	ruleGossipBytes = "what travels is a digest and what the other lacks, not the whole state (rule 22)"
)

// A gossipGroup is a store of Eventuals, with what its clients saw: the client
// of a replica uses only that one, and has its number.
type gossipGroup struct {
	s        *labtest.Sim
	replicas map[labrpc.NodeID]*consistency.EventualStore
	ops      []history.Op
	adds     []gossipAdd
	updates  map[labrpc.NodeID]uint64 // how many of each replica are certain
	writes   int
	period   time.Duration // of gossip; 0 for gossipPeriod
}

// A gossipAdd is an update of a counter.
type gossipAdd struct {
	at      labrpc.NodeID
	number  uint64 // which update of its replica
	counter string
	n       int
}

func newGossipGroup(s *labtest.Sim) *gossipGroup {
	g := &gossipGroup{s: s, replicas: map[labrpc.NodeID]*consistency.EventualStore{}, updates: map[labrpc.NodeID]uint64{}}
	for _, id := range s.Net.Nodes() {
		g.start(id)
	}
	return g
}

func (g *gossipGroup) start(id labrpc.NodeID) {
	g.replicas[id] = consistency.NewEventualStore(g.s.Start(id), consistency.EventualOptions{Gossip: cmp.Or(g.period, gossipPeriod)})
}

// restart is for a replica that is down. What was not acknowledged before may have happened.
func (g *gossipGroup) restart(id labrpc.NodeID) {
	g.start(id)
	had, certain := g.replicas[id].Version()[id], g.updates[id]
	switch {
	case had < certain:
		g.s.Fail(labtest.Violation{
			What: fmt.Sprintf("%v has %d of its own updates when it starts again at %v, and had acknowledged %d", id, had, g.s.Net.Now(), certain),
			Rule: ruleSurvives, Nodes: []labrpc.NodeID{id},
		})
	case had > certain+1:
		g.s.Fail(labtest.Violation{
			What: fmt.Sprintf("%v says when it starts again at %v that it has %d of its own updates, and %d were made", id, g.s.Net.Now(), had, certain+1),
			Rule: ruleVersion, Nodes: []labrpc.NodeID{id},
		})
	case had == certain:
		// Its last, unacknowledged update did not happen.
		if n := len(g.adds); n > 0 && g.adds[n-1].at == id && g.adds[n-1].number > had {
			g.adds = g.adds[:n-1]
		}
	}
	g.updates[id] = had
}

// value returns a value that is not written yet.
func (g *gossipGroup) value() string {
	g.writes++
	return fmt.Sprint(g.writes)
}

// done counts an update. It reports whether it was acknowledged: it must be,
// unless its replica has crashed.
func (g *gossipGroup) done(id labrpc.NodeID, what string, began time.Duration, err error) bool {
	if now := g.s.Net.Now(); now != began {
		g.s.Failf(ruleAnswersAt, "%v answers %s only after %v", id, what, now-began)
	}
	if err != nil && !(errors.Is(err, labrpc.ErrDown) && !g.s.Net.Up(id)) {
		g.s.Failf(ruleAnswersAt, "%v answers %s with the error %q at %v", id, what, err, g.s.Net.Now())
	}
	if err == nil {
		g.updates[id]++
	}
	return err == nil
}

// put writes a new value, and reports whether it was acknowledged.
func (g *gossipGroup) put(id labrpc.NodeID, key string) bool {
	return g.putValue(id, key, g.value())
}

func (g *gossipGroup) putValue(id labrpc.NodeID, key, value string) bool {
	op := history.Op{Client: int(id), Key: key, Kind: history.Write, Value: value, Invoke: g.s.Net.Now(), Where: id.String()}
	g.s.Logf("put %s=%s at %v", key, value, id)
	ok := g.done(id, "a put", op.Invoke, g.replicas[id].Put(key, value))
	op.Return, op.Indeterminate = op.Invoke, !ok
	g.ops = append(g.ops, op)
	return ok
}

// get reads a key that is never deleted.
func (g *gossipGroup) get(id labrpc.NodeID, key string) string {
	now := g.s.Net.Now()
	value, ok := g.replicas[id].Get(key)
	if ok == (value == "") {
		g.s.Failf(ruleAnswersAt, "%v: Get(%q) = %q, %v at %v; only not empty values were put", id, key, value, ok, now)
	}
	g.ops = append(g.ops, history.Op{Client: int(id), Key: key, Value: value, Invoke: now, Return: now, Where: id.String()})
	return value
}

func (g *gossipGroup) delete(id labrpc.NodeID, key string) bool {
	g.s.Logf("delete %s at %v", key, id)
	return g.done(id, "a delete", g.s.Net.Now(), g.replicas[id].Delete(key))
}

func (g *gossipGroup) add(id labrpc.NodeID, counter string, n int) bool {
	g.s.Logf("add %d to %s at %v", n, counter, id)
	g.adds = append(g.adds, gossipAdd{at: id, number: g.updates[id] + 1, counter: counter, n: n})
	return g.done(id, "an add", g.s.Net.Now(), g.replicas[id].Add(counter, n))
}

// counts checks that a counter has all the adds that the replica's version tells
// of. It may have more: those of a message that it was taking over when it crashed.
func (g *gossipGroup) counts(id labrpc.NodeID, counter string) {
	version, got := g.replicas[id].Version(), g.replicas[id].Count(counter)
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
			What: fmt.Sprintf("%v counts %d in %s at %v; the adds that its version %s tells of make %d", id, got, counter, g.s.Net.Now(), gossipVector(version), certain),
			Rule: ruleCounts, Seen: seen, Nodes: []labrpc.NodeID{id},
		})
	}
}

// gossipVector prints a version vector.
func gossipVector(v consistency.VersionVector) string {
	var parts []string
	for id := labrpc.NodeID(1); id <= 9; id++ {
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
	}
	for _, id := range ids {
		got := g.replicas[id].Version()
		for _, of := range ids {
			switch {
			case got[of] < want[of]:
				g.s.Fail(labtest.Violation{
					What: fmt.Sprintf("%v has %d of the %d updates of %v at %v, %v after it could", id, got[of], want[of], of, g.s.Net.Now(), limit),
					Rule: ruleConverges, Nodes: []labrpc.NodeID{id, of},
				})
			case got[of] > want[of]:
				g.s.Failf(ruleVersion, "%v says at %v that it has %d updates of %v, and there were %d", id, g.s.Net.Now(), got[of], of, want[of])
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
		g.s.Fail(labtest.Violation{What: v.Sentence, Rule: ruleConverges, Seen: v.Lines()})
	}
	// Key by key, a replica never goes back behind what it has acknowledged or shown.
	for _, key := range keys {
		v, err := session.Check(slices.DeleteFunc(slices.Clone(g.ops), func(op history.Op) bool { return op.Key != key }), session.Options{OneOrder: true})
		if err != nil {
			panic(err) // as above
		}
		if v != nil {
			g.s.Fail(labtest.Violation{What: v.Sentence, Rule: ruleGoesOn, Seen: v.Lines(), At: v.At()})
		}
	}
}

// all checks what every replica has in a key, or that none has anything, for "".
func (g *gossipGroup) all(rule, key, want string) {
	for _, id := range g.s.Net.Nodes() {
		if got, ok := g.replicas[id].Get(key); got != want || ok != (want != "") {
			g.s.Fail(labtest.Violation{
				What: fmt.Sprintf("%v: Get(%q) = %q, %v at %v, want %q", id, key, got, ok, g.s.Net.Now(), want),
				Rule: rule, Nodes: []labrpc.NodeID{id},
			})
		}
	}
}
