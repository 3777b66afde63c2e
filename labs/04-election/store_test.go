package election_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/04-election"
)

// The late write again, without a lease: n3 and n4 have read the same version, and the later swap is refused, also if the file
// has its old value again (rule 28). Two calls at one client are no different.
func TestLateSwapIsRefused4E(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 4}, func(s *labtest.Sim) {
		o := newLeaseCluster(s)
		swap := func(id labrpc.NodeID, read File, value string) error {
			return o.clients[id].Swap(within(time.Minute), read, value)
		}
		o.wants(ruleSwap, "n4 swaps the empty file of version 0", swap(bob, File{}, "a"), nil)
		read := o.read()
		late := o.pauses(func() error { return swap(alice, read, "late") })
		o.wants(ruleSwap, "n4 swaps the version that it has read", swap(bob, read, "b"), nil)
		o.wants(ruleSwap, "n4 swaps a version that it has changed since", swap(bob, read, "c"), ErrConflict)
		if s.Seed%2 == 0 {
			o.wants(ruleSwap, "n4 swaps the version that it has read", swap(bob, o.read(), "a"), nil)
		}
		want := o.read()
		o.wants(ruleSwap, "the file has changed during n3's pause, and then n3's swap arrives", o.returns(ruleSwap, late), ErrConflict)
		o.holds(ruleSwap, want)
		o.callsOverlap()
	})
}

// callsOverlap: two goroutines of n3 call Swap, with the same version and the same value, and two others call Write, with different
// tokens. The later reply arrives first. Each call returns the result of its own request (rules 27 and 28).
func (o *leaseCluster) callsOverlap() {
	client, read := o.clients[alice], o.read()
	swap := func() error { return client.Swap(within(time.Minute), read, "same") }
	write := func(token int) func() error {
		return func() error { return client.Write(within(time.Minute), Lease{Token: token}, "same") }
	}
	first, second := o.repliesInReverse(swap, swap)
	o.wants(ruleSwap, "n3 called Swap twice at once with the same version, and its first request arrived first: the first call", first, nil)
	o.wants(ruleSwap, "n3 called Swap twice at once with the same version, and its first request arrived first: the second call", second, ErrConflict)
	o.holds(ruleSwap, File{"same", read.Version + 1})
	first, second = o.repliesInReverse(write(7), write(6))
	o.wants(ruleFence, "n3 called Write with token 7 and then, before the reply arrived, with token 6: the first call", first, nil)
	o.wants(ruleFence, "n3 called Write with token 7 and then, before the reply arrived, with token 6: the second call", second, ErrStale)
	o.holds(ruleFence, File{"same", read.Version + 2})
}

// repliesInReverse runs two calls of n3, and lets the reply to the second one arrive first. (A client may also send the second request only
// when it has received the first reply.)
func (o *leaseCluster) repliesInReverse(one, other func() error) (first, second error) {
	replies := o.s.Net.Hold(labrpc.Match{To: alice, Kind: labrpc.Reply})
	var calls []*pendingCall
	for _, call := range []func() error{one, other} {
		calls = append(calls, startCall(call))
		o.s.Until(time.Second, func() bool { return len(replies.Messages()) >= len(calls) })
	}
	if held := replies.Messages(); len(held) > 1 {
		replies.Deliver(func(m labrpc.Message) bool { return m.Msg != held[0].Msg })
		o.s.Run(100 * time.Millisecond)
	}
	replies.Release()
	late := violation(ruleContext, "n3 called Write or Swap twice at once, but a call has not returned when its context ended, after one minute")
	first = o.waits(time.Minute+returnLimit, late, calls[0])
	second = o.waits(time.Minute+returnLimit, late, calls[1])
	return first, second
}

// Three clients count, without a lease: each reads, adds one, swaps, and begins again if the swap is refused. No step is
// lost (rule 28).
func TestCountsTogether4E(t *testing.T) {
	const (
		conflict = "a swap was refused"
		each     = 10
	)
	labtest.Run(t, labtest.Config{Nodes: 5, MustCover: []string{conflict}}, func(s *labtest.Sim) {
		o := newLeaseCluster(s)
		var counting []*pendingCall
		for _, id := range []labrpc.NodeID{alice, bob, 5} {
			counting = append(counting, startCall(func() error { return o.count(id, each, func() { s.Cover(conflict) }) }))
		}
		for _, c := range counting {
			err := o.waits(time.Minute, violation(ruleSwap, "three clients count to %d together, but after a minute they have not finished", 3*each), c)
			o.wants(ruleSwap, "a client counts by Read and Swap", err, nil)
		}
		o.holds(ruleSwap, File{fmt.Sprint(3 * each), 3 * each},
			fmt.Sprintf("n3, n4 and n5 had each added 1 to its number %d times, by a Read and a Swap that returned nil", each))
	})
}

