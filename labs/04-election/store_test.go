package election_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/04-election"
)

// The same story without any lease: both have read the same version, and the late one is refused. That the value
// is the old one again makes no difference (rule 28).
func TestLateSwapIsRefused4E(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 4}, func(s *labtest.Sim) {
		o := newOffice(s)
		swap := func(id labrpc.NodeID, read File, value string) error {
			return o.clients[id].Swap(within(time.Minute), read, value)
		}
		o.wants(ruleSwap, "n4 swaps the empty file of version 0", swap(bob, File{}, "a"), nil)
		read := o.read()
		late := o.pauses(func() error { return swap(alice, read, "late") })
		o.wants(ruleSwap, "n4 swaps what it has read", swap(bob, read, "b"), nil)
		o.wants(ruleSwap, "n4 swaps what it had read before its own write", swap(bob, read, "c"), ErrConflict)
		if s.Seed%2 == 0 {
			o.wants(ruleSwap, "n4 swaps what it has read", swap(bob, o.read(), "a"), nil)
		}
		want := o.read()
		o.wants(ruleSwap, "n3 wakes up, the file has changed meanwhile, and n3's swap arrives", o.returns(ruleSwap, late), ErrConflict)
		o.holds(ruleSwap, want)
	})
}

// Three clients count, without any lease: each reads, adds one, swaps, and begins again if that is refused. No
// step is lost (rule 28).
func TestCountsTogether4E(t *testing.T) {
	const (
		conflict = "a swap was refused"
		each     = 10
	)
	labtest.Run(t, labtest.Config{Nodes: 5, MustCover: []string{conflict}}, func(s *labtest.Sim) {
		o := newOffice(s)
		var counting []*try
		for _, id := range []labrpc.NodeID{alice, bob, 5} {
			counting = append(counting, start(func() error { return o.count(id, each, func() { s.Cover(conflict) }) }))
		}
		for _, c := range counting {
			s.WaitFor(time.Minute, *violation(ruleSwap, "three clients count to %d together, and are not done after a minute", 3*each), func() bool {
				_, done := c.result()
				return done
			})
			err, _ := c.result()
			o.wants(ruleSwap, "a client counts by read and swap", err, nil)
		}
		o.holds(ruleSwap, File{fmt.Sprint(3 * each), 3 * each})
	})
}

// count adds one to the file's number, n times.
func (o *office) count(id labrpc.NodeID, n int, conflict func()) error {
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
