package view

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"distlabs/internal/harness/browser"
	"distlabs/internal/harness/trace"
	"distlabs/labrpc"
)

// A role has the same colour whatever else the run has, on the page and in the picture; a leader's is the first.
func TestRolesKeepTheirColours(t *testing.T) {
	b := open(t, pageOf(t, small(t)), "")
	for _, values := range [][]string{
		{"follower", "leader"}, {"follower", "candidate", "leader"}, {"leader", "observer", "follower"}, {"backup", "primary"},
		{"leader", "candidate"}, {"observer", "witness", "leader"}, {"proposer", "acceptor", "learner"},
	} {
		held := map[string]time.Duration{}
		for i, v := range values {
			held[v] = time.Duration(len(values)-i) * time.Second
		}
		raw, err := json.Marshal(values)
		require.NoError(t, err)
		got := roleColours(held)
		require.Equal(t, got, browser.Eval[map[string]int](b, `Object.fromEntries(run.roleColours(`+string(raw)+`, "`+values[0]+`"))`), values)
		for _, v := range values {
			switch v {
			case "leader", "primary":
				require.Equal(t, 0, got[v], v)
			case "candidate":
				require.Equal(t, 1, got[v], v)
			case "follower", "backup":
				require.NotContains(t, got, v)
			}
		}
	}
}

// The heads say on which side of a partition each node is.
func TestHeadsNameThePartition(t *testing.T) {
	s := newLogWriter(trace.Header{Test: "TestCut", Nodes: 5})
	s.start(5)
	s.wait(time.Second)
	for _, a := range []labrpc.NodeID{1, 2, 3} {
		for _, c := range []labrpc.NodeID{4, 5} {
			s.event(labrpc.Event{Kind: labrpc.EventCut, From: a, To: c})
			s.event(labrpc.Event{Kind: labrpc.EventCut, From: c, To: a})
		}
	}
	s.wait(time.Second)
	s.note(4, "role", "leader")
	b := open(t, pageOf(t, s.rec.Run()), "#step=18")
	b.Settle()
	require.Equal(t, []string{"n1", "n2", "n3", "n4 cut off, with n5", "n5 cut off, with n4"}, browser.Eval[[]string](b, `[...document.querySelectorAll(".head b")].map((el) => el.textContent)`))
	require.Equal(t, []string{"partition: n1 n2 n3 | n4 n5"}, browser.Eval[[]string](b, `[...document.querySelectorAll("#list .item.fault .what")].map((el) => el.textContent)`), "one line for all links")
	b.shot("partition")
}

// The page, the message, the text and the picture write a time in one way.
func TestTimesAreWrittenInOneWay(t *testing.T) {
	b := open(t, pageOf(t, small(t)), "")
	for _, d := range []time.Duration{0, 1, 999, 12_345, 999_999, 1_000_000, 1_204_999_999, 61 * time.Second, 3601_000_600_000} {
		raw, err := json.Marshal(int64(d))
		require.NoError(t, err)
		require.Equal(t, trace.Seconds(d), browser.Eval[string](b, `run.seconds(`+string(raw)+`)`))
	}
	var svg bytes.Buffer
	run := badElection(t, 3)
	require.NoError(t, SVG(&svg, run, Picture{}))
	b = open(t, pageOf(t, run), "")
	for _, at := range browser.Eval[[]string](b, `[...document.querySelectorAll("#list .at")].map((el) => el.textContent)`) {
		require.Regexp(t, `^\d+\.\d{3}s$`, at)
	}
}

// Roles in words stand out from their grounds in both schemes.
func TestRoleWordsStandOut(t *testing.T) {
	for name, before := range map[string][]chromedp.Action[chromedp.Void]{"light": nil, "dark": {browser.Prefers("dark")}} {
		b := open(t, pageOf(t, small(t)), "", before...)
		for what, ratio := range browser.Eval[map[string]float64](b, `(() => {
			const css = getComputedStyle(document.documentElement), get = (n) => css.getPropertyValue("--" + n).trim();
			const rgb = (c) => { const x = document.createElement("canvas").getContext("2d"); x.fillStyle = c; x.fillRect(0, 0, 1, 1); return [...x.getImageData(0, 0, 1, 1).data].slice(0, 3); };
			const light = (c) => { const [r, g, b] = rgb(c).map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
			const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
			const out = {};
			for (const text of ["ink", "muted", "bad", "good", "accent", "past", "future", "t0", "t1", "t2", "t3", "t4", "m0", "m1", "m2", "m3", "m4", "m5", "m6", "m7"]) {
				for (const ground of ["bg", "panel"]) out[text + " on " + ground] = ratio(get(text), get(ground));
			}
			for (const text of ["ink", "muted"]) out[text + " on chip"] = ratio(get(text), get("chip"));
			for (const text of ["t0", "t1", "t2", "t3", "t4", "chip-ink"]) out[text + " on chip-new"] = ratio(get(text), get("chip-new"));
			return out;
		})()`) {
			require.GreaterOrEqual(t, ratio, 4.5, "%s in the %s scheme", what, name)
		}
	}
}
