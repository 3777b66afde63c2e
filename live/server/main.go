// Command server is one process of grade live: a server of lab 05's store with a gateway for etcd's clients, or clients that
// test the store. It is built with the files of the lab that are to run. See package control for how it is told what to do.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"

	"google.golang.org/grpc"

	"distlabs/labrpc"
	replication "distlabs/labs/05-replication"
	"distlabs/live/control"
	"distlabs/live/disk"
	"distlabs/live/gateway"
	"distlabs/live/process"
)

func main() { process.Main(start) }

// A program is what this process consists of.
type program struct {
	*process.Process
	server *replication.Server
	load   *load
}

func start(proc *process.Process) (process.Service, error) {
	p := &program{Process: proc}
	var s process.Service
	if p.Server != 0 {
		s.Node = p.Network.Start(p.Server)
		p.server = replication.StartServer(s.Node, replication.ServerOptions{Servers: p.Servers, SnapshotEvery: p.SnapshotEvery, History: p.History})
		first := p.status()
		first.Status.First = true
		_ = p.Disk.Sync()
		p.Reports.Say(first)
		s.Status = p.status
	}
	if p.Gateway != 0 {
		if err := p.startGateway(p.Log); err != nil {
			return s, err
		}
	}
	if p.Load != nil {
		p.load = newLoad(p)
		s.Run, s.Stop = p.load.run, p.load.stop
	}
	return s, nil
}

func (p *program) startGateway(log *slog.Logger) error {
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
		Node: p.Network.Start(p.Gateway), Servers: p.Servers, Others: others, Clients: p.Clients, Server: p.server, File: p.Mirror, Log: log,
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
func (p *program) answer(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	response, err := handler(ctx, request)
	if failed := p.Disk.Sync(); failed != nil {
		return nil, failed
	}
	return response, err
}

// stream does so for each message of a stream.
func (p *program) stream(server any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	return handler(server, durable{stream, p.Disk})
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

func (p *program) status() control.Report {
	st := p.server.Raft().Status()
	s := &control.Status{
		Term: st.Term, Role: st.Role.String(), Leader: st.Leader, VotedFor: st.VotedFor,
		Last: st.SnapshotIndex + len(st.Log), Commit: st.CommitIndex, Applied: st.LastApplied, Snapshot: st.SnapshotIndex,
		Lost: p.Carrier.Lost(), Problems: p.Network.Misuses(),
	}
	s.Writes, s.Syncs, s.Syncing = p.Disk.Stats()
	return control.Report{Status: s, Cells: cells(s)}
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
