package detector_test

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/02-failure-detection"
)

const (
	delay2E = 20 * time.Millisecond // no message takes longer

	ruleRise = "an incarnation's number is greater than every earlier one of its node (rule 19)"
	ruleOver = "every incarnation that was seen is seen to be over, a period and two delays after its end at the latest (rule 20)"
	ruleRuns = "an incarnation that runs is seen after a period and a delay, and not said to be over (rule 20)"
	ruleOnce = "of each incarnation: once that it runs, once that it is over; a later one has a greater number (rule 21)"
)

// A sighting is one call of Saw.
type sighting struct {
	at time.Duration
	by labrpc.NodeID
	Life
}

func (g sighting) String() string {
	what := "runs"
	if g.Over {
		what = "is over"
	}
	return fmt.Sprintf("%v says at %v that incarnation %d of %v %s", g.by, brief(g.at), g.Incarnation, g.Peer, what)
}

// A census is a Recovery on every node, and the record of what they saw. It
// checks rule 21, and that no incarnation that runs is said to be over, at
// every step.
type census struct {
	s      *labtest.Sim
	spared map[labrpc.NodeID]bool // runs on: minimising a failure left its crash out

	mu      sync.Mutex
	seen    []sighting
	checked int
	latest  map[pair]sighting
	numbers map[labrpc.NodeID][]uint64 // of all incarnations, oldest first
	ended   map[labrpc.NodeID]time.Duration
}

// newCensus starts all nodes.
func newCensus(s *labtest.Sim) *census {
	c := &census{
		s: s, spared: map[labrpc.NodeID]bool{}, latest: map[pair]sighting{},
		numbers: map[labrpc.NodeID][]uint64{}, ended: map[labrpc.NodeID]time.Duration{},
	}
	s.Always(c.check)
	for _, id := range s.Net.Nodes() {
		c.start(id)
	}
	return c
}

// start begins an incarnation, and checks its number against all those before.
func (c *census) start(id labrpc.NodeID) {
	node := c.s.Start(id)
	delete(c.spared, id)
	r := NewRecovery(node, RecoveryOptions{Period: period, Delay: delay2E, Saw: func(l Life) {
		labrpc.Tell(node, l, func(at time.Duration, l Life) { c.take(at, id, l) })
	}})
	number := r.Incarnation()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, about := range c.s.Net.Nodes() {
		delete(c.latest, pair{id, about}) // what it knew is lost
	}
	if c.s.Net.Up(id) { // it did not crash at a write
		delete(c.ended, id)
		if number == 0 || len(c.numbers[id]) > 0 && number <= slices.Max(c.numbers[id]) {
			c.s.Fail(labtest.Violation{
				What:  fmt.Sprintf("Incarnation() = %d on %v at its start number %d, earlier %v", number, id, c.s.Net.Incarnation(id), c.numbers[id]),
				Rule:  ruleRise,
				Nodes: []labrpc.NodeID{id},
			})
		}
		c.numbers[id] = append(c.numbers[id], number)
	}
}

// crash ends an incarnation.
func (c *census) crash(id labrpc.NodeID) {
	c.s.Net.Crash(id)
	if c.spared[id] = c.s.Net.Up(id); c.spared[id] {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended[id] = c.s.Net.Now()
}

func (c *census) take(at time.Duration, by labrpc.NodeID, l Life) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen = append(c.seen, sighting{at: at, by: by, Life: l})
}

// check holds the new sightings against the rules. Those that concern
// different pairs at one instant may come in any order.
func (c *census) check() *labtest.Violation {
	c.mu.Lock()
	defer c.mu.Unlock()
	fresh := c.seen[c.checked:]
	slices.SortStableFunc(fresh, func(a, b sighting) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.by, b.by), cmp.Compare(a.Peer, b.Peer))
	})
	c.checked = len(c.seen)
	for _, g := range fresh {
		c.s.Logf("%v", g)
		if v := c.judge(g); v != nil {
			return v
		}
		c.latest[pair{g.by, g.Peer}] = g
	}
	return nil
}

