package labrpc_test

import (
	"fmt"
	"hash/fnv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"distlabs/labrpc"
)

// Of many messages that take equally long, each arrives at a node at an instant of its own, and soon; a link that keeps the order still does.
func TestOneArrivalAnInstant(t *testing.T) {
	const each = 2000
	for _, link := range []labrpc.Link{{Latency: labrpc.Fixed(time.Millisecond)}, {Latency: labrpc.Fixed(time.Millisecond), InOrder: true}} {
		synctest.Test(t, func(t *testing.T) {
			net := labrpc.New(labrpc.Options{Seed: 1, Nodes: 3, Link: link})
			defer net.Close()
			start := time.Now()
			var mu sync.Mutex
			at, next := map[time.Time]bool{}, map[labrpc.NodeID]int{}
			labrpc.Receive(net.Start(2), "say", func(from labrpc.NodeID, i int) {
				mu.Lock()
				defer mu.Unlock()
				at[time.Now()] = true
				if link.InOrder {
					require.Equal(t, next[from], i)
				}
				next[from]++
			})
			for _, id := range []labrpc.NodeID{1, 3} {
				n := net.Start(id)
				go func() {
					for i := range each {
						labrpc.Send(n, 2, "say", i)
					}
				}()
			}
			net.Run(time.Second)
			mu.Lock()
			defer mu.Unlock()
			arrived := len(at)
			require.Equal(t, 2*each, arrived)
			for when := range at {
				require.Less(t, when.Sub(start), time.Millisecond+2*each+2*time.Microsecond)
			}
		})
	}
}

// Goroutines of one node that have each a reply, pause equally long, and then make the same call, do so one after another:
// the same in each run.
func TestEqualPausesReplay(t *testing.T) {
	const many = 300
	run := func() (digest uint64) {
		synctest.Test(t, func(t *testing.T) {
			net := labrpc.New(labrpc.Options{Seed: 1, Nodes: 2, Link: labrpc.Link{Latency: labrpc.Fixed(time.Millisecond)}})
			defer net.Close()
			var mu sync.Mutex
			sum, tickets := fnv.New64a(), 0
			server, client := net.Start(2), net.Start(1)
			labrpc.Handle(server, "ticket", func(labrpc.NodeID, int) int {
				mu.Lock()
				defer mu.Unlock()
				tickets++
				return tickets
			})
			labrpc.Handle(server, "use", func(_ labrpc.NodeID, used [2]int) int {
				mu.Lock()
				defer mu.Unlock()
				fmt.Fprintln(sum, used)
				return 0
			})
			var done atomic.Int64
			for i := range many {
				time.AfterFunc(time.Duration(i+1), func() {
					ctx := client.Context()
					if _, err := labrpc.Call[int](ctx, client, 2, "ticket", 0); err != nil {
						return
					}
					time.Sleep(20 * time.Millisecond)
					ticket, err := labrpc.Call[int](ctx, client, 2, "ticket", 0)
					if err != nil {
						return
					}
					if _, err := labrpc.Call[int](ctx, client, 2, "use", [2]int{i, ticket}); err == nil {
						done.Add(1)
					}
				})
			}
			net.Run(time.Second)
			require.EqualValues(t, many, done.Load())
			mu.Lock()
			defer mu.Unlock()
			digest = sum.Sum64()
		})
		return digest
	}
	first := run()
	for range 10 {
		require.Equal(t, first, run())
	}
}