// count adds one to the file's number, n times.
func (o *leaseCluster) count(id labrpc.NodeID, n int, conflict func()) error {
	for done := 0; done < n; {
		read, err := o.clients[id].Read(within(time.Minute))
		if err != nil {
			return err
		}
		number := 0
		fmt.Sscan(read.Value, &number)
		switch err := o.clients[id].Swap(within(time.Minute), read, fmt.Sprint(number+1)); {
		case err == nil:
			done++
		case errors.Is(err, ErrConflict):
			conflict()
		default:
			return err
		}
	}
	return nil
}

var longValue = strings.Repeat("long", 5000)

// Every executed write adds one to the version, also one of the value that the file has already, of the empty value, of a long one
// (rule 28). A refused one changes nothing. Tokens and versions may be large (rules 27 and 28).
func TestEveryWriteCounts4E(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 4, Link: steadyLink}, func(s *labtest.Sim) {
		o := newLeaseCluster(s)
		client, want := o.clients[alice], File{}
		write := func(token int, value string, err error) {
			client = o.clients[[]labrpc.NodeID{alice, bob}[want.Version%2]] // any client may have a token: it is data
			o.wants(ruleFence, fmt.Sprintf("a Write with token %d arrives at the store, %v, whose file is %s, version %d", token, storeNode, labtest.Quote(want.Value), want.Version),
				client.Write(within(time.Second), Lease{Token: token}, value), err)
			if err == nil {
				want = File{value, want.Version + 1}
			}
			o.holds(ruleSwap, want)
		}
		swap := func(read File, value string, err error) {
			o.wants(ruleSwap, fmt.Sprintf("a Swap that had read version %d arrives, and the file has version %d", read.Version, want.Version),
				client.Swap(within(time.Second), read, value), err)
			if err == nil {
				want = File{value, want.Version + 1}
			}
			o.holds(ruleSwap, want)
		}
		swap(File{Version: 1}, "future", ErrConflict)
		write(0, "", nil) // no token is lower yet
		for _, value := range []string{"", "a", "a", "", "", "Zürich 東京", longValue, "a"} {
			write(7, value, nil)
			write(6, "late", ErrStale)
			swap(want, value, nil)
			swap(File{value, want.Version - 1}, "late", ErrConflict)
			swap(File{value, want.Version + 1}, "future", ErrConflict)
		}
		last := 7
		for _, token := range []int{1<<8 + 1, 1<<16 + 2, 1<<32 + 3} {
			write(token, "a", nil)
			write(last, "late", ErrStale)
			swap(want, "b", nil)
			write(last, "late", ErrStale)
			write(token-1, "late", ErrStale)
			last = token
		}
		for s.Seed == 1 && want.Version < 300 {
			write(last, "many", nil)
		}
		swap(File{want.Value, want.Version - 1<<8}, "late", ErrConflict)
		swap(File{want.Value, want.Version + 1<<16}, "late", ErrConflict)
	})
}

