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
	period = 100 * time.Millisecond
	slack  = period / 10 // what the README allows on top of every bound
)

const (
	ruleTold   = "a detector reports its peers only, calls Changed once per change between trust and suspicion, and Suspects agrees with it (rule 1)"
	ruleClocks = "all bounds hold although wall clocks are wrong, drift and are set at any time (rule 22)"
	ruleNil    = "Changed and Saw may be nil (rule 23)"
)

// A suspecter is any of the detectors of parts 2A to 2C.
type suspecter interface {
	Suspects(peer labrpc.NodeID) bool
}

// A claim is one call of Changed.
type claim struct {
	at        time.Duration
	by, about labrpc.NodeID
	suspected bool
}

func (c claim) String() string {
	if c.suspected {
		return fmt.Sprintf("%v suspects %v at %v", c.by, c.about, labtest.At(c.at))
	}
	return fmt.Sprintf("%v trusts %v again at %v", c.by, c.about, labtest.At(c.at))
}

// A pair is an observer and the peer that it observes.
type pair struct{ by, about labrpc.NodeID }

// A cluster is a detector on every node, and the record of what they claimed.
// It checks rule 1 at every step; if perfect, also that only the crashed
// are suspected, and forever.
type cluster struct {
	s         *labtest.Sim
	perfect   string // the rule that no correct node is suspected; "" if there is none
	final     string // the rule that a crashed node is not trusted again
	bounds    string // the options from which that rule counts, for its message
	detectors map[labrpc.NodeID]suspecter

	settled    time.Duration // from then on ...
	eventually string        // ... this rule says that no correct node is suspected

	mu      sync.Mutex
	crashed map[labrpc.NodeID]time.Duration
	claims  []claim
	checked int // so many claims have been compared with the rules
	now     map[pair]claim
}

// newCluster starts a detector on every node of the network.
func newCluster(s *labtest.Sim, perfect string, start func(*labrpc.Node, func(Change)) suspecter) *cluster {
	c := newIdleCluster(s, perfect)
	s.StartAll(func(node *labrpc.Node) {
		c.boot(node, start)
		go askAgain(node, c.detectors[node.ID()])
	})
	return c
}

// newIdleCluster is a cluster of which no node has started.
func newIdleCluster(s *labtest.Sim, perfect string) *cluster {
	c := &cluster{
		s: s, perfect: perfect, detectors: map[labrpc.NodeID]suspecter{},
		crashed: map[labrpc.NodeID]time.Duration{}, now: map[pair]claim{},
	}
	s.Always(c.check)
	return c
}

// boot starts the detector of a node.
func (c *cluster) boot(node *labrpc.Node, start func(*labrpc.Node, func(Change)) suspecter) {
	c.detectors[node.ID()] = start(node, func(change Change) {
		labrpc.Tell(node, change, func(at time.Duration, change Change) { c.take(at, node.ID(), change) })
	})
}

// askAgain calls Suspects now and then, as another goroutine of the node: the race detector sees a lack of locks.
func askAgain(node *labrpc.Node, d suspecter) {
	for node.Context().Err() == nil {
		for _, peer := range node.Peers() {
			d.Suspects(peer)
		}
		time.Sleep(3*period + period/7)
	}
}

// setClocks sets the wall clock of a random node forward or back by up to an hour, every half period for a while.
func setClocks(s *labtest.Sim, d time.Duration) {
	for end := s.Net.Now() + d; s.Net.Now() < end; {
		by := time.Duration(s.Rand().Int64N(int64(2*time.Hour))) - time.Hour
		s.Net.JumpClock(anyNode(s, s.Net.Nodes()), by)
		s.Run(min(period/2, end-s.Net.Now()))
	}
}

// underSetClocks checks a detector while wall clocks are set: no correct peer is suspected after the given time, and a crash is noticed in
// time, with the last clock set just before it.
func (c *cluster) underSetClocks(settles, bound time.Duration) {
	c.s.Run(settles)
	for _, id := range c.s.Net.Nodes() {
		c.s.Net.JumpClock(id, time.Duration(c.s.Rand().Int64N(int64(time.Hour))))
	}
	setClocks(c.s, 3*time.Second+somewhere(c.s))
	if n := c.mistakes(settles, c.s.Net.Now()); n > 0 {
		at := slices.IndexFunc(c.claims, func(cl claim) bool { return cl.suspected && cl.at >= settles }) // nobody has crashed
		c.s.Failf(ruleClocks, "%v, want no suspicion: no node has crashed, only wall clocks were set (suspicions by %v: %d)", c.claims[at], labtest.At(c.s.Net.Now()), n)
	}
	for len(c.alive()) > 2 {
		id := anyNode(c.s, c.alive())
		for _, by := range others(c.s, id) {
			c.s.Net.JumpClock(by, -time.Minute)
		}
		c.crash(id)
		setClocks(c.s, min(bound-2*period, 3*time.Second))
		c.expect(bound, ruleClocks, id)
	}
}

