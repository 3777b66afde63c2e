package labrpc_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"distlabs/labrpc"
)

// lab is a network in a bubble whose nodes note each "note" that they receive.
type lab struct {
	*labrpc.Network
	t    *testing.T
	got  []string // "n1→n2 text", in the order of arrival
	node []*labrpc.Node
}

type note struct{ Text string }

// inLab runs f in a bubble with started nodes.
func inLab(t *testing.T, opts labrpc.Options, f func(l *lab)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := &lab{Network: labrpc.New(opts), t: t, node: make([]*labrpc.Node, opts.Nodes+1)}
		defer l.Close()
		for _, id := range l.Nodes() {
			l.start(id)
		}
		f(l)
	})
}

func (l *lab) start(id labrpc.NodeID) {
	n := l.Start(id)
	l.node[id] = n
	labrpc.Receive(n, "note", func(from labrpc.NodeID, m note) {
		labrpc.Tell(n, m, func(_ time.Duration, m note) { l.got = append(l.got, fmt.Sprintf("%v→%v %s", from, id, m.Text)) })
	})
}

func (l *lab) send(from, to labrpc.NodeID, text string) {
	require.NoError(l.t, labrpc.Send(l.node[from], to, "note", note{text}))
}

// arrived lets a second pass and returns what has arrived since it was last asked.
func (l *lab) arrived() []string {
	l.Run(time.Second)
	got := l.got
	l.got = nil
	return got
}

func TestCuts(t *testing.T) {
	inLab(t, labrpc.Options{Nodes: 3}, func(l *lab) {
		l.Cut(1, 2)
		l.send(1, 2, "a")
		l.send(2, 1, "b")
		require.Equal(t, []string{"n2→n1 b"}, l.arrived(), "a cut has one direction")
		require.False(t, l.Connected(1, 2))

		l.Isolate(3)
		l.send(3, 1, "c")
		l.send(1, 3, "d")
		require.Empty(t, l.arrived())

		l.Heal()
		l.Partition([]labrpc.NodeID{1, 2})
		l.send(1, 2, "e")
		l.send(1, 3, "f")
		require.Equal(t, []string{"n1→n2 e"}, l.arrived(), "those in no group are one more group")

		l.HealBoth(1, 3)
		l.send(1, 3, "g")
		l.send(2, 3, "h")
		require.Equal(t, []string{"n1→n3 g"}, l.arrived())
	})
}

// A cut also takes what is under way.
func TestCutOnTheWay(t *testing.T) {
	inLab(t, labrpc.Options{Nodes: 2, Link: labrpc.Link{Latency: labrpc.Fixed(100 * time.Millisecond)}}, func(l *lab) {
		l.send(1, 2, "a")
		l.Run(50 * time.Millisecond)
		l.Cut(1, 2)
		require.Empty(t, l.arrived())
		require.Equal(t, labrpc.MethodStats{Sent: 1, Lost: 1}, l.Stats(labrpc.Match{}))
	})
}

func TestLossDuplicationReordering(t *testing.T) {
	const n = 4000
	run := func(link labrpc.Link) (stats labrpc.MethodStats, inversions int) {
		inLab(t, labrpc.Options{Seed: 3, Nodes: 2, Link: link}, func(l *lab) {
			for i := range n {
				l.send(1, 2, fmt.Sprintf("%06d", i))
				l.Run(time.Millisecond)
			}
			l.Run(time.Minute)
			for i := 1; i < len(l.got); i++ {
				if l.got[i] < l.got[i-1] {
					inversions++
				}
			}
			stats = l.Stats(labrpc.Match{From: 1, To: 2, Method: "note", Kind: labrpc.OneWay})
			require.Equal(t, stats.Delivered, len(l.got))
		})
		return stats, inversions
	}

	s, inv := run(labrpc.Link{Loss: 0.3})
	require.InDelta(t, 0.3, float64(s.Lost)/n, 0.03)
	require.Zero(t, inv)
	require.Equal(t, n, s.Lost+s.Delivered)

	s, _ = run(labrpc.Link{Duplicate: 0.2})
	require.InDelta(t, 0.2, float64(s.Duplicated)/n, 0.03)
	require.Equal(t, n+s.Duplicated, s.Delivered)

	s, inv = run(labrpc.Link{Reorder: 0.1, ReorderBy: 20 * time.Millisecond})
	require.Equal(t, n, s.Delivered)
	require.InDelta(t, 0.1, float64(inv)/n, 0.05)

	_, inv = run(labrpc.Link{Latency: labrpc.Uniform(0, 50*time.Millisecond), InOrder: true})
	require.Zero(t, inv, "InOrder is first in, first out")
}