// The store crashes around every write, and when it has just replied. A confirmed write is there afterwards, with its token. An
// unconfirmed one is there with its version and token, or not at all (rules 27 and 29).
func TestStoreSurvivesCrash4E(t *testing.T) {
	const crashed = "the store crashed at a write"
	labtest.Run(t, labtest.Config{Nodes: 4, Link: steadyLink, MustCover: []string{crashed}}, func(s *labtest.Sim) {
		o := newLeaseCluster(s)
		write := func(token int, value string) error {
			return o.clients[alice].Write(within(time.Second), Lease{Token: token}, value)
		}
		swap := func(read File, value string) error {
			return o.clients[alice].Swap(within(time.Second), read, value)
		}
		// crashes lets the store crash around the i-th write to its disk during a call, and returns the file before and after.
		crashes := func(i int, value string, call func() error) (before, after File) {
			before = o.read()
			s.Net.CrashAtWrite(storeNode, labrpc.CrashPoint{Write: s.Net.Writes(storeNode) + 1 + i/2, After: i%2 == 0})
			confirmed := call() == nil
			if !s.Net.Up(storeNode) {
				s.Cover(crashed)
				s.Run(20 * time.Millisecond) // a request that left as the call ended finds the store down
			}
			o.restartStore()
			after = o.read()
			if written := (File{value, before.Version + 1}); after != written && (confirmed || after != before) {
				want, why := fmt.Sprintf("%+v or %+v", before, written), "which it had not confirmed"
				if confirmed {
					want, why = fmt.Sprintf("%+v", written), "which it had confirmed"
				}
				s.Failf(ruleKept, "after a crash of the store, %v, the file is %+v, want %s: it was %+v, and the store crashed at the write of %q, %s",
					storeNode, after, want, before, value, why)
			}
			return before, after
		}
		o.wants(ruleFence, "a Write with token 7", write(7, "a"), nil)
		o.restartStore()
		o.holds(ruleKept, File{"a", 1})
		o.wants(ruleFence, "the store restarts, and a Write with token 6 arrives after one with token 7", write(6, "b"), ErrStale)
		o.wants(ruleFence, "a Write with token 7 arrives after another with token 7", write(7, "c"), nil)
		last := 7 // the highest token of the executed writes
		for i := range 6 {
			token, value := last+10, fmt.Sprint("w", i)
			before, after := crashes(i, value, func() error { return write(token, value) })
			if after == before {
				o.wants(ruleKept, fmt.Sprintf("the store, %v, has crashed and did not execute the Write with token %d; now a Write with token %d, the highest before, arrives", storeNode, token, last),
					write(last, "again"), nil)
				continue
			}
			last = token
			o.wants(ruleFence, fmt.Sprintf("the store, %v, has crashed after it executed the Write with token %d; now a Write with token %d arrives", storeNode, token, token-1),
				write(token-1, "older"), ErrStale)
		}
		for i := range 6 {
			value := fmt.Sprint("s", i)
			crashes(i, value, func() error { return swap(o.read(), value) })
			o.wants(ruleFence, fmt.Sprintf("after a Swap, a Write with token %d, lower than the highest, arrives at %v", last-1, storeNode), write(last-1, "older"), ErrStale)
			o.wants(ruleFence, fmt.Sprintf("after a Swap, a Write with token %d, the highest, arrives at %v", last, storeNode), write(last, "equal"), nil)
		}
		for i := range 4 { // the reply has just been sent
			file, value := o.read(), fmt.Sprint("r", i)
			replies := s.Net.Stats(labrpc.Match{From: storeNode, Kind: labrpc.Reply}).Sent
			go func() {
				if i%2 == 0 {
					_ = write(last+i, value)
				} else {
					_ = swap(file, value)
				}
			}()
			s.WaitFor(time.Second, *violation(ruleKept, "the store has not replied to a write"), func() bool {
				return s.Net.Stats(labrpc.Match{From: storeNode, Kind: labrpc.Reply}).Sent > replies
			})
			o.restartStore()
			s.Run(20 * time.Millisecond)
			o.holds(ruleKept, File{value, file.Version + 1})
		}
		o.swapsOnce(swap)
	})
}

// swapsOnce: the store executes a Swap, crashes before it replies, and is back while the client still waits. The client may get an error,
// but not ErrConflict, which means that the store has written nothing (rule 28).
func (o *leaseCluster) swapsOnce(swap func(File, string) error) {
	s, file, errs := o.s, o.read(), make(chan error, 1)
	s.Net.CrashAtWrite(storeNode, labrpc.CrashPoint{Write: s.Net.Writes(storeNode) + 1, After: true})
	go func() { errs <- swap(file, "once") }()
	s.Until(100*time.Millisecond, func() bool { return !s.Net.Up(storeNode) })
	o.restartStore()
	s.Until(2*time.Second, func() bool { return len(errs) > 0 })
	after := o.read()
	if len(errs) > 0 && errors.Is(<-errs, ErrConflict) && after == (File{"once", file.Version + 1}) {
		s.Failf(ruleSwap, "Swap(%+v, %q) returned ErrConflict, but the store has executed it: the file is {Value:%q Version:%d}", file, "once", after.Value, after.Version)
	}
}
