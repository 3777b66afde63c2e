package election_test

import (
	"fmt"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/04-election"
)

// A store may write several records, and tidy its disk from time to time. In each of 110 Writes and Swaps the store crashes at its first disk write, in other seeds at the
// second, and so on up to the fifth; or it crashes at random disk writes. No write is lost, executed twice, or without its token (rules 28 and 29).
func TestCrashAtAnyDiskWrite4E(t *testing.T) {
	const crashed = "the store crashed at a disk write"
	labtest.Run(t, labtest.Config{Nodes: 4, Link: steadyLink, MustCover: []string{crashed}}, func(s *labtest.Sim) {
		o := newLeaseCluster(s)
		random, at := s.Seed%2 == 1, 1+int(s.Seed/2%5)
		want, token := File{"first", 1}, 7 // the highest token of the executed writes
		o.wants(ruleFence, "a Write with token 7 is the first", o.clients[alice].Write(within(time.Second), Lease{Token: token}, want.Value), nil)
		for i := range 110 {
			if random && i == 0 || !random {
				s.Net.CrashAtWrite(storeNode, labrpc.CrashPoint{Write: s.Net.Writes(storeNode) + at, After: true})
			}
			value := fmt.Sprint("w", i)
			bySwap := i%3 == 2
			var err error
			if bySwap {
				err = o.clients[alice].Swap(within(time.Second), want, value)
			} else {
				err = o.clients[alice].Write(within(time.Second), Lease{Token: token + 1}, value)
			}
			next := File{value, want.Version + 1}
			if s.Net.Up(storeNode) {
				o.wants(ruleFence, fmt.Sprintf("a Write with a new token or a Swap of version %d arrives at the store", want.Version), err, nil)
				if want = next; !bySwap {
					token++
				}
				continue
			}
			s.Cover(crashed)
			s.Run(20 * time.Millisecond) // a request that left as the call ended finds the store down
			o.restartStore()
			want = o.afterCrash(want, next, err == nil)
			if !bySwap && want == next {
				token++
			}
			o.wants(ruleFence, fmt.Sprintf("the store has crashed and restarted, and a Write with token %d arrives after one with token %d", token-1, token),
				o.clients[bob].Write(within(time.Second), Lease{Token: token - 1}, "older"), ErrStale)
			if random {
				s.Net.CrashAtWrite(storeNode, labrpc.CrashPoint{Write: s.Net.Writes(storeNode) + 1 + s.Rand().IntN(40), After: s.Rand().IntN(2) == 0})
			}
		}
		s.Net.CrashAtWrite(storeNode, labrpc.CrashPoint{})
		o.restartStore()
		o.holds(ruleKept, want, "that was the last write before the restart")
	})
}

// afterCrash checks the file after a crash of the store during a write, and returns it.
func (o *leaseCluster) afterCrash(before, written File, confirmed bool) File {
	after := o.read()
	switch {
	case after == written || after == before && !confirmed:
		return after
	case confirmed:
		o.s.Failf(ruleKept, "after a crash of the store, %v, the file is %+v, want %+v, which it had confirmed", storeNode, after, written)
	}
	o.s.Failf(ruleKept, "after a crash of the store, %v, the file is %+v, want %+v or %+v: the store crashed while it wrote %q", storeNode, after, before, written, written.Value)
	return after
}