// The quantile functions are the distributions that they are named after.
func TestLatencies(t *testing.T) {
	mean := func(l labrpc.Latency) (mean, lowest, highest time.Duration) {
		const n = 20000
		lowest = math.MaxInt64
		sum := 0.0
		for i := range n {
			d := l((float64(i)+0.5)/n, 0)
			sum += float64(d)
			lowest, highest = min(lowest, d), max(highest, d)
		}
		return time.Duration(sum / n), lowest, highest
	}
	const ms = time.Millisecond
	m, lo, hi := mean(labrpc.Uniform(10*ms, 30*ms))
	require.InDelta(t, 20, m.Seconds()*1000, 0.1)
	require.GreaterOrEqual(t, lo, 10*ms)
	require.Less(t, hi, 30*ms)

	m, lo, _ = mean(labrpc.Exponential(5*ms, 20*ms))
	require.InDelta(t, 25, m.Seconds()*1000, 0.2)
	require.GreaterOrEqual(t, lo, 5*ms)

	require.InDelta(t, 10, labrpc.LogNormal(10*ms, 1)(0.5, 0).Seconds()*1000, 0.01)
	m, _, _ = mean(labrpc.LogNormal(10*ms, 0.5))
	require.InDelta(t, 10*math.Exp(0.125), m.Seconds()*1000, 0.1)

	_, _, hi = mean(labrpc.Synchronous(50 * ms).Latency)
	require.Less(t, hi, 50*ms)
	require.Greater(t, labrpc.Asynchronous().Latency(0.991, 0), time.Second)
	require.Less(t, labrpc.Asynchronous().Latency(0.5, 0), 10*ms)

	ps := labrpc.PartiallySynchronous(time.Minute, 50*ms).Latency
	require.Greater(t, ps(0.999, 0), time.Second)
	require.LessOrEqual(t, ps(0.9999, 59*time.Second), time.Second+50*ms, "sent before gst, there by gst+bound")
	require.LessOrEqual(t, ps(0.9999, time.Minute), 50*ms)
}

func TestHold(t *testing.T) {
	inLab(t, labrpc.Options{Nodes: 3}, func(l *lab) {
		held := l.Hold(labrpc.Match{From: 1, To: 2})
		l.send(1, 2, "a")
		l.send(1, 2, "b")
		l.send(1, 2, "c")
		l.send(1, 3, "d")
		require.Equal(t, []string{"n1→n3 d"}, l.arrived())
		msgs := held.Messages()
		require.Len(t, msgs, 3)
		require.Equal(t, note{"a"}, msgs[0].Body)

		is := func(text string) func(labrpc.Message) bool {
			return func(m labrpc.Message) bool { return m.Body.(note).Text == text }
		}
		require.Equal(t, 1, held.Deliver(is("b")))
		require.Equal(t, []string{"n1→n2 b"}, l.arrived())
		require.Equal(t, 1, held.Discard(is("a")))
		l.send(1, 2, "e")
		require.Empty(t, l.arrived(), "it goes on holding")
		require.Equal(t, 2, held.Release())
		require.ElementsMatch(t, []string{"n1→n2 c", "n1→n2 e"}, l.arrived())
		l.send(1, 2, "f")
		require.Equal(t, []string{"n1→n2 f"}, l.arrived())

		held = l.HoldIf(labrpc.Match{To: 2}, func(m labrpc.Message) bool { return m.Body.(note).Text == "g" })
		l.send(1, 2, "g")
		l.send(3, 2, "h")
		require.Equal(t, []string{"n3→n2 h"}, l.arrived())
		require.Equal(t, 1, held.Release())
	})
}