// withoutChanged checks a detector of each node that has no Changed.
func withoutChanged(s *labtest.Sim, bound time.Duration, start func(*labrpc.Node) suspecter) {
	all := map[labrpc.NodeID]suspecter{}
	s.StartAll(func(node *labrpc.Node) { all[node.ID()] = start(node) })
	s.Run(time.Second)
	s.Net.Stop(3)
	s.Run(bound)
	for _, by := range []labrpc.NodeID{1, 2} {
		for _, about := range []labrpc.NodeID{3 - by, 3} {
			want := about == 3
			if got := all[by].Suspects(about); got != want {
				s.Failf(ruleNil, "Suspects(%v) = %v on %v, want %v: Changed is nil; n3 crashed %v before, and n1 and n2 have not crashed", about, got, by, want, bound)
			}
		}
	}
}

func (c *cluster) take(at time.Duration, by labrpc.NodeID, change Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.claims = append(c.claims, claim{at: at, by: by, about: change.Peer, suspected: change.Suspected})
}

// check checks the new claims against the rules. The claims of one instant are sorted: a node's goroutines may have
// made them in any order.
func (c *cluster) check() *labtest.Violation {
	c.mu.Lock()
	defer c.mu.Unlock()
	fresh := c.claims[c.checked:]
	slices.SortStableFunc(fresh, func(a, b claim) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.by, b.by), cmp.Compare(a.about, b.about))
	})
	c.checked = len(c.claims)
	for _, cl := range fresh {
		c.s.Logf("%v", cl)
		if v := c.judge(cl); v != nil {
			return v
		}
		c.now[pair{cl.by, cl.about}] = cl
	}
	return nil
}

// judge checks one claim against the rules. The caller holds c.mu.
func (c *cluster) judge(cl claim) *labtest.Violation {
	v := &labtest.Violation{Rule: ruleTold, Nodes: []labrpc.NodeID{cl.by, cl.about}}
	before := c.now[pair{cl.by, cl.about}]
	gone, crashed := c.crashed[cl.about]
	switch {
	case cl.by == cl.about:
		v.What = fmt.Sprintf("%v suspects itself at %v", cl.by, labtest.At(cl.at))
	case cl.about < 1 || int(cl.about) > len(c.s.Net.Nodes()):
		v.What = fmt.Sprintf("at %v, %v reports the node %d, which does not exist", labtest.At(cl.at), cl.by, int(cl.about))
	case before.suspected == cl.suspected:
		v.What = fmt.Sprintf("%v, but had not suspected %v before", cl, cl.about)
		if before.by != 0 {
			v.What = fmt.Sprintf("%v, for the second time in a row", cl)
			v.Seen = append(v.Seen, before.String())
		}
	case c.perfect != "" && cl.suspected && (!crashed || cl.at < gone):
		v.What, v.Rule = fmt.Sprintf("%v, although %v has not crashed", cl, cl.about), c.perfect
		if c.bounds != "" {
			v.Seen = append(v.Seen, c.bounds)
		}
	case c.eventually != "" && cl.suspected && cl.at > c.settled && !crashed:
		v.What, v.Rule = fmt.Sprintf("%v, although %v has not crashed", cl, cl.about), c.eventually
		v.Seen = append(v.Seen, fmt.Sprintf("from %v on, no peer that runs may be suspected", labtest.At(c.settled)))
	case c.perfect != "" && !cl.suspected:
		v.What, v.Rule = fmt.Sprintf("%v, although %v crashed at %v", cl, cl.about, labtest.At(gone)), c.final
		v.Seen = append(v.Seen, before.String())
	default:
		return nil
	}
	return v
}

// crash crashes a node permanently.
func (c *cluster) crash(id labrpc.NodeID) {
	c.s.Net.Stop(id)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.crashed[id] = c.s.Net.Now()
}

// stillborn crashes a node that was isolated when the cluster started, so that
// no node ever receives a message from it.
func (c *cluster) stillborn(id labrpc.NodeID) {
	c.s.Run(time.Microsecond)
	c.crash(id)
	c.s.Net.Heal()
}

// alive lists the nodes that have not crashed.
func (c *cluster) alive() []labrpc.NodeID {
	return slices.DeleteFunc(c.s.Net.Nodes(), func(id labrpc.NodeID) bool { return !c.s.Net.Up(id) })
}

// suspects returns the last claim of by about a peer.
func (c *cluster) suspects(by, about labrpc.NodeID) claim {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now[pair{by, about}]
}

