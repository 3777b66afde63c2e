package election_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/04-election"
)

// The story of Kleppmann's article, step by step: a client holds the lease, stands still for longer than it
// lasts, another writes, and then the first one's write arrives (rule 27). Nothing of the other's is lost (rule 29). The first one's clock is an
// hour ahead, and tells nobody anything.
func TestLateWriteIsRefused4E(t *testing.T) {
	const late = "a write arrived after one with a newer lease"
	labtest.Run(t, labtest.Config{Nodes: 4, MustCover: []string{late}}, func(s *labtest.Sim) {
		o := newOffice(s)
		s.Net.SetClock(alice, time.Hour, 100)
		first := o.acquires(alice)
		o.wants(ruleFence, "n3 holds the lease and writes", o.clients[alice].Write(within(time.Minute), first, "a"), nil)
		o.wants(ruleFence, "n3 holds the lease and writes again", o.clients[alice].Write(within(time.Minute), first, "aa"), nil)
		o.wants(ruleGrants, "n3 has the lease, and n4 asks for it", func() error { _, err := o.acquire(bob, time.Second); return err }(), ErrTaken)
		write := o.pauses(func() error { return o.clients[alice].Write(within(time.Minute), first, "late") })
		second := o.acquires(bob)
		o.wants(ruleFence, "n4 holds the lease and writes", o.clients[bob].Write(within(time.Minute), second, "b"), nil)
		if s.Seed%2 == 0 {
			o.restartStore()
		}
		if _, done := write.result(); !done {
			s.Cover(late)
		}
		o.wants(ruleFence, "n3 wakes up, n4 has written under a newer lease, and n3's write arrives", o.returns(ruleFence, write), ErrStale)
		o.holds(ruleFence, File{"b", 3})
		o.wants(ruleFence, "n4 holds the lease and writes again", o.clients[bob].Write(within(time.Minute), second, "bb"), nil)
		o.holds(ruleKept, File{"bb", 4})
	})
}

// Clients ask for the lease all the time. Messages are slow, the lessor crashes, and its clock is set: there is one holder
// at a time (rule 24), tokens grow (rule 25), and the lease is granted again and again (rule 26).
func TestOneHolderAtATime4E(t *testing.T) {
	const (
		slow    = "a grant was seconds on its way"
		crashed = "the lessor crashed while the lease was held"
	)
	cfg := labtest.Config{Nodes: 5, Seeds: 20, Link: labrpc.Link{Latency: labrpc.Uniform(time.Millisecond, 4*time.Second)}, MustCover: []string{slow, crashed}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		o := newOffice(s)
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
				s.Net.JumpClock(lessorNode, time.Duration(s.Rand().IntN(3)-1)*time.Hour)
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

// granted waits for the next grant. If the lessor crashes meanwhile it is started again.
func (o *office) granted() {
	o.mu.Lock()
	had, last := o.grants, o.last
	o.mu.Unlock()
	// Requests are under way for up to four seconds, and are repeated when answered.
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
		o.s.Fail(*violation(ruleGrants, "three clients ask for the lease all the time, nobody has had it since %s, and at %s it is still not granted",
			stamp(last), stamp(o.s.Net.Now())))
	}
}

// The lessor crashes in the moment of a grant, and around the write of it (rules 25 and 24). The office checks the tokens.
func TestTokensGrow4E(t *testing.T) {
	const crashed = "the lessor crashed at a write"
	labtest.Run(t, labtest.Config{Nodes: 4, Link: steadyLink, MustCover: []string{crashed}}, func(s *labtest.Sim) {
		o := newOffice(s)
		s.Run(2 * ttl) // now the lease is free
		for range 3 {  // the answer has just left
			token := o.token
			ask := start(func() error { _, err := o.acquire(alice, time.Second); return err })
			s.WaitFor(time.Second, *violation(ruleGrants, "n3 asks for the lease, which is free, and it is not granted"), func() bool {
				o.mu.Lock()
				defer o.mu.Unlock()
				return o.token > token
			})
			o.restartLessor()
			s.Run(time.Second)
			if err, done := ask.result(); done && err == nil {
				_, err := o.acquire(bob, time.Second)
				o.wants(ruleHolder, "n3 has the lease, the lessor restarts, and n4 asks", err, ErrTaken)
			}
			o.acquires(bob)
			s.Run(2 * ttl)
		}
		for i := range 6 {
			s.Net.CrashAtWrite(lessorNode, labrpc.CrashPoint{Write: s.Net.Writes(lessorNode) + 1 + i/2, After: i%2 == 0})
			_, _ = o.acquire(alice, time.Second)
			if !s.Net.Up(lessorNode) {
				s.Cover(crashed)
			}
			o.restartLessor()
			o.acquires(bob)
			s.Run(2 * ttl)
		}
	})
}

// The store crashes around every write. What it has confirmed is there, tokens among it (rules 27 and 29).
func TestStoreSurvivesCrash4E(t *testing.T) {
	const crashed = "the store crashed at a write"
	labtest.Run(t, labtest.Config{Nodes: 4, Link: steadyLink, MustCover: []string{crashed}}, func(s *labtest.Sim) {
		o := newOffice(s)
		lease := func(token int) Lease { return Lease{Token: token} }
		write := func(token int, value string) error {
			return o.clients[alice].Write(within(time.Second), lease(token), value)
		}
		o.wants(ruleFence, "a write with token 7", write(7, "a"), nil)
		o.restartStore()
		o.holds(ruleKept, File{"a", 1})
		o.wants(ruleFence, "the store restarts, and a write comes with token 6 after one with token 7", write(6, "b"), ErrStale)
		o.wants(ruleFence, "a write with token 7 after another with token 7", write(7, "c"), nil)
		for i := range 6 {
			before, token := o.read(), 10+i
			s.Net.CrashAtWrite(storeNode, labrpc.CrashPoint{Write: s.Net.Writes(storeNode) + 1 + i/2, After: i%2 == 0})
			value := fmt.Sprint("w", i)
			confirmed := write(token, value) == nil
			if !s.Net.Up(storeNode) {
				s.Cover(crashed)
			}
			o.restartStore()
			after, written := o.read(), File{value, before.Version + 1}
			if after != written && (confirmed || after != before) {
				s.Failf(ruleKept, "the file was %+v, the store crashed at the write of %q, and the file is %+v", before, value, after)
			}
			if after == written {
				o.wants(ruleFence, fmt.Sprintf("the store restarts, and a write comes with token %d after one with token %d", token-1, token),
					write(token-1, "older"), ErrStale)
			}
		}
		swapped := o.read()
		o.wants(ruleSwap, "a swap of the version just read", o.clients[alice].Swap(within(time.Second), swapped, "s"), nil)
		o.restartStore()
		o.holds(ruleKept, File{"s", swapped.Version + 1})
		o.wants(ruleFence, "after a swap, a write with token 5", write(5, "older"), ErrStale)
	})
}
