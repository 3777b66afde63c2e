package labrpc_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"distlabs/labrpc"
)

type echoArgs struct{ Data []byte }
type echoReply struct{ Data []byte }

// newEcho starts two nodes; n2 answers "echo".
func newEcho(opts labrpc.Options) (*labrpc.Network, *labrpc.Node) {
	opts.Nodes = 2
	net := labrpc.New(opts)
	n1, n2 := net.Start(1), net.Start(2)
	labrpc.Handle(n2, "echo", func(_ labrpc.NodeID, a echoArgs) echoReply { return echoReply(a) })
	return net, n1
}

func calls(b *testing.B, n *labrpc.Node, size int) {
	args := echoArgs{Data: make([]byte, size)}
	for b.Loop() {
		if _, err := labrpc.Call[echoReply](context.Background(), n, 2, "echo", args); err != nil {
			b.Fatal(err)
		}
	}
}

// One call after another between two nodes, no faults, in real time.
func BenchmarkCallRealTime(b *testing.B) {
	for _, size := range []int{16, 1024} {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			net, n := newEcho(labrpc.Options{})
			defer net.Close()
			b.ReportAllocs()
			calls(b, n, size)
		})
	}
}

// The same in virtual time, where each message waits for a quiescent point.
func BenchmarkCallVirtual(b *testing.B) {
	for _, size := range []int{16, 1024} {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			args := echoArgs{Data: make([]byte, size)}
			b.ReportAllocs()
			bubble(b, func() {
				net, n := newEcho(labrpc.Options{})
				defer net.Close()
				for range b.N {
					if _, err := labrpc.Call[echoReply](context.Background(), n, 2, "echo", args); err != nil {
						panic(err)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
		})
	}
}

// bubble runs f in a synctest bubble, for a benchmark: synctest.Test wants a *testing.T.
func bubble(b *testing.B, f func()) {
	ok := testing.RunTests(func(_, _ string) (bool, error) { return true, nil }, []testing.InternalTest{{
		Name: b.Name(),
		F: func(t *testing.T) {
			b.ResetTimer()
			b.StartTimer() // -count runs this more than once
			synctest.Test(t, func(*testing.T) { f() })
			b.StopTimer()
		},
	}})
	if !ok {
		b.Fatal("the bubble failed")
	}
}

// What the deterministic network costs, in virtual seconds simulated in a real one: n nodes that each call
// all others every 50 ms, about what an idle Raft does at its busiest.
func BenchmarkIdleCluster(b *testing.B) {
	for _, nodes := range []int{3, 5, 7} {
		b.Run(fmt.Sprintf("%dnodes", nodes), func(b *testing.B) {
			bubble(b, func() {
				net := labrpc.New(labrpc.Options{Seed: 1, Nodes: nodes, Link: labrpc.Reliable()})
				defer net.Close()
				for _, id := range net.Nodes() {
					startHeartbeats(net.Start(id), id == 1)
				}
				net.Run(time.Duration(b.N) * time.Second)
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "virtual-s/s")
		})
	}
}

type beatArgs struct{ Term, Leader, PrevIndex, PrevTerm, Commit int }
type beatReply struct {
	Term int
	OK   bool
}

func startHeartbeats(n *labrpc.Node, leads bool) {
	labrpc.Handle(n, "append", func(_ labrpc.NodeID, a beatArgs) beatReply { return beatReply{a.Term, true} })
	if !leads {
		return
	}
	for _, p := range n.Peers() {
		go func() {
			for n.Context().Err() == nil {
				ctx, cancel := context.WithTimeout(n.Context(), 40*time.Millisecond)
				labrpc.Call[beatReply](ctx, n, p, "append", beatArgs{Term: 1, Leader: 1})
				cancel()
				time.Sleep(50 * time.Millisecond)
			}
		}()
	}
}
