package gateway

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"distlabs/labrpc"
	replication "distlabs/labs/05-replication"
)

// A lease is a session of the store. The gateway that granted it has the session's client; all others pass their requests to
// that gateway. When it is killed, the store ends the session by itself.
type lease struct {
	id     int64
	ttl    time.Duration
	client *replication.Client

	mu      sync.Mutex
	expires time.Time
	timer   *time.Timer
}

type leases struct {
	mu   sync.Mutex
	held map[int64]*lease
}

func (l *leases) get(id int64) *lease {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held[id]
}

// A leaseInfo is what the hidden key of a lease says.
type leaseInfo struct {
	Gateway labrpc.NodeID
	TTL     time.Duration
}

// A leaseRequest asks the gateway that holds a lease.
type leaseRequest struct {
	Op   string
	ID   int64
	Key  string // leaseCreate, leaseRemove
	Data string // leaseCreate
	At   int    // leaseRemove: the revision at which the key must be
}

const (
	leaseAlive  = "alive"
	leaseTime   = "time"
	leaseRevoke = "revoke"
	leaseCreate = "create"
	leaseRemove = "remove"
)

// A leaseReply answers it.
type leaseReply struct {
	Outcome  string // "" is success; see leaseErrors
	Detail   string
	TTL      time.Duration // left
	Granted  time.Duration
	Revision int
}

var leaseErrors = map[string]error{"conflict": errConflict, "no lease": rpctypes.ErrGRPCLeaseNotFound}

// minTTL is the shortest that the store allows; maxTTL is etcd's.
const (
	minTTL = 2 * time.Second
	maxTTL = 9_000_000_000
)

// LeaseGrant implements etcd's Lease service.
func (g *Gateway) LeaseGrant(ctx context.Context, r *etcdserverpb.LeaseGrantRequest) (*etcdserverpb.LeaseGrantResponse, error) {
	if r.TTL > maxTTL || r.TTL <= 0 {
		return nil, rpctypes.ErrGRPCLeaseTTLTooLarge
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	l := &lease{id: r.ID, ttl: max(time.Duration(min(r.TTL, int64(1e9)))*time.Second, minTTL)}
	if l.id == 0 {
		l.id = 1 + rand.Int64N(1<<62)
	}
	client, err := replication.Connect(ctx, g.node, replication.ClientOptions{Servers: g.opts.Servers, TTL: l.ttl})
	if err != nil {
		return nil, failure(err)
	}
	l.client = client
	info, err := labrpc.Marshal(leaseInfo{Gateway: g.node.ID(), TTL: l.ttl})
	if err != nil {
		return nil, failure(err)
	}
	revision, err := client.CreateEphemeral(ctx, leasePrefix+leaseID(l.id), string(info))
	if err != nil {
		go l.close(g.node.Context())
		if errors.Is(err, replication.ErrExists) {
			return nil, rpctypes.ErrGRPCLeaseExist
		}
		return nil, failure(err)
	}
	g.leases.mu.Lock()
	g.leases.held[l.id] = l
	g.leases.mu.Unlock()
	l.mu.Lock()
	l.expires = time.Now().Add(l.ttl)
	l.timer = time.AfterFunc(l.ttl, func() { g.expire(l) })
	l.mu.Unlock()
	return &etcdserverpb.LeaseGrantResponse{Header: g.header(revision), ID: l.id, TTL: int64(l.ttl / time.Second)}, nil
}

// expire ends a lease that was not kept alive.
func (g *Gateway) expire(l *lease) {
	l.mu.Lock()
	left := time.Until(l.expires)
	if left > 0 {
		l.timer.Reset(left)
	}
	l.mu.Unlock()
	if left <= 0 {
		g.end(g.node.Context(), l)
	}
}

// end ends a lease: from now on requests are refused, and the store deletes its keys with the session.
func (g *Gateway) end(ctx context.Context, l *lease) {
	g.leases.mu.Lock()
	delete(g.leases.held, l.id)
	g.leases.mu.Unlock()
	l.close(ctx)
}

// close ends the session. If the store cannot be reached, it does so by itself after the TTL.
func (l *lease) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, l.ttl+requestTime)
	defer cancel()
	_ = l.client.Close(ctx)
}

