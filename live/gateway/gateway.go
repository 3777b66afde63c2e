// Package gateway serves a part of etcd's v3 API from the store of lab 05D, by way of the lab's own client. docs/live.md says
// which part, and how each request becomes commands of the store.
//
// The store's client knows single keys; etcd's clients also want ranges, versions and old revisions. So each gateway
// follows the store with a watch of all keys, and answers such questions from its mirror. What decides anything goes through the
// store's log.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"

	"distlabs/labrpc"
	replication "distlabs/labs/05-replication"
)

// Options of a [Gateway].
type Options struct {
	Node    *labrpc.Node             // the gateway's own, not a server's
	Servers []labrpc.NodeID          // of the store
	Others  []labrpc.NodeID          // the other gateways
	Clients map[labrpc.NodeID]string // of each gateway, this one too: where etcd's clients find it
	Server  *replication.Server      // of this process, for its status
	File    string                   // where the mirror is kept from one start to the next; "" for nowhere
	Log     *slog.Logger
}

// A Gateway answers etcd's clients.
type Gateway struct {
	etcdserverpb.UnimplementedKVServer
	etcdserverpb.UnimplementedWatchServer
	etcdserverpb.UnimplementedLeaseServer
	etcdserverpb.UnimplementedClusterServer
	etcdserverpb.UnimplementedMaintenanceServer

	opts   Options
	node   *labrpc.Node
	mirror *mirror
	pool   *pool

	barriers barriers
	leases   leases

	mu    sync.Mutex
	acked int           // the highest revision that this gateway has told a client
	known map[string]kv // what this gateway has just written, before its mirror has heard of it
}

// New makes a gateway. What it starts ends with the node.
func New(opts Options) *Gateway {
	g := &Gateway{opts: opts, node: opts.Node, mirror: newMirror(), known: map[string]kv{}}
	g.pool = newPool(opts.Node, opts.Servers)
	g.leases.held = map[int64]*lease{}
	labrpc.Handle(g.node, "live.mirror", func(labrpc.NodeID, mirrorRequest) copyOf { return g.mirror.copy() })
	labrpc.Handle(g.node, "live.lease", g.leaseForOther)
	g.load()
	go g.follow()
	go g.keep()
	go g.pool.trim()
	return g
}

// Register adds the services to a gRPC server.
func (g *Gateway) Register(s *grpc.Server) {
	etcdserverpb.RegisterKVServer(s, g)
	etcdserverpb.RegisterWatchServer(s, g)
	etcdserverpb.RegisterLeaseServer(s, g)
	etcdserverpb.RegisterClusterServer(s, g)
	etcdserverpb.RegisterMaintenanceServer(s, g)
}

// A mirrorRequest asks another gateway for its mirror.
type mirrorRequest struct{}

// sessionTime is the TTL of the gateway's own sessions: those that no lease belongs to.
const sessionTime = 10 * time.Second

// follow keeps the mirror up with the store, as long as the node lives.
func (g *Gateway) follow() {
	ctx := g.node.Context()
	for ctx.Err() == nil {
		client, err := replication.Connect(ctx, g.node, replication.ClientOptions{Servers: g.opts.Servers, TTL: sessionTime})
		if err != nil {
			continue
		}
		err = g.watchAll(ctx, client)
		closing, cancel := context.WithTimeout(ctx, time.Second)
		_ = client.Close(closing)
		cancel()
		if errors.Is(err, replication.ErrCompacted) && !g.catchUp(ctx) {
			g.opts.Log.Error("the store has forgotten changes that this gateway has not seen, and no other gateway has: start with --fresh", "revision", g.mirror.revision())
			pause(ctx, time.Second)
		}
	}
}

// watchAll follows until the watch ends. A gap is the store's fault (rule 25); the watch begins again.
func (g *Gateway) watchAll(ctx context.Context, client *replication.Client) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return client.Watch(ctx, "", g.mirror.revision(), func(e replication.Event) {
		if !g.mirror.apply(e) {
			g.opts.Log.Error("the watch of the store skipped a change", "after", g.mirror.revision(), "next", e.Revision)
			cancel()
		}
		g.forgetKnown(e)
	})
}

