package labrpc_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"distlabs/labrpc"
)

// How the cost of a network grows with its nodes: each operation makes one, has every node send a message to its successor
// ten times, and closes it. Links are nodes squared.
func BenchmarkNodes(b *testing.B) {
	for _, nodes := range []int{3, 5, 11, 31, 101} {
		b.Run(fmt.Sprintf("%dnodes", nodes), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				inBubble(b, func() { ring(nodes, 10) })
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*nodes*10), "µs/message")
		})
	}
}

// How the cost of a message grows with how many there are: a run of so many, and so many under way at once.
func BenchmarkMessages(b *testing.B) {
	for _, messages := range []int{100, 1000, 10_000, 100_000} {
		b.Run(fmt.Sprintf("%dmessages", messages), func(b *testing.B) {
			for b.Loop() {
				inBubble(b, func() { ring(3, messages/3) })
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*messages), "µs/message")
		})
		b.Run(fmt.Sprintf("%datonce", messages), func(b *testing.B) {
			for b.Loop() {
				inBubble(b, func() { burst(messages) })
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*messages), "µs/message")
		})
	}
}

// ring has every node send so many messages to its successor, one a millisecond.
func ring(nodes, each int) {
	net := labrpc.New(labrpc.Options{Seed: 1, Nodes: nodes, Link: labrpc.Reliable()})
	defer net.Close()
	for _, id := range net.Nodes() {
		n := net.Start(id)
		labrpc.Receive(n, "say", func(labrpc.NodeID, int) {})
		go func() {
			for i := range each {
				labrpc.Send(n, 1+id%labrpc.NodeID(nodes), "say", i)
				time.Sleep(time.Millisecond)
			}
		}()
	}
	net.Run(time.Duration(each+30) * time.Millisecond)
}

// burst has one node send so many messages at one instant.
func burst(messages int) {
	net := labrpc.New(labrpc.Options{Seed: 1, Nodes: 2, Link: labrpc.Reliable()})
	defer net.Close()
	labrpc.Receive(net.Start(2), "say", func(labrpc.NodeID, int) {})
	n := net.Start(1)
	for i := range messages {
		labrpc.Send(n, 2, "say", i)
	}
	net.Run(time.Second)
}

// inBubble runs f in a bubble of its own, within the time of the benchmark.
func inBubble(b *testing.B, f func()) {
	ok := testing.RunTests(func(_, _ string) (bool, error) { return true, nil }, []testing.InternalTest{{
		Name: b.Name(), F: func(t *testing.T) { synctest.Test(t, func(*testing.T) { f() }) },
	}})
	if !ok {
		b.Fatal("the bubble failed")
	}
}
