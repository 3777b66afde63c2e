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

	ruleRise = "an incarnation's number is greater than every earlier number of its node that a peer may have received (rule 19)"
	ruleOver = "an incarnation that was reported as running is reported as ended at most Period + 2·Delay after its end (rule 20)"
	ruleRuns = "a running incarnation is reported as running at most Period + Delay after its start, and is not reported as ended (rule 20)"
	ruleOnce = "each incarnation is reported once as running, then once as ended; incarnation numbers only increase (rule 21)"
)

// A sawCall is one call of Saw.
type sawCall struct {
	at time.Duration
	by labrpc.NodeID
	Life
}

func (g sawCall) String() string {
	return fmt.Sprintf("%v reported at %v of %v: %s", g.by, labtest.At(g.at), g.Peer, inWords(g.Life))
}

// inWords says what a node reports of a peer.
func inWords(l Life) string {
	if l.Over {
		return fmt.Sprintf("incarnation %d has ended", l.Incarnation)
	}
	return fmt.Sprintf("incarnation %d runs", l.Incarnation)
}

// A recoveryCluster is a Recovery on every node, and the record of what they saw. It
// checks rule 21, and that no incarnation that runs is said to be over, at
// every step.
type recoveryCluster struct {
	s      *labtest.Sim
	spared map[labrpc.NodeID]bool // runs on: minimising a failure left its crash out

	mu      sync.Mutex
	seen    []sawCall
	checked int
	latest  map[pair]sawCall
	numbers map[labrpc.NodeID]uint64 // of each node's last incarnation that came to run
	sent    map[labrpc.NodeID]int    // how many messages each node had sent before its latest start
	spoken  map[labrpc.NodeID]uint64 // the last number under which a node has sent a message, before its latest start
	ended   map[labrpc.NodeID]time.Duration
}

// newRecoveries starts all nodes.
func newRecoveries(s *labtest.Sim) *recoveryCluster {
	c := &recoveryCluster{
		s: s, spared: map[labrpc.NodeID]bool{}, latest: map[pair]sawCall{},
		numbers: map[labrpc.NodeID]uint64{}, ended: map[labrpc.NodeID]time.Duration{},
		sent: map[labrpc.NodeID]int{}, spoken: map[labrpc.NodeID]uint64{},
	}
	s.Always(c.check)
	s.Restarts(c.boot)
	for _, id := range s.Net.Nodes() {
		c.start(id)
	}
	return c
}

func (c *recoveryCluster) start(id labrpc.NodeID) {
	node := c.s.Start(id)
	delete(c.spared, id)
	c.boot(node)
}

// boot begins an incarnation, and checks its number against those that a peer may have received.
func (c *recoveryCluster) boot(node *labrpc.Node) {
	id := node.ID()
	c.mark(id)
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
		if number == 0 || number <= c.spoken[id] {
			c.s.Fail(labtest.Violation{
				What:  fmt.Sprintf("on %v, Incarnation() returned %d after start %d, want more than %d, the highest number of its earlier starts in which it sent a message", id, number, c.s.Net.Incarnation(id), c.spoken[id]),
				Rule:  ruleRise,
				Nodes: []labrpc.NodeID{id},
			})
		}
		c.numbers[id] = number
	}
}

// mark notes before a start whether the node has sent a message since the start before. If not, nobody knows its number.
func (c *recoveryCluster) mark(id labrpc.NodeID) {
	sent := c.s.Net.Stats(labrpc.Match{From: id}).Sent
	c.mu.Lock()
	defer c.mu.Unlock()
	if sent > c.sent[id] {
		c.spoken[id] = c.numbers[id]
	}
	c.sent[id] = sent
}

// crash ends an incarnation.
func (c *recoveryCluster) crash(id labrpc.NodeID) {
	c.s.Net.Crash(id)
	if c.spared[id] = c.s.Net.Up(id); c.spared[id] {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended[id] = c.s.Net.Now()
}

func (c *recoveryCluster) take(at time.Duration, by labrpc.NodeID, l Life) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen = append(c.seen, sawCall{at: at, by: by, Life: l})
}