// catchUp takes the mirror of another gateway.
func (g *Gateway) catchUp(ctx context.Context) bool {
	for _, id := range g.opts.Others {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		c, err := labrpc.Call[copyOf](ctx, g.node, id, "live.mirror", mirrorRequest{})
		cancel()
		if err == nil && g.mirror.restore(c) {
			return true
		}
	}
	return false
}

// keepTime is how often a mirror that has changed is written to its file.
const keepTime = time.Second

// keep writes the mirror to its file now and then. The file is never the truth, only a place to begin from: it may be old.
func (g *Gateway) keep() {
	last := g.mirror.revision()
	for g.opts.File != "" {
		pause(g.node.Context(), keepTime)
		if g.node.Context().Err() != nil {
			return
		}
		if now := g.mirror.revision(); now != last {
			if err := g.save(); err != nil {
				g.opts.Log.Warn("the mirror cannot be kept", "error", err)
				continue
			}
			last = now
		}
	}
}

func (g *Gateway) save() error {
	b, err := labrpc.Marshal(g.mirror.copy())
	if err != nil {
		return err
	}
	temporary := g.opts.File + ".new"
	if err := os.WriteFile(temporary, b, 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, g.opts.File)
}

func (g *Gateway) load() {
	if g.opts.File == "" {
		return
	}
	_ = os.MkdirAll(filepath.Dir(g.opts.File), 0o777)
	b, err := os.ReadFile(g.opts.File)
	if err != nil {
		return
	}
	var c copyOf
	if err := labrpc.Unmarshal(b, &c); err != nil {
		g.opts.Log.Warn("the mirror's file is damaged, and not used", "error", err)
		return
	}
	g.mirror.restore(c)
}

// pause waits, at most until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// etcd's store begins at revision 1, the lab's at 0.
func etcdRevision(revision int) int64  { return int64(revision) + 1 }
func storeRevision(revision int64) int { return int(revision) - 1 }

// header is that of a response which holds at a revision.
func (g *Gateway) header(revision int) *etcdserverpb.ResponseHeader {
	h := &etcdserverpb.ResponseHeader{ClusterId: 5, MemberId: uint64(g.node.ID()), Revision: etcdRevision(revision)}
	if g.opts.Server != nil {
		h.RaftTerm = uint64(g.opts.Server.Raft().Status().Term)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.acked = max(g.acked, revision)
	return h
}

// atLeast is a revision that no change before now is beyond which this gateway knows of.
func (g *Gateway) atLeast() int {
	g.mu.Lock()
	acked := g.acked
	g.mu.Unlock()
	return max(acked, g.mirror.revision())
}

// Status implements etcd's Maintenance service.
func (g *Gateway) Status(context.Context, *etcdserverpb.StatusRequest) (*etcdserverpb.StatusResponse, error) {
	st := g.opts.Server.Raft().Status()
	leader := uint64(0)
	if st.Leader != 0 {
		leader = uint64(g.gatewayOf(st.Leader))
	}
	return &etcdserverpb.StatusResponse{
		Header: g.header(g.mirror.revision()), Version: "3.4.0", Leader: leader,
		RaftIndex: uint64(st.CommitIndex), RaftAppliedIndex: uint64(st.LastApplied), RaftTerm: uint64(st.Term),
	}, nil
}

// gatewayOf returns the gateway that is in a server's process: they are numbered alike.
func (g *Gateway) gatewayOf(server labrpc.NodeID) labrpc.NodeID {
	return server + labrpc.NodeID(len(g.opts.Servers))
}

// MemberList implements etcd's Cluster service.
func (g *Gateway) MemberList(context.Context, *etcdserverpb.MemberListRequest) (*etcdserverpb.MemberListResponse, error) {
	r := &etcdserverpb.MemberListResponse{Header: g.header(g.mirror.revision())}
	for _, server := range g.opts.Servers {
		id := g.gatewayOf(server)
		r.Members = append(r.Members, &etcdserverpb.Member{ID: uint64(id), Name: server.String(), ClientURLs: []string{"http://" + g.opts.Clients[id]}})
	}
	return r, nil
}

func (g *Gateway) String() string { return fmt.Sprintf("gateway %v", g.node.ID()) }
