package labrpc_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"distlabs/labrpc"
)

// inOrder delivers what was sent first, and lets time pass when there is nothing.
type inOrder struct{}

func (inOrder) Next(pending []labrpc.Pending) labrpc.Step {
	if len(pending) > 0 {
		return labrpc.Step{Do: labrpc.Deliver}
	}
	return labrpc.Step{Do: labrpc.Wait, Limit: time.Second}
}

// steps does what a test lists, and then lets time pass.
type steps struct {
	list []func(pending []labrpc.Pending) labrpc.Step
	log  []string
}

func (s *steps) Next(pending []labrpc.Pending) labrpc.Step {
	if len(pending) > 0 {
		names := make([]string, len(pending))
		for i, p := range pending {
			names[i] = fmt.Sprintf("%v→%v %s#%d", p.From, p.To, p.Method, p.Number)
		}
		s.log = append(s.log, strings.Join(names, " "))
	}
	if len(s.list) == 0 || len(pending) == 0 {
		return labrpc.Step{Do: labrpc.Wait, Limit: time.Hour}
	}
	f := s.list[0]
	s.list = s.list[1:]
	return f(pending)
}

func do(step labrpc.Step) func([]labrpc.Pending) labrpc.Step {
	return func([]labrpc.Pending) labrpc.Step { return step }
}

// A message arrives when the scheduler says so, once or more often, or never, and no time passes before it says so.
func TestSchedulerDecides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &steps{}
		s.list = []func([]labrpc.Pending) labrpc.Step{
			func(p []labrpc.Pending) labrpc.Step {
				require.Equal(t, "one", p[0].Body())
				require.Equal(t, labrpc.OneWay, p[0].Kind)
				return labrpc.Step{Do: labrpc.Deliver, Message: 2}
			},
			do(labrpc.Step{Do: labrpc.DeliverCopy}),
			do(labrpc.Step{Do: labrpc.Lose, Message: 1}),
			do(labrpc.Step{Do: labrpc.Wait, Limit: time.Second}),
			func(p []labrpc.Pending) labrpc.Step {
				require.Equal(t, 1, p[0].Copy)
				return labrpc.Step{Do: labrpc.Deliver}
			},
		}
		net := labrpc.New(labrpc.Options{Nodes: 2, Link: labrpc.FairLoss(1), Scheduler: s})
		defer net.Close()
		a, b := net.Start(1), net.Start(2)
		var got []string
		labrpc.Receive(b, "say", func(_ labrpc.NodeID, word string) {
			labrpc.Tell(b, word, func(at time.Duration, word string) { got = append(got, fmt.Sprintf("%s at %v", word, at)) })
		})
		for _, word := range []string{"one", "two", "three"} {
			labrpc.Send(a, 2, "say", word)
		}
		net.Run(time.Minute)
		require.Equal(t, []string{"three at 0s", "one at 0s", "one at 1s"}, got)
		require.Equal(t, "n1→n2 say#1 n1→n2 say#2 n1→n2 say#3", s.log[0])
		stats := net.Stats(labrpc.Match{})
		require.Equal(t, labrpc.MethodStats{Sent: 3, Delivered: 3, Lost: 1, Duplicated: 1}, stats)
	})
}

// A step may crash and start nodes; a message to one that is down is lost, and a reply to an old incarnation too.
func TestSchedulerCrashes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net *labrpc.Network
		starts := 0
		start := func(n *labrpc.Node) {
			starts++
			count := starts
			labrpc.Handle(n, "count", func(labrpc.NodeID, int) int { return count })
		}
		s := &steps{}
		s.list = []func([]labrpc.Pending) labrpc.Step{
			func([]labrpc.Pending) labrpc.Step {
				start(net.Restart(2))
				return labrpc.Step{Do: labrpc.Settle}
			},
			do(labrpc.Step{Do: labrpc.Deliver}),
			do(labrpc.Step{Do: labrpc.Deliver}),
		}
		net = labrpc.New(labrpc.Options{Nodes: 2, Scheduler: s})
		defer net.Close()
		a := net.Start(1)
		start(net.Start(2))
		net.Run(0)
		reply, err := labrpc.Call[int](context.Background(), a, 2, "count", 1)
		require.NoError(t, err)
		require.Equal(t, 2, reply)
	})
}

// The same steps are the same run, and looking at it does not change it.
func TestSameStepsSameRun(t *testing.T) {
	run := func(seed uint64, observe func(labrpc.Event)) (steps, sent int) {
		synctest.Test(t, func(t *testing.T) {
			s := &walk{rand: rand.New(rand.NewPCG(seed, 0)), left: 300}
			net := labrpc.New(labrpc.Options{Seed: seed, Nodes: 3, Scheduler: s, Observe: observe})
			defer net.Close()
			for _, id := range net.Nodes() {
				startGossip(net.Start(id))
			}
			net.Run(10 * time.Second)
			steps, sent = s.asked, net.Stats(labrpc.Match{}).Sent
		})
		return steps, sent
	}
	record := func(seed uint64) (lines []string) {
		run(seed, func(e labrpc.Event) { lines = append(lines, line(e)) })
		return lines
	}
	for seed := uint64(1); seed <= 3; seed++ {
		first := record(seed)
		require.Greater(t, len(first), 300)
		for range *repeats / 5 {
			if again := record(seed); !equal(first, again) {
				t.Fatalf("seed %d: %s", seed, firstDifference(first, again))
			}
		}
		steps, sent := run(seed, nil)
		steps2, sent2 := run(seed, func(labrpc.Event) {})
		require.Equal(t, []int{steps, sent}, []int{steps2, sent2})
	}
}

// walk takes random steps, and then lets time pass.
type walk struct {
	rand        *rand.Rand
	left, asked int
}

func (w *walk) Next(pending []labrpc.Pending) labrpc.Step {
	w.asked++
	w.left--
	i := w.rand.IntN(len(pending) + 1)
	switch {
	case w.left < 0:
		return labrpc.Step{Do: labrpc.Wait, Limit: 10 * time.Hour}
	case i == len(pending):
		return labrpc.Step{Do: labrpc.Wait, Limit: time.Second}
	}
	return labrpc.Step{Do: []labrpc.Do{labrpc.Deliver, labrpc.Deliver, labrpc.Lose, labrpc.DeliverCopy}[w.rand.IntN(4)], Message: i}
}

func TestSchedulerNeedsVirtualTime(t *testing.T) {
	require.PanicsWithValue(t, "labrpc: New with a Scheduler outside a synctest bubble: only virtual time waits for it", func() {
		labrpc.New(labrpc.Options{Nodes: 1, Scheduler: inOrder{}})
	})
}
