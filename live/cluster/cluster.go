// Package cluster starts the processes of a live store and supervises them: it kills, restarts, pauses and cuts them, and sees
// to it that none of them outlives it.
package cluster

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
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

// lay makes the folder, the keys and the addresses.
func (c *Cluster) lay() error {
	if c.opts.Fresh {
		for i := range 9 {
			if err := os.RemoveAll(filepath.Join(c.opts.Dir, Name(i+1))); err != nil {
				return fmt.Errorf("live: %w", err)
			}
		}
	}
	if err := os.MkdirAll(c.opts.Dir, 0o777); err != nil {
		return fmt.Errorf("live: %w", err)
	}
	if err := c.checkSize(); err != nil {
		return err
	}
	names := []string{clientsProcess}
	for i := range c.opts.Servers {
		names = append(names, Name(i+1))
	}
	if err := tcp.MakeKeys(filepath.Join(c.opts.Dir, "keys"), names); err != nil {
		return err
	}
	return c.addresses()
}

// checkSize refuses data of a cluster of another size: the servers would not agree on what a majority is.
func (c *Cluster) checkSize() error {
	file := filepath.Join(c.opts.Dir, "servers")
	text, err := os.ReadFile(file)
	if _, old := os.Stat(filepath.Join(c.opts.Dir, Name(1))); err == nil && old == nil {
		if kept := string(text); kept != strconv.Itoa(c.opts.Servers) {
			return fmt.Errorf("live: the data under %s are those of %s servers: give --nodes %s, or --fresh to begin again", c.opts.Dir, kept, kept)
		}
	}
	if err := os.WriteFile(file, []byte(strconv.Itoa(c.opts.Servers)), 0o666); err != nil {
		return fmt.Errorf("live: %w", err)
	}
	return nil
}

// addresses chooses a port for each listener: all are held until all are chosen, so that no two are the same.
func (c *Cluster) addresses() error {
	var held []net.Listener
	defer func() {
		for _, l := range held {
			l.Close()
		}
	}()
	listen := func(port int) (string, error) {
		l, err := net.Listen("tcp", net.JoinHostPort(c.opts.Host, strconv.Itoa(port)))
		if err != nil {
			return "", fmt.Errorf("live: %w", err)
		}
		held = append(held, l)
		return l.Addr().String(), nil
	}
	n := c.opts.Servers
	for i := 1; i <= n; i++ {
		address, err := listen(0)
		if err != nil {
			return err
		}
		c.processes[Name(i)] = tcp.Process{Address: address, Nodes: []labrpc.NodeID{labrpc.NodeID(i)}}
		if c.opts.NoGateways {
			continue
		}
		c.processes[Name(i)] = tcp.Process{Address: address, Nodes: []labrpc.NodeID{labrpc.NodeID(i), labrpc.NodeID(n + i)}}
		port := 0
		if c.opts.Port > 0 {
			port = c.opts.Port + 10*(i-1)
		}
		if address, err = listen(port); err != nil {
			return err
		}
		c.clients[labrpc.NodeID(n+i)] = address
	}
	if c.opts.Clients > 0 {
		address, err := listen(0)
		if err != nil {
			return err
		}
		p := tcp.Process{Address: address}
		for k := range c.opts.Clients {
			p.Nodes = append(p.Nodes, labrpc.NodeID(2*n+1+k))
		}
		c.processes[clientsProcess] = p
	}
	return nil
}

// Name is the name of a server's process.
func Name(server int) string { return fmt.Sprintf("n%d", server) }

// Servers returns how many servers there are.
func (c *Cluster) Servers() int { return c.opts.Servers }

// Endpoints returns where etcd's clients find the gateways, in the order of the servers.
func (c *Cluster) Endpoints() []string {
	var list []string
	for i := 1; i <= c.opts.Servers && !c.opts.NoGateways; i++ {
		list = append(list, c.clients[labrpc.NodeID(c.opts.Servers+i)])
	}
	return list
}

// Nodes is how many nodes there are, gateways and clients included.
func (c *Cluster) Nodes() int {
	if c.opts.NoGateways {
		return c.opts.Servers
	}
	return 2*c.opts.Servers + c.opts.Clients
}

// config is what a process is told at its start. The caller holds c.mu.
func (c *Cluster) config(name string) control.Config {
	config := control.Config{
		Process: name, Version: c.version, Keys: filepath.Join(c.opts.Dir, "keys"), Processes: c.processes,
		Nodes: c.Nodes(), Policy: c.opts.Policy, Incarnation: c.starts[name], Watched: c.watched,
	}
	for i := 1; i <= c.opts.Servers; i++ {
		config.Servers = append(config.Servers, labrpc.NodeID(i))
	}
	for _, pair := range c.cuts {
		config.Before = append(config.Before, c.linksOf(control.Cut, pair)...)
	}
	for link, by := range c.slow {
		config.Before = append(config.Before, control.Command{Do: control.Slow, From: labrpc.NodeID(link[0]), To: labrpc.NodeID(link[1]), By: by})
	}
	if name != clientsProcess {
		nodes := c.processes[name].Nodes
		config.Server = nodes[0]
		if len(nodes) > 1 {
			config.Gateway = nodes[1]
		}
		config.Disk, config.Mirror = filepath.Join(c.opts.Dir, name, "disk.db"), filepath.Join(c.opts.Dir, name, "mirror")
		config.Clients = c.clients
		config.SnapshotEvery, config.History = c.opts.SnapshotEvery, c.opts.History
	}
	return config
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

// askTime is how long an answer may take.
const askTime = 10 * time.Second

// Ask has a server's code do what a user asks, and returns what it says.
func (c *Cluster) Ask(server int, args ...string) (string, error) {
	answer := make(chan control.Answer, 1)
	c.mu.Lock()
	c.asked++
	number := c.asked
	c.answers[number] = answer
	p := c.running[Name(server)]
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.answers, number)
	}()
	if p == nil {
		return "", fmt.Errorf("live: %s does not run", Name(server))
	}
	p.tell(control.Command{Do: control.Ask, Number: number, Args: args})
	select {
	case a := <-answer:
		if a.Err != "" {
			return "", fmt.Errorf("live: %s: %s", Name(server), a.Err)
		}
		return Name(server) + ": " + a.Text, nil
	case <-p.ended:
		return "", fmt.Errorf("live: %s ended before it answered", Name(server))
	case <-time.After(askTime):
		return "", fmt.Errorf("live: %s did not answer within %v", Name(server), askTime)
	}
}

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

func (c *Cluster) tell(name string, command control.Command) {
	c.mu.Lock()
	p := c.running[name]
	c.mu.Unlock()
	if p != nil {
		p.tell(command)
	}
}

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
