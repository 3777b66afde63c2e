package view

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"distlabs/internal/harness/browser"
	"distlabs/internal/harness/trace"
	"distlabs/labrpc"
)

// Ten nodes and 20 000 events open in under two seconds, and every key is answered in less. What is
// measured is the page's processor time, which does not depend on what else the machine does; the real
// time is logged.
func TestLargeRunOpensQuickly(t *testing.T) {
	html := pageOf(t, large(20_000))
	t.Logf("%d kB", len(html)/1024)
	b := open(t, html, "")
	b.CountCPU()
	cost := func(what string, limit time.Duration, f func()) {
		before, begin := b.CPU(), time.Now()
		f()
		b.Settle()
		spent := b.CPU() - before
		t.Logf("%s: %v of processor time, %v of real time", what, spent.Round(time.Millisecond), time.Since(begin).Round(time.Millisecond))
		require.Less(t, spent, limit, what)
	}
	begin := time.Now()
	spent := b.reopen()
	t.Logf("open and draw: %v of processor time, %v of real time", spent.Round(time.Millisecond), time.Since(begin).Round(time.Millisecond))
	require.Positive(t, spent)
	require.Less(t, spent, 2*time.Second, "to open and draw")
	require.GreaterOrEqual(t, browser.Eval[int](b, `run.app.model.steps.length`), 20_000)
	b.Press(kb.PageDown)
	b.shot("large-top")
	for _, key := range []string{kb.End, "c", kb.ArrowUp, "h", "0", "t"} {
		cost(fmt.Sprintf("key %q", key), time.Second, func() { b.Press(key) })
	}
	require.Less(t, browser.Eval[int](b, `document.querySelectorAll("*").length`), 600, "elements in the page")
	b.shot("large")
}

// A run without steps, one without nodes, and one without a failure are pages too.
func TestPoorRuns(t *testing.T) {
	empty := trace.NewRecorder(trace.Header{}).Run()
	open(t, pageOf(t, empty), "").Press(kb.ArrowDown)
	s := newLogWriter(trace.Header{Test: "TestQuiet", Nodes: 2})
	s.start(2)
	s.event(labrpc.Event{Kind: labrpc.EventDelivered, Node: 1, Msg: 9, From: 2, To: 1, Method: "sent before the record began"})
	s.event(labrpc.Event{Kind: labrpc.EventLost, Msg: 8, From: 2, To: 1, Method: "so was this", Reason: "loss"})
	b := open(t, pageOf(t, s.rec.Run()), "#fold=0")
	for _, key := range []string{kb.Home, kb.End, kb.ArrowLeft, kb.ArrowRight, "t", "0", "c", "v", "f"} {
		b.Press(key)
	}
	require.Contains(t, browser.Eval[string](b, `document.querySelector("#failure").textContent`), "4 events")
}

// ShiViz reads its log with JavaScript's regular expressions: they find every event too.
func TestShiVizInJavaScript(t *testing.T) {
	run := badElection(t, 3)
	var log bytes.Buffer
	require.NoError(t, ShiViz(&log, run))
	raw, err := json.Marshal(log.String())
	require.NoError(t, err)
	b := open(t, pageOf(t, small(t)), "")
	hosts := browser.Eval[[]string](b, `(() => {
		const [parser, text] = `+string(raw)+`.split("\n\n");
		return [...text.matchAll(new RegExp(parser, "gm"))].map((m) => {
			if (!(m.groups.host in JSON.parse(m.groups.clock))) throw new Error(m[0]);
			return m.groups.host;
		});
	})()`)
	var want []string
	for i := range run.Steps {
		if n := run.Steps[i].Node; n != 0 {
			want = append(want, n.String())
		}
	}
	require.Equal(t, want, hosts)
}
