// Package cluster starts the processes of a live store and supervises them: it kills, restarts, pauses and cuts them, and sees
// to it that none of them outlives it.
package cluster

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"distlabs/labrpc"
	"distlabs/live/control"
	"distlabs/live/tcp"
)

// Options of a [Cluster].
type Options struct {
	Dir     string // everything that is kept is below it
	Program string // the server program, built with the lab's files
	Servers int
	Fresh   bool   // begin without what earlier runs have left
	Host    string // where the processes listen; "" means 127.0.0.1
	Port    int    // where etcd's clients find the first server, the second ten further, and so on; 0: anywhere

	NoGateways bool   // only servers: the program is not lab 05's
	Policy     string // see control.Config

	Clients       int // how many nodes there are for a load, in a process of their own
	SnapshotEvery int // 0 means 1000
	History       int // 0 means 10000

	Report func(process string, r control.Report) // called for every report, one at a time per process; may be nil
}

const (
	snapshotEvery = 1000
	history       = 10_000
)

// clientsProcess is the name of the process of a load.
const clientsProcess = "clients"

// A Cluster is the processes of one store.
type Cluster struct {
	opts      Options
	version   string
	processes map[string]tcp.Process
	clients   map[labrpc.NodeID]string
	starter   *starter

	mu      sync.Mutex
	running map[string]*process
	starts  map[string]int // of each process so far
	watched bool
	cuts    [][2]int // one-way links between servers
	slow    map[[2]int]time.Duration
	status  map[string]control.Status
	cells   map[string][]control.Cell
	heardAt map[string]time.Time
	asked   uint64
	answers map[uint64]chan control.Answer // of the questions that wait
	closed  bool
}

// New prepares a cluster; nothing runs yet. Close it in any case.
func New(opts Options) (*Cluster, error) {
	if opts.Servers < 1 || opts.Servers > 9 {
		return nil, fmt.Errorf("live: %d servers are not possible: 1 to 9 are", opts.Servers)
	}
	if opts.Host == "" {
		opts.Host = "127.0.0.1"
	}
	if opts.SnapshotEvery == 0 {
		opts.SnapshotEvery = snapshotEvery
	}
	if opts.History == 0 {
		opts.History = history
	}
	if opts.Report == nil {
		opts.Report = func(string, control.Report) {}
	}
	program, err := os.ReadFile(opts.Program)
	if err != nil {
		return nil, fmt.Errorf("live: %w", err)
	}
	sum := sha256.Sum256(program)
	c := &Cluster{
		opts: opts, version: hex.EncodeToString(sum[:]), processes: map[string]tcp.Process{}, clients: map[labrpc.NodeID]string{},
		running: map[string]*process{}, starts: map[string]int{}, slow: map[[2]int]time.Duration{}, status: map[string]control.Status{}, cells: map[string][]control.Cell{}, heardAt: map[string]time.Time{}, answers: map[uint64]chan control.Answer{},
	}
	if err := c.lay(); err != nil {
		return nil, err
	}
	c.starter = newStarter()
	return c, nil
}

// StartAll starts all servers and waits until they serve.
func (c *Cluster) StartAll() error {
	errs := make(chan error, c.opts.Servers)
	for i := range c.opts.Servers {
		go func() { errs <- c.Start(i + 1) }()
	}
	var all error
	for range c.opts.Servers {
		all = errors.Join(all, <-errs)
	}
	return all
}

// Start starts a server that does not run, and waits until it serves.
func (c *Cluster) Start(server int) error { return c.start(Name(server), nil) }

// Load starts a process of clients. Their reports go to Options.Report, in the name of the process "clients".
func (c *Cluster) Load(load control.Load) error {
	load.Clients = c.processes[clientsProcess].Nodes
	return c.start(clientsProcess, &load)
}

// LoadNodes limits a load to the first of the nodes that Options.Clients made.
func (c *Cluster) LoadNodes(load control.Load, n int) error {
	load.Clients = c.processes[clientsProcess].Nodes[:n]
	return c.start(clientsProcess, &load)
}

// StopLoad lets the clients end after the command that each is at.
func (c *Cluster) StopLoad() { c.tell(clientsProcess, control.Command{Do: control.Stop}) }