// What is delivered at once runs at the same time: each handler and each caller waits, without letting virtual time pass, until the other is there.
func TestDeliverAtOnce(t *testing.T) {
	inLab(t, labrpc.Options{Nodes: 3}, func(l *lab) {
		var there, met atomic.Int32
		meet := func() {
			there.Add(1)
			for range 1_000_000 {
				if there.Load() == 2 {
					met.Add(1)
					return
				}
				runtime.Gosched()
			}
		}
		labrpc.Receive(l.node[1], "meet", func(labrpc.NodeID, note) { meet() })
		labrpc.Handle(l.node[2], "ask", func(labrpc.NodeID, note) note { return note{} })
		go func() {
			_, _ = labrpc.Call[note](l.node[1].Context(), l.node[1], 2, "ask", note{})
			meet()
		}()
		held := l.Hold(labrpc.Match{To: 1})
		require.NoError(t, labrpc.Send(l.node[3], 1, "meet", note{}))
		l.send(3, 1, "a")
		require.Empty(t, l.arrived())
		before := l.Now()
		require.Equal(t, 2, held.DeliverAtOnce(func(m labrpc.Message) bool { return m.Method != "note" }))
		l.Run(0)
		require.EqualValues(t, 2, met.Load())
		require.Less(t, l.Now()-before, time.Microsecond)
		l.Cut(3, 1)
		require.Equal(t, 1, held.DeliverAtOnce(nil))
		require.Empty(t, l.arrived(), "a cut link brings nothing")
		l.Heal()
		l.send(3, 1, "b")
		require.Empty(t, l.arrived(), "it goes on holding")
		require.Equal(t, 1, held.Release())
		require.Equal(t, []string{"n3→n1 b"}, l.arrived())
	})
}

func TestAdversary(t *testing.T) {
	inLab(t, labrpc.Options{Nodes: 3}, func(l *lab) {
		l.Intercept(func(m *labrpc.Message) labrpc.Verdict {
			switch m.Body.(note).Text {
			case "drop":
				return labrpc.Drop
			case "alter":
				m.Body = note{"altered"}
				return labrpc.Replace
			case "blame":
				m.From = 3
				return labrpc.Replace
			}
			m.Body = note{"only a copy"}
			return labrpc.Pass
		})
		for _, text := range []string{"drop", "alter", "blame", "pass"} {
			l.send(1, 2, text)
		}
		require.ElementsMatch(t, []string{"n1→n2 altered", "n3→n2 blame", "n1→n2 pass"}, l.arrived())

		require.NoError(t, l.Inject(labrpc.Message{From: 3, To: 1, Method: "note", Body: note{"forged"}}))
		require.Equal(t, []string{"n3→n1 forged"}, l.arrived())
		require.Equal(t, 4, l.Stats(labrpc.Match{}).Sent, "forgeries do not count")
		require.ErrorContains(t, l.Inject(labrpc.Message{From: 3, To: 1, Method: "note", Body: func() {}}), "cannot be sent")
	})
}

