// Command server is one process of grade live: a server of lab 05's store with a gateway for etcd's clients, or clients that
// test the store. It is built with the files of the lab that are to run. See package control for how it is told what to do.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"

	"distlabs/labrpc"
	replication "distlabs/labs/05-replication"
	"distlabs/live/control"
	"distlabs/live/disk"
	"distlabs/live/gateway"
	"distlabs/live/tcp"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 2 {
		return errors.New("server is started by grade live, with the name of its configuration")
	}
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		return err
	}
	var config control.Config
	if err := json.Unmarshal(text, &config); err != nil {
		return fmt.Errorf("live: %s: %w", os.Args[1], err)
	}
	p := &process{Config: config, out: &reports{w: os.Stdout}}
	if err := p.start(); err != nil {
		return err
	}
	p.out.say(control.Report{Ready: true})
	return p.obey(os.Stdin)
}

// A process is what this one consists of.
type process struct {
	control.Config
	out     *reports
	carrier *tcp.Carrier
	network *labrpc.Network
	disk    *disk.Store
	server  *replication.Server
	load    *load
	steps   *steps
}

func (p *process) start() error {
	log := slog.New(slog.NewTextHandler(p.out, nil))
	listener, err := net.Listen("tcp", p.Processes[p.Process].Address)
	if err != nil {
		return fmt.Errorf("live: %w", err)
	}
	keys, err := tcp.ReadKeys(p.Keys, p.Process)
	if err != nil {
		return err
	}
	opts := tcp.Options{Process: p.Process, Processes: p.Processes, Version: p.Version, TLS: keys, Log: log, Stores: map[labrpc.NodeID]labrpc.Store{}}
	if p.Server != 0 {
		if p.disk, err = disk.Open(p.Disk); err != nil {
			return err
		}
		opts.Stores[p.Server] = p.disk
	}
	if p.carrier, err = tcp.New(opts); err != nil {
		return err
	}
	p.steps = newSteps(p.Config, func(steps []control.Step) { p.out.say(control.Report{Steps: steps}) })
	p.network = labrpc.New(labrpc.Options{Seed: rand.Uint64(), Nodes: p.Nodes, Carrier: p.carrier, Observe: p.observe})
	for _, c := range p.Before {
		if err := p.do(c); err != nil {
			return err
		}
	}
	if p.Server != 0 {
		node := p.network.Start(p.Server)
		p.server = replication.StartServer(node, replication.ServerOptions{Servers: p.Servers, SnapshotEvery: p.SnapshotEvery, History: p.History})
		first := p.status(true)
		p.out.say(control.Report{Status: first, Cells: cells(first)})
		go p.reportStatus(node)
	}
	if p.Gateway != 0 {
		if err := p.startGateway(log); err != nil {
			return err
		}
	}
	if p.Load != nil {
		p.load = newLoad(p)
	}
	p.carrier.Serve(p.network, listener)
	if p.load != nil {
		go p.load.run()
	}
	return nil
}

func (p *process) startGateway(log *slog.Logger) error {
	listener, err := net.Listen("tcp", p.Clients[p.Gateway])
	if err != nil {
		return fmt.Errorf("live: %w", err)
	}
	var others []labrpc.NodeID
	for id := range p.Clients {
		if id != p.Gateway {
			others = append(others, id)
		}
	}
	g := gateway.New(gateway.Options{
		Node: p.network.Start(p.Gateway), Servers: p.Servers, Others: others, Clients: p.Clients, Server: p.server, File: p.Mirror, Log: log,
	})
	s := grpc.NewServer(grpc.UnaryInterceptor(p.answer), grpc.StreamInterceptor(p.stream))
	g.Register(s)
	go func() {
		if err := s.Serve(listener); err != nil {
			log.Error("the gateway ended", "error", err)
		}
	}()
	return nil
}

