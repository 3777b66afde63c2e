package cluster

import (
	"slices"

	"distlabs/labrpc"
	"distlabs/live/control"
)

// ended notes that a process has ended: it cannot say so itself. It comes after the last of its reports.
func (c *Cluster) ended(name string) {
	c.mu.Lock()
	watched, inc := c.watched, c.starts[name]
	c.mu.Unlock()
	if watched {
		c.report(name, c.stepsOf(name, labrpc.Event{Kind: labrpc.EventCrashed, Inc: inc, Reason: "the process ended"})...)
	}
}

// stepsOf makes a step for each node of a process.
func (c *Cluster) stepsOf(name string, e labrpc.Event) (steps []control.Step) {
	for _, id := range c.processes[name].Nodes {
		e.Node = id
		steps = append(steps, control.NewStep(e))
	}
	return steps
}

func (c *Cluster) report(name string, steps ...control.Step) {
	c.opts.Report(name, control.Report{Steps: steps})
}

// Watch makes all processes report what they do, and the cluster what is done to them, or ends it.
func (c *Cluster) Watch(on bool) {
	c.mu.Lock()
	c.watched = on
	var names []string
	for name := range c.running {
		names = append(names, name)
	}
	cuts := slices.Clone(c.cuts)
	c.mu.Unlock()
	do := control.Unwatch
	if on {
		do = control.Watch
		for _, link := range cuts {
			c.reportLink(labrpc.EventCut, link)
		}
	}
	for _, name := range names {
		c.tell(name, control.Command{Do: do})
	}
}

// reportLink reports that the links from one machine to another were cut or healed.
func (c *Cluster) reportLink(kind labrpc.EventKind, link [2]int) {
	var steps []control.Step
	for _, command := range c.linksOf("", link) {
		steps = append(steps, control.NewStep(labrpc.Event{Kind: kind, From: command.From, To: command.To}))
	}
	c.report("", steps...)
}