func TestCrashFencesTheIncarnation(t *testing.T) {
	inLab(t, labrpc.Options{Nodes: 2, Link: labrpc.Link{Latency: labrpc.Fixed(10 * time.Millisecond)}}, func(l *lab) {
		old := l.node[1]
		require.NoError(t, old.Disk().Save("term", 7))
		l.send(1, 2, "sent before the crash")
		l.Run(time.Millisecond)
		l.Crash(1)
		require.ErrorIs(t, labrpc.Send(old, 2, "note", note{"late"}), labrpc.ErrDown)
		require.ErrorIs(t, old.Disk().Save("term", 8), labrpc.ErrDown)
		require.ErrorIs(t, labrpc.Tell(old, 1, func(time.Duration, int) { t.Error("told") }), labrpc.ErrDown)
		_, err := labrpc.Call[int](context.Background(), old, 2, "x", 1)
		require.ErrorIs(t, err, labrpc.ErrDown)
		require.Error(t, old.Context().Err())
		require.False(t, l.Up(1))
		require.Equal(t, []string{"n1→n2 sent before the crash"}, l.arrived())

		l.send(2, 1, "to a dead node")
		require.Empty(t, l.arrived())
		l.start(1)
		require.Equal(t, 2, l.Incarnation(1))
		var term int
		found, err := l.node[1].Disk().Load("term", &term)
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, 7, term)
		require.ErrorIs(t, old.Disk().Delete("term"), labrpc.ErrDown, "the old incarnation stays fenced off")

		l.Stop(1)
		require.PanicsWithValue(t, "labrpc: Start of n1, which is stopped forever", func() { l.Start(1) })
	})
}

// A reply to an incarnation that has crashed never reaches its successor.
func TestReplyToThePreviousIncarnation(t *testing.T) {
	inLab(t, labrpc.Options{Nodes: 2, Link: labrpc.Link{Latency: labrpc.Fixed(10 * time.Millisecond)}}, func(l *lab) {
		labrpc.Handle(l.node[2], "slow", func(labrpc.NodeID, int) int { time.Sleep(time.Second); return 1 })
		var err error
		done := make(chan bool)
		n1 := l.node[1]
		go func() {
			_, err = labrpc.Call[int](context.Background(), n1, 2, "slow", 1)
			close(done)
		}()
		l.Run(500 * time.Millisecond)
		l.Crash(1)
		l.start(1)
		l.Run(2 * time.Second)
		<-done
		require.ErrorIs(t, err, labrpc.ErrDown)
		require.Equal(t, 1, l.Stats(labrpc.Match{Kind: labrpc.Reply}).Lost)
	})
}

func TestCrashAtWrite(t *testing.T) {
	for _, after := range []bool{false, true} {
		inLab(t, labrpc.Options{Nodes: 1}, func(l *lab) {
			d := l.node[1].Disk()
			require.NoError(t, d.Write("a", []byte("1")))
			l.CrashAtWrite(1, labrpc.CrashPoint{Write: l.Writes(1) + 2, After: after})
			require.NoError(t, d.Write("b", []byte("2")))
			require.ErrorIs(t, d.Write("a", []byte("3")), labrpc.ErrDown)
			require.ErrorIs(t, d.Write("a", []byte("4")), labrpc.ErrDown)
			require.False(t, l.Up(1))
			l.start(1)
			l.CrashAtWrite(1, labrpc.CrashPoint{Write: 1})
			l.Crash(1)
			l.start(1)
			require.NoError(t, l.node[1].Disk().Write("c", nil), "the crash point ended with its incarnation")
			require.NoError(t, l.node[1].Disk().Delete("c"))
			got, ok := l.node[1].Disk().Read("a")
			require.True(t, ok)
			require.Equal(t, map[bool]string{false: "1", true: "3"}[after], string(got))
			require.Equal(t, []string{"a", "b"}, l.Disk(1).Names())
			require.ErrorContains(t, l.Disk(1).Write("a", nil), "a test may only look at the disk of n1")
		})
	}
}

func TestPause(t *testing.T) {
	inLab(t, labrpc.Options{Nodes: 2, Link: labrpc.Link{Latency: labrpc.Fixed(10 * time.Millisecond)}}, func(l *lab) {
		l.Pause(1, 10*time.Second)
		l.send(1, 2, "out")
		l.send(2, 1, "in 1")
		l.Run(20 * time.Millisecond)
		l.send(2, 1, "in 2")
		l.Run(9 * time.Second)
		require.Empty(t, l.got)
		require.Equal(t, []string{"n2→n1 in 1", "n2→n1 in 2", "n1→n2 out"}, l.arrived())
	})
}