// withLease asks the gateway that holds the lease, which may be this one. It returns the revision of the change.
func (g *Gateway) withLease(ctx context.Context, r leaseRequest) (int, error) {
	reply, err := g.askLease(ctx, r)
	return reply.Revision, err
}

func (g *Gateway) askLease(ctx context.Context, r leaseRequest) (leaseReply, error) {
	if g.leases.get(r.ID) != nil {
		return g.leaseHere(ctx, r)
	}
	info, err := g.findLease(ctx, r.ID)
	if err != nil {
		return leaseReply{}, err
	}
	if info.Gateway == g.node.ID() {
		// Ended, or granted before this process was restarted: the store ends it.
		return leaseReply{}, rpctypes.ErrGRPCLeaseNotFound
	}
	reply, err := labrpc.Call[leaseReply](ctx, g.node, info.Gateway, "live.lease", r)
	switch {
	case err != nil && ctx.Err() == nil:
		return leaseReply{}, err
	case err != nil:
		return leaseReply{}, status.Errorf(codes.Unavailable, "live: the gateway of %v, which holds the lease, does not answer", info.Gateway)
	case leaseErrors[reply.Outcome] != nil:
		return leaseReply{}, leaseErrors[reply.Outcome]
	case reply.Outcome != "":
		return leaseReply{}, status.Error(codes.Unavailable, reply.Detail)
	}
	return reply, nil
}

// findLease looks for the hidden key of a lease.
func (g *Gateway) findLease(ctx context.Context, id int64) (leaseInfo, error) {
	text, ok := g.mirror.leases()[id]
	if !ok { // the mirror may be behind
		if _, err := g.fresh(ctx); err != nil {
			return leaseInfo{}, err
		}
		if text, ok = g.mirror.leases()[id]; !ok {
			return leaseInfo{}, rpctypes.ErrGRPCLeaseNotFound
		}
	}
	var info leaseInfo
	if err := labrpc.Unmarshal([]byte(text), &info); err != nil {
		return leaseInfo{}, fmt.Errorf("live: lease %x: %w", id, err)
	}
	return info, nil
}

// leaseForOther answers another gateway.
func (g *Gateway) leaseForOther(_ labrpc.NodeID, r leaseRequest) leaseReply {
	ctx, cancel := bounded(g.node.Context())
	defer cancel()
	reply, err := g.leaseHere(ctx, r)
	if err == nil {
		return reply
	}
	for name, known := range leaseErrors {
		if errors.Is(err, known) {
			return leaseReply{Outcome: name}
		}
	}
	return leaseReply{Outcome: "failed", Detail: failure(err).Error()}
}

// leaseHere serves a request for a lease of this gateway.
func (g *Gateway) leaseHere(ctx context.Context, r leaseRequest) (reply leaseReply, err error) {
	l := g.leases.get(r.ID)
	if l == nil {
		return leaseReply{}, rpctypes.ErrGRPCLeaseNotFound
	}
	switch r.Op {
	case leaseAlive:
		return g.renew(ctx, l)
	case leaseTime:
		l.mu.Lock()
		defer l.mu.Unlock()
		return leaseReply{TTL: max(0, time.Until(l.expires)), Granted: l.ttl}, nil
	case leaseRevoke:
		g.end(ctx, l)
		return leaseReply{}, ctx.Err()
	case leaseCreate:
		reply.Revision, err = l.client.CreateEphemeral(ctx, r.Key, r.Data)
	case leaseRemove:
		if reply.Revision, err = l.client.CompareAndSet(ctx, r.Key, markGone, r.At); err == nil {
			// The key is deleted, for all gateways. Now it goes from the store too: by this session, so that it cannot hit a key that
			// another creates after the end of the session.
			go func() {
				_ = l.client.Delete(g.node.Context(), r.Key)
			}()
		}
	}
	switch {
	case errors.Is(err, replication.ErrExists), errors.Is(err, replication.ErrConflict):
		err = errConflict
	case errors.Is(err, replication.ErrExpired):
		g.end(ctx, l)
		err = rpctypes.ErrGRPCLeaseNotFound
	}
	return reply, err
}

