package gateway

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"distlabs/labrpc"
	replication "distlabs/labs/05-replication"
)

// A pool has clients of the store. A client executes one command at a time, so each request gets one for itself.
type pool struct {
	node    *labrpc.Node
	servers []labrpc.NodeID
	slots   chan struct{} // how many may be in use

	mu   sync.Mutex
	idle []idleClient // the one that was used last, last
}

type idleClient struct {
	*replication.Client
	since time.Time
}

const (
	poolSize = 256              // clients in use at once; further requests wait
	idleTime = 30 * time.Second // after which a client that nothing uses ends its session
)

func newPool(node *labrpc.Node, servers []labrpc.NodeID) *pool {
	return &pool{node: node, servers: servers, slots: make(chan struct{}, poolSize)}
}

// use calls f with a client that nothing else uses.
func (p *pool) use(ctx context.Context, f func(c *replication.Client) error) error {
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	c, err := p.get(ctx)
	if err != nil {
		return err
	}
	if err = f(c); !errors.Is(err, replication.ErrExpired) {
		p.put(c)
	}
	return err
}

func (p *pool) get(ctx context.Context) (*replication.Client, error) {
	p.mu.Lock()
	if n := len(p.idle); n > 0 {
		c := p.idle[n-1].Client
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		return c, nil
	}
	p.mu.Unlock()
	return replication.Connect(ctx, p.node, replication.ClientOptions{Servers: p.servers, TTL: sessionTime})
}

func (p *pool) put(c *replication.Client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, idleClient{c, time.Now()})
}

// trim closes clients that have been idle for long.
func (p *pool) trim() {
	for ctx := p.node.Context(); ctx.Err() == nil; pause(ctx, idleTime/3) {
		p.mu.Lock()
		n := 0
		for n < len(p.idle) && time.Since(p.idle[n].since) > idleTime {
			n++
		}
		old := p.idle[:n:n]
		p.idle = p.idle[n:]
		p.mu.Unlock()
		for _, c := range old {
			closing, cancel := context.WithTimeout(ctx, time.Second)
			_ = c.Close(closing)
			cancel()
		}
	}
}

// failure is an error of the store's client as etcd's clients know it.
func failure(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return status.Error(codes.DeadlineExceeded, "live: the store did not answer in time: the command may have been applied, or may still be")
	case errors.Is(err, context.Canceled):
		return status.Error(codes.Canceled, "live: the request was cancelled: the command may have been applied, or may still be")
	case errors.Is(err, replication.ErrExpired):
		return status.Error(codes.Unavailable, "live: the gateway's session has expired: the command was applied before that, or never will be")
	case errors.Is(err, labrpc.ErrDown):
		return rpctypes.ErrGRPCStopped
	}
	if _, ours := status.FromError(err); ours {
		return err
	}
	return status.Error(codes.Internal, err.Error())
}

func unimplemented(what string) error {
	return status.Error(codes.Unimplemented, "live: "+what+" (docs/live.md says what lab 05's store can do)")
}

// requestTime bounds a request whose client set no deadline, as etcd's servers do.
const requestTime = 20 * time.Second

// bounded is ctx with a deadline.
func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, requestTime)
}

// barriers orders reads after all changes before them. The store's client has no command that reads the store's revision and
// changes nothing: so a hidden key is written, once for all reads that wait.
type barriers struct {
	mu      sync.Mutex
	running bool
	next    *barrier // joins all who come while one runs
}

type barrier struct {
	done     chan struct{}
	revision int
	err      error
}

// fresh returns a revision that every change which was acknowledged before the call is not beyond, once the mirror has reached it.
func (g *Gateway) fresh(ctx context.Context) (int, error) {
	b := &g.barriers
	b.mu.Lock()
	if b.next == nil {
		b.next = &barrier{done: make(chan struct{})}
	}
	mine := b.next
	if !b.running {
		b.running = true
		go g.runBarriers()
	}
	b.mu.Unlock()
	select {
	case <-mine.done:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	if mine.err != nil {
		return 0, mine.err
	}
	return mine.revision, g.mirror.wait(ctx, mine.revision)
}

// runBarriers runs one barrier after another while any is asked for.
func (g *Gateway) runBarriers() {
	b := &g.barriers
	for {
		b.mu.Lock()
		mine := b.next
		b.next = nil // who comes from now on has come after this one's command began
		b.running = mine != nil
		b.mu.Unlock()
		if mine == nil {
			return
		}
		ctx, cancel := bounded(g.node.Context())
		mine.err = g.pool.use(ctx, func(c *replication.Client) (err error) {
			mine.revision, err = c.Put(ctx, barrierKey, "")
			return err
		})
		cancel()
		close(mine.done)
	}
}

// look returns the best that this gateway knows of a key without asking the store: it may be old.
func (g *Gateway) look(key string) (k kv, marked bool) {
	reached := g.mirror.revision()
	k, marked = g.mirror.key(key)
	g.mu.Lock()
	defer g.mu.Unlock()
	newer, ok := g.known[key]
	switch {
	case ok && newer.Mod > max(reached, k.Mod):
		return newer, false
	case ok:
		delete(g.known, key)
	}
	return k, marked
}

// learn notes what this gateway has written.
func (g *Gateway) learn(k kv) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if k.Mod > g.known[k.Key].Mod && k.Mod > g.mirror.revision() {
		g.known[k.Key] = k
	}
}

// forgetKnown drops what the mirror knows too.
func (g *Gateway) forgetKnown(e replication.Event) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if k, ok := g.known[e.Key]; ok && k.Mod <= e.Revision {
		delete(g.known, e.Key)
	}
}

// ask returns a key as it is at an instant during the call, from the store, with what the mirror knows beside it.
func (g *Gateway) ask(ctx context.Context, key string) (k kv, marked bool, err error) {
	for ctx.Err() == nil {
		var v replication.Value
		err := g.pool.use(ctx, func(c *replication.Client) (err error) {
			v, err = c.Get(ctx, key)
			return err
		})
		if err != nil {
			return kv{}, false, err
		}
		if v.Revision == 0 {
			return kv{}, false, nil
		}
		if err := g.mirror.wait(ctx, v.Revision); err != nil {
			return kv{}, false, err
		}
		if found, ok := g.mirror.at(key, "", v.Revision); ok {
			if len(found) == 0 {
				return kv{Key: key, Mod: v.Revision}, true, nil
			}
			return found[0], false, nil
		}
		// The mirror has moved on too far meanwhile.
	}
	return kv{}, false, ctx.Err()
}
