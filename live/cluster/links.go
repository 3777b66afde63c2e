package cluster

import (
	"slices"
	"time"

	"distlabs/labrpc"
	"distlabs/live/control"
)

// Cut cuts all links between two servers' machines, in both directions, until Heal.
func (c *Cluster) Cut(a, b int) {
	c.CutOneWay(a, b)
	c.CutOneWay(b, a)
}

// CutOneWay cuts the links from one server's machine to another's, until Heal: the first one still receives what the second one sends.
func (c *Cluster) CutOneWay(from, to int) {
	link := [2]int{from, to}
	c.mu.Lock()
	known := from == to || slices.Contains(c.cuts, link)
	if !known {
		c.cuts = append(c.cuts, link)
	}
	c.mu.Unlock()
	if !known {
		c.across(control.Cut, labrpc.EventCut, link)
	}
}

// HealOneWay undoes the cut of one link.
func (c *Cluster) HealOneWay(from, to int) {
	link := [2]int{from, to}
	c.mu.Lock()
	i := slices.Index(c.cuts, link)
	if i >= 0 {
		c.cuts = slices.Delete(c.cuts, i, i+1)
	}
	c.mu.Unlock()
	if i >= 0 {
		c.across(control.Heal, labrpc.EventHealed, link)
	}
}

// Isolate cuts a server off from all other servers.
func (c *Cluster) Isolate(server int) {
	for other := 1; other <= c.opts.Servers; other++ {
		c.Cut(server, other)
	}
}

// Heal undoes all cuts and makes all links fast.
func (c *Cluster) Heal() {
	c.mu.Lock()
	cuts, slow := c.cuts, c.slow
	c.cuts, c.slow = nil, map[[2]int]time.Duration{}
	c.mu.Unlock()
	for _, link := range cuts {
		c.across(control.Heal, labrpc.EventHealed, link)
	}
	for link := range slow {
		c.tell(Name(link[0]), control.Command{Do: control.Slow, From: labrpc.NodeID(link[0]), To: labrpc.NodeID(link[1])})
	}
}

// Slow makes every message from one server to another arrive later, until Heal or until Slow with 0.
func (c *Cluster) Slow(from, to int, by time.Duration) {
	c.mu.Lock()
	c.slow[[2]int{from, to}] = by
	if by == 0 {
		delete(c.slow, [2]int{from, to})
	}
	c.mu.Unlock()
	c.tell(Name(from), control.Command{Do: control.Slow, From: labrpc.NodeID(from), To: labrpc.NodeID(to), By: by})
}

// linksOf makes the commands for all links from one machine to another: each has a server and a gateway.
func (c *Cluster) linksOf(do string, link [2]int) []control.Command {
	var commands []control.Command
	for _, a := range c.processes[Name(link[0])].Nodes {
		for _, b := range c.processes[Name(link[1])].Nodes {
			commands = append(commands, control.Command{Do: do, From: a, To: b})
		}
	}
	return commands
}

// across tells both ends, and reports it if the cluster is watched.
func (c *Cluster) across(do string, kind labrpc.EventKind, link [2]int) {
	for _, command := range c.linksOf(do, link) {
		c.tell(Name(link[0]), command)
		c.tell(Name(link[1]), command)
	}
	c.mu.Lock()
	watched := c.watched
	c.mu.Unlock()
	if watched {
		c.reportLink(kind, link)
	}
}
