package election_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/04-election"
)

// The example of Kleppmann's article, step by step: n3 holds the lease and is paused for longer than the lease lasts, n4 writes,
// and then n3's write arrives (rule 27). Nothing that n4 wrote is lost (rule 29). n3's wall clock is an hour ahead, which
// changes nothing.
func TestLateWriteIsRefused4E(t *testing.T) {
	const late = "a write arrived after one with a newer lease"
	labtest.Run(t, labtest.Config{Nodes: 4, MustCover: []string{late}}, func(s *labtest.Sim) {
		o := newLeaseCluster(s)
		s.Net.SetClock(alice, time.Hour, 100)
		first := o.acquires(alice)
		o.wants(ruleFence, "n3 holds the lease and writes", o.clients[alice].Write(within(time.Minute), first, "a"), nil)
		o.wants(ruleFence, "n3 holds the lease and writes again", o.clients[alice].Write(within(time.Minute), first, "aa"), nil)
		_, err := o.acquire(bob, time.Second)
		o.wants(ruleHolder, "n3 holds the lease and n4 asks for it", err, ErrTaken)
		write := o.pauses(func() error { return o.clients[alice].Write(within(time.Minute), first, "late") })
		second := o.acquires(bob)
		o.wants(ruleFence, "n4 holds the lease and writes", o.clients[bob].Write(within(time.Minute), second, "b"), nil)
		if s.Seed%2 == 0 {
			o.restartStore()
		}
		if _, done := write.result(); !done {
			s.Cover(late)
		}
		o.wants(ruleFence, "n4 has written with a newer lease, and then n3's write arrives", o.returns(ruleFence, write), ErrStale)
		o.holds(ruleFence, File{"b", 3})
		o.wants(ruleFence, "n4 holds the lease and writes again", o.clients[bob].Write(within(time.Minute), second, "bb"), nil)
		o.holds(ruleKept, File{"bb", 4})
	})
}

// Clients ask for the lease all the time. Messages are slow, the lessor crashes, and wall clocks are set: there is one holder at a
// time (rule 24), tokens grow (rule 25), and the lease is granted again and again (rule 26).
func TestOneHolderAtATime4E(t *testing.T) {
	const (
		slow    = "a grant was under way for seconds"
		crashed = "the lessor crashed while the lease was held"
	)
	cfg := labtest.Config{Nodes: 5, Seeds: 20, Link: labrpc.Link{Latency: labrpc.Uniform(time.Millisecond, 4*time.Second)}, MustCover: []string{slow, crashed}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		o := newLeaseCluster(s)
		stop := make(chan struct{})
		var asking sync.WaitGroup
		for id, pause := range map[labrpc.NodeID]time.Duration{alice: 290, bob: 310, 5: 330} {
			asking.Go(func() {
				for {
					begun := time.Now()
					if _, err := o.acquire(id, ttl); err == nil && time.Since(begun) > 4*time.Second {
						s.Cover(slow)
					}
					select {
					case <-time.After(pause * time.Millisecond):
					case <-stop:
						return
					case <-o.nodes[id].Context().Done():
						return
					}
				}
			})
		}
		for range 6 {
			o.granted()
			s.Run(time.Duration(s.Rand().Int64N(int64(ttl))))
			switch s.Rand().IntN(3) {
			case 0:
				for _, id := range s.Net.Nodes() {
					s.Net.JumpClock(id, time.Duration(s.Rand().IntN(3)-1)*time.Hour)
				}
			case 1:
				s.Net.CrashAtWrite(lessorNode, labrpc.CrashPoint{Write: s.Net.Writes(lessorNode) + 1, After: s.Rand().IntN(2) == 0})
			default:
				o.mu.Lock()
				if s.Net.Now()-o.last < ttl {
					s.Cover(crashed)
				}
				o.mu.Unlock()
				o.restartLessor()
			}
		}
		s.Net.CrashAtWrite(lessorNode, labrpc.CrashPoint{})
		o.granted()
		close(stop)
		s.Run(2 * ttl)
		asking.Wait()
	})
}

