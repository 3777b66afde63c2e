package labrpc_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"distlabs/labrpc"
)

// virtually runs f in a synctest bubble, in virtual time. An example has no
// testing.T of its own to give to synctest.Test.
func virtually(f func()) {
	synctest.Test(new(testing.T), func(*testing.T) { f() })
}

type hello struct{ Text string }

type sum struct{ A, B int }

// Two nodes and one message, in virtual time.
func Example() {
	virtually(func() {
		net := labrpc.New(labrpc.Options{Seed: 1, Nodes: 2, Link: labrpc.Link{Latency: labrpc.Fixed(10 * time.Millisecond)}})
		defer net.Close()
		a, b := net.Start(1), net.Start(2)

		labrpc.Receive(b, "hello", func(from labrpc.NodeID, h hello) {
			fmt.Println(from, "says", h.Text, "to", b.ID(), "at", net.Now().Truncate(time.Millisecond))
		})
		if err := labrpc.Send(a, b.ID(), "hello", hello{Text: "good morning"}); err != nil {
			fmt.Println(err)
		}
		net.Run(time.Second)
	})
	// Output: n1 says good morning to n2 at 10ms
}

// A one-way message may be lost; neither side is notified.
func ExampleSend() {
	virtually(func() {
		net := labrpc.New(labrpc.Options{Seed: 1, Nodes: 2, Link: labrpc.Link{Loss: 0.5}})
		defer net.Close()
		a, b := net.Start(1), net.Start(2)

		labrpc.Receive(b, "hello", func(labrpc.NodeID, hello) {})
		for range 100 {
			if err := labrpc.Send(a, 2, "hello", hello{}); err != nil {
				fmt.Println(err)
			}
		}
		net.Run(time.Second)
		s := net.Stats(labrpc.Match{Method: "hello"})
		fmt.Println(s.Sent, "sent, some lost:", s.Lost > 25, "some delivered:", s.Delivered > 25)

		fmt.Println(labrpc.Send(a, 3, "hello", hello{}))
		err := labrpc.Send(a, 2, "hello", struct{ text string }{"secret"})
		fmt.Println(errors.Is(err, labrpc.ErrType), err)
	})
	// Output:
	// 100 sent, some lost: true some delivered: true
	// labrpc: n1→n3 hello: no such node
	// true labrpc: n1→n2 hello: wrong type: field "text" of struct { text string } would not travel: only fields with a capital letter do
}

// A call waits for its reply, and no longer than its context.
func ExampleCall() {
	virtually(func() {
		net := labrpc.New(labrpc.Options{Seed: 1, Nodes: 2, Link: labrpc.Reliable()})
		defer net.Close()
		a, b := net.Start(1), net.Start(2)
		labrpc.Handle(b, "add", func(_ labrpc.NodeID, s sum) int { return s.A + s.B })

		add := func() {
			ctx, cancel := context.WithTimeout(a.Context(), 50*time.Millisecond)
			defer cancel()
			fmt.Println(labrpc.Call[int](ctx, a, 2, "add", sum{A: 2, B: 3}))
		}
		add()
		net.Cut(2, 1) // the request arrives, the reply does not
		add()

		_, err := labrpc.Call[int](a.Context(), a, 2, "subtract", sum{})
		fmt.Println(errors.Is(err, labrpc.ErrNoMethod), err)
	})
	// Output:
	// 5 <nil>
	// 0 labrpc: n1→n2 add: no reply: context deadline exceeded
	// true labrpc: n1→n2 subtract: no such method: n2 has [add]
}

// A counter that survives its node: what was not saved is forgotten, and a
// crash may come before or after any write.
func ExampleNetwork_Crash() {
	virtually(func() {
		net := labrpc.New(labrpc.Options{Seed: 1, Nodes: 1})
		defer net.Close()
		boot := func() {
			node := net.Start(1)
			var starts int
			if _, err := node.Disk().Load("starts", &starts); err != nil {
				fmt.Println(err)
			}
			err := node.Disk().Save("starts", starts+1)
			fmt.Println("found", starts, "saved:", err == nil, "up:", net.Up(1))
			net.Run(time.Millisecond)
		}
		boot()
		net.Crash(1)
		boot()

		net.Crash(1)
		net.CrashAtWrite(1, labrpc.CrashPoint{Write: 1}) // just before it
		boot()
		net.CrashAtWrite(1, labrpc.CrashPoint{Write: 1, After: true})
		boot()
		boot() // finds what the last one did not know to be saved
	})
	// Output:
	// found 0 saved: true up: true
	// found 1 saved: true up: true
	// found 2 saved: false up: false
	// found 2 saved: false up: false
	// found 3 saved: true up: true
}

