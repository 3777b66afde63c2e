package cluster

import (
	"slices"
	"time"

	"distlabs/live/control"
)

// A State is what is known of a server's process.
type State struct {
	Server  int
	Up      bool
	Paused  bool
	Cut     []int // the servers to which its messages do not get
	CutFrom []int // the servers whose messages do not get to it
	Slow    []int // the servers that its messages reach late
	Status  control.Status
	Cells   []control.Cell // for a table
	Known   bool           // Status is that of the present process
	Heard   time.Time      // when it came
	PID     int
	Message string // the last thing that the process said
}

// States returns the state of every server.
func (c *Cluster) States() []State {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []State
	for i := 1; i <= c.opts.Servers; i++ {
		s := State{Server: i}
		if p := c.running[Name(i)]; p != nil {
			s.Up, s.Paused = !p.over(), p.isPaused()
			s.Message, s.PID = p.lastWords(), p.cmd.Process.Pid
		}
		s.Status, s.Known = c.status[Name(i)]
		s.Cells = c.cells[Name(i)]
		s.Known, s.Heard = s.Known && s.Up, c.heardAt[Name(i)]
		for _, link := range c.cuts {
			switch i {
			case link[0]:
				s.Cut = append(s.Cut, link[1])
			case link[1]:
				s.CutFrom = append(s.CutFrom, link[0])
			}
		}
		for link := range c.slow {
			if link[0] == i {
				s.Slow = append(s.Slow, link[1])
			}
		}
		slices.Sort(s.Cut)
		slices.Sort(s.CutFrom)
		slices.Sort(s.Slow)
		all = append(all, s)
	}
	return all
}

// Leader returns the server that leads in the highest term known, or 0.
func (c *Cluster) Leader() int {
	leader, term := 0, 0
	for _, s := range c.States() {
		if s.Known && s.Status.Role == "leader" && !s.Paused && s.Status.Term > term {
			leader, term = s.Server, s.Status.Term
		}
	}
	return leader
}

// WaitLeader waits for a leader, in a term higher than above.
func (c *Cluster) WaitLeader(limit time.Duration, above int) (server, term int, ok bool) {
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		for _, s := range c.States() {
			if s.Known && !s.Paused && s.Status.Role == "leader" && s.Status.Term > above {
				return s.Server, s.Status.Term, true
			}
		}
	}
	return 0, 0, false
}