func TestClock(t *testing.T) {
	inLab(t, labrpc.Options{Nodes: 1}, func(l *lab) {
		c := l.node[1].Clock()
		truth := time.Now()
		require.Zero(t, c.Now().Sub(truth.Round(0)))
		l.SetClock(1, time.Second, 100)
		l.Run(time.Hour)
		require.InDelta(t, 1.36, c.Now().Sub(time.Now().Round(0)).Seconds(), 1e-6, "100 ppm are 0.36s an hour")
		l.JumpClock(1, -time.Minute)
		require.InDelta(t, 1.36-60, c.Now().Sub(time.Now().Round(0)).Seconds(), 1e-6)
		l.Run(time.Hour)
		require.InDelta(t, 1.72-60, c.Now().Sub(time.Now().Round(0)).Seconds(), 1e-6, "a jump keeps the drift")
		l.Crash(1)
		l.start(1)
		require.InDelta(t, 1.72-60, l.ReadClock(1).Sub(time.Now().Round(0)).Seconds(), 1e-6, "a restart keeps the clock")
	})
}

type hidden struct{ Term, vote int }

// Wrong use is an error at once, in words, never silence.
func TestWrongUse(t *testing.T) {
	inLab(t, labrpc.Options{Nodes: 2}, func(l *lab) {
		n1, n2 := l.node[1], l.node[2]
		labrpc.Handle(n2, "double", func(_ labrpc.NodeID, x int) int { return 2 * x })
		ctx := context.Background()

		err := labrpc.Send(n1, 2, "note", hidden{vote: 1})
		require.ErrorIs(t, err, labrpc.ErrType)
		require.ErrorContains(t, err, `field "vote" of labrpc_test.hidden would not travel`)
		require.ErrorIs(t, labrpc.Send(n1, 2, "note", make(chan int)), labrpc.ErrType)
		require.ErrorIs(t, labrpc.Send(n1, 9, "note", note{}), labrpc.ErrNoNode)

		_, err = labrpc.Call[int](ctx, n1, 2, "duoble", 1)
		require.ErrorIs(t, err, labrpc.ErrNoMethod)
		require.ErrorContains(t, err, "n2 has [double note]")
		_, err = labrpc.Call[int](ctx, n1, 2, "double", "one")
		require.ErrorIs(t, err, labrpc.ErrType)
		require.ErrorContains(t, err, "the handler takes int, got string")
		_, err = labrpc.Call[string](ctx, n1, 2, "double", 1)
		require.ErrorIs(t, err, labrpc.ErrType)
		_, err = labrpc.Call[int](ctx, n1, 2, "note", note{})
		require.ErrorIs(t, err, labrpc.ErrNoMethod)
		got, err := labrpc.Call[int](ctx, n1, 2, "double", 21)
		require.NoError(t, err)
		require.Equal(t, 42, got)

		require.NoError(t, labrpc.Send(n1, 2, "nota", note{}))
		l.Run(time.Second)
		require.Len(t, l.Misuses(), 1)
		require.Contains(t, l.Misuses()[0], `n1→n2 nota: no such method`)
		require.Panics(t, func() { labrpc.Handle(n2, "double", func(labrpc.NodeID, int) int { return 0 }) })

		timeout, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		l.Cut(2, 1)
		_, err = labrpc.Call[int](timeout, n1, 2, "double", 1)
		require.ErrorIs(t, err, labrpc.ErrNoReply)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

type tree struct {
	Name string
	Kids []*tree
	Of   map[string][]int
	When time.Time
	Raw  [3]uint16
}

// What arrives is a copy, whatever the value is made of.
func TestCopies(t *testing.T) {
	inLab(t, labrpc.Options{Nodes: 2}, func(l *lab) {
		labrpc.Handle(l.node[2], "grow", func(_ labrpc.NodeID, x tree) tree {
			x.Kids[0].Name = "changed"
			x.Of["a"][0] = 9
			return x
		})
		sent := tree{
			Name: "root", Kids: []*tree{{Name: "kid"}, nil}, Of: map[string][]int{"a": {1, 2}},
			When: time.Now(), Raw: [3]uint16{1, 2, 3},
		}
		got, err := labrpc.Call[tree](context.Background(), l.node[1], 2, "grow", sent)
		require.NoError(t, err)
		require.Equal(t, "kid", sent.Kids[0].Name)
		require.Equal(t, []int{1, 2}, sent.Of["a"])
		require.Equal(t, "changed", got.Kids[0].Name)
		require.Equal(t, []int{9, 2}, got.Of["a"])
		require.Nil(t, got.Kids[1])
		require.True(t, sent.When.Equal(got.When))
		require.Equal(t, sent.Raw, got.Raw)

		ring := &tree{}
		ring.Kids = []*tree{ring}
		err = labrpc.Send(l.node[1], 2, "grow", *ring)
		require.ErrorContains(t, err, "does it contain itself?")
	})
}

// One message's fault can be switched off, and no other message's fate changes: what minimising a failure needs.
func TestSuppressOneFault(t *testing.T) {
	lost := func(suppress func(labrpc.Fault) bool) (numbers []uint64) {
		opts := labrpc.Options{Seed: 1, Nodes: 2, Link: labrpc.FairLoss(0.2), Suppress: suppress}
		opts.Observe = func(e labrpc.Event) {
			if e.Kind == labrpc.EventLost {
				numbers = append(numbers, e.Number)
			}
		}
		inLab(t, opts, func(l *lab) {
			for range 100 {
				l.send(1, 2, "x")
				l.Run(time.Millisecond)
			}
			l.Run(time.Second)
		})
		return numbers
	}
	all := lost(nil)
	require.Greater(t, len(all), 5)
	spared := all[3]
	rest := lost(func(f labrpc.Fault) bool { return f.Kind == labrpc.FaultLoss && f.Number == spared })
	require.Equal(t, append(append([]uint64{}, all[:3]...), all[4:]...), rest)
}

// Outside a bubble the same network runs in real time.
func TestRealTime(t *testing.T) {
	net := labrpc.New(labrpc.Options{Nodes: 3, Link: labrpc.Link{Latency: labrpc.Fixed(2 * time.Millisecond)}, Observe: func(labrpc.Event) {}})
	defer net.Close()
	n1, n2 := net.Start(1), net.Start(2)
	labrpc.Handle(n2, "double", func(_ labrpc.NodeID, x int) int { n2.Disk().Save("x", x); return 2 * x })
	got, err := labrpc.Call[int](context.Background(), n1, 2, "double", 4)
	require.NoError(t, err)
	require.Equal(t, 8, got)
	steps := make(chan bool, 1)
	net.OnStep(func() bool { steps <- true; return false })
	<-steps
	net.CrashAtWrite(2, labrpc.CrashPoint{Write: net.Writes(2) + 1})
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_, err = labrpc.Call[int](ctx, n1, 2, "double", 5)
	require.True(t, errors.Is(err, labrpc.ErrNoReply))
	require.True(t, net.RunUntil(time.Second, func() bool { return !net.Up(2) }))
	require.False(t, net.RunUntil(5*time.Millisecond, func() bool { return net.Up(2) }))
	net.Run(time.Millisecond)
}

// A function that the network calls while it works must not call it back: it would wait for itself. In virtual time the
// network says so at once.
func TestCallingBackPanics(t *testing.T) {
	for name, setup := range map[string]func(net *labrpc.Network, n *labrpc.Node, call func()){
		"Intercept": func(net *labrpc.Network, n *labrpc.Node, call func()) {
			net.Intercept(func(*labrpc.Message) labrpc.Verdict { call(); return labrpc.Pass })
			labrpc.Send(n, 2, "x", 1)
		},
		"Tell": func(_ *labrpc.Network, n *labrpc.Node, call func()) {
			labrpc.Tell(n, 1, func(time.Duration, int) { call() })
		},
	} {
		for method, use := range map[string]func(*labrpc.Network){
			"Cut":    func(net *labrpc.Network) { net.Cut(1, 2) },
			"Up":     func(net *labrpc.Network) { net.Up(1) },
			"Stats":  func(net *labrpc.Network) { net.Stats(labrpc.Match{}) },
			"Inject": func(net *labrpc.Network) { net.Inject(labrpc.Message{From: 1, To: 2, Method: "x", Body: 1}) },
		} {
			t.Run(name+" calls "+method, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					net := labrpc.New(labrpc.Options{Nodes: 2})
					defer net.Close()
					said, now := "", false
					setup(net, net.Start(1), func() {
						defer func() { said = fmt.Sprint(recover()) }()
						now = net.Now() >= 0
						use(net)
					})
					net.Run(time.Second)
					require.True(t, now, "Now may be asked")
					require.Equal(t, "labrpc: a function given to "+name+" calls the network, which waits for it: "+
						"note what is to be done, and do it at the next quiescent point", said)
					require.True(t, net.Up(1), "afterwards all is as usual")
				})
			})
		}
	}
}

