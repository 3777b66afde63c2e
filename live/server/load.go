package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"distlabs/labrpc"
	replication "distlabs/labs/05-replication"
	"distlabs/live/control"
)

// A load is clients that use the store, and report what they saw.
type load struct {
	*control.Load
	p     *program
	nodes []*labrpc.Node
	began time.Time
	ended atomic.Bool
	all   sync.WaitGroup
}

func newLoad(p *program) *load {
	l := &load{Load: p.Load, p: p, began: time.Now()}
	for _, id := range l.Clients {
		l.nodes = append(l.nodes, p.Network.Start(id))
	}
	return l
}

// stop makes each client end after the command that it is at.
func (l *load) stop() { l.ended.Store(true) }

func (l *load) run() {
	if l.Kind == control.LoadMixed {
		// The first client only watches.
		l.all.Go(func() { l.watch(l.nodes[0]) })
		var workers sync.WaitGroup
		for _, n := range l.nodes[1:] {
			workers.Go(func() { l.mixed(n) })
		}
		workers.Wait()
		l.p.Reports.Say(control.Report{Done: true})
		l.all.Wait()
		return
	}
	l.measure()
	l.p.Reports.Say(control.Report{Done: true})
}

// connect opens a session, again and again until it succeeds or the load is stopped.
func (l *load) connect(n *labrpc.Node) *replication.Client {
	for !l.ended.Load() {
		ctx, cancel := context.WithTimeout(n.Context(), l.Timeout)
		c, err := replication.Connect(ctx, n, replication.ClientOptions{Servers: l.p.Servers, TTL: l.TTL})
		cancel()
		if err == nil {
			return c
		}
	}
	return nil
}

// watch reports every change from the first on.
func (l *load) watch(n *labrpc.Node) {
	client := l.connect(n)
	if client == nil {
		return
	}
	err := client.Watch(n.Context(), "", 0, func(e replication.Event) {
		l.p.Reports.Say(control.Report{Watch: &control.Event{Client: n.ID(), Revision: e.Revision, Key: e.Key, Data: e.Data, Deleted: e.Deleted}})
	})
	if err != nil && n.Context().Err() == nil {
		l.p.Reports.Say(control.Report{Watch: &control.Event{Client: n.ID(), Ended: err.Error()}})
	}
}

// mixed runs random commands on the shared keys. Each value is written once in the whole run.
func (l *load) mixed(n *labrpc.Node) {
	rnd := rand.New(rand.NewPCG(l.Seed, uint64(n.ID())))
	last := map[string]int{} // the revision that was seen last
	var client *replication.Client
	for number := 1; !l.ended.Load(); number++ {
		if client == nil {
			if client = l.connect(n); client == nil {
				return
			}
		}
		op := control.Operation{
			Client: n.ID(), Number: number, Op: []string{"get", "get", "get", "put", "put", "set", "set", "create", "delete"}[rnd.IntN(9)],
			Key: fmt.Sprintf("k%d.%d", time.Since(l.began)/l.Epoch, rnd.IntN(l.Keys)), Data: fmt.Sprintf("%v-%d", n.ID(), number),
		}
		switch op.Op {
		case "set":
			op.At = last[op.Key]
		case "get", "delete":
			op.Data = ""
		}
		op.Call = time.Since(l.began)
		l.p.Reports.Say(control.Report{Op: &op})
		ctx, cancel := context.WithTimeout(n.Context(), l.Timeout)
		err := carryOut(ctx, client, &op)
		cancel()
		op.Return, op.Returned = time.Since(l.began), true
		switch {
		case err == nil:
			last[op.Key] = op.Revision
		default:
			op.Err = errorName(err)
		}
		l.p.Reports.Say(control.Report{Op: &op})
		if op.Err == "ErrExpired" || op.Err == "timeout" {
			// What became of the command is unknown until the next of its client takes effect; a new client has nothing to do with it.
			client = nil
		}
		if l.Pause > 0 {
			time.Sleep(rand.N(l.Pause))
		}
	}
}

func carryOut(ctx context.Context, c *replication.Client, op *control.Operation) (err error) {
	switch op.Op {
	case "get":
		var v replication.Value
		v, err = c.Get(ctx, op.Key)
		op.Got, op.Revision = v.Data, v.Revision
	case "put":
		op.Revision, err = c.Put(ctx, op.Key, op.Data)
	case "set":
		op.Revision, err = c.CompareAndSet(ctx, op.Key, op.Data, op.At)
	case "create":
		op.Revision, err = c.Create(ctx, op.Key, op.Data)
	case "delete":
		err = c.Delete(ctx, op.Key)
	}
	return err
}

// errorName names the error that decides what a command has done.
func errorName(err error) string {
	switch {
	case errors.Is(err, replication.ErrExists):
		return "ErrExists"
	case errors.Is(err, replication.ErrConflict):
		return "ErrConflict"
	case errors.Is(err, replication.ErrExpired):
		return "ErrExpired"
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	}
	return err.Error()
}

// measure runs commands, each client one after another, until the load is stopped.
func (l *load) measure() {
	var mu sync.Mutex
	var took []time.Duration
	value := fmt.Sprintf("%0*d", l.Size, 0)
	var clients []*replication.Client
	for _, n := range l.nodes {
		if c := l.connect(n); c != nil {
			clients = append(clients, c)
		}
	}
	began := time.Now()
	var group sync.WaitGroup
	for i, c := range clients {
		group.Go(func() {
			var mine []time.Duration
			key := fmt.Sprintf("bench%d", i)
			for !l.ended.Load() {
				from := time.Now()
				ctx, cancel := context.WithTimeout(l.nodes[i].Context(), l.Timeout)
				var err error
				if l.Kind == control.LoadPut {
					_, err = c.Put(ctx, key, value)
				} else {
					_, err = c.Get(ctx, key)
				}
				cancel()
				if err == nil {
					mine = append(mine, time.Since(from))
				}
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, mine...)
		})
	}
	group.Wait()
	r := control.Rate{Commands: len(took), Took: time.Since(began)}
	if slices.Sort(took); len(took) > 0 {
		r.P50, r.P99 = took[len(took)/2], took[len(took)*99/100]
	}
	l.p.Reports.Say(control.Report{Rate: &r})
}