// KillLoad ends the process of clients.
func (c *Cluster) KillLoad() { c.kill(clientsProcess) }

// startTime is how long a process may take until it serves.
const startTime = 30 * time.Second

func (c *Cluster) start(name string, load *control.Load) error {
	c.mu.Lock()
	if c.closed || c.running[name] != nil {
		c.mu.Unlock()
		return fmt.Errorf("live: %s runs already", name)
	}
	c.starts[name]++
	config := c.config(name)
	config.Load = load
	p, err := c.launch(name, config)
	if err == nil {
		c.running[name] = p
	}
	c.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case <-p.ready:
		return nil
	case <-p.ended:
		c.gone(p)
		return fmt.Errorf("live: %s did not start: %s", name, p.lastWords())
	case <-time.After(startTime):
		c.kill(name)
		return fmt.Errorf("live: %s did not start within %v: %s", name, startTime, p.lastWords())
	}
}

func (c *Cluster) launch(name string, config control.Config) (*process, error) {
	dir := filepath.Join(c.opts.Dir, name)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("live: %w", err)
	}
	text, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("live: %w", err)
	}
	file := filepath.Join(dir, "config.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return nil, fmt.Errorf("live: %w", err)
	}
	return c.starter.start(name, c.opts.Program, file, dir, c.heard, c.ended)
}

// heard takes a report of a process.
func (c *Cluster) heard(name string, r control.Report) {
	c.mu.Lock()
	if r.Status != nil {
		c.status[name], c.heardAt[name] = *r.Status, time.Now()
	}
	if r.Cells != nil {
		c.cells[name] = r.Cells
	}
	var waiting chan control.Answer
	if r.Answer != nil {
		waiting = c.answers[r.Answer.Number]
		delete(c.answers, r.Answer.Number)
	}
	c.mu.Unlock()
	if waiting != nil {
		waiting <- *r.Answer
	}
	c.opts.Report(name, r)
}

// gone forgets a process that has ended.
func (c *Cluster) gone(p *process) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running[p.name] == p {
		delete(c.running, p.name)
	}
	delete(c.status, p.name)
	delete(c.cells, p.name)
}

// Kill ends a server as kill -9 does. A server that does not run stays so.
func (c *Cluster) Kill(server int) { c.kill(Name(server)) }

func (c *Cluster) kill(name string) {
	c.mu.Lock()
	p := c.running[name]
	c.mu.Unlock()
	if p != nil {
		p.kill()
		c.gone(p)
	}
}

// Pause stops a server as SIGSTOP does, until Resume.
func (c *Cluster) Pause(server int) error { return c.signal(server, true) }

// Resume lets a paused server go on.
func (c *Cluster) Resume(server int) error { return c.signal(server, false) }

func (c *Cluster) signal(server int, pause bool) error {
	c.mu.Lock()
	p := c.running[Name(server)]
	c.mu.Unlock()
	if p == nil {
		return fmt.Errorf("live: %s does not run", Name(server))
	}
	if err := p.pause(pause); err != nil {
		return err
	}
	c.mu.Lock()
	watched, inc := c.watched, c.starts[p.name]
	c.mu.Unlock()
	if watched {
		kind := labrpc.EventResumed
		if pause {
			kind = labrpc.EventPaused
		}
		c.report(p.name, c.stepsOf(p.name, labrpc.Event{Kind: kind, Inc: inc})...)
	}
	return nil
}

// Wipe deletes the disk of a server that does not run.
func (c *Cluster) Wipe(server int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running[Name(server)] != nil {
		return fmt.Errorf("live: %s runs: kill it before its disk is wiped", Name(server))
	}
	return os.RemoveAll(filepath.Join(c.opts.Dir, Name(server)))
}

func (c *Cluster) tell(name string, command control.Command) {
	c.mu.Lock()
	p := c.running[name]
	c.mu.Unlock()
	if p != nil {
		p.tell(command)
	}
}

// Close ends all processes. It may be called twice.
func (c *Cluster) Close() {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.closed = true
	var all []*process
	for _, p := range c.running {
		all = append(all, p)
	}
	c.mu.Unlock()
	for _, p := range all {
		p.kill()
	}
	c.starter.stop()
}
