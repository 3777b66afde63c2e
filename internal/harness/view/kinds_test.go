package view

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"distlabs/internal/harness/browser"
	"distlabs/internal/harness/trace"
	"distlabs/labrpc"
)

// everyKind is a run of the network itself with every kind of event in it.
func everyKind(t testing.TB) *trace.Run {
	t.Helper()
	rec := trace.NewRecorder(trace.Header{Test: "TestKinds", Seed: 3, Nodes: 4})
	inBubble(t, func() {
		net := labrpc.New(labrpc.Options{Seed: 3, Nodes: 4, Observe: rec.Observe,
			Link: labrpc.Link{Duplicate: 0.3, Loss: 0.2, Latency: labrpc.Uniform(time.Millisecond, 9*time.Millisecond)}})
		defer net.Close()
		nodes := map[labrpc.NodeID]*labrpc.Node{}
		start := func(id labrpc.NodeID) {
			n := net.Start(id)
			nodes[id] = n
			labrpc.Receive(n, "Gossip", func(from labrpc.NodeID, v vote) {
				n.Note("heard", v.Term)
				_ = n.Disk().Save("heard", v)
				n.Logf("heard %d of %v", v.Term, from)
			})
		}
		for _, id := range net.Nodes() {
			start(id)
		}
		net.Intercept(func(m *labrpc.Message) labrpc.Verdict {
			switch v := m.Body.(vote); v.Term % 10 {
			case 3:
				m.Body = vote{Term: 99, For: "forged"}
				return labrpc.Replace
			case 7:
				return labrpc.Drop
			}
			return labrpc.Pass
		})
		gossip := func(from, to int) {
			for term := from; term < to; term++ {
				for _, n := range nodes {
					for _, peer := range n.Peers() {
						_ = labrpc.Send(n, peer, "Gossip", vote{Term: term})
					}
				}
				net.Run(10 * time.Millisecond)
			}
		}
		held := net.Hold(labrpc.Match{From: 1, To: 2})
		gossip(0, 10)
		held.Release()
		_ = net.Inject(labrpc.Message{From: 4, To: 1, Method: "Gossip", Kind: labrpc.OneWay, Body: vote{Term: 50}})
		net.Cut(1, 3)
		net.JumpClock(2, time.Minute)
		net.Pause(3, 15*time.Millisecond)
		net.CrashAtWrite(4, labrpc.CrashPoint{Write: net.Writes(4) + 1})
		gossip(10, 16)
		start(4)
		net.Heal()
		net.Stop(2)
		net.Mark("the end")
		gossip(16, 18)
	})
	return rec.Run()
}

// Every kind of event has its words, its place and its mark on the page, on both scales and near and far.
func TestEveryKindIsDrawn(t *testing.T) {
	run := everyKind(t)
	kinds := map[labrpc.EventKind]bool{}
	for i := range run.Steps {
		kinds[run.Steps[i].Kind] = true
	}
	require.Len(t, kinds, 19, "kinds of event in the run")

	b := open(t, pageOf(t, run), "#fold=0")
	b.Press(kb.Home)
	b.shot("kinds")
	for _, key := range []string{"c", "t", "0", "t", kb.End, "0"} {
		b.Press(key)
		b.Settle()
	}
	require.Empty(t, browser.Eval[[]string](b, `run.app.model.steps.filter((s) => !s.ends && (run.app.placeOf(s) === null || Number.isNaN(run.app.placeOf(s)))).map((s) => s.kind)`),
		"events without a place")
	require.Empty(t, browser.Eval[[]string](b, `run.app.model.arrows.flatMap((a) => run.app.lineOf(a).flat()).filter((v) => !Number.isFinite(v)).map(String)`),
		"corners of arrows that are nowhere")
	text := browser.Eval[[]string](b, `[...new Set(run.app.layout.rows.filter((r) => r.labels).flatMap((r) => [...r.labels.items.map((i) => i.say()), ...r.labels.full.map((f) => f.text)]))]`)
	for _, want := range []string{"held", "altered", "duplicated", "dropped by the test", "dup Gossip", "crashed", "stopped forever", "paused 15ms",
		"goes on", "jumps by", "restarted (2)", "test: the end", "cut: n1→n3", "all links healed", "heard 99", "✎ heard"} {
		require.True(t, contains(text, want), "no label says %q", want)
	}
}

func contains(list []string, part string) bool {
	return slices.ContainsFunc(list, func(s string) bool { return strings.Contains(s, part) })
}