// check checks the new reports against the rules. The reports of one instant are sorted: they may arrive in any order.
func (c *recoveryCluster) check() *labtest.Violation {
	c.mu.Lock()
	defer c.mu.Unlock()
	fresh := c.seen[c.checked:]
	slices.SortStableFunc(fresh, func(a, b sawCall) int {
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

// judge checks one report against the rules. The caller holds c.mu.
func (c *recoveryCluster) judge(g sawCall) *labtest.Violation {
	before := c.latest[pair{g.by, g.Peer}]
	v := &labtest.Violation{What: g.String(), Rule: ruleOnce, Nodes: []labrpc.NodeID{g.by, g.Peer}}
	if before.by != 0 {
		v.Seen = append(v.Seen, before.String())
	}
	gone, ended := c.ended[g.Peer]
	switch {
	case g.by == g.Peer:
		v.What = fmt.Sprintf("%v reported itself at %v", g.by, labtest.At(g.at))
	case g.Incarnation == 0:
		v.What += ", want a number of at least 1"
	case !g.Over && g.Incarnation < before.Incarnation:
		v.What += fmt.Sprintf(", after a report of incarnation %d", before.Incarnation)
	case g.Incarnation == before.Incarnation && before.Over:
		v.What += ", but had reported its end before"
	case !g.Over && g.Incarnation == before.Incarnation:
		v.What += " a second time"
	case !g.Over && before.by != 0 && !before.Over:
		v.What += fmt.Sprintf(", but had not reported that incarnation %d has ended", before.Incarnation)
	case g.Over && g.Incarnation != before.Incarnation:
		v.What += ", but had not reported that this incarnation runs"
	case g.Over && (!ended || g.at < gone) && g.Incarnation == c.numbers[g.Peer] && c.s.Net.Up(g.Peer): // a person who plays the run may have crashed it
		v.What, v.Rule = g.String()+", but the incarnation runs", ruleRuns
	default:
		return nil
	}
	return v
}

// witnesses are the live nodes that say that an incarnation of the node runs.
func (c *recoveryCluster) witnesses(id labrpc.NodeID) []sawCall {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []sawCall
	for _, by := range others(c.s, id) {
		if g := c.latest[pair{by, id}]; c.s.Net.Up(by) && g.by != 0 && !g.Over {
			all = append(all, g)
		}
	}
	return all
}

// over reports whether the witness has said that what it saw is over.
func (c *recoveryCluster) over(g sawCall) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.latest[pair{g.by, g.Peer}]
	return now.Incarnation > g.Incarnation || now.Incarnation == g.Incarnation && now.Over
}

// overAt is when the witness said that what it saw is over.
func (c *recoveryCluster) overAt(g sawCall) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.seen, func(o sawCall) bool {
		return o.by == g.by && o.Peer == g.Peer && o.Incarnation == g.Incarnation && o.Over
	})
	if i < 0 {
		return c.s.Net.Now()
	}
	return c.seen[i].at
}

// expectOver waits until each witness has said that the incarnation it saw, which ended at that
// time, is over.
func (c *recoveryCluster) expectOver(witnesses []sawCall, end time.Duration) {
	deadline := end + period + 2*delay2E + slack
	for _, g := range witnesses {
		if c.spared[g.Peer] {
			continue
		}
		if !c.s.Until(max(deadline-c.s.Net.Now(), 1), func() bool { return c.over(g) }) {
			c.s.Fail(labtest.Violation{
				What: fmt.Sprintf("at %v, %v after the end of incarnation %d of %v, %v had not reported this end, want the report within %v of the end",
					labtest.At(c.s.Net.Now()), brief(c.s.Net.Now()-end), g.Incarnation, g.Peer, g.by, period+2*delay2E),
				Rule:  ruleOver,
				Seen:  []string{g.String(), fmt.Sprintf("%v crashed at %v", g.Peer, labtest.At(end))},
				Nodes: []labrpc.NodeID{g.by, g.Peer},
			})
		}
		took := max(0, c.overAt(g)-end)
		c.s.Measure("detection time", float64(took.Milliseconds()), "ms", fmt.Sprintf("≤ %d", (period+2*delay2E).Milliseconds()))
	}
}

// expectRunning waits until all live nodes say that all others run, by their right numbers.
func (c *recoveryCluster) expectRunning() {
	deadline := c.s.Net.Now() + period + delay2E + slack
	for _, by := range c.s.Net.Nodes() {
		for _, about := range others(c.s, by) {
			if !c.s.Net.Up(by) || !c.s.Net.Up(about) {
				continue
			}
			seen := func() sawCall {
				c.mu.Lock()
				defer c.mu.Unlock()
				return c.latest[pair{by, about}]
			}
			want := c.numbers[about]
			c.s.Until(max(deadline-c.s.Net.Now(), 1), func() bool { return seen().Incarnation == want && !seen().Over })
			if g := seen(); g.Incarnation != want || g.Over {
				v := labtest.Violation{
					What:  fmt.Sprintf("%v had not reported by %v that incarnation %d of %v runs", by, labtest.At(c.s.Net.Now()), want, about),
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
