package labtest

import (
	"time"

	"distlabs/internal/harness/explore"
	"distlabs/labrpc"
)

// offerMore lists the steps about nodes and links that a free schedule has, and what the scenario can do.
func (c *schedule) offerMore() {
	add := func(choice explore.Choice) {
		c.choices, c.message = append(c.choices, choice), append(c.message, 0)
	}
	net := c.s.Net
	for _, id := range net.Nodes() {
		if !net.Up(id) {
			add(explore.Choice{Act: explore.Up, Node: id})
			continue
		}
		if !c.space.NoCrashes {
			for _, act := range []explore.Act{explore.Crash, explore.Down, explore.CrashBefore, explore.CrashAfter} {
				add(explore.Choice{Act: act, Node: id})
			}
		}
		if !c.isPaused(id) {
			add(explore.Choice{Act: explore.Pause, Node: id})
		}
	}
	for _, from := range net.Nodes() {
		for _, to := range net.Nodes() {
			if from == to {
				continue
			}
			act := explore.Heal
			if net.Connected(from, to) {
				act = explore.Cut
			}
			add(explore.Choice{Act: act, From: from, Node: to})
		}
	}
	for i, a := range c.scenario.Actions {
		if a.Can == nil || a.Can() {
			add(explore.Choice{Act: explore.Do, Number: uint64(i), Method: a.Name})
		}
	}
}

// takeMore does a step that offerMore has listed, and reports whether it is one. A crash at a write is take's.
func (c *schedule) takeMore(choice explore.Choice) bool {
	net := c.s.Net
	switch choice.Act {
	case explore.Down:
		if c.down == nil {
			c.down = map[labrpc.NodeID]bool{}
		}
		c.down[choice.Node] = true
		net.Crash(choice.Node)
	case explore.Up:
		delete(c.down, choice.Node)
		c.scenario.Start(net.Start(choice.Node))
	case explore.Pause:
		if c.paused == nil {
			c.paused = map[labrpc.NodeID]pause{}
		}
		c.paused[choice.Node] = pause{until: net.Now() + c.space.Pause, inc: net.Incarnation(choice.Node)}
		net.Pause(choice.Node, c.space.Pause)
	case explore.Cut:
		net.Cut(choice.From, choice.Node)
	case explore.Heal:
		net.HealLink(choice.From, choice.Node)
	case explore.Do:
		c.scenario.Actions[choice.Number].Do()
	default:
		return false
	}
	return true
}

// A pause is that of one incarnation of a node.
type pause struct {
	until time.Duration
	inc   int
}

// isPaused reports whether a node stands still because of a step: a crash ends a pause.
func (c *schedule) isPaused(id labrpc.NodeID) bool {
	p, ok := c.paused[id]
	return ok && c.s.Net.Now() < p.until && p.inc == c.s.Net.Incarnation(id)
}

// A glance is what a person sees of a schedule beside its events and choices.
type glance struct {
	at      time.Duration
	paused  []labrpc.NodeID
	reached []string // the puzzles whose goal is reached
}

func (c *schedule) glance() glance {
	g := glance{at: c.s.Net.Now()}
	for _, id := range c.s.Net.Nodes() {
		if c.isPaused(id) {
			g.paused = append(g.paused, id)
		}
	}
	for _, p := range c.scenario.Puzzles {
		if p.Reached != nil && p.Reached() {
			g.reached = append(g.reached, p.ID)
		}
	}
	return g
}

// reaches reports whether a message that is delivered now arrives now: not at a node that is down or paused, nor over a link that is cut.
func (c *schedule) reaches(p *labrpc.Pending) bool {
	return c.s.Net.Up(p.To) && !c.isPaused(p.To) && (p.From == p.To || c.s.Net.Connected(p.From, p.To))
}