// judge holds one sighting against the rules. The caller holds c.mu.
func (c *census) judge(g sighting) *labtest.Violation {
	before := c.latest[pair{g.by, g.Peer}]
	v := &labtest.Violation{What: g.String(), Rule: ruleOnce, Nodes: []labrpc.NodeID{g.by, g.Peer}}
	if before.by != 0 {
		v.Seen = append(v.Seen, before.String())
	}
	gone, ended := c.ended[g.Peer]
	switch {
	case g.by == g.Peer:
		v.What = fmt.Sprintf("%v speaks of itself at %v", g.by, brief(g.at))
	case !g.Over && (before.by != 0 && !before.Over || g.Incarnation <= before.Incarnation):
		// A second one runs before the first is over, or an older one is back.
	case g.Over && (g.Incarnation != before.Incarnation || before.Over):
		// The end of what was never seen, or the second end.
	case g.Over && (!ended || g.at < gone) && g.Incarnation == c.number(g.Peer):
		v.What, v.Rule = g.String()+", but it runs", ruleRuns
	default:
		return nil
	}
	return v
}

// number is that of the node's last incarnation which came to run. The caller holds c.mu.
func (c *census) number(id labrpc.NodeID) uint64 {
	if n := c.numbers[id]; len(n) > 0 {
		return n[len(n)-1]
	}
	return 0
}

// witnesses are the live nodes that say that an incarnation of the node runs.
func (c *census) witnesses(id labrpc.NodeID) []sighting {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []sighting
	for _, by := range others(c.s, id) {
		if g := c.latest[pair{by, id}]; c.s.Net.Up(by) && g.by != 0 && !g.Over {
			all = append(all, g)
		}
	}
	return all
}

// over reports whether the witness has said that what it saw is over.
func (c *census) over(g sighting) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.latest[pair{g.by, g.Peer}]
	return now.Incarnation > g.Incarnation || now.Incarnation == g.Incarnation && now.Over
}

// overAt is when the witness said that what it saw is over.
func (c *census) overAt(g sighting) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.seen, func(o sighting) bool {
		return o.by == g.by && o.Peer == g.Peer && o.Incarnation == g.Incarnation && o.Over
	})
	if i < 0 {
		return c.s.Net.Now()
	}
	return c.seen[i].at
}

// expectOver waits until each witness has said that the incarnation it saw, which ended at that
// time, is over.
func (c *census) expectOver(witnesses []sighting, end time.Duration) {
	deadline := end + period + 2*delay2E + slack
	for _, g := range witnesses {
		if c.spared[g.Peer] {
			continue
		}
		if !c.s.Until(max(deadline-c.s.Net.Now(), 1), func() bool { return c.over(g) }) {
			c.s.Fail(labtest.Violation{
				What:  fmt.Sprintf("%v has not said by %v that incarnation %d of %v is over", g.by, brief(c.s.Net.Now()), g.Incarnation, g.Peer),
				Rule:  ruleOver,
				Seen:  []string{g.String(), fmt.Sprintf("%v crashed at %v", g.Peer, brief(end))},
				Nodes: []labrpc.NodeID{g.by, g.Peer},
			})
		}
		took := max(0, c.overAt(g)-end)
		c.s.Measure("detection time", float64(took.Milliseconds()), "ms", fmt.Sprintf("≤ %d", (period+2*delay2E).Milliseconds()))
	}
}

// expectRunning waits until all live nodes say that all others run, by their right numbers.
func (c *census) expectRunning() {
	deadline := c.s.Net.Now() + period + delay2E + slack
	for _, by := range c.s.Net.Nodes() {
		for _, about := range others(c.s, by) {
			if !c.s.Net.Up(by) || !c.s.Net.Up(about) {
				continue
			}
			seen := func() sighting {
				c.mu.Lock()
				defer c.mu.Unlock()
				return c.latest[pair{by, about}]
			}
			want := c.number(about)
			c.s.Until(max(deadline-c.s.Net.Now(), 1), func() bool { return seen().Incarnation == want && !seen().Over })
			if g := seen(); g.Incarnation != want || g.Over {
				v := labtest.Violation{
					What:  fmt.Sprintf("%v has not said by %v that incarnation %d of %v runs", by, brief(c.s.Net.Now()), want, about),
					Rule:  ruleRuns,
					Nodes: []labrpc.NodeID{by, about},
				}
				if g.by != 0 {
					v.Seen = append(v.Seen, g.String())
				}
				c.s.Fail(v)
			}
		}
	}
}