// renew gives a lease its full time, if its session still lives: the store is asked.
func (g *Gateway) renew(ctx context.Context, l *lease) (leaseReply, error) {
	v, err := l.client.Get(ctx, leasePrefix+leaseID(l.id))
	if errors.Is(err, replication.ErrExpired) || err == nil && v.Revision == 0 {
		g.end(ctx, l)
		return leaseReply{}, rpctypes.ErrGRPCLeaseNotFound
	}
	if err != nil {
		return leaseReply{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Until(l.expires) <= 0 {
		return leaseReply{}, rpctypes.ErrGRPCLeaseNotFound // too late: it is being ended
	}
	l.expires = time.Now().Add(l.ttl)
	return leaseReply{TTL: l.ttl, Granted: l.ttl}, nil
}

// LeaseRevoke implements etcd's Lease service.
func (g *Gateway) LeaseRevoke(ctx context.Context, r *etcdserverpb.LeaseRevokeRequest) (*etcdserverpb.LeaseRevokeResponse, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	if _, err := g.askLease(ctx, leaseRequest{Op: leaseRevoke, ID: r.ID}); err != nil {
		return nil, failure(err)
	}
	now, err := g.fresh(ctx)
	return &etcdserverpb.LeaseRevokeResponse{Header: g.header(now)}, failure(err)
}

// LeaseKeepAlive implements etcd's Lease service.
func (g *Gateway) LeaseKeepAlive(stream grpc.BidiStreamingServer[etcdserverpb.LeaseKeepAliveRequest, etcdserverpb.LeaseKeepAliveResponse]) error {
	for {
		r, err := stream.Recv()
		if err != nil {
			return nil // the client has gone
		}
		ctx, cancel := bounded(stream.Context())
		reply, err := g.askLease(ctx, leaseRequest{Op: leaseAlive, ID: r.ID})
		cancel()
		if err != nil && !errors.Is(err, rpctypes.ErrGRPCLeaseNotFound) {
			return failure(err)
		}
		// etcd says by a TTL of zero that there is no such lease.
		response := &etcdserverpb.LeaseKeepAliveResponse{Header: g.header(g.mirror.revision()), ID: r.ID, TTL: int64(reply.TTL / time.Second)}
		if err := stream.Send(response); err != nil {
			return nil
		}
	}
}

// LeaseTimeToLive implements etcd's Lease service.
func (g *Gateway) LeaseTimeToLive(ctx context.Context, r *etcdserverpb.LeaseTimeToLiveRequest) (*etcdserverpb.LeaseTimeToLiveResponse, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	reply, err := g.askLease(ctx, leaseRequest{Op: leaseTime, ID: r.ID})
	response := &etcdserverpb.LeaseTimeToLiveResponse{ID: r.ID, TTL: int64(reply.TTL / time.Second), GrantedTTL: int64(reply.Granted / time.Second)}
	switch {
	case errors.Is(err, rpctypes.ErrGRPCLeaseNotFound):
		response.TTL = -1
	case err != nil:
		return nil, failure(err)
	}
	now := g.mirror.revision()
	if r.Keys && err == nil {
		if now, err = g.fresh(ctx); err != nil {
			return nil, failure(err)
		}
		all, _ := g.mirror.at("", "\x00", now)
		for _, k := range all {
			if k.Lease == r.ID {
				response.Keys = append(response.Keys, []byte(k.Key))
			}
		}
	}
	response.Header = g.header(now)
	return response, nil
}

// LeaseLeases implements etcd's Lease service.
func (g *Gateway) LeaseLeases(ctx context.Context, _ *etcdserverpb.LeaseLeasesRequest) (*etcdserverpb.LeaseLeasesResponse, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	now, err := g.fresh(ctx)
	if err != nil {
		return nil, failure(err)
	}
	response := &etcdserverpb.LeaseLeasesResponse{Header: g.header(now)}
	for id := range g.mirror.leases() {
		response.Leases = append(response.Leases, &etcdserverpb.LeaseStatus{ID: id})
	}
	return response, nil
}