// A message that is late beyond the ordinary is a fault that can be left out: it then takes the median, and nothing else changes.
func TestSuppressLate(t *testing.T) {
	arrivals := func(suppress func(labrpc.Fault) bool) (at []time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			net := labrpc.New(labrpc.Options{Seed: 3, Nodes: 2, Link: labrpc.Asynchronous(), Suppress: suppress})
			defer net.Close()
			a, b := net.Start(1), net.Start(2)
			at = make([]time.Duration, 50)
			labrpc.Receive(b, "x", func(_ labrpc.NodeID, i int) {
				labrpc.Tell(b, i, func(now time.Duration, i int) { at[i] = now })
			})
			for i := range at {
				labrpc.Send(a, 2, "x", i)
				net.Run(1)
			}
			net.Run(time.Hour)
		})
		return at
	}
	var late []labrpc.Fault
	plain := arrivals(nil)
	require.Equal(t, plain, arrivals(func(f labrpc.Fault) bool { late = append(late, f); return false }), "asking changes nothing")
	require.Greater(t, len(late), 3)
	require.Less(t, len(late), 25)
	one := late[1]
	require.Equal(t, labrpc.FaultLate, one.Kind)
	without := arrivals(func(f labrpc.Fault) bool { return f == one })
	usual := labrpc.Asynchronous().Latency(0.5, 0)
	for i := range plain {
		if uint64(i+1) == one.Number {
			require.Greater(t, plain[i], 3*usual)
			require.InDelta(t, float64(usual), float64(without[i]), float64(time.Microsecond)*2)
		} else {
			require.Equal(t, plain[i], without[i])
		}
	}
}

// Of the four replies to a call whose request and replies are all duplicated, the first ends the call, one more is delivered to
// nobody, and two are lost. Records of runs rely on it.
func TestRepliesOfADuplicatedRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		link := labrpc.Reliable()
		link.Duplicate = 1
		net, n := newEcho(labrpc.Options{Seed: 1, Link: link})
		defer net.Close()
		_, err := labrpc.Call[echoReply](context.Background(), n, 2, "echo", echoArgs{})
		require.NoError(t, err)
		net.Run(time.Second)
		got := net.Stats(labrpc.Match{Kind: labrpc.Reply})
		require.Equal(t, labrpc.MethodStats{Sent: 2, Duplicated: 2, Delivered: 2, Lost: 2}, got)
	})
}
