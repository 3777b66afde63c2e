// Package process is what all programs of grade live have in common: a process that runs nodes of one cluster, obeys the command that started it,
// and reports to it. See package control for how they speak.
package process

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"time"

	"distlabs/labrpc"
	"distlabs/live/control"
	"distlabs/live/disk"
	"distlabs/live/tcp"
)

// A Process is the running process, before its program has started its nodes.
type Process struct {
	control.Config
	Reports *Reports
	Network *labrpc.Network
	Carrier *tcp.Carrier
	Disk    *disk.Store // of the node Server; nil if the process has none
	Log     *slog.Logger

	steps   *steps
	service Service
}

// A Service is what a program makes of its process. What is nil is left out.
type Service struct {
	Node   *labrpc.Node                        // when it is down, the process ends
	Status func() control.Report               // how the server is; asked ten times per second
	Ask    func(args []string) (string, error) // does what a user asks; only of a process with a disk
	Run    func()                              // called once, when the process has connections
	Stop   func()                              // ends a load
}

// Main runs a program until its standard input ends. It does not return.
func Main(start func(p *Process) (Service, error)) {
	if err := run(start); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func run(start func(p *Process) (Service, error)) error {
	if len(os.Args) != 2 {
		return errors.New("this program is started by grade live, with the name of its configuration")
	}
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		return err
	}
	p := &Process{Reports: &Reports{w: os.Stdout}}
	if err := json.Unmarshal(text, &p.Config); err != nil {
		return fmt.Errorf("live: %s: %w", os.Args[1], err)
	}
	p.Log = slog.New(slog.NewTextHandler(p.Reports, nil))
	listener, err := net.Listen("tcp", p.Processes[p.Process].Address)
	if err != nil {
		return fmt.Errorf("live: %w", err)
	}
	if err := p.connect(); err != nil {
		return err
	}
	if folders := p.folders(); len(folders) > 0 {
		if err := confine(folders...); err != nil {
			return err
		}
	}
	if p.service, err = start(p); err != nil {
		return err
	}
	p.Carrier.Serve(p.Network, listener)
	if p.service.Run != nil {
		go p.service.Run()
	}
	if p.service.Status != nil {
		go p.report()
	}
	p.Reports.Say(control.Report{Ready: true})
	return p.obey(os.Stdin)
}

// folders are those in which the process writes: none, if it only has clients.
func (p *Process) folders() []string {
	if p.Config.Disk == "" {
		return nil
	}
	return []string{filepath.Dir(p.Config.Disk)}
}

// connect makes the network, its carrier and the disk.
func (p *Process) connect() error {
	keys, err := tcp.ReadKeys(p.Keys, p.Process)
	if err != nil {
		return err
	}
	opts := tcp.Options{Process: p.Process, Processes: p.Processes, Version: p.Version, TLS: keys, Log: p.Log, Stores: map[labrpc.NodeID]labrpc.Store{}}
	if p.Server != 0 {
		if p.Disk, err = disk.Open(p.Config.Disk); err != nil {
			return err
		}
		opts.Stores[p.Server] = p.Disk
	}
	if p.Carrier, err = tcp.New(opts); err != nil {
		return err
	}
	p.steps = newSteps(p.Config, p.Reports.Say)
	p.Network = labrpc.New(labrpc.Options{Seed: rand.Uint64(), Nodes: p.Nodes, Carrier: p.Carrier, Observe: p.steps.observe})
	for _, c := range p.Before {
		if err := p.do(c); err != nil {
			return err
		}
	}
	return nil
}

// statusTime is how often a server reports its status.
const statusTime = 100 * time.Millisecond

// report reports until the node is down, and then ends the process, as the end of a node ends its machine.
func (p *Process) report() {
	ticker := time.NewTicker(statusTime)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if p.Quiet {
				continue
			}
			r := p.service.Status()
			_ = p.Disk.Sync() // a report leaves the process too
			p.Reports.Say(r)
		case <-p.service.Node.Context().Done():
			fmt.Fprintf(os.Stderr, "live: %v is down: its disk failed\n", p.service.Node.ID())
			os.Exit(1)
		}
	}
}

// obey does what commands say until there are no more, which is the end of the process.
func (p *Process) obey(r io.Reader) error {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		var c control.Command
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			return fmt.Errorf("live: command %q: %w", lines.Text(), err)
		}
		if err := p.do(c); err != nil {
			return err
		}
	}
	return lines.Err()
}

func (p *Process) do(c control.Command) error {
	switch c.Do {
	case control.Cut:
		p.Network.Cut(c.From, c.To)
	case control.Heal:
		p.Network.HealLink(c.From, c.To)
	case control.Slow:
		p.Network.SetLink(c.From, c.To, labrpc.Link{Latency: labrpc.Fixed(c.By)})
	case control.Watch, control.Unwatch:
		p.steps.watch(c.Do == control.Watch)
	case control.Ask:
		go p.answer(c)
	case control.Stop:
		if p.service.Stop != nil {
			p.service.Stop()
		}
	default:
		return fmt.Errorf("live: there is no command %q", c.Do)
	}
	return nil
}

// answer does what a user asks, and says what came of it.
func (p *Process) answer(c control.Command) {
	a := control.Answer{Number: c.Number}
	if p.service.Ask == nil {
		a.Err = "this program answers no questions"
	} else if text, err := p.service.Ask(c.Args); err != nil {
		a.Err = err.Error()
	} else {
		a.Text = text
	}
	_ = p.Disk.Sync() // an answer leaves the process
	p.Reports.Say(control.Report{Answer: &a})
}
