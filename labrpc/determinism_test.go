package labrpc_test

import (
	"context"
	"flag"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"distlabs/labrpc"
)

var repeats = flag.Int("repeats", 40, "how often TestSameSeedSameRun runs each seed, and TestSameStepsSameRun a fifth as often")

// gossip is a busy little protocol that does all that students do: tickers, goroutines for each peer,
// calls with deadlines, a lock, one-way messages in bursts, the disk, random choices.
type gossip struct {
	node *labrpc.Node
	lock chan struct{}
	seen map[string]int
}

type rumour struct {
	Text string
	Hops int
}

type digest struct{ Seen map[string]int }

func startGossip(node *labrpc.Node) *gossip {
	g := &gossip{node: node, lock: make(chan struct{}, 1), seen: map[string]int{}}
	node.Disk().Load("seen", &g.seen)
	labrpc.Receive(node, "rumour", g.hear)
	labrpc.Handle(node, "compare", g.compare)
	go g.invent()
	go g.exchange()
	return g
}

func (g *gossip) hear(_ labrpc.NodeID, r rumour) {
	g.lock <- struct{}{}
	known := g.seen[r.Text]
	g.seen[r.Text] = known + 1
	g.node.Note("known", len(g.seen))
	g.node.Disk().Save("seen", g.seen)
	<-g.lock
	if known > 0 {
		return
	}
	for _, p := range g.node.Peers() {
		go labrpc.Send(g.node, p, "rumour", rumour{r.Text, r.Hops + 1})
	}
}

func (g *gossip) compare(_ labrpc.NodeID, d digest) digest {
	g.lock <- struct{}{}
	defer func() { <-g.lock }()
	out := digest{Seen: map[string]int{}}
	for k, v := range g.seen {
		if d.Seen[k] == 0 {
			out.Seen[k] = v
		}
	}
	return out
}

func (g *gossip) invent() {
	for i := 0; g.node.Context().Err() == nil; i++ {
		time.Sleep(time.Duration(40+g.node.Rand().IntN(160)) * time.Millisecond)
		g.hear(g.node.ID(), rumour{Text: fmt.Sprintf("%v says %d", g.node.ID(), i)})
	}
}

func (g *gossip) exchange() {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-g.node.Context().Done():
			return
		case <-tick.C:
		}
		for _, p := range g.node.Peers() {
			go func() {
				ctx, cancel := context.WithTimeout(g.node.Context(), 30*time.Millisecond)
				defer cancel()
				if d, err := labrpc.Call[digest](ctx, g.node, p, "compare", digest{}); err == nil {
					g.node.Logf("%v knows %d more", p, len(d.Seen))
				}
			}()
		}
	}
}

// busy runs four gossips for a virtual second under every fault there is.
func busy(t *testing.T, seed uint64, observe func(labrpc.Event)) {
	synctest.Test(t, func(t *testing.T) {
		link := labrpc.FairLoss(0.1)
		link.Latency = labrpc.LogNormal(5*time.Millisecond, 0.8)
		net := labrpc.New(labrpc.Options{Seed: seed, Nodes: 4, Link: link, Observe: observe})
		defer net.Close()
		for _, id := range net.Nodes() {
			startGossip(net.Start(id))
		}
		net.Run(200 * time.Millisecond)
		net.Partition([]labrpc.NodeID{1, 2}, []labrpc.NodeID{3, 4})
		net.CrashAtWrite(4, labrpc.CrashPoint{Write: net.Writes(4) + 5})
		net.Run(200 * time.Millisecond)
		net.Pause(3, 100*time.Millisecond)
		held := net.Hold(labrpc.Match{From: 1, Method: "rumour"})
		net.RunUntil(time.Second, func() bool { return !net.Up(4) })
		startGossip(net.Start(4))
		net.Heal()
		net.Run(200 * time.Millisecond)
		held.Release()
		net.Run(200 * time.Millisecond)
	})
}

// The same seed gives the same events in the same order, whatever the scheduler
// does. Run with -race too (which shuffles the scheduler) and with -cpu 1,2.
func TestSameSeedSameRun(t *testing.T) {
	record := func(seed uint64) (lines []string) {
		busy(t, seed, func(e labrpc.Event) { lines = append(lines, line(e)) })
		return lines
	}
	times := *repeats
	if testing.Short() {
		times = 10
	}
	for seed := uint64(1); seed <= 2; seed++ {
		first := record(seed)
		require.Greater(t, len(first), 500, "a busy run has many events")
		for range times - 1 {
			if again := record(seed); !equal(first, again) {
				t.Fatalf("seed %d: %s", seed, firstDifference(first, again))
			}
		}
	}
	require.NotEqual(t, record(1), record(2), "another seed is another run")
}

// line has all of an event but the body of what was sent before.
func line(e labrpc.Event) string {
	b := append([]byte(e.Kind), ' ')
	for _, n := range []uint64{uint64(e.At), uint64(e.Node), uint64(e.Inc), e.Msg, uint64(e.Copy),
		uint64(e.From), uint64(e.To), e.Number, e.ReplyTo} {
		b = append(strconv.AppendUint(b, n, 10), ' ')
	}
	b = append(b, strings.Join([]string{e.Method, string(e.Message), e.Reason, e.Name, e.Value}, " ")...)
	if e.Kind == labrpc.EventSent {
		body, err := labrpc.Marshal(e.Body)
		b = append(append(b, body...), fmt.Sprint(err)...)
	}
	return string(b)
}

func equal(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func firstDifference(a, b []string) string {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("event %d differs:\n%s\n%s", i+1, a[i], b[i])
		}
	}
	return fmt.Sprintf("one run has %d events, the other %d", len(a), len(b))
}

// Watching a run does not change it: what the nodes do is the same with and without an observer.
func TestObservingChangesNothing(t *testing.T) {
	outcome := func(observe func(labrpc.Event)) (total labrpc.MethodStats) {
		synctest.Test(t, func(t *testing.T) {
			net := labrpc.New(labrpc.Options{Seed: 5, Nodes: 3, Link: labrpc.FairLoss(0.2), Observe: observe})
			defer net.Close()
			for _, id := range net.Nodes() {
				startGossip(net.Start(id))
			}
			net.RunUntil(2*time.Second, func() bool { return net.Stats(labrpc.Match{}).Lost > 500 })
			net.Run(time.Second)
			total = net.Stats(labrpc.Match{})
		})
		return total
	}
	require.Equal(t, outcome(nil), outcome(func(labrpc.Event) {}))
}