// answer lets an answer go only when the disk has everything durably that led to it.
func (p *process) answer(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	response, err := handler(ctx, request)
	if failed := p.disk.Sync(); failed != nil {
		return nil, failed
	}
	return response, err
}

// stream does so for each message of a stream.
func (p *process) stream(server any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	return handler(server, durable{stream, p.disk})
}

type durable struct {
	grpc.ServerStream
	disk *disk.Store
}

func (s durable) SendMsg(m any) error {
	if err := s.disk.Sync(); err != nil {
		return err
	}
	return s.ServerStream.SendMsg(m)
}

// observe passes on what student code logs, and what it does. It is called with the network's lock held.
func (p *process) observe(e labrpc.Event) {
	p.steps.observe(e)
	if e.Kind == labrpc.EventLogged {
		p.out.say(control.Report{Log: fmt.Sprintf("%v: %s", e.Node, e.Value)})
	}
}

// statusTime is how often a server reports its status.
const statusTime = 100 * time.Millisecond

// reportStatus reports until the node is down, and then ends the process, as the end of a node ends its machine.
func (p *process) reportStatus(node *labrpc.Node) {
	ticker := time.NewTicker(statusTime)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			st := p.status(false)
			p.out.say(control.Report{Status: st, Cells: cells(st)})
		case <-node.Context().Done():
			fmt.Fprintf(os.Stderr, "live: %v is down: its disk failed\n", node.ID())
			os.Exit(1)
		}
	}
}

func (p *process) status(first bool) *control.Status {
	st := p.server.Raft().Status()
	_ = p.disk.Sync() // a report leaves the process too
	s := &control.Status{
		First: first, Term: st.Term, Role: st.Role.String(), Leader: st.Leader, VotedFor: st.VotedFor,
		Last: st.SnapshotIndex + len(st.Log), Commit: st.CommitIndex, Applied: st.LastApplied, Snapshot: st.SnapshotIndex,
		Lost: p.carrier.Lost(), Problems: p.network.Misuses(),
	}
	s.Writes, s.Syncs, s.Syncing = p.disk.Stats()
	return s
}

// cells are the columns of the table.
func cells(st *control.Status) []control.Cell {
	sync := time.Duration(0)
	if st.Syncs > 0 {
		sync = (st.Syncing / time.Duration(st.Syncs)).Round(time.Microsecond)
	}
	return []control.Cell{
		{Name: "term", Value: strconv.Itoa(st.Term)}, {Name: "role", Value: st.Role}, {Name: "log", Value: strconv.Itoa(st.Last)},
		{Name: "commit", Value: strconv.Itoa(st.Commit)}, {Name: "applied", Value: strconv.Itoa(st.Applied)},
		{Name: "snapshot", Value: strconv.Itoa(st.Snapshot)}, {Name: "disk sync", Value: sync.String()},
	}
}

// obey executes commands until there are no more, which is the end of the process.
func (p *process) obey(r io.Reader) error {
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

func (p *process) do(c control.Command) error {
	switch c.Do {
	case control.Cut:
		p.network.Cut(c.From, c.To)
	case control.Heal:
		p.network.HealLink(c.From, c.To)
	case control.Slow:
		p.network.SetLink(c.From, c.To, labrpc.Link{Latency: labrpc.Fixed(c.By)})
	case control.Watch, control.Unwatch:
		p.steps.watch(c.Do == control.Watch)
	case control.Stop:
		if p.load != nil {
			p.load.stop()
		}
	default:
		return fmt.Errorf("live: there is no command %q", c.Do)
	}
	return nil
}

// reports writes reports, a line each.
type reports struct {
	mu sync.Mutex
	w  io.Writer
}

func (r *reports) say(report control.Report) {
	b, err := json.Marshal(report)
	if err != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	_, _ = r.w.Write(append(b, '\n'))
}

// Write makes a line of the log a report.
func (r *reports) Write(b []byte) (int, error) {
	r.say(control.Report{Log: strings.TrimSpace(string(b))})
	return len(b), nil
}