// The presets differ in what they promise: of a hundred messages sent at once,
// how many arrive, and do all come in time?
func ExampleFairLoss() {
	virtually(func() {
		for _, l := range []struct {
			name string
			link labrpc.Link
		}{
			{"fair loss", labrpc.FairLoss(0.5)},
			{"reliable", labrpc.Reliable()},
			{"synchronous", labrpc.Synchronous(5 * time.Millisecond)},
			{"asynchronous", labrpc.Asynchronous()},
			{"partially synchronous", labrpc.PartiallySynchronous(100*time.Millisecond, 5*time.Millisecond)},
		} {
			net := labrpc.New(labrpc.Options{Seed: 1, Nodes: 2, Link: l.link})
			a, b := net.Start(1), net.Start(2)
			labrpc.Receive(b, "hello", func(labrpc.NodeID, hello) {})
			for range 100 {
				if err := labrpc.Send(a, 2, "hello", hello{}); err != nil {
					fmt.Println(err)
				}
			}
			net.Run(5 * time.Millisecond)
			early := net.Stats(labrpc.Match{})
			net.Run(100 * time.Millisecond)
			later := net.Stats(labrpc.Match{})
			net.Run(time.Hour)
			end := net.Stats(labrpc.Match{})
			fmt.Printf("%s: all after 5ms: %t, after 105ms: %t, eventually: %t\n", l.name,
				early.Delivered == 100, later.Delivered == 100, end.Lost == 0)
			net.Close()
		}
	})
	// Output:
	// fair loss: all after 5ms: false, after 105ms: false, eventually: false
	// reliable: all after 5ms: false, after 105ms: true, eventually: true
	// synchronous: all after 5ms: true, after 105ms: true, eventually: true
	// asynchronous: all after 5ms: false, after 105ms: false, eventually: true
	// partially synchronous: all after 5ms: false, after 105ms: true, eventually: true
}

// A partition divides the nodes; Cut takes one direction of one link.
func ExampleNetwork_Partition() {
	virtually(func() {
		net := labrpc.New(labrpc.Options{Seed: 1, Nodes: 5})
		defer net.Close()

		net.Partition([]labrpc.NodeID{1, 2}) // n3, n4 and n5 form the other side
		fmt.Println(net.Connected(1, 2), net.Connected(1, 3), net.Connected(3, 5))
		net.Heal()
		net.Cut(1, 2)
		fmt.Println(net.Connected(1, 2), net.Connected(2, 1))
		net.HealBoth(1, 2)
		fmt.Println(net.Connected(1, 2))
	})
	// Output:
	// true false true
	// false true
	// true
}

// Hold keeps messages back, so that a test decides which arrives first.
func ExampleNetwork_Hold() {
	virtually(func() {
		net := labrpc.New(labrpc.Options{Seed: 1, Nodes: 3})
		defer net.Close()
		nodes := []*labrpc.Node{net.Start(1), net.Start(2), net.Start(3)}
		labrpc.Receive(nodes[2], "hello", func(from labrpc.NodeID, h hello) { fmt.Println(from, h.Text) })

		held := net.Hold(labrpc.Match{To: 3})
		for i, text := range []string{"first", "second"} {
			if err := labrpc.Send(nodes[i], 3, "hello", hello{Text: text}); err != nil {
				fmt.Println(err)
			}
		}
		net.Run(time.Second)
		fmt.Println(len(held.Messages()), "held")
		held.Deliver(func(m labrpc.Message) bool { return m.From == 2 })
		net.Run(time.Second)
		held.Release()
		net.Run(time.Second)
	})
	// Output:
	// 2 held
	// n2 second
	// n1 first
}

// An interceptor is the adversary of the Byzantine model: it sees, loses,
// alters and forges.
func ExampleNetwork_Intercept() {
	virtually(func() {
		net := labrpc.New(labrpc.Options{Seed: 1, Nodes: 3})
		defer net.Close()
		a, b := net.Start(1), net.Start(2)
		labrpc.Receive(b, "hello", func(from labrpc.NodeID, h hello) { fmt.Println(from, h.Text) })

		var mu sync.Mutex // the interceptor runs in the network's goroutine
		var seen []labrpc.Message
		net.Intercept(func(m *labrpc.Message) labrpc.Verdict {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, *m)
			switch h := m.Body.(hello); h.Text {
			case "secret":
				return labrpc.Drop
			case "pay 1":
				m.Body = hello{Text: "pay 1000"}
				return labrpc.Replace
			}
			return labrpc.Pass
		})
		for _, text := range []string{"secret", "pay 1", "good night"} {
			if err := labrpc.Send(a, 2, "hello", hello{Text: text}); err != nil {
				fmt.Println(err)
			}
			net.Run(time.Millisecond)
		}

		mu.Lock()
		replay := seen[2]
		mu.Unlock()
		replay.From = 3 // which was never started
		if err := net.Inject(replay); err != nil {
			fmt.Println(err)
		}
		net.Run(time.Millisecond)
	})
	// Output:
	// n1 pay 1000
	// n1 good night
	// n3 good night
}

// A node's wall clock may be wrong; package time's is the truth.
func ExampleNetwork_SetClock() {
	virtually(func() {
		net := labrpc.New(labrpc.Options{Seed: 1, Nodes: 2})
		defer net.Close()
		a, b := net.Start(1), net.Start(2)

		net.SetClock(1, time.Second, 100) // ahead by a second, fast by 100 ppm
		show := func() {
			fmt.Println(time.Until(a.Clock().Now()), time.Until(b.Clock().Now()))
		}
		show()
		net.Run(10 * time.Hour)
		show()
		net.JumpClock(2, -time.Minute)
		show()
	})
	// Output:
	// 1s 0s
	// 4.6s 0s
	// 4.6s -1m0s
}

// Outside a bubble the same code runs in real time.
func ExampleNew_realTime() {
	net := labrpc.New(labrpc.Options{Seed: 1, Nodes: 2, Link: labrpc.Link{Latency: labrpc.Fixed(20 * time.Millisecond)}})
	defer net.Close()
	a, b := net.Start(1), net.Start(2)
	labrpc.Handle(b, "add", func(_ labrpc.NodeID, s sum) int { return s.A + s.B })

	began := time.Now()
	fmt.Println(labrpc.Call[int](a.Context(), a, 2, "add", sum{A: 2, B: 3}))
	fmt.Println("took two latencies:", time.Since(began) >= 40*time.Millisecond)
	// Output:
	// 5 <nil>
	// took two latencies: true
}