// granted waits for the next grant. If the lessor crashes meanwhile, it is started again.
func (o *leaseCluster) granted() {
	o.mu.Lock()
	had, last := o.grants, o.last
	o.mu.Unlock()
	// A request is under way for up to 4s, and so is the reply, before the client asks again.
	for limit := 2*ttl + 10*time.Second; ; {
		o.s.Until(limit, func() bool {
			o.mu.Lock()
			defer o.mu.Unlock()
			return o.grants > had || !o.s.Net.Up(lessorNode)
		})
		if o.s.Net.Up(lessorNode) {
			break
		}
		o.restartLessor()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.grants == had {
		o.s.Fail(*violation(ruleGrants, "three clients keep asking for the lease, the last grant or start of the lessor was at %s, but at %s it is still not granted",
			labtest.At(last), labtest.At(o.s.Net.Now())))
	}
}

// While n3 holds the lease, no call of Acquire gets another, n3's own included, although wall clocks jump (rule 24). The lease
// lasts for at least ¾ TTL (rule 26), and ends TTL after its grant at the latest (rule 24), also if n3 calls Acquire again meanwhile.
func TestLeaseLasts4E(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 4, Link: steadyLink}, func(s *labtest.Sim) {
		o := newLeaseCluster(s)
		s.Run(2 * ttl) // now the lease is free
		began := s.Net.Now()
		at := startCall(func() error { _, err := o.acquire(alice, time.Second); return err })
		other := startCall(func() error { _, err := o.acquire(alice, time.Second); return err })
		late := violation(ruleContext, "n3 called Acquire twice at once, but a call has not returned when its context ended, after 1s")
		one := o.waits(time.Second+returnLimit, late, at)
		two := o.waits(began+time.Second+returnLimit-s.Net.Now(), late, other)
		if (one == nil) == (two == nil) || !errors.Is(errors.Join(one, two), ErrTaken) {
			s.Failf(ruleHolder, "n3 called Acquire twice at once while the lease was free, and the calls returned %s and %s, want nil and ErrTaken", errorText(one), errorText(two))
		}
		lease := o.leases[0]
		for s.Net.Now() < began+ttl*3/4 {
			if !lease.Held() {
				s.Failf(ruleGrants, "the lease that n3 asked for at %s is not held at %s, although its time to live is not over", labtest.At(began), labtest.At(s.Net.Now()))
			}
			for _, id := range []labrpc.NodeID{alice, bob} {
				_, err := o.acquire(id, time.Second)
				o.wants(ruleHolder, "n3 holds the lease, and "+id.String()+" calls Acquire", err, ErrTaken)
			}
			jumpClocks(s)
			s.Run(500 * time.Millisecond)
		}
		s.Run(began + ttl + 3*fixedLatency - s.Net.Now())
		if lease.Held() {
			s.Failf(ruleHolder, "the lease that n3 asked for at %s is still held at %s, more than %v after its grant", labtest.At(began), labtest.At(s.Net.Now()), ttl)
		}
		o.acquires(bob)
		s.Run(2 * ttl) // now the lease is free again
		o.acquiresTwice()
	})
}

// acquiresTwice: n3 calls Acquire and is granted the lease, but the reply is slow. Before it arrives, another goroutine of n3 calls Acquire too.
// The reply belongs to the first call: that lease ends TTL after its grant, not TTL after the second call (rule 24).
func (o *leaseCluster) acquiresTwice() {
	s, before := o.s, len(o.leases)
	slow := s.Net.Hold(labrpc.Match{To: alice, Kind: labrpc.Reply})
	call := func() error { _, err := o.acquire(alice, time.Minute); return err }
	startCall(call)
	s.Run(ttl / 2)
	again := s.Net.Now()
	startCall(call)
	s.Run(3 * fixedLatency)
	if s.Seed%2 == 0 { // the second call receives its reply first
		all := slow.Messages()
		slow.Deliver(func(m labrpc.Message) bool { return m.Msg == all[len(all)-1].Msg })
		s.Run(2 * fixedLatency)
	}
	slow.Release()
	o.mu.Lock()
	granted := o.last
	o.mu.Unlock()
	s.Run(max(granted+ttl-s.Net.Now(), 0) + fixedLatency)
	o.mu.Lock()
	late := o.leases[before:]
	o.mu.Unlock()
	for _, lease := range late {
		if lease.Held() {
			s.Failf(ruleHolder, "n1 granted n3 token %d at %s, and n3 called Acquire again at %s, before that reply arrived; at %s, n3 still holds the lease, more than %v after the grant",
				lease.Token, labtest.At(granted), labtest.At(again), labtest.At(s.Net.Now()), ttl)
		}
	}
	o.acquires(bob)
	s.Run(2 * ttl) // the cluster checks that no two leases are held
}

