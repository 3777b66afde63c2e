package replication_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/05-replication"
)

// Commands of one client that are called at the same time take effect one after the other, each once (rules 20 and 21): equal
// commands called in one instant, and different commands shortly after each other, over links that lose. Nothing waits for a watch (rules 22 and 25).
func TestCallsOfOneClientAtOnce5D(t *testing.T) {
	const together = 4
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 10}, func(s *labtest.Sim) {
		v := newStoreCluster(s, 3, ServerOptions{})
		a, b := v.connect(4, longLife), v.connect(5, longLife)
		revisions := map[int]bool{}
		for range 3 {
			var calls []*pendingCall[response]
			for range together {
				calls = append(calls, a.start(command{Op: "put", Key: "x", Data: "same"}))
			}
			for _, call := range calls {
				y, err := call.wait()
				if err != "" || revisions[y.Revision] {
					s.Failf(ruleOnce, "on %v, one of %d equal puts at once returned revision %d (%s), want a revision of its own", a.id, together, y.Revision, orNil(err))
				}
				revisions[y.Revision] = true
			}
		}
		if y := b.mustRun(command{Op: "put", Key: "y", Data: "next"}); y.Revision != 3*together+1 {
			s.Failf(ruleOnce, "on %v, put(y) returned revision %d, want %d: %d puts returned before", b.id, y.Revision, 3*together+1, 3*together)
		}
		checkCommandWithinWatch(a, b)
		checkWatchDelaysNothing(a, b)
		s.Net.SetLinks(labrpc.FairLoss(0.1))
		for i := range 6 {
			x := a.start(command{Op: "put", Key: "x", Data: fmt.Sprint("x", i)})
			s.Run(time.Duration(1+s.Rand().IntN(30)) * time.Millisecond)
			y := a.start(command{Op: "put", Key: "y", Data: fmt.Sprint("y", i)})
			x.wait()
			y.wait()
			b.expectValue("x", fmt.Sprint("x", i), ruleOnce)
			b.expectValue("y", fmt.Sprint("y", i), ruleOnce)
		}
	})
}

// checkCommandWithinWatch: the function of a watch may call a command of the same client, which returns as any other (rule 22).
func checkCommandWithinWatch(a, b *testClient) {
	call := startCall(a, `Watch, whose f calls put(z, "1")`, func(ctx context.Context, client *Client) (bool, error) {
		watching, stop := labtest.WithCancel(ctx)
		defer stop()
		var err error
		_ = client.Watch(watching, "within", 0, func(Event) {
			_, err = client.Put(ctx, "z", "1")
			stop()
		})
		return true, err
	})
	b.mustRun(command{Op: "put", Key: "within", Data: "1"})
	if _, err := call.wait(); err != "" {
		a.v.s.Failf(ruleReturns, `%v: put(z, "1"), called by the f of a watch, returned %s, want no error`, a.id, err)
	}
	b.expectValue("z", "1", ruleOnce)
}

// checkWatchDelaysNothing: while the function of one watch has not returned, another watch of the same client reports what has changed, and a command
// returns (rules 22 and 25).
func checkWatchDelaysNothing(a, b *testClient) {
	s := a.v.s
	b.mustRun(command{Op: "put", Key: "slow", Data: "1"})
	watching, stop := labtest.WithCancel(a.node.Context())
	waits := false
	slow := startCall(a, `Watch("slow"), whose f waits`, func(_ context.Context, client *Client) (bool, error) {
		return true, client.Watch(watching, "slow", 0, func(e Event) {
			tellTest(a, e, func(time.Duration, Event) { waits = true })
			<-watching.Done()
		})
	})
	s.WaitFor(watchLimit, labtest.Violation{
		What:  fmt.Sprintf("on %v, the watch of slow did not report within %v that slow has changed", a.id, watchLimit),
		Rule:  ruleWatch,
		Nodes: append([]labrpc.NodeID{a.id}, a.v.servers...),
	}, func() bool { return waits })
	another := a.watch("slow", 0)
	if !s.Until(watchLimit, func() bool { return len(another.seen()) > 0 }) {
		s.Failf(ruleWatch, "on %v, a watch of slow has reported no change for %v, although slow has changed: the client has another watch, whose f has not returned", a.id, watchLimit)
	}
	a.mustRun(command{Op: "put", Key: "fast", Data: "1"})
	stop()
	slow.wait()
	another.cancel()
}

