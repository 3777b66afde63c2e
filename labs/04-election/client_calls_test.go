package election_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/04-election"
)

// Goroutines of one client make the same call at nearly the same time, each with a context of its own. The replies are slow, and all contexts except one end
// before the replies arrive: the call with that one waits, and returns what the server replies (rule 30). A Read that is called after a confirmed
// Write returns what was written, also if an earlier Read still waits for its reply (rule 29).
func TestEachCallHasItsOwnContext4E(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 4, Link: steadyLink, Seeds: 6}, func(s *labtest.Sim) {
		o := newLeaseCluster(s)
		s.Run(2 * ttl) // now the lease is free
		client, read := o.clients[alice], o.read()
		calls := map[string]func(context.Context) error{
			"Acquire": func(ctx context.Context) error { _, err := client.Acquire(ctx); return except(err, ErrTaken) },
			"Read":    func(ctx context.Context) error { _, err := client.Read(ctx); return err },
			"Write":   func(ctx context.Context) error { return client.Write(ctx, Lease{Token: 1}, "same") },
			"Swap":    func(ctx context.Context) error { return except(client.Swap(ctx, read, "same"), ErrConflict) },
		}
		for _, name := range slices.Sorted(maps.Keys(calls)) {
			o.oneContextIsLonger(name, calls[name])
		}
		o.readsAfterWrite()
	})
}

// except returns nil if the error is the given one.
func except(err, fine error) error {
	if errors.Is(err, fine) {
		return nil
	}
	return err
}

// oneContextIsLonger lets n3 make four calls at once. One of them, another in each seed, has a context that ends after a minute. The other contexts end, in turn,
// before any reply arrives.
func (o *leaseCluster) oneContextIsLonger(name string, call func(context.Context) error) {
	const calls = 4
	s, slow := o.s, o.s.Net.Hold(labrpc.Match{To: alice, Kind: labrpc.Reply})
	long := int(s.Seed % calls)
	var waiting *pendingCall
	for i := range calls {
		limit := time.Duration(50+10*i) * time.Millisecond
		if i == long {
			limit = time.Minute
		}
		started := startCall(func() error { return call(within(limit)) })
		if i == long {
			waiting = started
		}
		s.Run(time.Millisecond)
	}
	s.Run(200 * time.Millisecond)
	who := fmt.Sprintf("n3 made %d calls of %s at once, and all contexts except that of call %d have ended", calls, name, long+1)
	if err, done := waiting.result(); done {
		s.Failf(ruleContext, "%s: call %d returned %s before any reply arrived, want it to wait", who, long+1, errorText(err))
	}
	slow.Release()
	s.Until(time.Minute, func() bool { _, done := waiting.result(); return done })
	if err, done := waiting.result(); !done || err != nil {
		s.Failf(ruleContext, "%s: call %d returned %s after all replies arrived, want the server's reply", who, long+1, errorText(err))
	}
}

// readsAfterWrite: the store has replied to a Read of n3, and the reply is slow. Then n4 writes the file, and n3 calls Read again.
func (o *leaseCluster) readsAfterWrite() {
	s, slow := o.s, o.s.Net.Hold(labrpc.Match{To: alice, Method: "Read", Kind: labrpc.Reply})
	before := startCall(func() error { _, err := o.clients[alice].Read(within(time.Minute)); return err })
	s.Run(3 * fixedLatency)
	o.wants(ruleFence, "n4 writes the file, with token 9", o.clients[bob].Write(within(time.Second), Lease{Token: 9}, "new"), nil)
	got := make(chan File, 1)
	after := startCall(func() error {
		file, err := o.clients[alice].Read(within(time.Minute))
		got <- file
		return err
	})
	s.Run(3 * fixedLatency)
	slow.Release()
	for _, call := range []*pendingCall{before, after} {
		err := o.waits(time.Minute, violation(ruleContext, "n3 called Read twice, but a call has not returned when its context ended, after one minute"), call)
		o.wants(ruleContext, "n3 calls Read, and the reply is slow", err, nil)
	}
	if file := <-got; file.Value != "new" {
		s.Failf(ruleKept, "n3 called Read after n4's Write of \"new\" had returned nil, but Read returned Value %q and Version %d: that was the file before the Write", file.Value, file.Version)
	}
}