// The lessor crashes at the instant of a grant, and around the write of it (rules 25 and 24); one seed has hundreds of grants. The
// cluster checks the tokens.
func TestTokensGrow4E(t *testing.T) {
	const crashed = "the lessor crashed at a grant"
	labtest.Run(t, labtest.Config{Nodes: 4, Link: steadyLink, Limit: 3 * time.Hour, MustCover: []string{crashed}}, func(s *labtest.Sim) {
		o := newLeaseCluster(s)
		s.Run(2 * ttl) // now the lease is free
		for range 3 {  // the reply has just been sent
			token := o.token
			ask := startCall(func() error { _, err := o.acquire(alice, time.Second); return err })
			s.WaitFor(time.Second, *violation(ruleGrants, "n3 asks for the lease, which is free, but it is not granted"), func() bool {
				o.mu.Lock()
				defer o.mu.Unlock()
				return o.token > token
			})
			jumpClocks(s)
			o.restartLessor()
			s.Run(time.Second)
			if err, done := ask.result(); done && err == nil {
				_, err := o.acquire(bob, time.Second)
				o.wants(ruleHolder, "n3 holds the lease, the lessor restarts, and n4 asks", err, ErrTaken)
			}
			o.acquires(bob)
			s.Run(2 * ttl)
		}
		for i := range 6 {
			s.Net.CrashAtWrite(lessorNode, labrpc.CrashPoint{Write: s.Net.Writes(lessorNode) + 1 + i/2, After: i%2 == 0})
			_, err := o.acquire(alice, time.Second)
			if err == nil || !s.Net.Up(lessorNode) { // a lessor need not write at every grant
				s.Cover(crashed)
			}
			o.restartLessor()
			o.acquires(bob)
			s.Run(2 * ttl)
		}
		for i := 0; s.Seed == 1 && i < 270; i++ {
			if i%50 == 49 {
				o.restartLessor()
			}
			o.acquires(alice)
			s.Run(2 * ttl)
		}
	})
}

// callsAtOnce runs many calls of an isolated client at once: some with a context that ends later, and then, of each method, one whose context ends
// first (rule 30).
func callsAtOnce(s *labtest.Sim, calls map[string]func(context.Context) error) {
	later, end := labtest.WithCancel(context.Background())
	defer end()
	methods := slices.Sorted(maps.Keys(calls))
	var waiting []*pendingCall
	for range 30 {
		for _, name := range methods {
			waiting = append(waiting, startCall(func() error { return calls[name](later) }))
		}
		s.Run(time.Millisecond)
	}
	for _, name := range methods {
		ctx, cancel := labtest.WithTimeout(context.Background(), 100*time.Millisecond)
		call := startCall(func() error { return calls[name](ctx) })
		s.Run(100*time.Millisecond + returnLimit)
		if _, done := call.result(); !done {
			s.Failf(ruleContext, "n3 is isolated, other calls of its client wait, and the context of its call of %s ended at %s, but %v later the call has not returned",
				name, labtest.At(s.Net.Now()-returnLimit), returnLimit)
		}
		cancel()
	}
	end()
	s.Run(returnLimit)
	for i, call := range waiting {
		if _, done := call.result(); !done {
			s.Failf(ruleContext, "n3 is isolated, and the context of %d of its calls ended at %s, but %v later a call of %s has not returned",
				len(waiting), labtest.At(s.Net.Now()-returnLimit), returnLimit, methods[i%len(methods)])
		}
	}
}

// A client is isolated. Its calls return when their contexts end (rule 30), also if other calls wait, and have no effect. Connected again, it
// is as good as new.
func TestClientReturnsAtOnce4E(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 4, Link: steadyLink}, func(s *labtest.Sim) {
		o := newLeaseCluster(s)
		client := o.clients[alice]
		calls := map[string]func(context.Context) error{
			"Acquire": func(ctx context.Context) error { _, err := client.Acquire(ctx); return err },
			"Read":    func(ctx context.Context) error { _, err := client.Read(ctx); return err },
			"Write":   func(ctx context.Context) error { return client.Write(ctx, Lease{Token: 1}, "isolated") },
			"Swap":    func(ctx context.Context) error { return client.Swap(ctx, File{}, "isolated") },
		}
		s.Run(2 * ttl)
		s.Net.Isolate(alice)
		for _, name := range []string{"Acquire", "Read", "Write", "Swap"} {
			for _, want := range []error{context.Canceled, context.DeadlineExceeded} {
				ctx, cancel := labtest.WithTimeout(context.Background(), time.Second)
				call := startCall(func() error { return calls[name](ctx) })
				if want == context.Canceled {
					s.Run(time.Duration(s.Rand().Int64N(int64(900 * time.Millisecond))))
					cancel()
				} else {
					s.Run(time.Second)
				}
				s.Run(returnLimit)
				err, done := call.result()
				if !done {
					s.Failf(ruleContext, "n3 is isolated, and the context of its call of %s ended at %s, but %v later the call has not returned", name, labtest.At(s.Net.Now()-returnLimit), returnLimit)
				}
				o.wants(ruleContext, "n3 is isolated and the context of "+name+" has ended", err, want)
				cancel()
			}
		}
		callsAtOnce(s, calls)
		s.Net.Heal()
		o.holds(ruleSwap, File{})
		o.wants(ruleSwap, "n3 is connected again and swaps the empty file of version 0", client.Swap(within(time.Second), File{}, "a"), nil)
		o.acquires(alice)
	})
}