// A call returns when its context ends: a command that reaches no server, a command that waits for that one, a watch, and
// Connect. The client can be used afterwards (rules 20 and 22). A call returns also when its client's node crashes.
func TestContextEnds5D(t *testing.T) {
	const slack = 100 * time.Millisecond
	labtest.Run(t, labtest.Config{Nodes: 6, Seeds: 10}, func(s *labtest.Sim) {
		v := newStoreCluster(s, 3, ServerOptions{})
		a, b := v.connect(4, longLife), v.connect(5, longLife)
		a.mustRun(command{Op: "put", Key: "x", Data: "1"})
		// Of half of the calls the requests reach the servers, and the replies are lost; of the other half the requests are lost too.
		for _, id := range v.servers {
			if s.Net.Cut(id, a.id); s.Seed%4 < 2 {
				s.Net.Cut(a.id, id)
			}
		}
		// ends starts a call whose context ends after d, and returns a function that checks when it returned.
		ends := func(c *testClient, what string, d time.Duration, cancel bool, f func(ctx context.Context, client *Client) error) func() {
			from, want := s.Net.Now(), "context.DeadlineExceeded"
			if cancel {
				want = "context.Canceled"
			}
			call := startCall(c, what, func(ctx context.Context, client *Client) (bool, error) {
				if cancel {
					inner, stop := labtest.WithCancel(ctx)
					time.AfterFunc(d, stop)
					return true, f(inner, client)
				}
				inner, stop := labtest.WithTimeout(ctx, d)
				defer stop()
				return true, f(inner, client)
			})
			return func() {
				if !s.Until(max(0, from+d+slack-s.Net.Now()), call.returned) {
					s.Failf(ruleContext, "on %v, the context of %s ended at %v, but %s had not returned %v later", c.id, what, labtest.At(from+d), what, slack)
				}
				if _, err := call.wait(); err != want {
					s.Failf(ruleContext, "on %v, %s returned %s when its context ended, want %s", c.id, what, orNil(err), want)
				}
			}
		}
		put := ends(a, `put(x, "2")`, 3*time.Second, s.Seed%2 == 1, func(ctx context.Context, client *Client) error {
			_, err := client.Put(ctx, "x", "2")
			return err
		})
		s.Run(50 * time.Millisecond)
		get := ends(a, "get(x), called while put(x) waits", time.Second, s.Seed%2 == 0, func(ctx context.Context, client *Client) error {
			_, err := client.Get(ctx, "x")
			return err
		})
		watch := ends(a, "Watch", 2*time.Second, true, func(ctx context.Context, client *Client) error {
			return client.Watch(ctx, "", 0, func(Event) {})
		})
		late := &testClient{v: v, id: 6, node: s.Start(6), opts: ClientOptions{Servers: v.servers, TTL: longLife}}
		s.Net.Isolate(late.id)
		dial := ends(late, "Connect", 1500*time.Millisecond, s.Seed%2 == 0, func(ctx context.Context, _ *Client) error {
			_, err := Connect(ctx, late.node, late.opts)
			return err
		})
		get()
		dial()
		watch()
		put()
		s.Net.Heal()
		a.mustRun(command{Op: "put", Key: "y", Data: "3"})
		b.expectValue("y", "3", ruleOnce)
		was := b.mustRun(command{Op: "get", Key: "x"}) // the command may have taken effect, but no longer can
		s.Run(3 * time.Second)
		if now := b.mustRun(command{Op: "get", Key: "x"}); now != was {
			s.Failf(ruleLinearizable, `on %v, put(x, "2") took effect after its context had ended and the client's next command had returned`, a.id)
		}
		quiet := ends(b, "Watch", time.Second, s.Seed%2 == 0, func(ctx context.Context, client *Client) error {
			return client.Watch(ctx, "none", 0, func(Event) {})
		})
		quiet()
		s.Net.Isolate(b.id)
		ends(b, "Close", time.Second, s.Seed%2 == 1, func(ctx context.Context, client *Client) error { return client.Close(ctx) })()
		checkCrashOfClient(a, slack)
		s.Net.Heal()
		checkWatchEndsBetweenCalls(v, v.connect(a.id, longLife), slack)
	})
}

// checkWatchEndsBetweenCalls: a watch has many changes to report, and its f needs 50ms for each. The watch returns when its context ends or its client's node
// crashes, and does not report the other changes first (rule 22).
func checkWatchEndsBetweenCalls(v *storeCluster, c *testClient, slack time.Duration) {
	const each, reported = 50 * time.Millisecond, 4
	s, client := v.s, c.connected()
	c.writes(30, "x")
	ctx, cancel := labtest.WithCancel(context.Background())
	defer cancel()
	var calls atomic.Int64
	var returned atomic.Bool
	go func() {
		_ = client.Watch(ctx, "", 0, func(Event) {
			calls.Add(1)
			time.Sleep(each)
		})
		returned.Store(true)
	}()
	s.WaitFor(watchLimit, labtest.Violation{What: fmt.Sprintf("on %v, a watch after revision 0 has not reported %d changes", c.id, reported), Rule: ruleWatch}, func() bool {
		return calls.Load() >= reported
	})
	s.Run(each / 2)
	what := "its context ended"
	if s.Seed%2 == 0 {
		cancel()
	} else {
		what = "its client's node crashed"
		s.Net.Crash(c.id)
	}
	at := s.Net.Now()
	s.Run(slack)
	if !returned.Load() {
		s.Failf(ruleContext, "on %v, Watch has not returned %v after %s at %v: it called f %d times before and %d times since; each call of f takes %v",
			c.id, slack, what, labtest.At(at), reported, calls.Load()-reported, each)
	}
}

// checkCrashOfClient: a client's node crashes while a command and a watch are under way. Both return an error, although their context does not end (rule 22).
func checkCrashOfClient(c *testClient, slack time.Duration) {
	s, client := c.v.s, c.connected()
	s.Net.Isolate(c.id)
	var put, watch atomic.Bool // the call has returned an error
	go func() {
		_, err := client.Put(context.Background(), "x", "4")
		put.Store(err != nil)
	}()
	go func() { watch.Store(client.Watch(context.Background(), "", 0, func(Event) {}) != nil) }()
	s.Run(time.Second)
	s.Net.Crash(c.id)
	s.Run(slack)
	if !put.Load() || !watch.Load() {
		s.Failf(ruleContext, "on %v, %v after a crash of this node, want an error from Put and from Watch: Put has returned one = %v, Watch = %v", c.id, slack, put.Load(), watch.Load())
	}
}
