// Package tcp carries the messages of labrpc between processes, over TCP with mutual TLS.
//
// The links stay what they are in the simulator, fair-loss: a packet is lost when its queue is full, when it is too old, and
// when its connection breaks. Nothing that a node does waits for the network.
package tcp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"distlabs/labrpc"
)

// Options of a [Carrier].
type Options struct {
	Process   string                         // the name of this process, as its key has it
	Processes map[string]Process             // all processes of the cluster, this one too
	Version   string                         // processes of different versions refuse each other
	TLS       *tls.Config                    // see ReadKeys
	Stores    map[labrpc.NodeID]labrpc.Store // the disks of the local nodes; none: memory
	Log       *slog.Logger                   // nil: none

	firstPause time.Duration // between two attempts to connect; 0: the usual one
}

// A Process says where a process listens, and which nodes it has.
type Process struct {
	Address string // host:port
	Nodes   []labrpc.NodeID
}

// A Carrier is a labrpc.Carrier. It has one connection per direction between two processes: the sender dials.
type Carrier struct {
	opts  Options
	owner map[labrpc.NodeID]string // which process a node belongs to
	out   map[string]*sender
	lost  atomic.Uint64

	ctx  context.Context
	stop context.CancelFunc
	all  sync.WaitGroup

	network *labrpc.Network // set by Serve, before anything arrives
}

// New makes a carrier. It carries once it is served.
func New(opts Options) (*Carrier, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if _, ok := opts.Processes[opts.Process]; !ok {
		return nil, fmt.Errorf("live: this process, %q, is not one of the cluster", opts.Process)
	}
	if opts.firstPause == 0 {
		opts.firstPause = firstPause
	}
	c := &Carrier{opts: opts, owner: map[labrpc.NodeID]string{}, out: map[string]*sender{}}
	c.ctx, c.stop = context.WithCancel(context.Background())
	for name, p := range opts.Processes {
		for _, id := range p.Nodes {
			if other, twice := c.owner[id]; twice {
				return nil, fmt.Errorf("live: %v belongs to %s and to %s", id, other, name)
			}
			c.owner[id] = name
		}
		if name != opts.Process {
			c.out[name] = newSender(c, name, p.Address)
		}
	}
	return c, nil
}

// Local implements labrpc.Carrier.
func (c *Carrier) Local(id labrpc.NodeID) bool { return c.owner[id] == c.opts.Process }

// Store implements labrpc.Carrier.
func (c *Carrier) Store(id labrpc.NodeID) labrpc.Store { return c.opts.Stores[id] }

// Carry implements labrpc.Carrier: it queues the packet, or loses it.
func (c *Carrier) Carry(p labrpc.Packet) {
	if s := c.out[c.owner[p.To]]; s == nil || !s.push(p) {
		c.lost.Add(1)
	}
}

// Lost returns how many packets this process has lost.
func (c *Carrier) Lost() uint64 { return c.lost.Load() }

// Serve connects the network with the other processes, until Close. The local nodes must have registered their handlers.
// It takes over the listener.
func (c *Carrier) Serve(network *labrpc.Network, listener net.Listener) {
	c.network = network
	context.AfterFunc(c.ctx, func() { listener.Close() })
	c.all.Go(func() { c.accept(listener) })
	for _, s := range c.out {
		c.all.Go(s.run)
	}
}

// Close ends all connections and waits for everything that Serve started.
func (c *Carrier) Close() {
	c.stop()
	c.all.Wait()
}

func (c *Carrier) accept(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		switch {
		case c.ctx.Err() != nil:
			if err == nil {
				conn.Close()
			}
			return
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // out of descriptors, perhaps
			c.opts.Log.Warn("accept", "error", err)
			pause(c.ctx, 100*time.Millisecond)
			continue
		}
		c.all.Go(func() { c.receive(conn) })
	}
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