// lagging lists the correct nodes that do not suspect the crashed one.
func (c *cluster) lagging(id labrpc.NodeID) []labrpc.NodeID {
	return slices.DeleteFunc(c.alive(), func(by labrpc.NodeID) bool { return c.suspects(by, id).suspected })
}

// expect waits until every correct node suspects these, which have crashed; it
// fails when the bound is over for one of them.
func (c *cluster) expect(bound time.Duration, rule string, ids ...labrpc.NodeID) {
	for _, id := range ids {
		gone := c.crashed[id]
		rest := gone + bound + slack - c.s.Net.Now()
		if !c.s.Until(max(rest, 1), func() bool { return len(c.lagging(id)) == 0 }) {
			late := c.lagging(id)
			c.s.Fail(labtest.Violation{
				What: fmt.Sprintf("at %v, %v after the crash of %v, %v does not suspect %[3]v, want it within %[5]v of the crash",
					labtest.At(c.s.Net.Now()), brief(c.s.Net.Now()-gone), id, late[0], bound),
				Rule:  rule,
				Seen:  []string{fmt.Sprintf("%v crashed at %v", id, labtest.At(gone))},
				Nodes: []labrpc.NodeID{late[0], id},
			})
		}
		for _, by := range c.alive() {
			took := max(0, c.suspects(by, id).at-gone)
			c.s.Measure("detection time", float64(took.Milliseconds()), "ms", fmt.Sprintf("≤ %d", bound.Milliseconds()))
		}
	}
	c.agree()
}

// agree checks that Suspects agrees with what Changed reported.
func (c *cluster) agree() {
	for _, by := range c.alive() {
		for _, about := range c.s.Net.Nodes() {
			says := c.detectors[by].Suspects(about)
			c.s.Run(0) // it may have called Changed itself
			if told := c.suspects(by, about).suspected; says != told {
				c.s.Fail(labtest.Violation{
					What:  fmt.Sprintf("Suspects(%v) = %v on %v, want %v: Changed reported that last", about, says, by, told),
					Rule:  ruleTold,
					Nodes: []labrpc.NodeID{by, about},
				})
			}
		}
	}
}

// mistakes counts how often a node was suspected from one time to another that
// had not crashed.
func (c *cluster) mistakes(from, to time.Duration) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	wrong := 0
	for _, cl := range c.claims {
		gone, crashed := c.crashed[cl.about]
		if cl.suspected && cl.at > from && cl.at <= to && (!crashed || cl.at < gone) {
			wrong++
		}
	}
	return wrong
}

// quality returns the mean duration of a mistake that was withdrawn, and the mean time between
// two mistakes of one observer about one peer, both until a time at which no node
// had crashed (Chen, Toueg, Aguilera 2002, T_M and T_MR). Either is 0 if there was none.
func (c *cluster) quality(until time.Duration) (lasts, recurs time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	began := map[pair]time.Duration{}
	var ends, again time.Duration
	for _, cl := range c.claims {
		p := pair{cl.by, cl.about}
		last, seen := began[p]
		switch {
		case cl.at > until:
		case !cl.suspected:
			lasts, ends = lasts+cl.at-last, ends+1
		default:
			if seen {
				recurs, again = recurs+cl.at-last, again+1
			}
			began[p] = cl.at
		}
	}
	return lasts / max(ends, 1), recurs / max(again, 1)
}

// messages is the number of messages that node sends to each other node, in a period, on average.
func messages(s *labtest.Sim, nodes int, in time.Duration, since int) float64 {
	sent := float64(s.Net.Stats(labrpc.Match{}).Sent - since)
	return sent / float64(nodes*(nodes-1)) / (float64(in) / float64(period))
}

// brief cuts a time to what a reader can use.
func brief(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }

// noneOrAll is a link on which every other message, on average, takes no time, and all others take as long as they may.
func noneOrAll(delay time.Duration) labrpc.Link {
	return labrpc.Link{Latency: func(u float64, _ time.Duration) time.Duration {
		if u < 0.5 {
			return 0
		}
		return delay - time.Microsecond
	}}
}

// others lists all nodes but this one.
func others(s *labtest.Sim, id labrpc.NodeID) []labrpc.NodeID {
	return slices.DeleteFunc(s.Net.Nodes(), func(o labrpc.NodeID) bool { return o == id })
}

// anyNode picks one of the nodes.
func anyNode(s *labtest.Sim, from []labrpc.NodeID) labrpc.NodeID {
	return from[s.Rand().IntN(len(from))]
}

// somewhere is a random part of a period.
func somewhere(s *labtest.Sim) time.Duration {
	return time.Duration(s.Rand().Int64N(int64(period)))
}
